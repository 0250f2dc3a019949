/** Planning: what is refused, how rings, roots and flights are chosen. */
import { beforeAll, describe, expect, it } from "vitest";
import { calibrate } from "../../src/compiler/calibrate.ts";
import { compile } from "../../src/compiler/compile.ts";
import { fitFourier } from "../../src/compiler/fit.ts";
import { planRoot } from "../../src/compiler/newton.ts";
import { rootOf, seriesOf } from "../../src/compiler/series.ts";
import { randomText, randomWeights } from "../../src/models/catalog.ts";
import { loadModel } from "../../src/models/checkpoint.ts";
import { BUCKETS, bucketFor, fewestTokens } from "../../src/program/lengths.ts";
import { liftBits } from "../../src/program/lift.ts";
import type { Plan, Range } from "../../src/program/plan.ts";
import { smoothFunctions } from "../../src/program/smooth.ts";
import { oneTurn, type Program } from "../../src/program/steps.ts";
import { costOf } from "../../src/protocols/cost.ts";
import { fixture } from "../models/fixtures.ts";
import { TINY } from "../parties/harness.ts";

let plan: Plan;
let program: Program;
beforeAll(() => {
  const texts = Array.from({ length: 8 }, (_, i) => randomText(TINY, 4 + i, i));
  plan = calibrate(TINY, randomWeights(TINY, 5), texts);
  program = compile(TINY, plan, oneTurn(16));
});

describe("lengths", () => {
  it("has a bucket for every length up to the model's limit", () => {
    for (let tokens = 1; tokens <= 512; tokens++) {
      const bucket = bucketFor(tokens, 512);
      expect(bucket).toBeGreaterThanOrEqual(tokens);
      if (tokens > 2) expect(fewestTokens(oneTurn(bucket))).toBeLessThanOrEqual(tokens);
    }
    expect(bucketFor(70, 72)).toBe(72);
    expect(() => bucketFor(73, 72)).toThrow(/73 tokens, the model takes 72/);
    expect(BUCKETS.map((length) => fewestTokens(oneTurn(length)))[1]).toBe(9);
    expect(fewestTokens({ length: 128, anyLength: true })).toBe(3);
  });
});

describe("a compiled program", () => {
  it("computes nothing before its inputs, and every step once", () => {
    const done = new Set<number>();
    const steps: number[] = [];
    for (const slot of program.flights) {
      for (const id of [...slot.local, ...slot.opens]) {
        const step = program.steps[id];
        for (const input of program.reads[id]) expect(done, `${step.kind} ${id}`).toContain(input);
        if (slot.local.includes(id)) done.add(step.out);
        steps.push(id);
      }
      for (const id of slot.opens) done.add(program.steps[id].out);
    }
    expect(steps.sort((a, b) => a - b)).toEqual(program.steps.map((s) => s.id));
  });

  it("gives every lifted value room, and no ring beyond 64 bits", () => {
    for (const step of program.steps) {
      if (step.kind !== "polynomial") continue;
      for (const v of step.variables) {
        const value = program.values[v.x];
        if (v.kind === "lifted") expect(value.ring).toBeGreaterThanOrEqual(liftBits(value));
      }
    }
    for (const value of program.values) expect(value.ring).toBeLessThanOrEqual(64);
  });

  it("is the same for the same plan, and its weights' operands differ where anything differs", () => {
    expect(compile(TINY, plan, oneTurn(16))).toEqual(program);
    const keys = program.weights.map((w) => JSON.stringify(w.ref));
    expect(new Set(keys).size).toBe(keys.length);
  });

  it("says how many bits its values gave up for the rings to fit", async () => {
    expect(costOf(program).slack).toBe(0);
    // Scores a million times as wide as they are leave no room for the others' bits.
    const { spec, weights } = await loadModel(fixture("llama"));
    const { ranges, ...own } = calibrate(spec, weights, [randomText(spec, 6, 1)]);
    const wide = Object.entries(ranges).map(([name, [low, high]]): [string, Range] => {
      const factor = name.endsWith("shifted.out") ? 2 ** 20 : 1;
      return [name, [factor * low, factor * high]];
    });
    expect(costOf(compile(spec, { ...own, ranges }, oneTurn(16))).slack).toBe(0);
    expect(costOf(compile(spec, { ...own, ranges: Object.fromEntries(wide) }, oneTurn(16))).slack).toBe(5);
  });

  it("costs more bytes for more tokens, at the same flights within a few", () => {
    const [short, long] = [costOf(program), costOf(compile(TINY, plan, oneTurn(32)))];
    expect(long.online.bytes.client_to_server).toBeGreaterThan(1.8 * short.online.bytes.client_to_server);
    expect(Math.abs(long.online.flights - short.online.flights)).toBeLessThan(8);
    expect(long.macs).toBeGreaterThan(1.5 * short.macs);
  });

  it("lifts what is read in a wide ring, and gives up precision, before it gives up", () => {
    const wide = (factor: number): Plan => ({
      ...plan,
      ranges: Object.fromEntries(
        Object.entries(plan.ranges).map(([k, [lo, hi]]) => [
          k,
          k.endsWith(".mean") ? [lo * factor, hi * factor] : [lo, hi],
        ]),
      ),
    });
    const widened = compile(TINY, wide(2 ** 10), oneTurn(16));
    // Four more steps in each of two layers at most: an opening and its lift, of the norm and of attention's weights.
    expect(widened.steps.length).toBeLessThanOrEqual(program.steps.length + 8);
    expect(Math.max(...widened.values.map((v) => v.ring))).toBeLessThanOrEqual(64);
    expect(() => compile(TINY, wide(2 ** 60), oneTurn(16))).toThrow(
      /needs a ring of \d+ bits, 64 are there|does not fit into 64 bits/,
    );
  });

  it("refuses a plan without a range, or for other operations", () => {
    const { "layer.0.query.out": _gone, ...ranges } = plan.ranges;
    expect(() => compile(TINY, { ...plan, ranges }, oneTurn(16))).toThrow(
      /no range "out" for layer.0.query: calibrate/,
    );
    expect(() => calibrate(TINY, randomWeights(TINY, 5), [])).toThrow(/at least one text/);
  });
});

