/** Every kernel against BigInt, on random full-range words and the extremes. */

import { inspect } from "node:util";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { carryLevel, carrySecrets, lessThanLeaves, lessThanSecrets } from "../../src/ring/comparison.ts";
import { evaluateFourier, fourierSecrets } from "../../src/ring/fourier.ts";
import type { Words } from "../../src/ring/memory.ts";
import { Ring } from "../../src/ring/ring.ts";

let ring: Ring;
beforeAll(async () => {
  ring = await Ring.create();
});

const EXTREMES = [0n, 1n, 2n ** 64n - 1n, 2n ** 63n, 2n ** 63n - 1n, 0xffffffffn, 0x100000000n, 0x8000800080008000n];
const SIZES = [1, 2, 3, 7, 64, 129];
const u64 = (x: bigint) => BigInt.asUintN(64, x);

function generator(seed: number): () => bigint {
  let s = BigInt(seed) * 0x9e3779b97f4a7c15n + 88172645463325252n;
  return () => {
    s = u64(s ^ (s << 13n));
    s ^= s >> 7n;
    s = u64(s ^ (s << 17n));
    return s;
  };
}

function draw(count: number, seed: number): bigint[] {
  const next = generator(seed);
  return Array.from({ length: count }, (_, i) =>
    i % 3 === 0 ? EXTREMES[Number(next() % BigInt(EXTREMES.length))] : next(),
  );
}

function words(values: readonly bigint[]): Words {
  const w = ring.alloc(values.length);
  new BigUint64Array(w.bytes().buffer, w.pointer, w.length).set(values.map(u64));
  return w;
}

function read(w: Words): bigint[] {
  return [...new BigUint64Array(w.bytes().buffer, w.pointer, w.length)];
}

/** Runs a kernel on fresh tensors and frees them. */
function apply(
  inputs: readonly (readonly bigint[])[],
  length: number,
  kernel: (out: Words, ...a: Words[]) => void,
): bigint[] {
  const tensors = inputs.map(words);
  const out = words(draw(length, 99));
  kernel(out, ...tensors);
  const result = read(out);
  for (const t of [out, ...tensors]) ring.free(t);
  return result;
}

