/** The key of R belongs to one version of the weights. */
import { expect, it } from "vitest";
import { randomText } from "../../src/models/catalog.ts";
import { keyOfVersion, versionOf } from "../../src/parties/version.ts";
import { randomKey } from "../../src/ring/prg.ts";
import { Secret } from "../../src/ring/secret.ts";
import { harness } from "./harness.ts";
import { tapped } from "./tapped.ts";

/** Of all weights, one: its last number moved by one unit in the last place. */
function nudged(name: string, data: Float32Array): Float32Array {
  if (name !== "classifier.bias") return data;
  const moved = data.slice();
  const bits = new Uint32Array(moved.buffer);
  bits[bits.length - 1] ^= 1;
  return moved;
}

it("is another one when a single bit of a weight is", async () => {
  const [h, same, other] = [
    await harness({}, 8),
    await harness({}, 8),
    await harness({}, 8, undefined, undefined, nudged),
  ];
  const key = new Secret(randomKey());
  const keys = [h, same, other].map(({ spec, weights }) => keyOfVersion(key, versionOf(spec, weights)).expose());
  expect(keys[1]).toEqual(keys[0]);
  expect(keys[2]).not.toEqual(keys[0]);
  expect(keyOfVersion(new Secret(randomKey()), versionOf(h.spec, h.weights)).expose()).not.toEqual(keys[0]);
});

it("a server whose weights change while it serves refuses, and says what to do", async () => {
  const [h, other] = [await harness({}, 8), await harness({}, 8, undefined, undefined, nudged)];
  let reads = 0;
  const changing = Object.defineProperty({ ...h }, "weights", { get: () => (reads++ < 2 ? h : other).weights });
  const world = await tapped(changing);
  const client = await world.connect();
  await client.inferAt(randomText(h.spec, 7, 1), 8);
  await expect(client.inferAt(randomText(h.spec, 7, 1), 16)).rejects.toThrow(
    /weights have changed since the server started: start it again/,
  );
});