describe("roots", () => {
  it.each([1.5, 4, 16, 64, 300, 3000])("plans 1/x over a ratio of %d", (ratio) => {
    const root = planRoot("reciprocal", ratio);
    expect(root.error).toBeLessThan(ratio > 100 ? 0.02 : 2 ** -11);
    expect(root.steps).toBeLessThanOrEqual(16);
  });

  it.each([1.5, 4, 16, 64, 300, 2000])("plans x^-1/2 over a ratio of %d", (ratio) => {
    expect(planRoot("inverseSqrt", ratio).error).toBeLessThan(ratio > 100 ? 0.002 : 2 ** -11);
  });

  it.each([4e4, 1e6])("finds room for a ratio of %d", (ratio) => {
    for (const kind of ["reciprocal", "inverseSqrt"] as const) expect(planRoot(kind, ratio).error).toBeLessThan(0.02);
  });

  it("refuses a ratio whose roots would be wrong", () => {
    expect(() => planRoot("reciprocal", 1e8)).toThrow(/does not fit into 64 bits/);
    expect(() => planRoot("inverseSqrt", 1e10)).toThrow(/does not fit into 64 bits/);
  });

  it.each([0.5, Number.NaN, Number.POSITIVE_INFINITY, -1])("refuses a ratio of %d", (ratio) => {
    expect(() => planRoot("reciprocal", ratio)).toThrow(/includes zero/);
  });
});

describe("exponentials", () => {
  it.each([20, 60, 200, 900])("have a series on a range of %d, and an error that stays small in the power", (width) => {
    const reach = [-width, 0] as const;
    const root = rootOf("exp/4", reach);
    const { constant, cosines, sines, stride, periodBits } = seriesOf("exp/4", reach, 2 ** 10, root);
    const period = 2 ** (periodBits - 10);
    let worst = 0;
    for (let x = -width; x <= 0; x += width / 997) {
      let sum = constant;
      cosines.forEach((c, k) => {
        const angle = ((1 + stride * k) * 2 * Math.PI * x) / period;
        sum += c * Math.cos(angle) + sines[k] * Math.sin(angle);
      });
      worst = Math.max(worst, Math.abs(sum ** (4 * root) - Math.exp(x)));
    }
    expect(worst).toBeLessThan(0.01);
  });
});

describe("Fourier fits", () => {
  it.each([
    [6, 16],
    [12, 32],
    [28, 64],
  ])("GeLU on ±%d with period %d as accurately as published", (reach, period) => {
    const even = (x: number) => smoothFunctions.gelu(x) - x / 2;
    const fit = fitFourier(even, [-reach, reach], period, "even", 2 ** -12 * Math.max(1, reach / 8));
    expect(fit.error).toBeLessThan(1e-3);
    expect(fit.cosines.length).toBeLessThanOrEqual(20);
    // The coefficients are the function: evaluated again, away from the fitted points.
    for (let x = -reach; x <= reach; x += 0.0371) {
      let sum = fit.constant;
      fit.cosines.forEach((c, k) => {
        sum += c * Math.cos(((1 + fit.stride * k) * 2 * Math.PI * x) / period);
      });
      expect(Math.abs(sum - even(x))).toBeLessThan(1.1 * fit.error + 1e-6);
    }
  });

  it("take twice the harmonics where a range is too wide for the usual ones: a gate of real decoders reaches 100", () => {
    for (const [name, most] of [
      ["silu", 64],
      ["silu", 300],
    ] as const) {
      const { error, cosines } = seriesOf(name, [-most, most], 2 ** 8);
      expect(error).toBeLessThan((10 * 2 ** -12 * 2 * most) / 16);
      expect(cosines.length).toBeGreaterThan(most > 64 ? 64 : 1);
      expect(cosines.length).toBeLessThanOrEqual(most > 64 ? 128 : 64);
    }
    expect(() => seriesOf("silu", [-5000, 5000], 2 ** 4)).toThrow(/no Fourier series fits/);
  });

  it("refuses what no series of 64 harmonics reaches", () => {
    expect(() => fitFourier((x) => Math.sign(x - 0.1), [-1, 1], 3, "none", 2 ** -12)).toThrow(/no Fourier series fits/);
  });
});
