/** Calls on one client: several at once, given up, and its end. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Channel } from "../../src/channels/channel.ts";
import { randomText } from "../../src/models/catalog.ts";
import { AbortError } from "../../src/parties/abort.ts";
import type { Client } from "../../src/parties/client.ts";
import type { Plan } from "../../src/program/plan.ts";
import type { TokenizedText } from "../../src/program/spec.ts";
import { oneTurn } from "../../src/program/steps.ts";
import { type Harness, harness, TINY_GPT2, TINY_VECTOR, withLast } from "./harness.ts";
import { tapped } from "./tapped.ts";
import { ENCODER_WORDS, wordsOf } from "./words.ts";
import { World } from "./world.ts";

let here: World;
beforeEach(async () => {
  here = await World.create(60_000);
});
afterEach(() => here.close());

/** The largest error of an answer. */
function errorOf(logits: readonly number[], expected: readonly number[]): number {
  return Math.max(...expected.map((x, i) => Math.abs(logits[i] - x)));
}

describe("calls at once", () => {
  it("run one after the other, whatever they are, and are all answered", async () => {
    const w = await here.services();
    const client = await w.connect(true);
    const [a, b, c] = [5, 9, 7].map((tokens) => randomText(w.spec, tokens, tokens));
    const [first, , both] = await Promise.all([
      client.infer(a),
      client.prepare(oneTurn(8)),
      client.inferAll([b, c]),
      client.makeReady(oneTurn(8)),
    ]);
    expect(errorOf(first.logits, w.float(a, 8))).toBeLessThan(0.05);
    [b, c].forEach((text, i) => {
      expect(errorOf(both.logits[i], w.float(text, 16))).toBeLessThan(0.05);
    });
    const ready = await client.infer(c);
    expect(ready.bytes.offline.dealer_to_server).toBeGreaterThan(0);
    await client.close();
    expect(here.failures).toEqual([]);
  });

  it("of a decoder: another call waits for a continuation that is being listened to, and needs no listener", async () => {
    const h = await harness({ ...TINY_GPT2, embedding: "public" }, { ...oneTurn(16), turns: 3 });
    const client = await (await tapped(h)).connect();
    const text = randomText(h.spec, 9, 1);
    const before = h.ring.memory.bytesInUse;
    let scored = 0;
    const tokens: number[] = [];
    for await (const { token } of client.generate(text, { maxTokens: 3 })) {
      tokens.push(token);
      if (tokens.length === 1) scored = (await client.score(text)).logits.length;
    }
    expect([tokens.length, scored]).toEqual([3, 9 * h.spec.vocabulary]);
    await client.close();
    expect(h.ring.memory.bytesInUse).toBe(before);
  });

  it("through a helper run one after the other as well", async () => {
    const w = await here.services();
    const thin = await (await here.helper(w)).connect();
    const texts = [5, 9].map((tokens) => randomText(w.spec, tokens, tokens));
    const runs = await Promise.all(texts.map((text) => thin.infer(text)));
    runs.forEach(({ logits, length }, i) => {
      expect(errorOf(logits, w.float(texts[i], length))).toBeLessThan(0.05);
    });
    await thin[Symbol.asyncDispose]();
    expect(thin.closed).toBe(true);
    expect(here.failures).toEqual([]);
  });
});