describe("elementwise", () => {
  it.each(SIZES)("%i words", (n) => {
    const [a, b] = [draw(n, n), draw(n, n + 1000)];
    expect(apply([a, b], n, (o, x, y) => ring.add(o, x, y))).toEqual(a.map((x, i) => u64(x + b[i])));
    expect(apply([a, b], n, (o, x, y) => ring.subtract(o, x, y))).toEqual(a.map((x, i) => u64(x - b[i])));
    expect(apply([a, b], n, (o, x, y) => ring.multiply(o, x, y))).toEqual(a.map((x, i) => u64(x * b[i])));
    expect(apply([a, b], n, (o, x, y) => ring.xor(o, x, y))).toEqual(a.map((x, i) => x ^ b[i]));
    expect(apply([a], n, (o, x) => ring.negate(o, x))).toEqual(a.map((x) => u64(-x)));
    expect(apply([a], n, (o, x) => ring.copy(o, x))).toEqual(a);
    const [lo, hi] = [-7, 0x12345678];
    const c = (BigInt(hi) << 32n) | BigInt(lo >>> 0);
    expect(apply([a], n, (o, x) => ring.addConstant(o, x, lo, hi))).toEqual(a.map((x) => u64(x + c)));
    expect(apply([a], n, (o, x) => ring.scale(o, x, lo, hi))).toEqual(a.map((x) => u64(x * c)));
    const start = draw(n, 99);
    expect(apply([a], n, (o, x) => ring.addScaled(o, x, lo, hi))).toEqual(a.map((x, i) => u64(start[i] + x * c)));
  });

  it("shifts, reduces and extends at every width", () => {
    const a = draw(40, 4);
    for (let bits = 1; bits <= 64; bits++) {
      const mask = (1n << BigInt(bits)) - 1n;
      expect(apply([a], 40, (o, x) => ring.reduce(o, x, bits))).toEqual(a.map((x) => x & mask));
      expect(apply([a], 40, (o, x) => ring.signExtend(o, x, bits))).toEqual(a.map((x) => u64(BigInt.asIntN(bits, x))));
      expect(apply([a], 40, (o, x) => ring.msb(o, x, bits))).toEqual(a.map((x) => (x >> BigInt(bits - 1)) & 1n));
      const shift = bits >> 1;
      const to = bits - shift;
      const truncated = a.map((x) => ((x & mask) >> BigInt(shift)) & ((1n << BigInt(to)) - 1n));
      expect(apply([a], 40, (o, x) => ring.truncate(o, x, bits, shift, to))).toEqual(truncated);
      const arithmetic = a.map((x) => u64(BigInt.asIntN(64, x) >> BigInt(bits - 1)));
      expect(apply([a], 40, (o, x) => ring.arithmeticShift(o, x, bits - 1))).toEqual(arithmetic);
    }
  });

  it.each([
    [1, 9],
    [2, 2],
    [15, 17],
    [16, 16],
    [33, 65],
    [64, 3],
  ])("transposes %i x %i", (rows, columns) => {
    const a = draw(rows * columns, rows);
    const expected = a.map((_, i) => a[(i % rows) * columns + Math.floor(i / rows)]);
    expect(apply([a], a.length, (o, m) => ring.transpose(o, m, rows, columns))).toEqual(expected);
  });

  it("may write over what it reads", () => {
    const [rows, columns] = [3, 5];
    const [a, row] = [draw(15, 5), draw(5, 6)];
    const kernels: ((out: Words, x: Words, r: Words) => void)[] = [
      (o, x) => ring.add(o, x, x),
      (o, x) => ring.subtract(o, x, x),
      (o, x) => ring.multiply(o, x, x),
      (o, x) => ring.negate(o, x),
      (o, x) => ring.scale(o, x, -3, 5),
      (o, x) => ring.addConstant(o, x, -3, 5),
      (o, x) => ring.truncate(o, x, 40, 7, 20),
      (o, x) => ring.truncate(o, x, 64, 64, 64),
      (o, x) => ring.arithmeticShift(o, x, 64),
      (o, x) => ring.centre(o, x, rows, columns),
      (o, x, r) => ring.addRow(o, x, r, rows, columns),
    ];
    for (const kernel of kernels) {
      const apart = apply([a, row], 15, kernel);
      const inPlace = apply([a, row], 15, (o, x, r) => {
        kernel(x, x, r);
        ring.copy(o, x);
      });
      expect(inPlace).toEqual(apart);
    }
  });

  it("works by rows and columns", () => {
    const [rows, columns] = [5, 7];
    const [a, row, column, start] = [draw(35, 1), draw(7, 2), draw(5, 3), draw(35, 99)];
    const at = (f: (i: number, j: number) => bigint) => a.map((_, k) => u64(f(Math.floor(k / columns), k % columns)));
    const x = (i: number, j: number) => a[i * columns + j];
    const sums = column.map((_, i) => a.slice(i * columns, (i + 1) * columns).reduce((s, v) => s + v));
    expect(apply([a, row], 35, (o, m, r) => ring.addRow(o, m, r, rows, columns))).toEqual(
      at((i, j) => x(i, j) + row[j]),
    );
    expect(apply([a, row], 35, (o, m, r) => ring.scaleColumns(o, m, r, rows, columns))).toEqual(
      at((i, j) => start[i * columns + j] + x(i, j) * row[j]),
    );
    expect(apply([column, row], 35, (o, c, r) => ring.addOuter(o, c, r, rows, columns))).toEqual(
      at((i, j) => start[i * columns + j] + column[i] * row[j]),
    );
    expect(apply([a], 5, (o, m) => ring.rowSum(o, m, rows, columns))).toEqual(sums.map(u64));
    expect(apply([a], 35, (o, m) => ring.centre(o, m, rows, columns))).toEqual(at((i, j) => 7n * x(i, j) - sums[i]));
    const transposed = Array.from({ length: 35 }, (_, k) => x(k % rows, Math.floor(k / rows)));
    expect(apply([a], 35, (o, m) => ring.transpose(o, m, rows, columns))).toEqual(transposed);
    expect(apply([a], 6, (o, m) => ring.copyBlock(o, 0, 3, m, 9, 7, 2, 3))).toEqual(
      [9, 10, 11, 16, 17, 18].map((k) => a[k]),
    );
    expect(apply([row], 21, (o, r) => ring.repeat(o, r, 3))).toEqual(
      Array.from({ length: 21 }, (_, k) => row[Math.floor(k / 3)]),
    );
    expect(() => apply([a], 6, (o, m) => ring.copyBlock(o, 0, 3, m, 30, 7, 2, 3))).toThrow(RangeError);
  });
});

