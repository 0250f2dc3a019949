/** A shaped wire takes the time of a network and changes no byte; the order holds whatever the sizes. */
import { expect, it } from "vitest";
import { Channel } from "../../src/channels/channel.ts";
import { shaped } from "../../src/channels/shaped.ts";
import type { Wire } from "../../src/channels/wire.ts";

it("delivers in order, no earlier than rate and delay allow", async () => {
  const arrivals: [number, number][] = [];
  const raw: Wire = {
    async write(parts) {
      arrivals.push([parts[0][0], performance.now()]);
    },
    pause() {},
    resume() {},
    close() {},
  };
  const wire = shaped(raw, { delayMs: 30, bytesPerSecond: 100_000 });
  const started = performance.now();
  // 50 ms of sending, then nearly none: the second waits behind the first.
  const sent = [[new Uint8Array(5000).fill(1)], [Uint8Array.of(2)]].map((parts) => wire.write(parts, () => {}));
  await Promise.all(sent);
  expect(arrivals.map(([first]) => first)).toEqual([1, 2]);
  // Timers may fire up to a millisecond early.
  for (const [, at] of arrivals) expect(at - started).toBeGreaterThan(78);
});

it("a channel over it counts the same bytes, and closes behind what was sent", async () => {
  const got: number[] = [];
  let closed = false;
  const receiver = new Channel(
    { async write() {}, pause() {}, resume() {}, close() {} },
    { peer: "a", deadlineMs: 1000, side: "listener" },
  );
  const raw: Wire = {
    async write(parts) {
      for (const part of parts) receiver.feed(part.slice());
    },
    pause() {},
    resume() {},
    close() {
      closed = true;
    },
  };
  const sender = new Channel(shaped(raw, { delayMs: 5, bytesPerSecond: 1e6 }), {
    peer: "b",
    deadlineMs: 1000,
    side: "opener",
  });
  void sender.send("online", 0, [Uint8Array.of(1, 2, 3)]);
  void sender.send("online", 1, [Uint8Array.of(4)]);
  sender.close();
  for (const [step, length] of [
    [0, 3],
    [1, 1],
  ]) {
    got.push(...(await receiver.receive("online", step, length)));
  }
  expect(got).toEqual([1, 2, 3, 4]);
  expect(receiver.received).toEqual(sender.sent);
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(closed).toBe(true);
});
