/** Elementwise functions: products, polynomials, smooth functions as Fourier series, ReLU. */

import { log2, wholePower } from "../program/maths.ts";
import type { SmoothName } from "../program/ops.ts";
import { magnitude, type Range } from "../program/plan.ts";
import { capOf } from "../program/smooth.ts";
import type { Value } from "../program/steps.ts";
import { SERIES_WORK } from "./budget.ts";
import { constant } from "./builder.ts";
import { counting } from "./causal.ts";
import { notNegative } from "./comparison.ts";
import { type Context, SCORE_BITS, SCORE_UNIT_BITS } from "./context.ts";
import {
  groupOf,
  type Handle,
  LEAST_BITS,
  labelOf,
  plainShare,
  rangeOf,
  type ShareHandle,
  shareOf,
} from "./handles.ts";
import { lifted, polynomial } from "./roots.ts";
import { masked, openedAt } from "./rows.ts";
import { reachOf, rootOf, seriesOf } from "./series.ts";
import { emit } from "./sums.ts";

/** Of a score that is squared after a shift of a few units (2Quad). */
const SHIFTED_UNIT_BITS = 4;
const FOURIER_BITS = 14;
const TRIG_BITS = 14;
const FOURIER_OUT_BITS = 26;
/** Bits after the point that a polynomial's highest power may have: e^(x/4)'s fourth still fits 64 bits as products read it. */
const POWER_BITS = 40;

/** The product of two values, entry by entry. */
export function multiply(c: Context, x: Handle, y: Handle): Handle {
  const op = c.next(labelOf(y) ?? labelOf(x), "activation");
  const range = c.ranges.signed(op, "out");
  const finer = c.finer + c.more("gates");
  const [a, b] = [x, y].map((one) => masked(c, one, SCORE_BITS + finer, 12 + finer));
  const out = c.b.value("product", a.rows, a.columns, a.scale * b.scale, magnitude(range), "share");
  polynomial(c.b, [lifted(a), lifted(b)], [{ coefficient: 1, degrees: [1, 1] }], 0, out);
  return plainShare(out, range, "activation");
}

/** A polynomial of each entry, at a scale that its coefficients fit. */
export function polynomialOf(c: Context, given: Handle, coefficients: readonly number[]): Handle {
  const op = c.next(labelOf(given), groupOf(given));
  const x = counting(c, given);
  const range = c.ranges.signed(op, "out");
  const degree = coefficients.length - 1;
  const reach = magnitude(rangeOf(x));
  const slope = coefficients.reduce((sum, c, j) => sum + Math.abs(c) * j * wholePower(reach, Math.max(0, j - 1)), 0);
  const least = leastBits(slope * reach, magnitude(range));
  const usual = c.target(rangeOf(x), SCORE_BITS, Math.min(12, Math.floor(POWER_BITS / degree)), least);
  // Scores are near to others of their row, not to the widest row's.
  const isScore = groupOf(x) === "softmax" && degree === 2;
  const opened = openedAt(c, x, isScore ? Math.max(usual, 2 ** SHIFTED_UNIT_BITS) : usual);
  // Enough bits after the point for the coefficients themselves: 2^12 below the largest of them.
  const extra = 2 ** Math.max(0, 12 - Math.ceil(log2(Math.max(...coefficients.map(Math.abs)))) - (degree > 2 ? 12 : 0));
  const scale = wholePower(opened.scale, degree) * (isExact(coefficients) ? exactScale(coefficients) : extra);
  const monomials = coefficients
    .map((c, j) => ({ coefficient: constant((c * scale) / wholePower(opened.scale, j)), degrees: [j] }))
    .filter((m) => m.coefficient !== 0 && m.degrees[0] > 0);
  const out = c.b.value(c.b.label, opened.rows, opened.columns, scale, magnitude(range), "share");
  polynomial(c.b, [lifted(opened)], monomials, constant(coefficients[0] * scale), out);
  return following(x, out, range, coefficients[0] === 0);
}

