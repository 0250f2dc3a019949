/** What a client finds wrong with its own text or answer never shows on the wire: frames are those of any other run. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { randomText } from "../../src/models/catalog.ts";
import type { Plan, Range } from "../../src/program/plan.ts";
import type { ModelSpec, TokenizedText } from "../../src/program/spec.ts";
import { oneTurn, type Shape } from "../../src/program/steps.ts";
import { type Harness, harness, TINY_GPT2, withLast } from "./harness.ts";
import { byWire, tapped } from "./tapped.ts";
import { World } from "./world.ts";

const TEXT = /^the text lies outside the plan's range/;
const ANSWER = /^the answer lies outside the plan's range/;
const TOKEN = /^the tokenizer gives tokens that the model does not have/;

function magnitude(logits: readonly number[]): number {
  return Math.max(...logits.map(Math.abs));
}

/** Texts of one length whose answers are small and large, and a plan that has room for the small one alone. */
async function apart(
  spec: Partial<ModelSpec>,
  shape: Shape,
): Promise<{ h: Harness; small: TokenizedText; large: TokenizedText }> {
  const wide = await harness(spec, shape);
  const texts = Array.from({ length: 60 }, (_, i) => randomText(wide.spec, 9, 500 + i));
  const byAnswer = texts.map((text) => ({ text, size: magnitude(wide.float(text)) })).sort((a, b) => a.size - b.size);
  const [small, large] = [byAnswer[0], byAnswer[byAnswer.length - 1]];
  expect(large.size / small.size).toBeGreaterThan(1.2);
  const middle = Math.sqrt(small.size * large.size);
  const h = await harness(spec, shape, undefined, (plan) =>
    withLast(plan, [-middle / plan.margin, middle / plan.margin]),
  );
  return { h, small: small.text, large: large.text };
}

/** The frames of a client that asks about these texts together, and of what it asks afterwards. */
async function asked(h: Harness, texts: readonly TokenizedText[]): Promise<{ error: string; frames: string[][] }> {
  const world = await tapped(h);
  const client = await world.connect();
  let error = "";
  await client.inferAll(texts).catch((e: Error) => {
    error = e.message;
  });
  expect(client.closed).toBe(false);
  await client.inferAll(texts).catch(() => {});
  await client.close();
  return { error, frames: byWire(world.frames) };
}

describe("frames are the same whether or not", () => {
  it("a text of a public embedding lies within the plan", async () => {
    const shrink = ([lo, hi]: Range): Range => [lo / 8, hi / 8];
    const h = await harness({ embedding: "public" }, 16, undefined, (plan) => ({
      ...plan,
      ranges: { ...plan.ranges, "embeddings.out": shrink(plan.ranges["embeddings.out"]) },
    }));
    const outside = await asked(h, [randomText(h.spec, 12, 1)]);
    expect(outside.error).toMatch(TEXT);
    const inside = await asked(await harness({ embedding: "public" }, 16, undefined, (plan) => plan), [
      randomText(h.spec, 12, 1),
    ]);
    expect(inside.error).toBe("");
    // Another plan has other widths: the order and number of frames are the same, and of the one plan, all texts' sizes.
    const bare = (frames: string[][]) => frames.map((wire) => wire.map((frame) => frame.replace(/ \d+$/, "")));
    expect(bare(outside.frames)).toEqual(bare(inside.frames));
    expect((await asked(h, [randomText(h.spec, 9, 2)])).frames).toEqual(outside.frames);
  });

  it("a server's tokenizer gives tokens that the model has", async () => {
    for (const embedding of ["public", "private"] as const) {
      const h = await harness({ embedding }, 16);
      const text = randomText(h.spec, 9, 2);
      const inside = await asked(h, [text]);
      const outside = await asked(h, [{ ...text, ids: [...text.ids.slice(0, 8), 123_456] }]);
      expect([inside.error, outside.error]).toEqual(["", expect.stringMatching(TOKEN)]);
      expect(outside.frames).toEqual(inside.frames);
    }
  });

  it("an answer lies within the plan, alone and among others", async () => {
    const { h, small, large } = await apart({ embedding: "private" }, oneTurn(16));
    for (const others of [[], [small]]) {
      const inside = await asked(h, [...others, small]);
      const outside = await asked(h, [...others, large]);
      expect([inside.error, outside.error]).toEqual(["", expect.stringMatching(ANSWER)]);
      expect(outside.frames).toEqual(inside.frames);
    }
  });

  it("a decoder's prompt, tokens and answers lie within the plan", async () => {
    const turns = 3;
    const { h, small, large } = await apart({ ...TINY_GPT2, embedding: "public" }, { ...oneTurn(16), turns });
    const unknown = { ...small, ids: [...small.ids.slice(0, -1), 123_456] };
    const generated = async (text: TokenizedText) => {
      const world = await tapped(h);
      const client = await world.connect();
      const tokens: number[] = [];
      let error = "";
      try {
        for await (const { token } of client.generate(text, { maxTokens: turns })) tokens.push(token);
      } catch (e) {
        error = (e as Error).message;
      }
      expect(client.closed).toBe(false);
      expect(tokens).toHaveLength(turns);
      await client.close();
      return { error, frames: byWire(world.frames) };
    };
    const runs = [await generated(small), await generated(large), await generated(unknown)];
    expect(runs[1].error).toMatch(ANSWER);
    expect(runs[2].error).toMatch(TOKEN);
    for (const run of runs) expect(run.frames).toEqual(runs[0].frames);
  });
});

describe("over sockets", () => {
  let here: World;
  beforeEach(async () => {
    here = await World.create();
  });
  afterEach(() => here.close());

  it.each(["client", "thin client"])("a %s goes on after a text beyond the plan, and says goodbye", async (who) => {
    const shrink = ([lo, hi]: Range): Range => [lo / 8, hi / 8];
    const narrow = (plan: Plan) => ({
      ...plan,
      ranges: { ...plan.ranges, "embeddings.out": shrink(plan.ranges["embeddings.out"]) },
    });
    const w = await here.services({ spec: { embedding: "public" }, change: narrow });
    const client = who === "client" ? await w.connect() : await (await here.helper(w)).connect();
    for (const seed of [1, 2]) await expect(client.infer(randomText(w.spec, 12, seed))).rejects.toThrow(TEXT);
    expect(client.closed).toBe(false);
    await client.close();
    expect(here.failures).toEqual([]);
  });
});
