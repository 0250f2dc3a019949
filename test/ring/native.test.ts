/** Every native kernel against its WebAssembly twin, bit for bit, for each instruction set that is built and runs here. */
import { existsSync } from "node:fs";
import { beforeAll, describe, expect, it } from "vitest";
import { loadLevel, NATIVE_LEVELS, nativeUrl } from "../../src/platform/native.ts";
import type { NativeModule } from "../../src/platform/platform.ts";
import type { Kernels } from "../../src/ring/kernels.ts";
import { loadWasm } from "../../src/ring/kernels.ts";
import { Memory } from "../../src/ring/memory.ts";
import { polynomialTables } from "../../src/ring/polynomial.ts";
import { Ring } from "../../src/ring/ring.ts";

const memory = new Memory();
let wasm: Kernels;
beforeAll(async () => {
  wasm = await loadWasm(memory);
});

const built = NATIVE_LEVELS.filter((level) => existsSync(nativeUrl(level)));
/** Of those, whose instructions this processor has; any other reason why one does not load fails its tests. */
const here = built.filter((level) => {
  try {
    return loadLevel(level) !== undefined;
  } catch (error) {
    return !/this processor lacks the instructions/.test(String(error));
  }
});
it.skipIf(built.length > 0)("native kernels are not built here: npm run build:native", () => {});

/** Random words, a third of them extremes. */
function words(n: number, seed: number): number {
  const pointer = memory.allocate(8 * n + 64);
  const at = new BigUint64Array(memory.wasm.buffer, pointer, n);
  let s = BigInt(seed) * 0x9e3779b97f4a7c15n + 88172645463325252n;
  const extremes = [0n, 1n, 2n ** 64n - 1n, 2n ** 63n, 0xffffffffn, 0x100000000n, 0x8000800080008000n];
  for (let i = 0; i < n; i++) {
    s = BigInt.asUintN(64, s ^ (s << 13n));
    s ^= s >> 7n;
    s = BigInt.asUintN(64, s ^ (s << 17n));
    at[i] = i % 3 === 0 ? extremes[Number(s % 7n)] : s;
  }
  return pointer;
}

function table(entries: readonly number[]): number {
  const pointer = memory.allocate(4 * entries.length);
  new Int32Array(memory.wasm.buffer, pointer, entries.length).set(entries);
  return pointer;
}

const weights = (k: number, n: number, limit: number) => {
  const source = memory.allocate(2 * k * n);
  new Int16Array(memory.wasm.buffer, source, k * n).forEach((_, i, all) => {
    all[i] = i % 5 === 0 ? (i % 2 ? limit : -limit) : ((i * 7919) % (2 * limit + 1)) - limit;
  });
  const packed = memory.allocate(wasm.narrowBytes(k, n));
  wasm.narrowPack(packed, source, k, n);
  return packed;
};

