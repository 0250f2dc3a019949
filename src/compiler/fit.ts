import { cos, realPower, sin, wholePower } from "../program/maths.ts";
import { PlanError } from "../program/steps.ts";

/** Solves the symmetric positive system A·x = b in place by Cholesky; a small ridge keeps nearly dependent bases apart. */
function solve(a: number[][], b: number[]): number[] {
  const n = b.length;
  for (let j = 0; j < n; j++) {
    for (let k = 0; k < j; k++) for (let i = j; i < n; i++) a[i][j] -= a[i][k] * a[j][k];
    const pivot = Math.sqrt(Math.max(a[j][j], 1e-300));
    for (let i = j; i < n; i++) a[i][j] /= pivot;
  }
  for (let i = 0; i < n; i++) {
    for (let k = 0; k < i; k++) b[i] -= a[i][k] * b[k];
    b[i] /= a[i][i];
  }
  for (let i = n - 1; i >= 0; i--) {
    for (let k = i + 1; k < n; k++) b[i] -= a[k][i] * b[k];
    b[i] /= a[i][i];
  }
  return b;
}

/** Least squares of `targets` by rows of basis values, with a weight for each row. */
function leastSquares(rows: readonly Float64Array[], targets: Float64Array, weights?: Float64Array): number[] {
  const size = rows[0].length;
  const a = Array.from({ length: size }, () => new Array<number>(size).fill(0));
  const b = new Array<number>(size).fill(0);
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i];
    const w = weights?.[i] ?? 1;
    for (let j = 0; j < size; j++) {
      b[j] += w * row[j] * targets[i];
      for (let k = 0; k <= j; k++) a[j][k] += w * row[j] * row[k];
    }
  }
  for (let j = 0; j < size; j++) {
    a[j][j] = a[j][j] * (1 + 1e-11) + 1e-11;
    for (let k = 0; k < j; k++) a[k][j] = a[j][k];
  }
  return solve(a, b);
}

function dot(row: Float64Array, c: readonly number[]): number {
  let sum = 0;
  for (let j = 0; j < row.length; j++) sum += row[j] * c[j];
  return sum;
}

export interface FourierFit {
  /** Harmonics 1, 2, 3, ... (1), or the odd ones alone (2). */
  readonly stride: 1 | 2;
  readonly cosines: readonly number[];
  readonly sines: readonly number[];
  readonly constant: number;
  /** Largest error over the range. */
  readonly error: number;
}

type Parity = "even" | "odd" | "none";

const COUNTS = [3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 16, 18, 20, 24, 28, 32, 40, 48, 64];
const FIT_POINTS = 601;

/**
 * f(x) ≈ constant + Σ a_k cos(2πkx/period) + b_k sin(2πkx/period) on [lo, hi] with few harmonics: consecutive ones, or odd
 * ones where half-wave symmetry helps. `parity` keeps only the half that can help an even or an odd function.
 * (protocols.md, "Any smooth function on a bounded range in one opening".)
 *
 * @throws PlanError when 64 harmonics do not come within ten times of `tolerance`, the largest error sought.
 */
export function fitFourier(
  f: (x: number) => number,
  range: readonly [number, number],
  period: number,
  parity: Parity,
  tolerance: number,
): FourierFit {
  const points = Float64Array.from({ length: FIT_POINTS }, (_, i) => {
    const c = 0.5 - 0.5 * cos((Math.PI * (i + 0.5)) / FIT_POINTS);
    return range[0] + (range[1] - range[0]) * c;
  });
  const targets = points.map(f);
  const strides: readonly (1 | 2)[] = parity === "none" ? [1] : [2, 1];
  let best = fitWith(points, targets, period, parity, COUNTS[0], strides[0]);
  for (const count of COUNTS) {
    for (const stride of strides) {
      const fit = fitWith(points, targets, period, parity, count, stride);
      if (fit.error < best.error) best = fit;
    }
    if (best.error <= tolerance) return best;
  }
  if (best.error > 10 * tolerance) {
    throw new PlanError(`no Fourier series fits the function on its range [${range.map(String)}]: narrow it`);
  }
  return best;
}

function fitWith(
  points: Float64Array,
  targets: Float64Array,
  period: number,
  parity: Parity,
  count: number,
  stride: 1 | 2,
): FourierFit {
  const angles = Array.from({ length: count }, (_, k) => ((1 + stride * k) * 2 * Math.PI) / period);
  const rows = Array.from(points, (x) => {
    const row = parity === "odd" ? [] : [1];
    if (parity !== "odd") for (const w of angles) row.push(cos(w * x));
    if (parity !== "even") for (const w of angles) row.push(sin(w * x));
    return Float64Array.from(row);
  });
  const c = leastSquares(rows, targets);
  const error = rows.reduce((worst, row, i) => Math.max(worst, Math.abs(dot(row, c) - targets[i])), 0);
  const zeros = new Array<number>(count).fill(0);
  if (parity === "odd") return { stride, cosines: zeros, sines: c, constant: 0, error };
  const cosines = c.slice(1, 1 + count);
  return { stride, cosines, sines: parity === "even" ? zeros : c.slice(1 + count), constant: c[0], error };
}

/**
 * A polynomial p of `degree` with small relative error to f on [lo, hi]: least squares of p/f - 1, re-weighted a few
 * times towards the largest error (Lawson). Returns coefficients from the constant up, and the largest relative error.
 */
export function fitRelative(
  f: (x: number) => number,
  lo: number,
  hi: number,
  degree: number,
): { coefficients: number[]; error: number } {
  const points = 201;
  // Basis over target: the fit of 1 by these rows has the relative error as its residual.
  const rows = Array.from({ length: points }, (_, i) => {
    const x = lo * realPower(hi / lo, i / (points - 1));
    return Float64Array.from({ length: degree + 1 }, (_, j) => wholePower(x, j) / f(x));
  });
  const ones = new Float64Array(points).fill(1);
  const weights = new Float64Array(points).fill(1);
  let coefficients: number[] = [];
  let error = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 30; round++) {
    const c = leastSquares(rows, ones, weights);
    const relative = rows.map((row) => Math.abs(dot(row, c) - 1));
    const worst = Math.max(...relative);
    if (worst < error) {
      error = worst;
      coefficients = c;
    }
    let total = 0;
    for (let i = 0; i < points; i++) {
      weights[i] *= relative[i] / worst + 1e-3;
      total += weights[i];
    }
    for (let i = 0; i < points; i++) weights[i] *= points / total;
  }
  return { coefficients, error };
}