describe("a call that is given up", () => {
  it("before it begins was never sent, and the connection stays", async () => {
    const h = await harness({}, 16);
    const world = await tapped(h);
    const client = await world.connect();
    const [text, other] = [randomText(h.spec, 9, 1), randomText(h.spec, 9, 2)];
    // The first run sends the weights to the dealer, later ones do not.
    await client.infer(text);
    const before = world.frames.length;
    await expect(client.infer(text, { signal: AbortSignal.abort("no more") })).rejects.toMatchObject({
      name: "AbortError",
      message: "aborted before it began: nothing of it was sent",
      cause: "no more",
    });
    expect(world.frames.length).toBe(before);
    await client.infer(text);
    const alone = world.frames.length - before;
    const giveUp = new AbortController();
    const running = client.infer(text);
    const waiting = client.infer(other, { signal: giveUp.signal });
    const behind = client.infer(text);
    giveUp.abort();
    await expect(waiting).rejects.toThrow(AbortError);
    await Promise.all([running, behind]);
    expect(world.frames.length).toBe(before + 3 * alone);
    await client.close();
  });

  it.each(["infer", "score", "generate"] as const)(
    "in the middle of %s ends the connection and burns what it had",
    async (what) => {
      const w = await here.services({ spec: what === "infer" ? {} : { ...TINY_GPT2, embedding: "public" } });
      const giveUp = new AbortController();
      const client = await w.connect(true, (flight) => flight === 3 && giveUp.abort(new Error("gone away")));
      const text = randomText(w.spec, 9, 1);
      const shape = what === "generate" ? client.generationShape(9, { maxTokens: 3 }) : oneTurn(16);
      if (what !== "score") await client.prepare(shape);
      const error = await asked(client, what, text, giveUp.signal).catch((e: unknown) => e);
      expect(error).toBeInstanceOf(AbortError);
      expect(error).toMatchObject({
        message: expect.stringMatching(/burnt.*connect again/),
        cause: giveUp.signal.reason,
      });
      expect(client.closed).toBe(true);
      await expect(client.infer(text)).rejects.toThrow(/^this connection has ended, connect again: aborted/);
      await vi.waitFor(() => expect([w.server.admission.connections, w.server.materialBytes]).toEqual([0, 0]));
      expect(await client.prepared(shape)).toBe(0);
      await client.close();
      expect(w.clientRing.memory.bytesInUse).toBe(0);
      // Others are served as before.
      const next = await w.connect();
      await next.infer(text);
      await next.close();
    },
  );

  it("while the dealer is silent does not wait for it, and leaves no connection to it", async () => {
    const w = await here.services();
    const giveUp = new AbortController();
    let dealer: Channel | null = null;
    const client = await (await tapped(await harness({}, 16))).connect({
      connectDealer: async () => {
        dealer = await here.dial(w.dealerPort, "dealer");
        giveUp.abort();
        return dealer;
      },
    });
    await expect(client.infer(randomText(w.spec, 9, 1), { signal: giveUp.signal })).rejects.toThrow(AbortError);
    await vi.waitFor(() => expect(dealer?.closed).toBe(true));
    await client.close();
  });

  it("of many texts: those that were answered keep their answers", async () => {
    const { world, texts } = await manyTexts();
    const giveUp = new AbortController();
    let runs = 0;
    const client = await world.connect({
      progress: (phase, done, total) => phase === "online" && done === total && ++runs === 2 && giveUp.abort(),
    });
    const long = wordsOf(randomText(client.spec, 20, 3).ids);
    const results = await client.classifyAll([texts[0], long, texts[1]], { signal: giveUp.signal });
    expect(results.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
    expect(results[1]).toMatchObject({ reason: { name: "AbortError" } });
  });
});

async function asked(
  client: Client,
  what: "infer" | "score" | "generate",
  text: TokenizedText,
  signal: AbortSignal,
): Promise<void> {
  if (what === "generate") for await (const _ of client.generate(text, { maxTokens: 3, signal }));
  else await client[what](text, { signal });
}

/** A model with room in its plan for small answers alone, and texts with small and large ones. */
async function manyTexts() {
  const wide: Harness = await harness({ positions: 32 }, 16);
  const encode = (text: string) => ({
    ids: [2, ...text.split(" ").map((word) => Number(word.slice(1))), 3],
    types: [],
  });
  const sizeOf = (text: string) => {
    const { ids } = encode(text);
    return Math.max(...wide.float({ ids, types: ids.map(() => 0) }).map(Math.abs));
  };
  const texts = Array.from({ length: 40 }, (_, i) =>
    wordsOf(Array.from({ length: 9 }, (_, j) => 5 + ((7 * i + 11 * j * (i + 1)) % 55))),
  ).sort((a, b) => sizeOf(a) - sizeOf(b));
  const [small, large] = [texts.slice(0, 4), texts[texts.length - 1]];
  const middle = Math.sqrt(sizeOf(small[3]) * sizeOf(large));
  expect(sizeOf(large) / sizeOf(small[3])).toBeGreaterThan(1.1);
  const narrow = (plan: Plan) => withLast(plan, [-middle / plan.margin, middle / plan.margin]);
  const h = await harness({ positions: 32 }, 16, undefined, narrow);
  return { h, world: await tapped(h, { tokenizer: ENCODER_WORDS }), texts: small, void: large };
}

describe("many texts", () => {
  it("are answered one by one: a void one, an empty one and one too long cost the others nothing", async () => {
    const { h, world, texts, void: outside } = await manyTexts();
    const client = await world.connect();
    const long = Array.from({ length: 40 }, () => "w7").join(" ");
    const results = await client.classifyAll([texts[0], outside, "", texts[1], long, [texts[2], "w8 w9"]]);
    expect(results.map(({ status }) => status)).toEqual([
      "fulfilled",
      "rejected",
      "rejected",
      "fulfilled",
      "rejected",
      "fulfilled",
    ]);
    const reasons = results.flatMap((result) => (result.status === "rejected" ? [String(result.reason)] : []));
    expect(reasons).toEqual([
      expect.stringMatching(/outside the plan's range/),
      expect.stringMatching(/the text is empty/),
      expect.stringMatching(/42 tokens, the model takes 32/),
    ]);
    for (const [i, text] of [
      [0, texts[0]],
      [3, texts[1]],
    ] as const) {
      const result = results[i];
      if (result.status === "rejected") throw result.reason;
      expect(errorOf(result.value.logits, h.float(client.encode(text)))).toBeLessThan(0.05);
      expect(result.value.label).toBe((await client.classify(text)).label);
    }
    expect(client.closed).toBe(false);
    await client.close();
  });

  it("of one padded length share a run", async () => {
    const { world, texts } = await manyTexts();
    const client = await world.connect();
    const before = world.frames.length;
    await client.classifyAll([texts[0]]);
    const alone = world.frames.filter(({ phase }) => phase === "online").length;
    expect(world.frames.length).toBeGreaterThan(before);
    await client.classifyAll(texts);
    expect(world.frames.filter(({ phase }) => phase === "online").length).toBe(2 * alone);
    expect(await client.classifyAll([])).toEqual([]);
    await client.close();
  });

  it("are embedded as vectors of length 1 in their order; one without an answer ends the call", async () => {
    const h = await harness({ ...TINY_VECTOR, positions: 32 }, 16);
    const world = await tapped(h, { tokenizer: ENCODER_WORDS });
    const client = await world.connect();
    const texts = ["w7 w8 w9", "w30 w31 w32 w33 w34 w35 w36 w37 w38", "w9"];
    const vectors = await client.embed(texts);
    for (const [i, vector] of vectors.entries()) {
      expect(errorOf(vector, h.float(client.encode(texts[i])))).toBeLessThan(0.01);
      expect(vector.reduce((sum, x) => sum + x * x, 0)).toBeCloseTo(1, 2);
    }
    await expect(client.embed([texts[0], ""])).rejects.toThrow(/the text is empty/);
    expect(await client.embed([])).toEqual([]);
    await client.close();
    const other = await (await tapped(await harness({}, 16))).connect();
    await expect(other.embed(texts)).rejects.toThrow(/does not embed texts/);
    await other.close();
  });

  it("have no room in a padded length that is too small: told before anything is sent", async () => {
    const h = await harness({}, 16);
    const world = await tapped(h);
    const client = await world.connect();
    const before = world.frames.length;
    const texts = [randomText(h.spec, 5, 1), randomText(h.spec, 9, 2)];
    await expect(client.inferAll(texts, 8)).rejects.toThrow("a text has 9 tokens, more than the padded length 8");
    await expect(client.inferAt(texts[1], 8)).rejects.toThrow("a text has 9 tokens, more than the padded length 8");
    for (const length of [0, -8, 8.5, 4096, Number.NaN])
      await expect(client.inferAll(texts, length)).rejects.toThrow("a padded length is a whole number from 1 to");
    expect(world.frames.length).toBe(before);
    expect(errorOf((await client.inferAt(texts[0], 16)).logits, h.float(texts[0]))).toBeLessThan(0.05);
    await client.close();
  });
});

describe("a client's end", () => {
  it("lets the calls end that were asked for, refuses later ones, and comes once", async () => {
    const w = await here.services();
    const client = await w.connect();
    const text = randomText(w.spec, 9, 1);
    const running = [client.infer(text), client.infer(text)];
    const closing = client.close();
    expect(client.closed).toBe(true);
    await expect(client.infer(text)).rejects.toThrow("this client was closed: connect again");
    for (const { logits } of await Promise.all(running)) expect(errorOf(logits, w.float(text, 16))).toBeLessThan(0.05);
    await Promise.all([closing, client.close(), client[Symbol.asyncDispose]()]);
    expect(here.failures).toEqual([]);
  });

  it("by `abort` gives its reason to who waits for a peer, and says to those behind that it ended", async () => {
    const w = await here.services();
    const reason = new Error("enough");
    const client: Client = await w.connect(false, (flight) => flight === 3 && client.abort(reason));
    const text = randomText(w.spec, 9, 1);
    const calls = [client.infer(text), client.infer(text)];
    const outcomes = await Promise.allSettled(calls);
    expect(outcomes).toMatchObject([
      { status: "rejected", reason },
      { status: "rejected", reason: { name: "PartyError", cause: reason } },
    ]);
  });
});