function product(a: readonly bigint[], b: readonly bigint[], m: number, k: number, n: number): bigint[] {
  const out = new Array<bigint>(m * n).fill(0n);
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < n; j++) {
      let sum = 0n;
      for (let c = 0; c < k; c++) sum += a[i * k + c] * b[c * n + j];
      out[i * n + j] = u64(sum);
    }
  }
  return out;
}

describe("matrix products", () => {
  it.each([
    [1, 1, 1],
    [2, 3, 5],
    [3, 17, 1],
    [1, 300, 6],
    [1, 2, 1],
    [1, 517, 2],
    [65, 513, 1],
    [4, 2, 1],
    [64, 1, 64],
    [17, 64, 33],
    [5, 257, 9],
    [33, 5, 65],
  ])("64 x 64 bits, %i x %i x %i", (m, k, n) => {
    const [a, b] = [draw(m * k, m + k), draw(k * n, k + n)];
    const expected = product(a, b, m, k, n);
    expect(apply([a, b], m * n, (o, x, y) => ring.products.matmul(o, x, y, m, k, n))).toEqual(expected);
    const start = draw(m * n, 99);
    const accumulated = expected.map((x, i) => u64(x + start[i]));
    expect(apply([a, b], m * n, (o, x, y) => ring.products.matmul(o, x, y, m, k, n, true))).toEqual(accumulated);
  });

  it.each([511, 512, 4095, 4096, 32_767])(
    "narrow, all weights ±%i and activations of extreme limbs: no overflow",
    (limit) => {
      // Limbs of the largest magnitude in both splittings, all of one sign against the weights' signs.
      const digits = u64(-1024n - (1024n << 11n) - (512n << 22n));
      const worst = [0x7fff7fff7fff7fffn, 0x8000800080008000n, digits, 0x83ff1ffc00000400n];
      for (const [m, k, n] of [
        [4, 1100, 9],
        [1, 1, 1],
        [33, 7, 8],
      ]) {
        for (const sign of [1, -1]) {
          const a = Array.from({ length: m * k }, (_, i) => worst[Math.floor(i / k) % worst.length]);
          const weights = new Int16Array(k * n).fill(sign * limit);
          const packed = ring.products.packWeights(weights, k, n);
          expect(packed.klass).toBe(limit <= 511 ? 0 : limit <= 4095 ? 1 : 2);
          const expected = product(a, Array.from(weights, BigInt), m, k, n);
          expect(apply([a], m * n, (o, x) => ring.products.matmulNarrow(o, x, packed, m))).toEqual(expected);
          ring.products.freeWeights(packed);
        }
      }
    },
  );

  it.each([400, 4000, 32_000])("narrow, random weights up to %i", (limit) => {
    const [m, k, n] = [35, 129, 21];
    const next = generator(limit);
    const weights = Int16Array.from({ length: k * n }, () => Number(next() % BigInt(2 * limit + 1)) - limit);
    const a = draw(m * k, 8);
    const packed = ring.products.packWeights(weights, k, n);
    const expected = product(a, Array.from(weights, BigInt), m, k, n);
    expect(apply([a], m * n, (o, x) => ring.products.matmulNarrow(o, x, packed, m))).toEqual(expected);
    const start = draw(m * n, 99);
    expect(apply([a], m * n, (o, x) => ring.products.matmulNarrow(o, x, packed, m, true))).toEqual(
      expected.map((x, i) => u64(x + start[i])),
    );
    ring.products.freeWeights(packed);
  });

  it("refuses a weight that no class bounds", () => {
    expect(() => ring.products.packWeights(Int16Array.of(-32_768), 1, 1)).toThrow(/beyond ±32767/);
    expect(() => ring.products.packWeights(Int16Array.of(1, 2), 1, 1)).toThrow(RangeError);
  });

  it.each([
    [1, 1, 1],
    [5, 19, 7],
    [4, 8, 8],
    [9, 3, 13],
    [3, 66, 12],
    [2, 5, 3],
  ])("floats, %i x %i x %i", (m, k, n) => {
    const [a, w, out] = [ring.allocFloats(m * k), ring.allocFloats(n * k), ring.allocFloats(m * n)];
    a.view().set(Float32Array.from({ length: m * k }, (_, i) => Math.sin(i)));
    w.view().set(Float32Array.from({ length: n * k }, (_, i) => Math.cos(3 * i)));
    ring.products.matmulF32Transposed(out, a, w, m, k, n);
    const b = ring.allocFloats(k * n);
    b.view().set(Float32Array.from({ length: k * n }, (_, i) => w.view()[(i % n) * k + Math.floor(i / n)]));
    const plain = ring.allocFloats(m * n);
    ring.products.matmulF32(plain, a, b, m, k, n);
    expect(plain.view()).toEqual(out.view());
    for (let i = 0; i < m; i++) {
      for (let j = 0; j < n; j++) {
        let sum = 0;
        for (let c = 0; c < k; c++) sum += Math.fround(Math.sin(i * k + c)) * Math.fround(Math.cos(3 * (j * k + c)));
        expect(out.view()[i * n + j]).toBeCloseTo(sum, 4);
      }
    }
    for (const f of [a, w, out, b, plain]) ring.freeFloats(f);
  });
});

