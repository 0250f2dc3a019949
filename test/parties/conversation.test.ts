/** Conversations: the history stays behind masks between turns, and answers are those of the whole text. */
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Reply } from "../../src/parties/conversation.ts";
import type { GeneratedPiece } from "../../src/parties/generation.ts";
import { TINY_GPT2 } from "./harness.ts";
import { DECODER_WORDS } from "./words.ts";
import { World } from "./world.ts";

let here: World;
let w: Awaited<ReturnType<World["services"]>>;
beforeAll(async () => {
  here = await World.create(60_000);
  w = await here.services({ spec: { ...TINY_GPT2, embedding: "public" }, tokenizer: DECODER_WORDS });
});
afterAll(() => here.close());

const PROMPT = [7, 8, 9];
const textOf = (ids: readonly number[]) => ({ ids, types: ids.map(() => 0) });

async function heard(reply: AsyncGenerator<GeneratedPiece, Reply, void>): Promise<Reply> {
  for (;;) {
    const step = await reply.next();
    if (step.done === true) return step.value;
  }
}

it("answers what is said as it answers the whole text, for the new tokens' flights alone", async () => {
  const client = await w.connect();
  const expected = async (ids: readonly number[], maxTokens: number) => {
    const stream = client.generate(textOf(ids), { maxTokens });
    for (;;) {
      const step = await stream.next();
      if (step.done === true) return step.value;
    }
  };
  const first = await expected(PROMPT, 3);
  const said = [first.ids[2], 20, 21];
  const second = await expected([...PROMPT, ...first.ids.slice(0, 2), ...said], 3);
  const talk = client.converse(textOf(PROMPT), { positions: 12, maxTokens: 3 });
  expect(await heard(talk.first())).toMatchObject({ ids: first.ids, text: first.text, ended: "length" });
  expect(talk.unsaid).toBe(first.ids[2]);
  expect(talk.room).toBe(9);
  expect(await heard(talk.say(said))).toMatchObject({ ids: second.ids, text: second.text });
  expect(talk.room).toBe(4);
  expect(() => talk.say([1, 2, 3, 4, 5])).toThrow(/room for 4 more tokens/);
  const run = await talk.end();
  // The first answer, and a turn for each token that was read since.
  const eight = await expected(PROMPT, 8);
  expect(run.flights).toBe(eight.flights);
  // The connection serves on.
  expect((await expected(PROMPT, 3)).ids).toEqual(first.ids);
  await client.close();
  expect(w.clientRing.memory.bytesInUse).toBe(0);
});

it("goes on behind a reply that was stopped", async () => {
  const client = await w.connect();
  const talk = client.converse(textOf(PROMPT), { positions: 12 });
  const reply = talk.first();
  const first = await reply.next();
  talk.stop();
  const { ids, ended } = await heard(reply);
  expect(ids[0]).toBe(first.done === true ? null : first.value.token);
  // What was at work comes still.
  expect(ids.length).toBeLessThan(4);
  expect([ended, talk.unsaid]).toEqual(["length", null]);
  const more = talk.say([20, 21]);
  const next = await more.next();
  talk.stop();
  await heard(more);
  await talk.end();
  const whole = client.generate(textOf([...PROMPT, ...ids, 20, 21]), { maxTokens: 1 });
  expect(next).toEqual(await whole.next());
  await heard(whole);
  await client.close();
});

it("ends with its positions, and by whoever leaves", async () => {
  const client = await w.connect();
  const talk = client.converse(textOf(PROMPT), { positions: 4 });
  expect((await heard(talk.first())).tokens).toBe(4);
  expect(talk.ended).toBe(true);
  expect(() => talk.say([7])).toThrow(/room for 0 more/);
  await talk.end();
  const other = client.converse(textOf(PROMPT), { positions: 8, maxTokens: 2 });
  await heard(other.first());
  await other.end();
  expect(() => client.converse(textOf(PROMPT), { positions: 500 })).toThrow(/the model takes/);
  await client.close();
  expect(w.server.materialBytes).toBe(0);
});

it("that waits for its user takes no place, and not for ever", async () => {
  const hasty = await here.services({
    spec: { ...TINY_GPT2, embedding: "public" },
    tokenizer: DECODER_WORDS,
    serving: { graceMs: 4000, pausesMs: 0, limits: { running: 2 } },
  });
  const client = await hasty.connect();
  const talk = client.converse(textOf(PROMPT), { positions: 8, maxTokens: 1 });
  await heard(talk.first());
  await expect.poll(() => hasty.server.admission.running).toBe(0);
  // Longer than its patience.
  await expect.poll(() => client.closed, { timeout: 30_000 }).toBe(true);
  await expect(talk.end()).rejects.toThrow(/too slow|closed|gave up/);
  await client.close();
});
