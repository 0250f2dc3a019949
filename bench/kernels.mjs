// Throughput of the kernels on one core: `npm run build && node bench/kernels.mjs`. GMAC/s and GB/s, best of three runs.

import { platform } from "../dist/platform/node.js";
import { lessThanLeaves, lessThanSecrets } from "../dist/ring/comparison.js";
import { evaluateFourier, fourierSecrets } from "../dist/ring/fourier.js";
import { evaluatePolynomial } from "../dist/ring/polynomial.js";
import { Prg, randomKey } from "../dist/ring/prg.js";
import { Ring } from "../dist/ring/ring.js";

const ring = await Ring.create();
const prg = new Prg(randomKey());

function best(work) {
  let seconds = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 3; i++) {
    const start = performance.now();
    work();
    seconds = Math.min(seconds, (performance.now() - start) / 1000);
  }
  return seconds;
}

function words(n) {
  const w = ring.alloc(n);
  prg.words(ring, w, n, 0);
  return w;
}

const rows = [];
const macs = (name, m, k, n, work) =>
  rows.push({ kernel: name, shape: `${m}x${k}x${n}`, "GMAC/s": (m * k * n) / best(work) / 1e9 });
const bytes = (name, size, work) =>
  rows.push({ kernel: name, shape: `${size / 1e6} MB`, "GB/s": size / best(work) / 1e9 });

for (const [m, k, n] of [
  [128, 768, 768],
  [128, 768, 3072],
  [128, 3072, 768],
  [128, 64, 128],
  [1, 768, 3072],
]) {
  const [a, b, out] = [words(m * k), words(k * n), words(m * n)];
  macs("64 x 64", m, k, n, () => ring.products.matmul(out, a, b, m, k, n));
  macs("64 x 64, to 52 bits", m, k, n, () => ring.products.matmul(out, a, b, m, k, n, false, 52));
  for (const limit of [511, 4095, 32767]) {
    const packed = ring.products.packWeights(
      Int16Array.from({ length: k * n }, (_, i) => ((i * 7919) % (2 * limit + 1)) - limit),
      k,
      n,
    );
    macs(`64 x narrow, |w| <= ${limit}`, m, k, n, () => ring.products.matmulNarrow(out, a, packed, m));
    macs(`the same, to 52 bits`, m, k, n, () => ring.products.matmulNarrow(out, a, packed, m, false, 52));
    ring.products.freeWeights(packed);
  }
  const [fa, fw, fo] = [ring.allocFloats(m * k), ring.allocFloats(n * k), ring.allocFloats(m * n)];
  // Uninitialised floats may be denormal, which are slow.
  for (const f of [fa, fw]) f.view().fill(0.25);
  macs("float32", m, k, n, () => ring.products.matmulF32(fo, fa, fw, m, k, n));
  macs("float32, transposed", m, k, n, () => ring.products.matmulF32Transposed(fo, fa, fw, m, k, n));
  for (const f of [fa, fw, fo]) ring.freeFloats(f);
  for (const w of [a, b, out]) ring.free(w);
}
const big = words(4e6);
bytes("AES-128-CTR", 32e6, () => prg.words(ring, big, 1, 1));
for (const bits of [20, 48]) {
  const target = new Uint8Array((4e6 * bits) / 8);
  bytes(`pack to ${bits} bits (words)`, 32e6, () => ring.packBits(target, big, bits));
  bytes(`unpack from ${bits} bits (words)`, 32e6, () => ring.unpackBits(big, target, bits));
}

// A party's share of elementwise work: elements of 8 bytes that come out.
const n = 393_216; // BERT-base's feed-forward layer at 128 tokens
const [x, out] = [words(n), ring.alloc(n)];
const lifted = { x, repeat: 1, ring: 30, kind: 1 };
const share = words(4 * n);
const secret = (i, powers, bits) => ({ share: share.part(i * n, n), repeat: 1, powers, bits });
const square = [{ constant: [1, 0], degrees: [2] }];
const ofSquare = [secret(0, [0], [1]), secret(1, [1], [0]), secret(2, [1], [1]), secret(3, [2], [0])];
bytes("square of lifted values", 8 * n, () => evaluatePolynomial(ring, out, true, [lifted], square, ofSquare));
const trig = words(18 * n);
const factors = Float64Array.from({ length: 18 }, (_, i) => 4096 / (i + 1));
bytes("GeLU: 9 harmonics", 8 * n, () => evaluateFourier(ring, out, x, 20, 2, factors, trig));
bytes("GeLU: 9 harmonics, dealer", 8 * n, () => fourierSecrets(ring, trig, x, 20, 9, 2, 14));
const bits = ring.alloc(2 * n);
bytes("comparison: dealer's monomials", 8 * n, () => lessThanSecrets(ring, bits, x, 25, 6));
bytes("comparison: leaves", 8 * n, () => lessThanLeaves(ring, out, x, bits, 25, 6, true));
console.log(`kernels: ${platform.native?.level ?? "wasm"}`);
console.table(rows);