describe("packing", () => {
  it("keeps the low bits at every width, and its size is exact", () => {
    for (let bits = 1; bits <= 64; bits++) {
      for (const n of [1, 2, 7, 64, 65]) {
        const a = draw(n, bits + n);
        const packed = new Uint8Array(Math.ceil((n * bits) / 8));
        const w = words(a);
        ring.packBits(packed, w, bits);
        const stream = a.reduce((sum, x, i) => sum | ((x & ((1n << BigInt(bits)) - 1n)) << BigInt(i * bits)), 0n);
        expect(packed.reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n)).toBe(stream);
        ring.zero(w);
        ring.unpackBits(w, packed, bits);
        expect(read(w)).toEqual(a.map((x) => x & ((1n << BigInt(bits)) - 1n)));
        expect(() => ring.unpackBits(w, new Uint8Array(packed.length + 1), bits)).toThrow(/packed bytes/);
        ring.free(w);
      }
    }
  });

  it("gives packed weights back as words", () => {
    const [k, n] = [5, 11];
    const weights = Int16Array.from({ length: k * n }, (_, i) => ((i * 7919) % 65_535) - 32_767);
    const packed = ring.products.packWeights(weights, k, n);
    const w = ring.alloc(3 * n);
    ring.products.unpackWeights(w, packed, 2);
    expect([...ring.decode(w, 64, 1)]).toEqual([...weights.subarray(2 * n)]);
    expect(() => ring.products.unpackWeights(w, packed, 3)).toThrow(RangeError);
    ring.products.freeWeights(packed);
    expect(() => ring.products.unpackWeights(w, packed, 0)).toThrow(RangeError);
    ring.free(w);
  });

  it("encodes to the nearest integer and decodes what it encoded", () => {
    const values = Float64Array.of(0, 1.5, -1.5, 0.49, -2.75, 2 ** 50, -(2 ** 50));
    const w = ring.alloc(values.length);
    ring.encode(w, values, 4);
    expect([...ring.decode(w, 64, 4)]).toEqual([0, 1.5, -1.5, 0.5, -2.75, 2 ** 50, -(2 ** 50)]);
    ring.free(w);
  });

  it("encodes ties to even and every size of value as BigInt does", () => {
    const sizes = Array.from({ length: 62 }, (_, e) => [
      2 ** e - 1,
      2 ** e - 0.5,
      2 ** e,
      2 ** e + 0.5,
      2 ** e * 1.37,
    ]).flat();
    const values = Float64Array.from([0, 0.5, 1.5, 2.5, 2 ** -1074, 2 ** 61.99, ...sizes].flatMap((x) => [x, -x]));
    const w = ring.alloc(values.length);
    ring.encode(w, values, 1);
    const nearest = (x: number) => {
      const below = Math.floor(x);
      return BigInt(x - below > 0.5 || (x - below === 0.5 && below % 2 !== 0) ? below + 1 : below);
    };
    const encoded = new BigInt64Array(w.bytes().buffer, w.pointer, w.length);
    expect([...encoded]).toEqual(Array.from(values, nearest));
    ring.free(w);
  });

  it.each([1, 2, 3, 4, 20, 24, 40, 53])("cosines and sines of a turn of 2^%i, at its corners too", (bits) => {
    const eighth = 2 ** (bits - 3);
    const next = generator(bits);
    const corners = Array.from({ length: 9 }, (_, i) => [i * eighth - 1, i * eighth, i * eighth + 1])
      .flat()
      .map(Math.ceil);
    const random = Array.from({ length: 100 }, () => Number(next() % 2n ** BigInt(bits)));
    const x = words([...corners, ...random].map((v) => BigInt(v)));
    const out = ring.alloc(2 * x.length);
    fourierSecrets(ring, out, x, bits, 1, 1, 30);
    const of = (angle: number) => 2 ** 30 * Math.cos((2 * Math.PI * angle) / 2 ** bits);
    const got = ring.decode(out, 64, 1);
    [...corners, ...random].forEach((v, i) => {
      expect(Math.abs(got[i] - of(v % 2 ** bits))).toBeLessThan(0.6);
      expect(Math.abs(got[x.length + i] - of((v % 2 ** bits) - 2 ** (bits - 2)))).toBeLessThan(0.6);
    });
    for (const w of [x, out]) ring.free(w);
  });

  it.each([0, 54, 2.5])("refuses a turn of 2^%d", (bits) => {
    const [x, out] = [ring.alloc(1), ring.alloc(2)];
    expect(() => fourierSecrets(ring, out, x, bits, 1, 1, 14)).toThrow(/^a period of 2\^/);
    expect(() => evaluateFourier(ring, x, out.part(0, 1), bits, 1, Float64Array.of(1, 1), out)).toThrow(
      /^a period of 2\^/,
    );
    for (const w of [x, out]) ring.free(w);
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY, 2 ** 62, -(2 ** 62)])(
    "refuses to encode %d, and does not say it",
    (value) => {
      const w = ring.alloc(2);
      expect(() => ring.encode(w, Float64Array.of(1, value), 1)).toThrow(
        /^a value is not finite or does not fit into fixed point/,
      );
      ring.free(w);
    },
  );
});

