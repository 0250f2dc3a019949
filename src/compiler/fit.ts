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
function leastSquares(rows: readonly Float64Array[], targets: Float64Array, weights: Float64Array): number[] {
  const size = rows[0].length;
  const a = Array.from({ length: size }, () => new Array<number>(size).fill(0));
  const b = new Array<number>(size).fill(0);
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i];
    const w = weights[i];
    for (let j = 0; j < size; j++) {
      b[j] += w * row[j] * targets[i];
      for (let k = 0; k <= j; k++) a[j][k] += w * row[j] * row[k];
    }
  }
  for (let j = 0; j < size; j++) {
    a[j][j] = ridged(a[j][j]);
    for (let k = 0; k < j; k++) a[k][j] = a[j][k];
  }
  return solve(a, b);
}

function ridged(diagonal: number): number {
  return diagonal * (1 + 1e-11) + 1e-11;
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

const COUNTS = [3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 16, 18, 20, 24, 28, 32, 40, 48, 64, 96, 128];
export const MOST_HARMONICS = 64;
const FIT_POINTS = 601;
/** Of fits that may have more harmonics than the usual ones. */
const MORE_POINTS = 1501;

/**
 * f(x) ≈ constant + Σ a_k cos(2πkx/period) + b_k sin(2πkx/period) on [lo, hi] with few harmonics: consecutive ones, or odd
 * ones where half-wave symmetry helps. `parity` keeps only the half that can help an even or an odd function.
 * (protocols.md, "Any smooth function on a bounded range in one opening".)
 *
 * @throws PlanError when `most` harmonics do not come within ten times of `tolerance`, the largest error sought.
 */
export function fitFourier(
  f: (x: number) => number,
  range: readonly [number, number],
  period: number,
  parity: Parity,
  tolerance: number,
  most = MOST_HARMONICS,
): FourierFit {
  const length = most > MOST_HARMONICS ? MORE_POINTS : FIT_POINTS;
  const points = Float64Array.from({ length }, (_, i) => {
    const c = 0.5 - 0.5 * cos((Math.PI * (i + 0.5)) / length);
    return range[0] + (range[1] - range[0]) * c;
  });
  const targets = points.map(f);
  const strides: readonly (1 | 2)[] = parity === "none" ? [1] : [2, 1];
  const fits = strides.map((stride) => new FourierFits(points, targets, period, parity, stride));
  let best = fits[0].with(COUNTS[0]);
  for (const count of COUNTS.filter((one) => one <= most)) {
    for (const one of fits) {
      const fit = one.with(count);
      if (fit.error < best.error) best = fit;
    }
    if (best.error <= tolerance) return best;
  }
  if (best.error > 10 * tolerance) {
    throw new PlanError(`no Fourier series fits the function on its range [${range.map(String)}]: narrow it`);
  }
  return best;
}

/** One function of a basis at all points, and its products with the functions before it and with the targets. */
interface BasisFunction {
  readonly values: Float64Array;
  readonly products: Map<BasisFunction, number>;
  readonly target: number;
}

/** The fits of one function with more and more harmonics: what one has computed, the next one uses. */
class FourierFits {
  private readonly points: Float64Array;
  private readonly targets: Float64Array;
  private readonly period: number;
  private readonly parity: Parity;
  private readonly stride: 1 | 2;
  private readonly one: BasisFunction;
  private readonly cosines: BasisFunction[] = [];
  private readonly sines: BasisFunction[] = [];

  constructor(points: Float64Array, targets: Float64Array, period: number, parity: Parity, stride: 1 | 2) {
    this.points = points;
    this.targets = targets;
    this.period = period;
    this.parity = parity;
    this.stride = stride;
    this.one = this.made(() => 1);
  }

  with(count: number): FourierFit {
    const { parity, stride, targets } = this;
    this.extend(count);
    const basis = [
      ...(parity === "odd" ? [] : [this.one, ...this.cosines.slice(0, count)]),
      ...(parity === "even" ? [] : this.sines.slice(0, count)),
    ];
    const c = solve(...normalEquations(basis));
    let error = 0;
    for (let i = 0; i < targets.length; i++) {
      let sum = 0;
      for (let j = 0; j < c.length; j++) sum += basis[j].values[i] * c[j];
      error = Math.max(error, Math.abs(sum - targets[i]));
    }
    const zeros = new Array<number>(count).fill(0);
    if (parity === "odd") return { stride, cosines: zeros, sines: c, constant: 0, error };
    const cosines = c.slice(1, 1 + count);
    return { stride, cosines, sines: parity === "even" ? zeros : c.slice(1 + count), constant: c[0], error };
  }

  private extend(count: number): void {
    const { parity } = this;
    const known = () => Math.max(this.cosines.length, this.sines.length);
    for (let k = known(); k < count; k++) {
      const w = ((1 + this.stride * k) * 2 * Math.PI) / this.period;
      if (parity !== "odd") this.cosines.push(this.made((x) => cos(w * x)));
      if (parity !== "even") this.sines.push(this.made((x) => sin(w * x)));
    }
  }

  private made(of: (x: number) => number): BasisFunction {
    const values = this.points.map(of);
    return { values, products: new Map(), target: inner(values, this.targets) };
  }
}

/** The matrix and the right side that `solve` takes, a small ridge added. */
function normalEquations(basis: readonly BasisFunction[]): [number[][], number[]] {
  const a = basis.map(() => new Array<number>(basis.length).fill(0));
  for (let j = 0; j < basis.length; j++) {
    for (let k = 0; k <= j; k++) a[j][k] = productOf(basis[j], basis[k]);
    a[j][j] = ridged(a[j][j]);
    for (let k = 0; k < j; k++) a[k][j] = a[j][k];
  }
  return [a, basis.map(({ target }) => target)];
}

function productOf(x: BasisFunction, y: BasisFunction): number {
  let product = x.products.get(y);
  if (product === undefined) {
    product = inner(x.values, y.values);
    x.products.set(y, product);
  }
  return product;
}

function inner(x: Float64Array, y: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += x[i] * y[i];
  return sum;
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
