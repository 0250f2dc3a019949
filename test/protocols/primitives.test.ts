/** Each primitive against an exact integer simulator in BigInt, bit for bit, and against floats over its range. */
import { beforeAll, describe, expect, it } from "vitest";
import { Builder } from "../../src/compiler/builder.ts";
import { planRoot } from "../../src/compiler/newton.ts";
import { planSpline } from "../../src/compiler/splines.ts";
import { inverseOf } from "../../src/compiler/wide-roots.ts";
import { liftBits } from "../../src/program/lift.ts";
import { oneTurn, type StepOf, type Value } from "../../src/program/steps.ts";
import { factors } from "../../src/protocols/periodic.ts";
import { Ring } from "../../src/ring/ring.ts";
import { bench, joined, random, run, shareOf, signed, unmasked } from "./bench.ts";

let ring: Ring;
beforeAll(async () => {
  ring = await Ring.create();
});

const kept = (value: Value, bits: number) => Object.assign(value, { ring: bits });
const masked = (value: Value, bits: number) => Object.assign(value, { ring: bits, needsMaskShares: true });

describe("truncation", () => {
  it("of shares is x / 2^t rounded down or up for every x and every share of a small ring, up as often as the dropped part says", () => {
    const [k, t, m] = [8, 3, 5];
    for (let x = 0; x < 1 << k; x++) {
      const exact = Number(signed(BigInt(x), k)) / 2 ** t;
      const found = Array.from({ length: 1 << k }, (_, client) => {
        const server = (x - client) & 255;
        const y = (((server + 2 ** t - 1) & 255) >> t) + (client >> t);
        return [Math.floor(exact), Math.ceil(exact)].find((z) => ((z - y) & 31) === 0);
      });
      expect(found).not.toContain(undefined);
      expect(found.reduce<number>((sum, y) => sum + y!, 0) / found.length).toBe(exact);
    }
    expect(m).toBe(k - t);
  });

  it("is off by 0 or 1 unit for every x and every mask of a small ring", () => {
    const [k, shift, to] = [8, 3, 5];
    const size = 1 << (2 * k);
    const [sum, r, out, mask] = [ring.alloc(size), ring.alloc(size), ring.alloc(size), ring.alloc(size)];
    const pairs = Array.from({ length: size }, (_, i) => [i & 255, i >> 8]);
    ring.encode(
      sum,
      Float64Array.from(pairs, ([x, m]) => x + m),
      1,
    );
    ring.encode(
      r,
      Float64Array.from(pairs, ([, m]) => m),
      1,
    );
    ring.truncate(out, sum, k, shift, to);
    ring.truncate(mask, r, k, shift, to);
    ring.subtract(out, out, mask);
    const results = ring.decode(out, to, 1);
    for (const [i, [x]] of pairs.entries()) {
      const floor = Number(signed(BigInt(x), k) >> BigInt(shift));
      expect([floor, floor + 1].map((y) => Number(signed(BigInt(y), to)))).toContain(results[i]);
    }
    for (const w of [sum, r, out, mask]) ring.free(w);
  });

  it.each(["exchange", "toServer"] as const)(
    "never fails on a million values near 2^61: %s",
    async (mode) => {
      const count = 500_000;
      const next = random(11n);
      const values = Array.from({ length: count }, () => {
        const near = (1n << 61n) - 1n - (next() >> 20n);
        return next() & 1n ? near : -near;
      });
      const { program, input } = bench(count, 2 ** 61, (b, x) =>
        masked(b.open(shareOf(b, x), mode, 2 ** -16, 2 ** 61), 48),
      );
      const parties = await run(ring, program, new Map([[input.id, values]]));
      const results = unmasked(parties, program.values[program.answers[0]]);
      let [worst, ones] = [0n, 0];
      for (const [i, x] of values.entries()) {
        const error = results[i] - (x >> 16n);
        if (error < 0n || error > 1n) worst = error;
        ones += Number(error);
      }
      expect(worst).toBe(0n);
      // Stochastic rounding: up as often as the dropped part says, one half here.
      expect(Math.abs(ones / count - 0.5)).toBeLessThan(0.01);
      parties.close();
    },
    60_000,
  );
});

/** All integers of magnitude below 2^(bits-2), several masks each. */
function everyValue(bits: number, repeats: number): bigint[] {
  const half = 1 << (bits - 2);
  return Array.from({ length: (2 * half - 1) * repeats }, (_, i) => BigInt((i % (2 * half - 1)) - half + 1));
}

