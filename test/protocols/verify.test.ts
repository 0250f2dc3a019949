/** The check of what a client opens: honest runs pass, and sums are what integers say. */
import { describe, expect, it } from "vitest";
import { randomText } from "../../src/models/catalog.ts";
import { oneTurn, type Step } from "../../src/program/steps.ts";
import { trafficOf } from "../../src/protocols/all.ts";
import { costOf, FRAME_HEADER } from "../../src/protocols/cost.ts";
import { portionOfSteps } from "../../src/protocols/portions.ts";
import { checkCost } from "../../src/protocols/verify/price.ts";
import {
  checkable,
  checksOf,
  dueChecks,
  keyedWords,
  paddingBytes,
  sampled,
  sessionKeyBytes,
} from "../../src/protocols/verify/sampling.ts";
import { coneOf, isChecked, keyBytes } from "../../src/protocols/verify/words.ts";
import { Prg, randomKey } from "../../src/ring/prg.ts";
import { harness, TINY_GPT2 } from "../parties/harness.ts";
import { tapped } from "../parties/tapped.ts";
import { fieldsOf, PROOF } from "./wire.ts";

describe("an honest client", () => {
  it.each([
    ["Quad and 2Quad", {}],
    ["exact functions", { gelu: "exact", softmax: "exact" }],
    ["comparisons", { gelu: "relu", softmax: "2relu", answer: "label" }],
  ] as const)("passes with %s", async (_, spec) => {
    const h = await harness({ layers: 1, ...spec }, { ...oneTurn(8), verified: true });
    const text = randomText(h.spec, 6, 1);
    const plain = h.clear(text).logits;
    for (const verify of [1, 4]) {
      const { logits, run } = await h.secure(text, undefined, undefined, undefined, verify);
      run.close();
      expect(logits.length).toBe(plain.length);
      logits.forEach((x, i) => {
        expect(Math.abs(x - plain[i])).toBeLessThan(0.05);
      });
    }
  });
});

it.each([1, 4])("costs what plan says, one opening in %i checked", async (verify) => {
  const h = await harness({ layers: 1, gelu: "relu" }, { ...oneTurn(8), verified: true });
  const world = await tapped(h, { verify });
  const client = await world.connect();
  const { bytes } = await client.infer(randomText(h.spec, 6, 1));
  await client.close();
  const { offline, online } = checkCost(h.program, verify);
  const without = costOf(h.program).offline.bytes.dealer_to_server;
  expect(bytes.offline.dealer_to_server - without).toBe(offline.bytes.dealer_to_server);
  const control = world.frames.filter(({ phase }) => phase === "control");
  const framed = control.map((frame) => ({ fields: fieldsOf(frame), size: frame.payload.length + FRAME_HEADER }));
  const [challenge, proof] = ["openings seed", PROOF].map((name) => framed.find(({ fields }) => fields === name)!.size);
  expect(proof).toBe(online.bytes.client_to_server);
  expect(challenge).toBeLessThanOrEqual(online.bytes.server_to_client);
  if (verify === 1) expect(challenge).toBe(online.bytes.server_to_client);
});

it("keeps what checks read until the last of them, and nothing else", async () => {
  const { program } = await harness({ ...TINY_GPT2, layers: 1 }, { ...oneTurn(8), turns: 3, verified: true });
  const openings = checkable(program).filter((_, i) => i % 3 > 0);
  const due = dueChecks(program, openings);
  expect([...due.keys()]).toEqual(checksOf(program).map(({ answer }) => answer));
  const left = new Set([...due.values()].flatMap(({ lastRead }) => lastRead));
  expect(left).toEqual(coneOf(program, openings).publics);
  for (const check of due.values()) {
    for (const id of coneOf(program, check.openings).publics) expect(left.has(id)).toBe(true);
    for (const id of check.lastRead) expect(left.delete(id)).toBe(true);
  }
  expect([...due.values()].flatMap((check) => check.openings)).toEqual(openings);
});

describe("a part", () => {
  it.each([
    ["of a text", { layers: 2 }, oneTurn(8)],
    ["of three turns", { ...TINY_GPT2, layers: 1 }, { ...oneTurn(8), turns: 3 }],
  ] as const)("is one class in N, and every opening is in one: %s", async (_, spec, shape) => {
    const { ring, program } = await harness(spec, { ...shape, verified: true });
    // Of 64 combinations one is missed by all draws with probability 4e-7.
    const [verify, draws] = [4, 1200];
    const counts = new Map<Step, number>(checkable(program).map((step) => [step, 0]));
    const together = new Map<string, number>();
    let dealt: readonly number[] | undefined;
    for (let i = 0; i < draws; i++) {
      const chosen = sampled(ring, program, new Prg(randomKey()), verify);
      for (const step of chosen) counts.set(step, counts.get(step)! + 1);
      const of = checksOf(program).map(({ openings }) => openings.find((step) => chosen.includes(step))?.id);
      together.set(of.join(), (together.get(of.join()) ?? 0) + 1);
      // What is dealt of each portion is the same, whatever was drawn.
      const keyed = keyedWords(program, chosen);
      const padding = paddingBytes(program, chosen, verify)!;
      const portions = portionOfSteps(program);
      const whole = padding.map((bytes) => bytes + FRAME_HEADER);
      for (const bytes of padding) expect(bytes).toBeGreaterThan(0);
      for (const id of keyed.keys()) {
        const step = program.steps[id];
        const header = trafficOf(step, program).dealt === undefined ? FRAME_HEADER : 0;
        whole[portions[id]] += keyBytes(step, program, keyed) + header;
      }
      dealt ??= whole;
      expect(whole).toEqual(dealt);
      expect(whole.reduce((sum, bytes) => sum + bytes, 0)).toBe(sessionKeyBytes(program, verify));
    }
    // Six standard deviations.
    const [mean, most] = [draws / verify, 6 * Math.sqrt((draws / verify) * (1 - 1 / verify))];
    for (const [step, count] of counts) expect(Math.abs(count - mean), `step ${step.id}`).toBeLessThan(most);
    // A check's class tells nothing of the next one's.
    expect(together.size).toBe(verify ** checksOf(program).length);
  });

  it("takes no opening that no answer waits for, and every other one", async () => {
    const { program } = await harness({ ...TINY_GPT2, layers: 1 }, { ...oneTurn(8), turns: 3, verified: true });
    const all = program.steps.filter((step) => isChecked(step, program));
    expect(checkable(program)).toEqual(all);
    expect(checksOf(program).length).toBe(3);
  });
});
