/** Dealt splines against an exact integer simulator in BigInt, bit for bit, and against the functions themselves. */
import { beforeAll, describe, expect, it } from "vitest";
import { Builder } from "../../src/compiler/builder.ts";
import { oneTurn, type Program, type StepOf, type Value } from "../../src/program/steps.ts";
import { trafficOf } from "../../src/protocols/all.ts";
import { CLIENT_MASK } from "../../src/protocols/blocks.ts";
import { splineFunctions, splineTable } from "../../src/protocols/spline-table.ts";
import { Ring } from "../../src/ring/ring.ts";
import { type Inputs, joined, random, read, run, signed } from "./bench.ts";

type Spline = StepOf<"spline">;

let ring: Ring;
beforeAll(async () => {
  ring = await Ring.create();
});

const OUT_RING = 44;

/** One spline of `count` values of the client's, with or without a factor. */
function programOf(
  shape: Omit<Spline, "kind" | "x" | "factor" | "id" | "label" | "group" | "out">,
  count: number,
  masked: boolean,
) {
  const b = new Builder();
  const input = (name: string, bound: number) =>
    b.add({ kind: "input", source: "mask", after: null }, b.value(name, count, 1, 1, bound, "masked"));
  const x = input("x", shape.largest);
  const factor = masked ? input("factor", 1) : null;
  const scale = 2 ** (shape.coefficientBits + shape.bits - shape.intervalBits);
  const out = Object.assign(b.value("f", count, 1, scale, 64, "share"), { ring: OUT_RING });
  b.add({ kind: "spline", x: x.id, factor: factor?.id ?? null, ...shape }, out);
  return { program: b.finish(oneTurn(1), [out]), x, factor, out };
}

/** What the protocol computes of an opened c and its mask r, in whole numbers. */
function simulated(step: Spline, c: bigint, r: bigint, factor: bigint): bigint {
  const low = BigInt(step.bits - step.intervalBits);
  const intervals = 1 << step.intervalBits;
  const [period, unit] = [1n << BigInt(step.bits), 1n << low];
  const at = (x: bigint) => Number((x % period) >> low);
  const t = (at(c) - at(r) + intervals) % intervals;
  const table = splineTable(step);
  const q = Array.from({ length: step.degree + 1 }, (_, j) => BigInt(table[j * intervals + t]));
  for (let first = 0; first < step.degree; first++)
    for (let j = step.degree - 1; j >= first; j--) q[j] -= (q[j + 1] * (r % unit) + unit / 2n) >> low;
  let [power, sum] = [unit, 0n];
  for (const coefficient of q) {
    sum += coefficient * power;
    power = (power * (c % unit)) >> low;
  }
  return signed(sum * factor, OUT_RING);
}

function stepOf(program: Program): Spline {
  return program.steps.find((s) => s.kind === "spline")!;
}

async function results(made: ReturnType<typeof programOf>, inputs: Inputs) {
  const parties = await run(ring, made.program, inputs);
  // As the client drew it; what is opened is gone with its last reader.
  const mask = parties.client.ring.alloc(made.x.rows);
  const { id } = made.program.steps.find((s) => s.out === made.x.id)!;
  parties.client.withDealer.words(ring, mask, id, CLIENT_MASK, made.x.ring);
  const masks = read(mask);
  const opened = masks.map((r, i) => BigInt.asUintN(made.x.ring, r + inputs.get(made.x.id)![i]));
  ring.free(mask);
  const values = joined(parties, made.out as Value);
  parties.close();
  return { masks, opened, values };
}

const SHAPES = [
  { of: "reciprocal", bits: 10, intervalBits: 5, degree: 2, least: 60, largest: 950, coefficientBits: 15 },
  { of: "inverseSqrt", bits: 11, intervalBits: 4, degree: 3, least: 200, largest: 1900, coefficientBits: 16 },
  { of: "inverseSqrt", bits: 9, intervalBits: 8, degree: 1, least: 3, largest: 500, coefficientBits: 12 },
] as const;

describe.each(SHAPES)("$of, 2^$bits values in 2^$intervalBits intervals, degree $degree", (shape) => {
  const { bits, least, largest, coefficientBits, intervalBits, degree } = shape;
  const values = Array.from({ length: 4 * (largest - least + 1) }, (_, i) =>
    BigInt(least + (i % (largest - least + 1))),
  );

  it.each([false, true])(
    "is what the simulator says for every value and several masks; with a factor: %s",
    async (masked) => {
      const made = programOf(shape, values.length, masked);
      const next = random(7n);
      const factors = values.map(() => (masked ? next() & 1n : 1n));
      const inputs = new Map([[made.x.id, values], ...(made.factor ? [[made.factor.id, factors] as const] : [])]);
      const seen = await results(made, inputs);
      const step = stepOf(made.program);
      const expected = values.map((_, i) => simulated(step, seen.opened[i], seen.masks[i], factors[i]));
      expect(seen.values).toEqual(expected);
    },
  );

  it("comes near the function for every value, whether or not the low bits carry", async () => {
    const made = programOf(shape, values.length, false);
    const { values: found } = await results(made, new Map([[made.x.id, values]]));
    // The same spline of degree + 3 nodes' worth of error: a bound from the next derivative, and the roundings.
    for (const [i, x] of values.entries()) {
      const exact = splineFunctions[shape.of](Number(x) / largest);
      const step = 2 ** (bits - intervalBits) / Number(x);
      const bound =
        exact * (step ** (degree + 1) + (degree + 2) * 2 ** -coefficientBits + step * 2 ** (intervalBits - bits + 1));
      expect(Math.abs(Number(found[i]) / made.out.scale - exact), `f(${x})`).toBeLessThan(bound);
    }
  });

  it("costs what it declares: a word for each coefficient, none online", () => {
    const made = programOf(shape, 5, true);
    const { dealt, fromClient, fromServer, ahead } = trafficOf(stepOf(made.program), made.program);
    expect(dealt).toEqual([{ length: 2 * 5 * (degree + 1) * 2 ** intervalBits, bits: OUT_RING }]);
    expect([fromClient, fromServer, ahead]).toEqual([undefined, undefined, undefined]);
  });
});