describe("lift and polynomials", () => {
  it("lifts every value of an 8-bit ring exactly into 64 bits", async () => {
    const values = everyValue(8, 200);
    const { program, input } = bench(values.length, 61, (b, x) => {
      const narrow = b.open(shareOf(b, x), "exchange", 1, 61);
      const out = kept(b.value("wide", 1, values.length, 1, 61, "share"), 64);
      b.add(
        {
          kind: "polynomial",
          variables: [{ x: narrow.id, kind: "lifted", repeat: 1, room: 0 }],
          monomials: [{ coefficient: 1, degrees: [1] }],
          addends: [],
          constant: 0,
          rowSum: false,
        },
        out,
      );
      return out;
    });
    expect(program.values[2].ring).toBe(8);
    const parties = await run(ring, program, new Map([[input.id, values]]));
    expect(joined(parties, program.values[program.answers[0]])).toEqual(values);
    parties.close();
  });

  it("evaluates a polynomial of three variables, lifted, native and repeated, exactly", async () => {
    const [rows, columns] = [5, 7];
    const next = random(3n);
    const draw = (count: number, bits: number) => Array.from({ length: count }, () => signed(next(), bits));
    const b = new Builder();
    const add = (name: string, r: number, c: number, bound: number) =>
      b.add({ kind: "input", source: "mask", after: null }, b.value(name, r, c, 1, bound, "masked"));
    const [x, y, z] = [add("x", rows, columns, 500), add("y", rows, 1, 300), add("z", rows, columns, 1000)];
    const out = kept(b.value("p", rows, columns, 1, 1, "share"), 60);
    const monomials = [
      { coefficient: -3, degrees: [2, 1, 0] },
      { coefficient: 2 ** 40, degrees: [0, 3, 1] },
      { coefficient: 5, degrees: [4, 0, 0] },
    ];
    b.add(
      {
        kind: "polynomial",
        variables: [
          { x: x.id, kind: "lifted", repeat: 1, room: 0 },
          { x: y.id, kind: "lifted", repeat: columns, room: 0 },
          { x: z.id, kind: "native", repeat: 1, room: 0 },
        ],
        monomials,
        addends: [],
        constant: -12345,
        rowSum: false,
      },
      out,
    );
    const program = b.finish(oneTurn(1), [out]);
    const [xs, ys, zs] = [draw(rows * columns, 9), draw(rows, 9), draw(rows * columns, 10)];
    const parties = await run(
      ring,
      program,
      new Map([
        [x.id, xs],
        [y.id, ys],
        [z.id, zs],
      ]),
    );
    const expected = xs.map((a, i) => {
      const c = ys[Math.floor(i / columns)];
      return signed(-3n * a * a * c + 2n ** 40n * c ** 3n * zs[i] + 5n * a ** 4n - 12345n, 60);
    });
    expect(joined(parties, out)).toEqual(expected);
    parties.close();
  });
});

describe("matrix products", () => {
  it.each([true, false])("per head, transposed: %s", async (transposeB) => {
    const [heads, n, width] = [3, 6, 4];
    const next = random(5n);
    const b = new Builder();
    const add = (name: string, r: number, c: number) =>
      b.add({ kind: "input", source: "mask", after: null }, b.value(name, r, c, 1, 1000, "masked"));
    const x = transposeB ? add("a", n, heads * width) : add("a", heads * n, n);
    const y = add("b", n, heads * width);
    const [rows, columns] = transposeB ? [heads * n, n] : [n, heads * width];
    const out = kept(b.value("product", rows, columns, 1, 1, "share"), 50);
    b.add({ kind: "matmul", a: x.id, b: y.id, transposeB, heads, sharing: 1 }, out);
    const program = b.finish(oneTurn(1), [out]);
    const draw = (v: Value) => Array.from({ length: v.rows * v.columns }, () => signed(next(), 48));
    const [xs, ys] = [draw(x), draw(y)];
    const parties = await run(
      ring,
      program,
      new Map([
        [x.id, xs],
        [y.id, ys],
      ]),
    );
    const at = (h: number, i: number, j: number) => {
      let sum = 0n;
      for (let k = 0; k < (transposeB ? width : n); k++) {
        sum += transposeB
          ? xs[i * x.columns + h * width + k] * ys[j * y.columns + h * width + k]
          : xs[(h * n + i) * n + k] * ys[k * y.columns + h * width + j];
      }
      return signed(sum, 50);
    };
    const results = joined(parties, out);
    for (let h = 0; h < heads; h++) {
      for (let i = 0; i < n; i++) {
        for (let j = 0; j < (transposeB ? n : width); j++) {
          const place = transposeB ? (h * n + i) * n + j : i * columns + h * width + j;
          expect(results[place]).toBe(at(h, i, j));
        }
      }
    }
    parties.close();
  });
});