describe("sign by XOR-shared bits", () => {
  it.each([6, 9, 20, 33, 64])("[x >= 0] from c = x + r mod 2^%i", (bits) => {
    const next = generator(bits);
    const all = 1n << BigInt(bits);
    const pairs =
      bits === 6
        ? Array.from({ length: 4096 }, (_, i) => [BigInt(i & 63), BigInt(i >> 6)])
        : Array.from({ length: 3000 }, () => [next() % all, next() % all]);
    const n = pairs.length;
    const blocks = Math.ceil((bits - 1) / 4);
    const random = (length: number, mask: bigint) => words(Array.from({ length }, () => next() & mask));
    const split = (secret: Words, mask: bigint): [Words, Words] => {
      const own = random(secret.length, mask);
      ring.xor(secret, secret, own);
      return [own, secret];
    };
    const c = words(pairs.map((p) => p[0]));
    const secret = ring.alloc(n * Math.ceil(blocks / 4));
    lessThanSecrets(ring, secret, words(pairs.map((p) => p[1])), bits, blocks);
    const leaves = split(secret, 2n ** 64n - 1n);
    const trees = leaves.map((share, party) => {
      const tree = ring.alloc(n);
      lessThanLeaves(ring, tree, c, share, bits, blocks, party === 1);
      return tree;
    });
    for (let nodes = blocks; nodes > 1; nodes = Math.ceil(nodes / 2)) {
      const mask = (1n << BigInt(2 * nodes + 1)) - 1n;
      const rho = [random(n, mask), random(n, mask)];
      const [open, full, products] = [ring.alloc(n), ring.alloc(n), ring.alloc(n)];
      ring.xor(full, rho[0], rho[1]);
      ring.xor(open, trees[0], trees[1]);
      ring.xor(open, open, full);
      carrySecrets(ring, products, full, nodes);
      const known = split(products, (1n << BigInt(2 * (nodes >> 1))) - 1n);
      for (const party of [0, 1]) carryLevel(ring, trees[party], open, rho[party], known[party], nodes, party === 1);
    }
    ring.xor(trees[0], trees[0], trees[1]);
    const expected = pairs.map(([x, r]) => (BigInt.asIntN(bits, x - r) >= 0n ? 1n : 0n));
    expect(read(trees[0])).toEqual(expected);
  });
});

