/** Material in portions: a first token waits for its own, the run makes the others as it needs them, and one that ends early leaves the rest. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Channel } from "../../src/channels/channel.ts";
import { compile } from "../../src/compiler/compile.ts";
import { calibrateShape } from "../../src/compiler/shape.ts";
import { catalogSpec, randomText, randomWeights } from "../../src/models/catalog.ts";
import { oneTurn } from "../../src/program/steps.ts";
import { costOf, materialBytes } from "../../src/protocols/cost.ts";
import { heldBytes, portionOfSteps, portionsOf } from "../../src/protocols/portions.ts";
import { sessionKeyBytes } from "../../src/protocols/verify/sampling.ts";
import { harness, TINY_GPT2 } from "./harness.ts";
import { World } from "./world.ts";

const SPEC = { ...TINY_GPT2, layers: 1 };
/** The text with its first token, two portions of eight turns, and one of three. */
const TOKENS = 20;
const PORTIONS = 4;

let world: World;
beforeEach(async () => {
  world = await World.create();
});
afterEach(() => world.close());

describe("a program's portions", () => {
  it("hold every step once, and each is needed from one turn on", async () => {
    const { program } = await harness(SPEC, { ...oneTurn(8), turns: TOKENS });
    const portions = portionsOf(program);
    expect(portions.length).toBe(PORTIONS);
    const ids = portions.flatMap(({ steps }) => steps.flat().map(({ id }) => id));
    expect(ids.sort((a, b) => a - b)).toEqual(program.steps.map(({ id }) => id));
    const of = portionOfSteps(program);
    // What a turn computes is in its own portion or an earlier one.
    for (const [flight, { local, opens }] of program.flights.entries()) {
      const here = portions.findLastIndex((portion) => portion.flight <= flight);
      for (const id of [...local, ...opens]) expect(of[id]).toBe(here);
    }
    expect(portions.map(({ flight }) => program.turns.indexOf(flight))).toEqual([0, 1, 9, 17]);
  });
});

/** Services whose dealer's portions are counted. */
async function counted(verify = 0) {
  const dealt: number[] = [];
  const w = await world.services({
    spec: SPEC,
    serving: { verify },
    dealing: { measured: () => dealt.push(dealt.length), log: () => {} },
  });
  return { w, dealt };
}

describe("a long text's portions", () => {
  it("are of about the same size, and a server holds two", () => {
    const spec = { ...catalogSpec("bert-base"), gelu: "exact", softmax: "exact", layers: 6 };
    const plan = calibrateShape(spec, randomWeights({ ...spec, layers: 3 }, 1), 8);
    const program = compile(spec, plan, oneTurn(128));
    const all = materialBytes(program);
    const portions = portionsOf(program);
    expect(portions.length).toBe(Math.ceil(all / 5e8));
    expect(portions.length).toBeGreaterThan(1);
    expect(portions.flatMap(({ steps }) => steps.flat()).length).toBe(program.steps.length);
    expect(heldBytes(program)).toBeLessThan(1.1e9);
  });
});

describe("a continuation", () => {
  it.each([0, 4])(
    "has its first token before later portions, and tells what all of them cost (one in %i checked)",
    async (verify) => {
      const { w, dealt } = await counted(verify);
      const client = await w.connect();
      const text = randomText(w.spec, 6, 1);
      const run = client.generate(text, { maxTokens: TOKENS, stopAt: [] });
      const first = await run.next();
      expect(first.done).toBe(false);
      // The run has its own portion, and the next one at most is under way.
      expect(dealt.length).toBeLessThanOrEqual(2);
      const ids = [first.value];
      let next = await run.next();
      for (; !next.done; next = await run.next()) ids.push(next.value);
      expect(ids.length).toBe(TOKENS);
      expect(dealt.length).toBe(PORTIONS);
      const shape = client.generationShape(6, { maxTokens: TOKENS });
      const told = next.value.bytes.offline.dealer_to_server;
      const program = compile(w.spec, w.plan, { ...shape, verified: verify > 0 });
      expect(told).toBe(costOf(program).offline.bytes.dealer_to_server + sessionKeyBytes(program, verify));
      expect(next.value.seconds.offline).toBeGreaterThan(0);
      // All at once gives the same tokens.
      await client.makeReady(shape);
      expect(dealt.length).toBe(2 * PORTIONS);
      const again = client.generate(text, { maxTokens: TOKENS, stopAt: [] });
      let last = await again.next();
      while (!last.done) last = await again.next();
      expect(last.value.ids).toEqual(next.value.ids);
      expect(dealt.length).toBe(2 * PORTIONS);
      await client.close();
      expect(world.failures).toEqual([]);
    },
  );

  it("that ends with its text leaves what it does not need, and its connection serves the next", async () => {
    const { w, dealt } = await counted();
    const client = await w.connect();
    const text = randomText(w.spec, 6, 1);
    for (let round = 1; round <= 2; round++) {
      const ended = client.generate(text, { maxTokens: TOKENS, stopAt: [], stop: (tokens) => tokens.length === 3 });
      let last = await ended.next();
      while (!last.done) last = await ended.next();
      expect(last.value.tokens).toBe(3);
      // Two that it used, and one ahead.
      expect(dealt.length).toBeLessThanOrEqual(3 * round);
    }
    await client.close();
    await expect.poll(() => w.dealer.admission.connections).toBe(0);
    expect(w.server.materialBytes).toBe(0);
    expect(world.failures).toEqual([]);
  });

  it("whose dealer is lost between two portions ends with its reason", async () => {
    const channels: Channel[] = [];
    world.watching((channel) => channels.push(channel));
    const { w } = await counted();
    const client = await w.connect();
    const run = client.generate(randomText(w.spec, 6, 1), { maxTokens: TOKENS, stopAt: [] });
    await run.next();
    for (const channel of channels.filter(({ peer }) => peer === "peer")) channel.close(new Error("gone"));
    const rest = async () => {
      let next = await run.next();
      while (!next.done) next = await run.next();
    };
    await expect(rest()).rejects.toThrow(/closed the connection|gave up/);
    expect(client.closed).toBe(true);
    await client.close();
  });
});
