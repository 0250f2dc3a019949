/** Services that check what clients open: honest clients need no option, others get nothing and are shut out. */
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { Channel } from "../../src/channels/channel.ts";
import { randomText } from "../../src/models/catalog.ts";
import type { ServiceEvent } from "../../src/parties/events.ts";
import { Strikes } from "../../src/parties/strikes.ts";
import { oneTurn } from "../../src/program/steps.ts";
import { open } from "../../src/protocols/open.ts";
import { hex } from "../../src/ring/hex.ts";
import { randomKey } from "../../src/ring/prg.ts";
import { TINY_GPT2 } from "./harness.ts";
import { World } from "./world.ts";

let here: World;
beforeEach(async () => {
  here = await World.create();
});
afterEach(async () => {
  vi.restoreAllMocks();
  await here.close();
});

it.each([1, 3])(
  "answers texts alone, side by side, from a store and by a helper, one opening in %i checked",
  async (verify) => {
    const w = await here.services({ spec: { layers: 1, embedding: "public" }, serving: { verify } });
    const client = await w.connect(true);
    const texts = [1, 2].map((seed) => randomText(w.spec, 6, seed));
    const right = (logits: readonly number[], text: (typeof texts)[number], length: number) => {
      for (const [i, x] of w.float(text, length).entries()) expect(Math.abs(logits[i] - x)).toBeLessThan(0.05);
    };
    const one = await client.infer(texts[0]);
    right(one.logits, texts[0], one.length);
    const both = await client.inferAll(texts);
    for (const [i, text] of texts.entries()) right(both.logits[i], text, both.length);
    const shape = {
      length: 8,
      anyLength: false,
      turns: 1,
      scoring: false,
      temperature: 0,
      carried: false,
      verified: false,
    };
    await client.prepare(shape);
    expect(await client.prepared(shape)).toBe(1);
    right((await client.infer(texts[1])).logits, texts[1], 8);
    expect(await client.prepared(shape)).toBe(0);
    await client.close();
    const helped = await (await here.helper(w)).connect();
    right((await helped.infer(texts[0])).logits, texts[0], 8);
    await helped.close();
  },
);

it("tells no client by what is dealt which part is checked", async () => {
  const bytesOf = async (verify: number, times: number) => {
    const w = await here.services({ spec: { layers: 1, embedding: "public" }, serving: { verify } });
    const client = await w.connect();
    const bytes: number[] = [];
    for (let i = 0; i < times; i++)
      bytes.push((await client.infer(randomText(w.spec, 6, 1))).bytes.offline.dealer_to_server);
    await client.close();
    return bytes;
  };
  const [all] = await bytesOf(1, 1);
  const [none] = await bytesOf(0, 1);
  const sampled = await bytesOf(3, 6);
  expect(new Set(sampled).size).toBe(1);
  expect(sampled[0]).toBeLessThan(all);
  expect(sampled[0]).toBeGreaterThan(none);
});

it("checks before each token of a continuation", async () => {
  const w = await here.services({ spec: { ...TINY_GPT2, layers: 1 }, serving: { verify: 1 } });
  const client = await w.connect();
  const tokens: number[] = [];
  for await (const piece of client.generate(randomText(w.spec, 5, 1), { maxTokens: 3 })) tokens.push(piece.token);
  expect(tokens.length).toBe(3);
  await client.close();
});

it("gives nothing to a client that deviates, says so, and goes on for others", async () => {
  const events: ServiceEvent[] = [];
  const w = await here.services({ spec: { layers: 1 }, serving: { verify: 1, log: (event) => events.push(event) } });
  const { send } = open;
  const text = randomText(w.spec, 6, 1);
  const spy = vi.spyOn(open, "send").mockImplementation((party, step) => {
    const message = send(party, step);
    if (!party.isServer && step.mode === "toServer") message.i32()[0]++;
    return message;
  });
  const client = await w.connect();
  await expect(client.infer(text)).rejects.toThrow(/not what the protocol says/);
  spy.mockRestore();
  expect(events.filter(({ event }) => event === "deviated").length).toBe(1);
  const other = await w.connect();
  expect((await other.infer(text)).logits.length).toBe(w.spec.labels);
  await other.close();
});

it.each([
  [3, 1],
  [1, 0],
])("a client that leaves when it hears what is checked, one opening in %i, has %i strikes", async (verify, strikes) => {
  const events: ServiceEvent[] = [];
  const serving = { verify, strikes: 1, log: (event: ServiceEvent) => events.push(event) };
  const w = await here.services({ spec: { layers: 1 }, serving });
  const { receiveJson } = Channel.prototype;
  vi.spyOn(Channel.prototype, "receiveJson").mockImplementation(async function (this: Channel, step, limit) {
    const message = await receiveJson.call(this, step, limit);
    if (!Object.hasOwn(message as object, "openings")) return message;
    this.close();
    throw new Error("it would rather not");
  });
  const client = await w.connect();
  await expect(client.infer(randomText(w.spec, 6, 1))).rejects.toThrow();
  const ended = strikes > 0 ? "deviated" : "failed";
  await vi.waitFor(() => expect(events.map(({ event }) => event)).toContain(ended));
  vi.restoreAllMocks();
  expect(events.filter(({ event }) => event === "deviated").length).toBe(strikes);
  const again = w.connect();
  if (strikes > 0) await expect(again).rejects.toThrow(/shut out/);
  else await (await again).close();
});

it("does not use material that was made under another check", async () => {
  const modelId = hex(randomKey());
  const under = async (verify: number) => {
    const w = await here.services({ spec: { layers: 1 }, modelId, serving: { verify } });
    return { client: await w.connect(true), text: randomText(w.spec, 6, 1) };
  };
  const all = await under(1);
  await all.client.prepare({ ...oneTurn(8), verified: true });
  await all.client.close();
  const part = await under(3);
  await expect(part.client.infer(part.text)).rejects.toThrow(/no such material/);
});

it("shuts a key out after its strikes, and no other", () => {
  const strikes = new Strikes(2);
  strikes.add("a");
  strikes.check("a");
  strikes.add("a");
  expect(() => strikes.check("a")).toThrow(/shut out/);
  strikes.check("b");
  strikes.add("");
  strikes.add("");
  strikes.check("");
});
