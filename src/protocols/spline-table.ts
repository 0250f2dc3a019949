/** The tables of splines: a polynomial for each interval, made from what a step says, the same on every machine. */
import { cos } from "../program/maths.ts";
import { Memo } from "../program/memo.ts";
import type { SplineName, StepOf } from "../program/steps.ts";

/** What a table is made from; see the step kind `spline`. */
export type SplineShape = Pick<
  StepOf<"spline">,
  "of" | "bits" | "intervalBits" | "degree" | "least" | "largest" | "coefficientBits"
>;

/** The functions, of values between 0 and 1 whose largest is 1. */
export const splineFunctions: Readonly<Record<SplineName, (x: number) => number>> = {
  reciprocal: (x) => 1 / x,
  inverseSqrt: (x) => 1 / Math.sqrt(x),
};

const tables = new Memo<Float64Array>(128);

/**
 * Coefficients times 2^coefficientBits as whole numbers: of u^0 for every interval, then of u^1, and so on. u goes from -1 to 1
 * over an interval and the one before it, since nobody knows whether low bits carried (spline.ts).
 */
export function splineTable(shape: SplineShape): Float64Array {
  const { of, bits, intervalBits, degree, least, largest, coefficientBits } = shape;
  const key = [of, bits, intervalBits, degree, least, largest, coefficientBits].join();
  return tables.of(key, () => {
    const intervals = 2 ** intervalBits;
    const table = new Float64Array((degree + 1) * intervals);
    for (let t = 0; t < intervals; t++)
      splinePiece(shape, t).forEach((c, j) => {
        table[j * intervals + t] = Math.round(c * 2 ** coefficientBits);
      });
    return table;
  });
}

/** How far below the least value a table still follows the function; further down it keeps the value that it has there. */
const REACH = 0.6;

/** Whose function a table follows: the least and the largest of these values, as whole numbers. */
export function splineRange({ bits, intervalBits, least }: SplineShape): [least: number, largest: number] {
  return [Math.ceil(REACH * least), 2 ** bits - 2 ** (bits - intervalBits) - 1];
}

/** The polynomial around the lower end of interval t, in u. */
export function splinePiece(shape: Omit<SplineShape, "coefficientBits">, t: number): number[] {
  const { of, bits, intervalBits, degree, least, largest } = shape;
  const unit = 2 ** (bits - intervalBits);
  const f = splineFunctions[of];
  const end = (REACH * least) / unit - t;
  // A value outside its range is wrong, but not beyond what its readers' rings hold.
  if (end >= 1) return [f((REACH * least) / largest), ...new Array<number>(degree).fill(0)];
  const [from, to] = [Math.max(-1, end), 1];
  const nodes = Array.from({ length: degree + 1 }, (_, j) => {
    const c = cos((Math.PI * (j + 0.5)) / (degree + 1));
    return 0.5 * (from + to) + 0.5 * (to - from) * c;
  });
  return interpolated(
    nodes,
    nodes.map((u) => f(((t + u) * unit) / largest)),
  );
}

/** The polynomial through given points, from the constant up: Newton's divided differences, expanded. */
function interpolated(nodes: readonly number[], values: number[]): number[] {
  const differences = [...values];
  for (let order = 1; order < nodes.length; order++)
    for (let i = nodes.length - 1; i >= order; i--) {
      differences[i] = (differences[i] - differences[i - 1]) / (nodes[i] - nodes[i - order]);
    }
  const out = new Array<number>(nodes.length).fill(0);
  for (let i = nodes.length - 1; i >= 0; i--) {
    for (let j = nodes.length - 1; j > 0; j--) out[j] = out[j - 1] - nodes[i] * out[j];
    out[0] = differences[i] - nodes[i] * out[0];
  }
  return out;
}
