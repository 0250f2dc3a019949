/** What `calibrate` foretells, and the bits that it gives: to an embedding whose direction would be lost, and to no other. */
import { describe, expect, it } from "vitest";
import { firstThatKeeps, measured, predictionLine } from "../../src/cli/prediction.ts";
import { compile } from "../../src/compiler/compile.ts";
import { randomText } from "../../src/models/catalog.ts";
import { longestText } from "../../src/program/spec.ts";
import { oneTurn, PlanError } from "../../src/program/steps.ts";
import { costOf } from "../../src/protocols/cost.ts";
import { plainMatmul } from "../../src/reference/matmul.ts";
import { harness, TINY, TINY_VECTOR } from "../parties/harness.ts";

const EMBEDDER = { ...TINY_VECTOR, gelu: "exact", softmax: "exact" } as const;
const spec = { ...TINY, ...EMBEDDER };
/** Each of the token 5 among others, which one text of three has. */
const texts = Array.from({ length: 12 }, (_, i) => {
  const { ids, types } = randomText(spec, 6 + i, i);
  return { ids: ids.map((id, at) => (at === 2 && i % 3 === 0 ? 5 : id === 5 ? 6 : id)), types };
});
/** One entry far beyond all others: the first norm's input has a range of it, and the layers' as they are. */
const wide = (name: string, data: Float32Array) =>
  name === "embeddings.word" ? data.map((x, i) => (i === 32 * 5 + 3 ? 2 ** 4 : x)) : data;

const bytes = (cost: ReturnType<typeof costOf>) =>
  cost.online.bytes.client_to_server + cost.online.bytes.server_to_client;

describe("embeddings", () => {
  it("have bits for rows that a few values stand far above", async () => {
    const model = await harness(EMBEDDER, 16, texts, undefined, wide);
    const { plan, foretold } = await measured(model, texts, plainMatmul, () => {});
    expect(model.plan.precision).toBeUndefined();
    expect(plan.precision?.activation).toBeGreaterThanOrEqual(12);
    expect(foretold.least_cosine).toBeGreaterThan(0.9999);
    expect(predictionLine(foretold)).toMatch(/^foretold from 12 of the texts: least cosine 0\.9999\d\d$/);
    const plain = await measured({ ...model, spec: { ...spec, problem: "regression" } }, texts, plainMatmul, () => {});
    expect(plain.plan).toEqual(model.plan);
    expect(plain.foretold.least_cosine).toBeUndefined();
  });

  it("have no more than others where they keep their direction as they are", async () => {
    const model = await harness(EMBEDDER, 16, texts);
    const { plan, foretold } = await measured(model, texts, plainMatmul, () => {});
    expect(plan).toEqual(model.plan);
    expect(foretold.least_cosine).toBeGreaterThanOrEqual(0.99995);
  });

  it("cost little more so, whatever the length", async () => {
    const model = await harness(EMBEDDER, 16, texts, undefined, wide);
    const { plan } = await measured(model, texts, plainMatmul, () => {});
    for (const length of [8, longestText(spec)]) {
      const of = (one: typeof plan) => bytes(costOf(compile(spec, one, oneTurn(length))));
      expect(of(plan) / of(model.plan)).toBeLessThan(1.25);
    }
  });
});

describe("of several settings", () => {
  const told = (agreement: number, perplexity: number) => ({
    foretold: { texts: 4, max_abs_logit_error: 0.1, agreement, perplexity, clear_perplexity: 10 },
  });
  const refused = new PlanError("too wide");
  it.each([
    ["the first that keeps tokens and perplexity", [told(1, 10.2), told(1, 10.01), told(1, 10)], 1],
    ["the one that keeps most tokens", [told(0.9, 10), told(0.95, 10), told(0.93, 10)], 1],
    ["the one that fits", [refused, told(0.9, 10), refused], 1],
  ])("takes %s", async (_, made, at) => {
    const make = async (one: (typeof made)[number]) => {
      if (one instanceof PlanError) throw one;
      return one;
    };
    expect(await firstThatKeeps(made, make)).toBe(made[at]);
  });

  it("refuses where none fits", async () => {
    await expect(firstThatKeeps([1, 2], () => Promise.reject(refused))).rejects.toBe(refused);
  });
});