/** A smooth function of each entry, as a Fourier series of the opened value and a linear part. */
export function smooth(c: Context, given: Handle, name: SmoothName): Handle {
  const op = c.next(labelOf(given), groupOf(given));
  if (isOrderAlone(c, given, name)) return given;
  const x = counting(c, given);
  const range = c.ranges.signed(op, "out");
  const source = x.kind === "linear" ? emit(c, x) : shareOf(x).value;
  const reach = reachOf(name, rangeOf(x));
  const exponential = name === "exp/4";
  const finer = c.finer + c.more("gates");
  const closer = exponential ? 0 : c.more("series");
  const inputScale = exponential
    ? Math.max(c.target(reach, FOURIER_BITS, 14), 2 ** (SCORE_UNIT_BITS + c.finer + c.more("scores")))
    : c.target(reach, FOURIER_BITS + finer, 14 + finer, leastBits(magnitude(reach), magnitude(range)));
  const opened = c.b.open(source, x.kind === "linear" ? "forward" : "exchange", inputScale, magnitude(reach));
  const root = rootOf(name, reach);
  c.b.budget.fit(`${name}:${reach}:${opened.scale}:${root}:${closer}`, SERIES_WORK);
  const fit = seriesOf(name, reach, opened.scale, root, closer);
  const scale =
    2 ** Math.max(FOURIER_OUT_BITS + c.finer + closer * 2, FOURIER_BITS + 2 - Math.ceil(log2(magnitude(range))));
  const trigBits = TRIG_BITS + closer;
  const series = c.b.value(name, opened.rows, opened.columns, scale, magnitude(range), "share");
  c.b.add(
    {
      kind: "fourier",
      x: opened.id,
      periodBits: fit.periodBits,
      stride: fit.stride,
      cosines: fit.cosines,
      sines: fit.sines,
      constant: constant(fit.constant * scale),
      factorScale: scale / 2 ** trigBits,
      trigBits,
    },
    series,
  );
  if (fit.slope === 0) return following(x, power(c, series, root, range), range, false);
  // The linear part comes from the same opened value, lifted: the input may stay in its narrow ring.
  const out = c.b.value(name, opened.rows, opened.columns, scale, magnitude(range), "share");
  const monomials = [{ coefficient: constant((fit.slope * scale) / opened.scale), degrees: [1] }];
  const addends = [{ x: series.id, coefficient: 1, repeat: 1 }];
  c.b.add({ kind: "polynomial", variables: [lifted(opened)], monomials, addends, constant: 0, rowSum: false }, out);
  return following(x, out, range, false);
}

/** Whether nothing is told of logits but which is the largest: a cap keeps their order. */
function isOrderAlone(c: Context, given: Handle, name: SmoothName): boolean {
  const tells = c.spec.answer === "label" && c.shape.temperature === 0;
  return tells && capOf(name) !== null && labelOf(given) === "head";
}

/** x^root, four at a time: each an opening and a local polynomial. */
function power(c: Context, x: Value, root: number, range: Range): Value {
  let current = x;
  for (let left = root; left > 1; left /= 4) {
    const opened = c.b.open(current, "exchange", 2 ** (POWER_BITS / 4 + c.more("exponentials")), magnitude(range));
    current = c.b.value(x.name, x.rows, x.columns, wholePower(opened.scale, 4), magnitude(range), "share");
    polynomial(c.b, [lifted(opened)], [{ coefficient: 1, degrees: [4] }], 0, current);
  }
  return current;
}

/** The larger of each entry and 0: the entry times its sign's bit. */
export function relu(c: Context, given: Handle): Handle {
  const op = c.next(labelOf(given), groupOf(given));
  const x = counting(c, given);
  const range = c.ranges.signed(op, "out");
  const opened = masked(c, x, SCORE_BITS);
  const bit = notNegative(c.b, opened);
  const out = c.b.value("relu", opened.rows, opened.columns, opened.scale, magnitude(range), "share");
  polynomial(
    c.b,
    [lifted(opened), { x: bit.id, kind: "bit", repeat: 1, room: 0 }],
    [{ coefficient: 1, degrees: [1, 1] }],
    0,
    out,
  );
  return following(x, out, range, true);
}

/** The result of an elementwise function; `keepsZero`: whether it is 0 at 0. */
function following(x: Handle, value: Value, range: Range, keepsZero: boolean): ShareHandle {
  const plain = plainShare(value, range, groupOf(x));
  if (x.kind !== "share") return plain;
  return { ...plain, causal: x.causal, behind: keepsZero ? x.behind : "known", beyond: x.beyond };
}

/** The least significant bits of x where f(x) varies by `variation` in all, and is `size` large: f(x) shall have the least ones. */
function leastBits(variation: number, size: number): number {
  return LEAST_BITS + Math.min(0, Math.floor(log2(variation / size)));
}

function isExact(coefficients: readonly number[]): boolean {
  return coefficients.every((c) => Number.isInteger(c * 2 ** 10));
}

function exactScale(coefficients: readonly number[]): number {
  let scale = 1;
  while (!coefficients.every((c) => Number.isInteger(c * scale))) scale *= 2;
  return scale;
}
