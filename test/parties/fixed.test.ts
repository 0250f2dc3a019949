/** With a fixed padded length and number of turns, nothing that peers see depends on the text or on where its continuation ends. */
import { describe, expect, it } from "vitest";
import { randomText } from "../../src/models/catalog.ts";
import type { GenerateOptions } from "../../src/parties/generation.ts";
import type { Plan } from "../../src/program/plan.ts";
import { oneTurn, type Shape } from "../../src/program/steps.ts";
import { type Harness, harness, TINY, TINY_GPT2, withLast } from "./harness.ts";
import { byWire, tapped } from "./tapped.ts";
import { DECODER_WORDS, ENCODER_WORDS, wordsOf } from "./words.ts";
import { World } from "./world.ts";

const words = (n: number) => wordsOf(Array.from({ length: n }, (_, i) => 7 + i));

function errorOf(logits: readonly number[], expected: readonly number[]): number {
  return Math.max(...expected.map((x, i) => Math.abs(logits[i] - x)));
}

describe("a fixed padded length", () => {
  it.each(["private", "public"] as const)("makes texts of any length look alike, embedding %s", async (embedding) => {
    const known = [1, 2, 5, 15].map((n) => {
      const ids = [2, ...Array.from({ length: n }, (_, i) => 7 + i), 3];
      return { ids, types: ids.map(() => 0) };
    });
    const h = await harness({ embedding }, 24, known);
    const frames: string[][][] = [];
    for (const tokens of [1, 5, 15]) {
      const world = await tapped(h, { tokenizer: ENCODER_WORDS });
      const client = await world.connect();
      const one = await client.classify(words(tokens), { length: 24 });
      expect([one.length, one.tokens]).toEqual([24, tokens + 2]);
      expect(errorOf(one.logits, h.float(client.encode(words(tokens))))).toBeLessThan(0.05);
      await client.classifyAll([words(tokens), words(2)], { length: 24 });
      await client.close();
      frames.push(byWire(world.frames));
    }
    for (const other of frames.slice(1)) expect(other).toEqual(frames[0]);
  });

  it.each(["2quad:5", "exact", "2relu"])(
    "answers the shortest text as well as the longest, softmax %s",
    async (softmax) => {
      const texts = [3, 24].map((tokens) => randomText(TINY, tokens, tokens));
      const errors = async (shape: Shape) => {
        const h = await harness({ softmax }, shape, texts);
        return texts.map((text) => errorOf(h.clear(text).logits, h.float(text)));
      };
      for (const length of [24, 64])
        for (const error of await errors({ ...oneTurn(length), anyLength: true })) expect(error).toBeLessThan(0.02);
      // A length that says how short a text may be has no room for a shorter one: its sums of weights leave the plan.
      if (softmax.startsWith("2quad")) expect((await errors(oneTurn(64)))[0]).toBeGreaterThan(0.05);
    },
  );

  it("refuses a longer text before anything is sent", async () => {
    const h = await harness({}, 8);
    const world = await tapped(h, { tokenizer: ENCODER_WORDS });
    const client = await world.connect();
    const before = world.frames.length;
    await expect(client.classify(words(9), { length: 8 })).rejects.toThrow(
      "a text has 11 tokens, more than the padded length 8",
    );
    const [result] = await client.classifyAll([words(9)], { length: 8 });
    expect(result).toMatchObject({
      status: "rejected",
      reason: { message: expect.stringContaining("padded length 8") },
    });
    expect(world.frames.length).toBe(before);
    await client.close();
  });

  it("is a thin client's too", async () => {
    const here = await World.create(60_000);
    const w = await here.services();
    const thin = await (await here.helper(w)).connect();
    const bytes = new Set<number>();
    for (const tokens of [3, 12]) {
      const run = await thin.infer(randomText(w.spec, tokens, tokens), { length: 16 });
      expect(run.length).toBe(16);
      bytes.add(run.bytes.sent);
    }
    expect(bytes.size).toBe(1);
    await thin.close();
    await here.close();
  });
});

describe("a fixed number of turns", () => {
  const TURNS = 4;

  async function continued(h: Harness, prompt: string, options: GenerateOptions, listens = TURNS + 1) {
    const world = await tapped(h, { tokenizer: DECODER_WORDS });
    const client = await world.connect();
    const tokens: number[] = [];
    for await (const { token } of client.generate(prompt, { length: 16, ...options })) {
      if (tokens.push(token) === listens) break;
    }
    await client.close();
    return { tokens, frames: byWire(world.frames) };
  }

  it.each(["scores", "label"] as const)(
    "goes on behind the text's end, which nobody sees: answer %s",
    async (answer) => {
      const h = await harness({ ...TINY_GPT2, embedding: "public", answer }, { ...oneTurn(16), turns: TURNS });
      const whole = await continued(h, words(9), { turns: TURNS });
      expect(whole.tokens).toHaveLength(TURNS);
      const ended = await continued(h, words(9), { turns: TURNS, stopAt: [whole.tokens[1]] });
      expect(ended.tokens).toEqual(whole.tokens.slice(0, whole.tokens.indexOf(whole.tokens[1]) + 1));
      const fewer = await continued(h, words(12), { turns: TURNS, maxTokens: 2 });
      expect(fewer.tokens).toHaveLength(2);
      const left = await continued(h, words(3), { turns: TURNS, maxTokens: 1 });
      for (const other of [ended, fewer, left]) expect(other.frames).toEqual(whole.frames);
      // Without it the end is seen.
      const seen = await continued(h, words(9), { maxTokens: TURNS, stopAt: [whole.tokens[0]] });
      expect(seen.frames).not.toEqual(whole.frames);
    },
  );

  it("makes no text void by what comes behind its end", async () => {
    const wide = await harness({ ...TINY_GPT2, embedding: "public" }, { ...oneTurn(16), turns: TURNS });
    const { prompt, sizes, at } = risingAnswers(wide);
    const middle = Math.sqrt(sizes[at] * Math.max(...sizes.slice(0, at)));
    const narrow = (plan: Plan) => withLast(plan, [-middle / plan.margin, middle / plan.margin]);
    const h = await harness({ ...TINY_GPT2, embedding: "public" }, { ...oneTurn(16), turns: TURNS }, undefined, narrow);
    await expect(continued(h, prompt, { turns: TURNS })).rejects.toThrow(/outside the plan's range/);
    expect((await continued(h, prompt, { turns: TURNS, maxTokens: at })).tokens).toHaveLength(at);
  });

  /** A prompt with a turn, not the first, whose logits are larger than all before; with a plan in between that turn's answer is void. */
  function risingAnswers(h: Harness): { prompt: string; sizes: number[]; at: number } {
    for (let seed = 1; seed < 50; seed++) {
      const { ids } = randomText(h.spec, 9, seed);
      const [said, sizes] = [[...ids], [] as number[]];
      for (let turn = 0; turn < TURNS; turn++) {
        const logits = h.float({ ids: said, types: said.map(() => 0) });
        sizes.push(Math.max(...logits.map(Math.abs)));
        said.push(logits.indexOf(Math.max(...logits)));
      }
      const at = sizes.findIndex((size, i) => i > 1 && size > 1.1 * Math.max(...sizes.slice(0, i)));
      if (at > 0) return { prompt: wordsOf(ids), sizes, at };
    }
    throw new Error("no such prompt");
  }
});
