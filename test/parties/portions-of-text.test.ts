/** A text whose material takes many portions: each comes in the midst of the run, and the answer is the same. */
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { compile } from "../../src/compiler/compile.ts";
import { randomText } from "../../src/models/catalog.ts";
import { oneTurn } from "../../src/program/steps.ts";
import { costOf } from "../../src/protocols/cost.ts";
import { portionsOf } from "../../src/protocols/portions.ts";
import { TINY_GPT2 } from "./harness.ts";
import { World } from "./world.ts";

// A small model's material as that of a large one.
vi.mock("../../src/protocols/cost.ts", async (original) => {
  const cost = await original<typeof import("../../src/protocols/cost.ts")>();
  return { ...cost, materialOf: (...of: Parameters<typeof cost.materialOf>) => 1e4 * cost.materialOf(...of) };
});

let world: World;
beforeEach(async () => {
  world = await World.create();
});
afterEach(() => world.close());

it.each([
  ["Quad and 2Quad", {}, 0],
  ["exact functions", { gelu: "exact", softmax: "exact" }, 0],
  ["exact functions, every opening checked", { gelu: "exact", softmax: "exact" }, 1],
  ["some openings checked", {}, 4],
] as const)("%s", async (_, spec, verify) => {
  const dealt: number[] = [];
  const w = await world.services({ spec, serving: { verify }, dealing: { measured: () => dealt.push(dealt.length) } });
  const program = compile(w.spec, w.plan, { ...oneTurn(8), verified: verify > 0 });
  const portions = portionsOf(program).length;
  expect(portions).toBeGreaterThan(3);
  const client = await w.connect();
  const text = randomText(w.spec, 6, 1);
  const before: number[] = [];
  const seen = await w.connect(false, () => before.push(dealt.length));
  const [answer, again] = [await seen.infer(text), await client.infer(text)];
  // The first flights cross before the last portion is dealt.
  expect(before[0]).toBeLessThan(portions);
  expect(dealt.length).toBe(2 * portions);
  const right = w.float(text, 8);
  for (const { logits } of [answer, again])
    for (const [i, x] of logits.entries()) expect(Math.abs(x - right[i])).toBeLessThan(0.05);
  expect(answer.flights).toBe(again.flights);
  if (verify === 0) expect(answer.flights).toBe(costOf(program).online.flights);
  await Promise.all([client.close(), seen.close()]);
  await expect.poll(() => w.dealer.admission.connections).toBe(0);
  expect(w.server.materialBytes).toBe(0);
  expect(world.failures).toEqual([]);
});

it("several texts of one run, and a continuation", async () => {
  const w = await world.services({});
  const client = await w.connect();
  const texts = [randomText(w.spec, 6, 1), randomText(w.spec, 8, 2)];
  const { logits } = await client.inferAll(texts, 8);
  for (const [t, row] of logits.entries()) {
    const right = w.float(texts[t], 8);
    for (const [i, x] of row.entries()) expect(Math.abs(x - right[i])).toBeLessThan(0.05);
  }
  await client.close();
  const d = await world.services({ spec: TINY_GPT2 });
  const speaker = await d.connect();
  const run = speaker.generate(randomText(d.spec, 6, 1), { maxTokens: 4, stopAt: [] });
  let next = await run.next();
  while (!next.done) next = await run.next();
  expect(next.value.tokens).toBe(4);
  await speaker.close();
  expect(world.failures).toEqual([]);
});
