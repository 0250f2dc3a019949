/** Products in parts of several threads are the same bits; small ones stay with the caller; memory may grow in between. */

import { beforeAll, expect, it } from "vitest";
import { lessThanSecrets } from "../../src/ring/comparison.ts";
import type { Words } from "../../src/ring/memory.ts";
import { Prg } from "../../src/ring/prg.ts";
import { Ring } from "../../src/ring/ring.ts";

const prg = new Prg(new Uint8Array(16).fill(7));
let rings: Ring[];
beforeAll(async () => {
  rings = [await Ring.create(), await Ring.create({ threads: 3 })];
});

function words(ring: Ring, n: number, stream: number): Words {
  const w = ring.alloc(n);
  prg.words(ring, w, stream, 0);
  return w;
}

it.each([
  [1, 8, 8],
  [2, 3000, 2000],
  [64, 256, 512],
  [130, 700, 301],
])("%i × %i × %i", (m, k, n) => {
  const results = rings.map((ring) => {
    const [a, b, out] = [words(ring, m * k, 1), words(ring, k * n, 2), words(ring, m * n, 3)];
    const packed = ring.products.packWeights(
      Int16Array.from({ length: k * n }, (_, i) => ((i * 7919) % 8191) - 4095),
      k,
      n,
    );
    ring.products.matmul(out, a, b, m, k, n, true);
    ring.products.matmulNarrow(out, a, packed, m, true);
    const bytes = Buffer.from(out.bytes().slice());
    for (const w of [a, b, out]) ring.free(w);
    ring.products.freeWeights(packed);
    return bytes;
  });
  expect(results[1].equals(results[0])).toBe(true);
});

it("kernels that the caller alone runs work on the shared memory", () => {
  const results = rings.map((ring) => {
    const [a, out] = [words(ring, 1000, 5), ring.alloc(1000)];
    ring.add(out, a, a);
    lessThanSecrets(ring, out, a, 16, 4);
    const packed = new Uint8Array(1250);
    ring.packBits(packed, out, 10);
    ring.unpackBits(out, packed, 10);
    return [...ring.decode(out, 10, 1)];
  });
  expect(results[1]).toEqual(results[0]);
});
