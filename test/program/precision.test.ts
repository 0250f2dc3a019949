/** Precision follows the values: models whose weights are scaled give the float reference's logits, or are refused by name. */
import { describe, expect, it } from "vitest";
import { randomText } from "../../src/models/catalog.ts";
import { baseOf } from "../../src/models/families/all.ts";
import type { Precision } from "../../src/program/plan.ts";
import type { ModelSpec } from "../../src/program/spec.ts";
import { PlanError } from "../../src/program/steps.ts";
import { type Harness, harness, TINY, TINY_GPT2 } from "../parties/harness.ts";

const MODELS: Record<string, Partial<ModelSpec>> = {
  "a BERT with stand-ins": {},
  "a BERT of public embedding": { embedding: "public", gelu: "exact", softmax: "exact" },
  "a GPT-2": TINY_GPT2,
  "an OPT": { ...TINY_GPT2, ...baseOf("opt"), gelu: "relu", positions: 66, positionOffset: 2 },
  "a Llama": { ...TINY_GPT2, ...baseOf("llama"), keyHeads: 2, tied: false },
};
const TABLES = /^embeddings\.(word|position|type)/;
const GAINS = /norm\.weight$/;
const HEAD = /^(classifier|head)\./;

/** The model with the tensors that `names` means scaled by 2^exponent. */
function scaled(spec: Partial<ModelSpec>, names: RegExp, exponent: number): Promise<Harness> {
  const change = (name: string, data: Float32Array) => (names.test(name) ? data.map((x) => x * 2 ** exponent) : data);
  return harness(spec, 16, undefined, undefined, change);
}

/** The largest error of the logits of some texts in fixed point, over the range of the logits. */
function relativeError({ spec, float, clear }: Harness): number {
  // Of lengths for which a program of 16 positions is meant.
  const texts = [9, 12, 16].map((length) => randomText(spec, length, length));
  const all = texts.map((text) => ({ right: float(text), got: clear(text).logits }));
  const right = all.flatMap((one) => one.right);
  const errors = all.flatMap((one) => one.right.map((x, i) => Math.abs(x - one.got[i])));
  return Math.max(...errors) / (Math.max(...right) - Math.min(...right));
}

function furthest(a: readonly number[], b: readonly number[]): number {
  return Math.max(...a.map((x, i) => Math.abs(x - b[i])));
}

describe.each(Object.entries(MODELS))("%s", (_, spec) => {
  // A tied head is the table, so that its logits are scaled with the embedding.
  const heads = spec.tied === true ? [] : [-20, -10, 8];

  it.each([-20, -14, -7, 3, 8])("has embeddings of 2^%d times the usual size", async (exponent) => {
    expect(relativeError(await scaled(spec, TABLES, exponent))).toBeLessThan(0.01);
  });

  it.each(heads)("has a head of 2^%d times the usual size", async (exponent) => {
    expect(relativeError(await scaled(spec, HEAD, exponent))).toBeLessThan(0.01);
  });

  it.each([-20, -10, -4, 3])("has gains of 2^%d times the usual size, or is refused by name", async (exponent) => {
    try {
      expect(relativeError(await scaled(spec, GAINS, exponent))).toBeLessThan(0.03);
    } catch (error) {
      if (!(error instanceof PlanError)) throw error;
      expect(error.message).toMatch(/layer\.\d|embeddings\.norm/);
      expect(exponent).toBeLessThan(-9);
    }
  });
});

