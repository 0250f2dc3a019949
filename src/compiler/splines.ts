/** How a root is found by a dealt spline: how many intervals of which degree, and whether a Newton step follows. */
import { log2, realPower } from "../program/maths.ts";
import { Memo } from "../program/memo.ts";
import { DEFAULT_MARGIN } from "../program/plan.ts";
import { splinePiece } from "../protocols/spline-table.ts";
import { exact, GOOD, type NewtonPlan, type RootKind, roomForX, Y_BITS } from "./newton.ts";

/** The spline that a root begins with, or is. */
interface SplineGuess {
  /** Bits of x that it reads, and those of them that choose an interval. */
  readonly bits: number;
  readonly intervalBits: number;
  readonly degree: number;
  /** Bits after the point of its coefficients. */
  readonly coefficientBits: number;
}

export type SplinePlan = NewtonPlan<SplineGuess>;

/** What share of its ring the largest value fills at least, once it is scaled (roots.ts). */
const FILL = 0.8;
const INTERVAL_BITS = [5, 6, 7, 8, 9, 10];
const DEGREES = [1, 2, 3];
const MOST_STEPS = 2;
/** Bytes that the dealer may send to spare one flight. */
const FLIGHT_BYTES = 4e6;
/** Bytes of a coefficient, about. */
const WORD_BYTES = 4;
/** Bits of a spline's own roundings below what is asked for. */
const SPARE_BITS = 3;
/** Of a guess that a Newton step follows. */
const GUESS_BITS = 12;
const X_BITS = 22;
/** Newton steps take no guess beyond this relative error. */
const MOST_GUESS_ERROR = 0.3;
const SAMPLES = 64;
/** How far above its least value a spline is judged: relative errors fall from there on. */
const JUDGED = 8;

const planned = new Memo<SplinePlan | null>();

/**
 * The cheapest spline for `values` values in [1/ratio, 1] with so many `bits` after the point whose relative error stays below
 * 2^-11 (2^-9 near the lower end); null where none of them does: a range too wide for even intervals.
 */
export function planSpline(kind: RootKind, ratio: number, values: number, bits: number): SplinePlan | null {
  if (!(ratio >= 1) || !Number.isFinite(ratio)) return null;
  return planned.of(`${kind}:${ratio}:${values}:${bits}`, () => searchSpline(kind, ratio, values, bits));
}

function searchSpline(kind: RootKind, ratio: number, values: number, bits: number): SplinePlan | null {
  const candidates = INTERVAL_BITS.flatMap((intervalBits) =>
    DEGREES.flatMap((degree) =>
      Array.from({ length: MOST_STEPS + 1 }, (_, steps) => {
        const cost = steps + (values * (degree + 1) * 2 ** intervalBits * WORD_BYTES) / FLIGHT_BYTES;
        return { intervalBits, degree, steps, cost };
      }),
    ),
  ).sort((a, b) => a.cost - b.cost);
  const errors = new Map<string, number>();
  for (const { intervalBits, degree, steps } of candidates) {
    const key = `${intervalBits},${degree}`;
    const fitted = errors.get(key) ?? fitError(kind, ratio, intervalBits, degree);
    errors.set(key, fitted);
    const plan = planWith(kind, ratio, { intervalBits, degree, steps, bits, fitted });
    if (plan !== null && plan.error < GOOD) return plan;
  }
  return null;
}

interface Candidate {
  readonly intervalBits: number;
  readonly degree: number;
  readonly steps: number;
  readonly bits: number;
  /** Relative error of the spline itself. */
  readonly fitted: number;
}

function planWith(kind: RootKind, ratio: number, c: Candidate): SplinePlan | null {
  const slope = kind === "inverseSqrt" ? 0.5 : 1;
  const lost = (bits: number) => (slope * ratio * 2 ** -bits) / FILL;
  // x's own rounding stays a quarter of what is allowed; of a guess it is squared.
  const wanted = c.steps === 0 ? Math.ceil(log2((slope * ratio * 4) / (FILL * GOOD))) : Math.ceil(log2(ratio)) + 8;
  const bits = Math.max(wanted, c.intervalBits + 2);
  const coefficientBits = c.steps === 0 ? c.bits + SPARE_BITS : GUESS_BITS;
  const yBits = Y_BITS[kind][0];
  const xBits = c.steps === 0 ? bits : Math.min(X_BITS, roomForX(kind, ratio, yBits));
  if (xBits < bits) return null;
  let error = c.fitted + lost(bits) + (c.degree + 2) * 2 ** -coefficientBits;
  for (let step = 0; step < c.steps; step++) {
    if (error > MOST_GUESS_ERROR) return null;
    const e = error + 2 ** -yBits;
    error = (kind === "inverseSqrt" ? 1.5 * e * e + 0.5 * e * e * e : e * e) + lost(xBits);
  }
  const guess = { bits, intervalBits: c.intervalBits, degree: c.degree, coefficientBits };
  return { kind, guess, steps: c.steps, xBits, yBits, error };
}

/**
 * The largest relative error of the intervals' polynomials, each value in the interval that it lies in and in the next. Near the
 * range's lower end, where calibration has seen nothing, a quarter of it counts.
 */
function fitError(of: RootKind, ratio: number, intervalBits: number, degree: number): number {
  const bits = intervalBits + 20;
  const [largest, unit] = [FILL * 2 ** bits, 2 ** 20];
  const shape = { of, bits, intervalBits, degree, least: largest / ratio, largest };
  let worst = 0;
  for (let i = 0; i <= SAMPLES; i++) {
    const x = shape.least * realPower(Math.min(ratio, JUDGED), i / SAMPLES);
    for (const t of [Math.floor(x / unit), Math.floor(x / unit) + 1]) {
      const y = splinePiece(shape, t).reduceRight((sum, c) => sum * (x / unit - t) + c, 0);
      const error = Math.abs(y / exact[of](x / largest) - 1);
      worst = Math.max(worst, x < DEFAULT_MARGIN * shape.least ? error / 4 : error);
    }
  }
  return worst;
}