describe.each(here)("%s", (level) => {
  let native: NativeModule;
  beforeAll(async () => {
    native = loadLevel(level);
  });

  /** Runs both on equal outputs and compares `bytes` of them. */
  function same(bytes: number, run: (kernels: Kernels, out: number) => void): void {
    native.attach(new Uint8Array(memory.wasm.buffer));
    const outs = [wasm, { ...wasm, ...native } as Kernels].map((kernels) => {
      const out = words(Math.ceil(bytes / 8) + 1, 77);
      run(kernels, out);
      return Buffer.from(new Uint8Array(memory.wasm.buffer, out, bytes));
    });
    expect(outs[1].equals(outs[0])).toBe(true);
  }

  it.each([1, 2, 7, 8, 63, 64, 65, 1000])("elementwise kernels, %i words", (n) => {
    const [a, b] = [words(n, n), words(n, n + 1)];
    same(8 * n, (k, out) => k.add(out, a, b, n));
    same(8 * n, (k, out) => k.subtract(out, a, b, n));
    same(8 * n, (k, out) => k.negate(out, a, n));
    same(8 * n, (k, out) => k.multiply(out, a, b, n));
    same(8 * n, (k, out) => k.xorWords(out, a, b, n));
    same(8 * n, (k, out) => k.addScaled(out, a, -7, 0x12345678, n));
    same(8 * n, (k, out) => k.scaleColumns(out, a, b, 1, n));
    same(8, (k, out) => k.rowSum(out, a, 1, n));
    same(8 * n, (k, out) => k.centre(out, a, 1, n));
    for (let bits = 1; bits <= 64; bits++) {
      same(8 * n, (k, out) => k.reduce(out, a, bits, n));
      same(8 * n, (k, out) => k.msb(out, a, bits, n));
      same(8 * n, (k, out) => k.truncate(out, a, bits, bits >> 1, 1 + (bits >> 1), n));
      same(Math.ceil((bits * n) / 8), (k, out) => k.packBits(out, a, bits, n));
      same(8 * n, (k, out) => k.unpackBits(out, a, bits, n));
    }
  });

  it.each([
    [1, 1, 1],
    [2, 3, 5],
    [3, 257, 17],
    [8, 64, 16],
    [13, 300, 33],
    [17, 513, 8],
  ])("products %i × %i × %i", (m, k, n) => {
    const [a, b] = [words(m * k, 5), words(k * n, 6)];
    for (const bits of [64, 53, 52, 7]) {
      for (const accumulate of [0, 1]) {
        same(8 * m * n, (kernels, out) => {
          const scratch = memory.allocate(kernels.matmulScratch(k, n));
          kernels.matmul(out, a, b, scratch, m, k, n, accumulate, bits);
          // What stands above the bits is arbitrary.
          kernels.reduce(out, out, bits, m * n);
        });
        for (const [klass, limit] of [511, 4095, 32767].entries()) {
          const packed = weights(k, n, limit);
          same(8 * m * n, (kernels, out) => {
            const scratch = memory.allocate(kernels.narrowScratch(k, klass));
            kernels.matmulNarrow(out, a, packed, scratch, m, k, n, klass, accumulate, bits);
            kernels.reduce(out, out, bits, m * n);
          });
        }
      }
    }
  });

  it.each([8, 16, 120, 128, 136, 256, 264, 8 * 1001])("a keystream of %i bytes", (bytes) => {
    const key = words(2, bytes);
    for (const [stream, purpose] of [
      [0, 0],
      [0xdeadbeef, 7],
      [1, 0xffffffff],
    ]) {
      same(bytes + 8, (k, out) => {
        const scratch = memory.allocate(wasm.aesScratch());
        k.keystream(out, bytes, key, stream, purpose, scratch);
      });
    }
  });

  it("polynomials of native, lifted and bit variables, with repeats", async () => {
    const ring = await Ring.create();
    const of = (n: number) => Object.assign(ring.alloc(1), { length: n });
    for (const n of [1, 64, 130, 3 * 96]) {
      for (const repeat of [1, n]) {
        const variables = [
          { x: { pointer: words(n, 1) }, repeat: 1, ring: 40, kind: 1 },
          { x: { pointer: words(n, 2) }, repeat, ring: 64, kind: 0 },
          { x: { pointer: words(n, 3) }, repeat: 1, ring: 1, kind: 2 },
        ].map((v) => ({ ...v, x: Object.defineProperty(of(n), "pointer", { value: v.x.pointer }) }));
        const monomials = [
          { constant: [-3, 77] as const, degrees: [4, 0, 0] },
          { constant: [5, 0] as const, degrees: [2, 3, 1] },
          { constant: [1, 0] as const, degrees: [0, 1, 0] },
        ];
        const secret = (powers: number[], bits: number[], r: number) => ({
          share: Object.defineProperty(of(n), "pointer", { value: words(n, 9 + powers[0]) }),
          repeat: r,
          powers,
          bits,
        });
        const secrets = [
          secret([0, 1, 0], [0, 0, 0], repeat),
          secret([1, 0, 0], [1, 0, 0], 1),
          secret([2, 3, 0], [0, 0, 1], 1),
          secret([3, 0, 0], [0, 0, 0], 1),
        ];
        for (const server of [true, false]) {
          const t = polynomialTables(server, variables, monomials, secrets);
          const [v, terms, pairs] = [t.variables, t.terms, t.pairs].map(table);
          same(8 * n, (k, out) => {
            const scratch = memory.allocate(k.polynomialScratch());
            k.polynomialEvaluate(out, n, v, 3, terms, t.termCount, pairs, scratch);
          });
        }
        const t = polynomialTables(false, variables, monomials, secrets);
        const highs = secrets.map((_, i) => (i % 2 === 0 ? words(n, 20 + i) : 0));
        const wideTerms = highs.flatMap((high, i) => [...t.terms.slice(4 * i, 4 * i + 4), high]);
        const [v, terms, pairs] = [t.variables, wideTerms, t.pairs].map(table);
        same(16 * n, (k, out) => {
          const scratch = memory.allocate(k.polynomialScratch());
          k.widePolynomial(out, out + 8 * n, n, v, 3, terms, t.termCount, pairs, scratch);
        });
      }
    }
  });

  it.each([
    [20, 9, 2],
    [21, 5, 1],
    [40, 3, 1],
    [8, 2, 2],
  ] as const)("Fourier series: period 2^%i, %i harmonics, stride %i", (bits, harmonics, stride) => {
    const n = 700;
    const [x, shares] = [words(n, 8), words(2 * harmonics * n, 9)];
    const coefficients = memory.allocate(16 * harmonics);
    new Float64Array(memory.wasm.buffer, coefficients, 2 * harmonics).forEach((_, i, all) => {
      all[i] = Math.sin(i + 1) * 2 ** 12;
    });
    same(16 * harmonics * n, (k, out) => k.fourierSecrets(out, x, n, bits, harmonics, stride, 14));
    same(8 * n, (k, out) => k.fourierEvaluate(out, x, n, bits, harmonics, stride, coefficients, shares));
  });

  it.each([1, 3, 64, 500])("wide words, %i of them", (n) => {
    const [a, lo, hi] = [words(n, 1), words(n, 2), words(n, 3)];
    const choices = words(Math.ceil(n / 2), 4);
    for (const above of [0, hi]) {
      for (const minus of [0, 1]) same(16 * n, (k, out) => k.wideAdd(out, out + 8 * n, lo, above, n, minus));
      same(16 * n, (k, out) => k.wideMultiplyAdd(out, out + 8 * n, a, lo, above, n));
      same(16, (k, out) => k.wideRowSum(out, out + 8, lo, above, 1, n));
      for (const shift of [0, 1, 40, 63, 64, 100])
        same(wasm.wideTallyBytes(), (k, out) => k.wideTally(out, lo, above, choices, shift, n));
    }
    same(8 * n, (k, out) => k.wideSubtractScaled(out, 0, a, lo, n));
    same(16 * n, (k, out) => k.wideSubtractScaled(out, out + 8 * n, a, words(2, 5), n));
    same(wasm.wideTallyBytes(), (k, out) => k.xorTally(out, a, choices, n));
  });

  it.each([
    [1, 1, 1],
    [2, 5, 3],
    [5, 9, 7],
    [16, 33, 8],
  ])("wide products %i × %i × %i, as they are and turned", (m, k, n) => {
    const [p, lo, hi] = [words(m * k, 1), words(k * n, 2), words(k * n, 3)];
    for (const [row, inner] of [
      [k, 1],
      [1, m],
    ])
      for (const [xInner, xColumn] of [
        [n, 1],
        [1, k],
      ])
        for (const [outRow, outColumn] of [
          [n, 1],
          [1, m],
        ])
          for (const above of [0, hi])
            for (const planes of [1, 2])
              same(8 * planes * m * n, (kernels, out) => {
                const outHi = planes === 2 ? out + 8 * m * n : 0;
                kernels.wideMatmul(out, outHi, outRow, outColumn, p, row, inner, lo, above, xInner, xColumn, m, k, n);
              });
  });
});