describe("comparison", () => {
  it("finds the sign of every value of a 10-bit ring, and relu, exactly", async () => {
    const values = everyValue(10, 20);
    const { program, input } = bench(values.length, 253, (b, x) => {
      const opened = b.open(shareOf(b, x), "exchange", 1, 253);
      const blocks = 3;
      const bits = (nodes: number) => b.bits("tree", 1, values.length, nodes === 1 ? 1 : 2 * nodes + 1);
      let tree = b.add({ kind: "lessThan", x: opened.id, blocks }, bits(blocks));
      for (let nodes = blocks; nodes > 1; nodes = Math.ceil(nodes / 2)) {
        tree = b.add({ kind: "carry", x: b.openBits(tree).id, nodes }, bits(Math.ceil(nodes / 2)));
      }
      const bit = b.openBits(tree);
      const out = kept(b.value("relu", 1, values.length, 1, 253, "share"), 40);
      return b.add(
        {
          kind: "polynomial",
          variables: [
            { x: opened.id, kind: "lifted", repeat: 1, room: 0 },
            { x: bit.id, kind: "bit", repeat: 1, room: 0 },
          ],
          monomials: [{ coefficient: 1, degrees: [1, 1] }],
          addends: [],
          constant: 0,
          rowSum: false,
        },
        out,
      );
    });
    const parties = await run(ring, program, new Map([[input.id, values]]));
    expect(joined(parties, program.values[program.answers[0]])).toEqual(values.map((x) => (x > 0n ? x : 0n)));
    parties.close();
  });
});

describe("Fourier functions", () => {
  it.each([1, 2] as const)(
    "add up to the series within the factors' and the dealer's roundings, stride %i",
    async (stride) => {
      const [period, trig, scale] = [12, 14, 2 ** 26];
      const count = 2 ** period;
      const values = Array.from({ length: count }, (_, i) => BigInt(i - count / 2));
      const b = new Builder();
      const x = b.add({ kind: "input", source: "mask", after: null }, b.value("x", 1, count, 2 ** 8, 8, "masked"));
      const out = kept(b.value("f", 1, count, scale, 4, "share"), 40);
      const step = {
        kind: "fourier" as const,
        x: x.id,
        periodBits: period,
        stride,
        cosines: [0.7, -0.2, 0.05],
        sines: [0.3, 0, -0.4],
        constant: 2 ** 20,
        factorScale: scale / 2 ** trig,
        trigBits: trig,
      };
      b.add(step, out);
      const program = b.finish(oneTurn(1), [out]);
      const parties = await run(ring, program, new Map([[x.id, values]]));
      const results = joined(parties, out);
      const series = factors(program.steps[1] as StepOf<"fourier">);
      // Each of 2·3 factors rounds by 1/2 and meets a cosine of 2^14; each cosine rounds by 1/2 and meets a factor.
      const bound = 6 * 0.5 * 2 ** trig + 0.5 * series.reduce((s, c) => s + 2 * Math.abs(c), 0) + 64;
      for (const [i, v] of values.entries()) {
        const theta = (2 * Math.PI * Number(v)) / count;
        let expected = step.constant;
        step.cosines.forEach((cosine, j) => {
          const angle = (1 + step.stride * j) * theta;
          expected += (cosine * Math.cos(angle) + step.sines[j] * Math.sin(angle)) * scale;
        });
        expect(Math.abs(Number(results[i]) - expected)).toBeLessThan(bound);
      }
      parties.close();
    },
  );
});

describe("roots", () => {
  it.each([
    ["reciprocal", 16],
    ["reciprocal", 200],
    ["inverseSqrt", 16],
    ["inverseSqrt", 100],
    ["inverseSqrt", 1500],
    ["reciprocal", 100_000],
    ["inverseSqrt", 100_000],
  ] as const)("%s over a range ratio of %i stays within the planned error", async (kind, ratio) => {
    const count = 2000;
    const [hi, scale] = [8, 2 ** 30];
    const lo = hi / ratio;
    const reals = Array.from({ length: count }, (_, i) => lo * ratio ** (i / (count - 1)));
    const { program, input } = bench(count, hi * scale, (b, x) => {
      const share = Object.assign(shareOf(b, x), { scale });
      const value = inverseOf(b, kind, share, [lo, hi], null, 13);
      return masked(value, liftBits(value));
    });
    // A wide range takes no more flights than a comparison and a spline.
    expect(program.flights.length).toBeLessThanOrEqual(14);
    const parties = await run(ring, program, new Map([[input.id, reals.map((x) => BigInt(Math.round(x * scale)))]]));
    const value = program.values[program.answers[0]];
    const results = unmasked(parties, value).map((x) => Number(x) / value.scale);
    const { error } = planSpline(kind, ratio, count, 13) ?? planRoot(kind, ratio);
    for (const [i, x] of reals.entries()) {
      const exact = kind === "reciprocal" ? 1 / x : 1 / Math.sqrt(x);
      // The result itself has 12 bits or more after the point, normalised so that the smallest is 1.
      // Where calibration saw nothing a spline may be four times as rough.
      const allowed = x < 2 * lo ? 4 * error : error;
      expect(Math.abs(results[i] / exact - 1), `${kind}(${x})`).toBeLessThan(allowed + 2 ** -11);
    }
    expect(error).toBeLessThan(0.005);
    parties.close();
  });
});
