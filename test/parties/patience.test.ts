/** Who keeps a run waiting: for how long that is borne. */
import { expect, it } from "vitest";
import { memoryPair } from "../../src/channels/memory.ts";
import { Patience } from "../../src/parties/patience.ts";

it("ends the channel of a peer who sends a little again and again", async () => {
  const [own, peer] = memoryPair();
  const patience = new Patience(own, 100);
  let told = 0;
  const trickle = (async () => {
    while (!own.closed) {
      await peer.send("online", told++, [new Uint8Array(1)]);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  })();
  const receive = async () => {
    for (let step = 0; ; step++) await patience.during(own.receive("online", step, 1));
  };
  await expect(receive()).rejects.toThrow(/^the peer is too slow: others need its place$/);
  await trickle;
});

it("bears what a slow network takes for what has come", async () => {
  const [own, peer] = memoryPair();
  const patience = new Patience(own, 50);
  // Worth some seconds.
  await peer.send("online", 0, [new Uint8Array(1 << 18)]);
  await patience.during(own.receive("online", 0, 1 << 18));
  const next = patience.during(own.receive("online", 1, 1));
  await new Promise((resolve) => setTimeout(resolve, 200));
  await peer.send("online", 1, [new Uint8Array(1)]);
  expect(await next).toHaveLength(1);
});