describe("a Llama with a value far beyond all others", () => {
  const spec = MODELS["a Llama"];
  const massive = (name: string, data: Float32Array) =>
    name === "embeddings.word" ? data.map((x, i) => (i === 32 * 5 ? 2 ** 7 : x)) : data;
  // The massive token comes first and is seen by calibration.
  const texts = [9, 12, 16].map((length) => {
    const { ids, types } = randomText({ ...TINY, ...spec }, length, length);
    return { ids: [5, ...ids.slice(1)], types };
  });
  const withPrecision = (precision?: Precision) =>
    harness(spec, 16, texts, (plan) => ({ ...plan, precision }), massive);
  const error = (one: Harness) => Math.max(...texts.map((text) => furthest(one.float(text), one.clear(text).logits)));

  it("has bits for the others where the plan asks for them", async () => {
    const [plain, precise] = [await withPrecision(), await withPrecision({ stream: 20, norm: 16, activation: 16 })];
    const finest = ({ program }: Harness, label: string, mode: string) =>
      program.steps
        .filter((step) => step.kind === "open" && step.mode === mode && step.label === label)
        .map((step) => program.values[step.out].scale);
    // The stream behind a layer's attention, and the norm that reads it.
    expect(Math.max(...finest(plain, "layer.0.attention.output", "exchange"))).toBeLessThan(2 ** 16);
    expect(Math.max(...finest(precise, "layer.0.attention.output", "exchange"))).toBeGreaterThanOrEqual(2 ** 19);
    expect(Math.max(...finest(precise, "layer.0.norm", "toServer"))).toBeGreaterThanOrEqual(2 ** 15);
    expect(error(precise)).toBeLessThan(error(plain));
  });

  it("has bits of their own for kinds of values", async () => {
    const precision: Precision = { stream: 20, norm: 14, activation: 16 };
    const finer = { keys: 1, values: 4, scores: 2, exponentials: 1, weighted: 3, gates: 4, series: 3, roots: 1 };
    const [usual, fine] = [await withPrecision(precision), await withPrecision({ ...precision, finer })];
    const finest = ({ program }: Harness, kind: string, name: RegExp) =>
      Math.max(
        ...program.steps
          .filter((step) => step.kind === kind && name.test(program.values[step.out].name))
          .map((step) => Math.log2(program.values[step.out].scale)),
      );
    const more = (kind: string, name: RegExp) => Math.round(finest(fine, kind, name) - finest(usual, kind, name));
    expect(more("open", /^layer\.0\.value$/)).toBe(4);
    expect(more("open", /^layer\.0\.gate$/)).toBeGreaterThanOrEqual(4);
    expect(more("fourier", /^silu$/)).toBe(6);
    expect(more("open", /^inverseSqrt$/)).toBeGreaterThanOrEqual(1);
    expect(more("open", /^scores$/)).toBeGreaterThanOrEqual(2);
    expect(more("open", /^embeddings\.word$/)).toBe(0);
    expect(error(fine)).toBeLessThan(1.1 * error(usual));
  });

  it("is refused where the bits that its plan asks for do not fit, or as near as they say: none are given up in silence", async () => {
    const usual = error(await withPrecision({ stream: 20, norm: 16, activation: 16 }));
    let refused = 0;
    for (const bits of [18, 21, 24, 27, 30, 40]) {
      try {
        expect(error(await withPrecision({ stream: bits, norm: bits, activation: bits }))).toBeLessThan(2 * usual);
      } catch (thrown) {
        if (!(thrown instanceof PlanError)) throw thrown;
        expect(thrown.message).toMatch(/needs a ring of \d+ bits/);
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(0);
    expect(refused).toBeLessThan(6);
  });

  it("gives up bits of the one layer whose ring is full", async () => {
    const scales = ({ program }: Harness) =>
      new Map(program.weights.map(({ ref }) => ["name" in ref ? ref.name : "", "scale" in ref ? ref.scale : 0]));
    const usual = scales(await withPrecision({ stream: 20, norm: 16, activation: 16 }));
    let narrowed = 0;
    // Queries are turned after the product, and have the widest rings: one is full where others are not.
    for (let norm = 18; norm < 30; norm += 2) {
      try {
        const found = scales(await withPrecision({ stream: 20, norm, activation: 16 }));
        const less = [...usual].filter(([name, scale]) => found.get(name)! < scale).map(([name]) => name);
        if (less.length > 0 && less.length < usual.size / 2) narrowed++;
      } catch (thrown) {
        if (!(thrown instanceof PlanError)) throw thrown;
      }
    }
    expect(narrowed).toBeGreaterThan(0);
  });
});

describe("what no fixed point of 64 bits holds", () => {
  it("is refused by name: weights beyond all bits, on either side", async () => {
    await expect(scaled({}, /^classifier\.weight/, 12)).rejects.toThrow(/classifier are too large/);
    await expect(scaled({}, /^classifier\.weight/, -70)).rejects.toThrow(/classifier are too small/);
  });
});