describe("memory", () => {
  it("never hands out what is in use, and joins what is freed", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.integer({ min: 1, max: 5000 }), fc.boolean()), { maxLength: 60 }), (plan) => {
        const live: Words[] = [];
        for (const [size, freeOne] of plan) {
          live.push(ring.alloc(size));
          if (freeOne) ring.free(live.splice(size % live.length, 1)[0]);
          const spans = live.map((w) => [w.pointer, w.pointer + 8 * w.length]).sort((a, b) => a[0] - b[0]);
          for (let i = 1; i < spans.length; i++) expect(spans[i][0]).toBeGreaterThanOrEqual(spans[i - 1][1]);
        }
        for (const w of live) ring.free(w);
      }),
      { numRuns: 50, seed: 1 },
    );
  });

  it("uses freed space again", async () => {
    const fresh = await Ring.create();
    const parts = Array.from({ length: 8 }, () => fresh.alloc(100_000));
    const size = fresh.memory.wasm.buffer.byteLength;
    for (const i of [3, 1, 5, 7, 0, 2, 6, 4]) fresh.free(parts[i]);
    fresh.free(fresh.alloc(790_000));
    expect(fresh.memory.wasm.buffer.byteLength).toBe(size);
    expect(fresh.memory.bytesInUse).toBe(0);
  });

  it("refuses a second free, wrong lengths, and to print contents", () => {
    const w = words([0x5ec7e75ec7e7n, 2n]);
    for (const text of [String(w), JSON.stringify(w), inspect(w)]) expect(text).toMatch(/^"?Words\(2\)"?$/);
    expect(() => ring.add(w, w, ring.alloc(3))).toThrow(/expected 2 words, got 3/);
    ring.free(w);
    expect(() => ring.free(w)).toThrow(/freed twice/);
  });
});
