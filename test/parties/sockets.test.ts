/** Over real sockets: the frames of a run whose answer is void are those of any other, in number, order and size, and so is its end. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Channel } from "../../src/channels/channel.ts";
import { HEADER_BYTES } from "../../src/channels/frame.ts";
import { randomText } from "../../src/models/catalog.ts";
import { Ring } from "../../src/ring/ring.ts";
import { World } from "./world.ts";

let here: World;
beforeEach(async () => {
  here = await World.create();
});
afterEach(async () => {
  vi.restoreAllMocks();
  await here.close();
});

/** Every answer that is decoded from now on lies far outside the plan. */
function answersOutside(): void {
  const decode = Ring.prototype.decode;
  vi.spyOn(Ring.prototype, "decode").mockImplementation(function (this: Ring, ...of) {
    // What the protocol itself decodes are whole numbers: places in tables.
    return decode.apply(this, of).map((x) => (of[2] === 1 ? x : (x + 1) * 1e12));
  });
}

/** A control message's text; its random words and what a party measured of itself count by their kind. */
function outline(payload: Uint8Array): string {
  const message: unknown = JSON.parse(new TextDecoder().decode(payload));
  return JSON.stringify(message, (key, x) => {
    if (typeof x === "number" && /seconds|Rss|online|offline/i.test(key)) return 0;
    return typeof x === "string" && /^[0-9a-f]{32,64}$/.test(x) ? `${x.length} digits` : x;
  });
}

/** Writes down the frames that come to one end, in their order. */
function watch(channel: Channel, frames: string[]): void {
  const feed = channel.feed.bind(channel);
  let pending: Buffer = Buffer.alloc(0);
  channel.feed = (chunk) => {
    pending = Buffer.concat([pending, chunk]);
    while (pending.length >= HEADER_BYTES && pending.length >= HEADER_BYTES + pending.readUInt32LE(0)) {
      const [length, phase, step] = [pending.readUInt32LE(0), pending[4], pending.readUInt32LE(8)];
      const payload = pending.subarray(HEADER_BYTES, HEADER_BYTES + length);
      frames.push(`${phase} ${step}: ${phase === 0 ? outline(payload) : `${length} bytes`}`);
      pending = pending.subarray(HEADER_BYTES + length);
    }
    feed(chunk);
  };
}

describe("what the services get", () => {
  it.each(["client", "thin client"])("of a %s does not tell a void answer from another", async (who) => {
    const w = await here.services({ spec: { embedding: "public" } });
    const h = who === "client" ? null : await here.helper(w);
    const text = randomText(w.spec, 8, 3);
    const session = async () => {
      const wires: string[][] = [];
      const seen = here.watching((channel) => watch(channel, wires[wires.push([]) - 1]));
      const client = h === null ? await w.connect() : await h.connect();
      const outcome = await client.infer(text).catch((error: Error) => error);
      vi.restoreAllMocks();
      expect(client.closed).toBe(false);
      // The connection serves the next request, and ends with a word.
      expect((await client.infer(text)).logits).toHaveLength(w.spec.labels);
      await client.close();
      await expect.poll(() => w.server.admission.connections).toBe(0);
      seen();
      expect(wires.filter((frames) => frames.at(-1)?.includes('"bye":true'))).not.toEqual([]);
      // Each wire's frames in their order; two parties may come to the dealer either way round.
      return { outcome, wires: wires.map((frames) => frames.join("\n")).sort() };
    };
    await session(); // The dealer gets the masked weights with the first.
    const inside = await session();
    expect(inside.outcome).toHaveProperty("logits");
    answersOutside();
    const beyond = await session();
    expect(beyond.outcome).toMatchObject({ message: expect.stringMatching(/^the answer lies outside the plan/) });
    expect(beyond.wires).toEqual(inside.wires);
    expect(here.failures).toEqual([]);
  });
});
