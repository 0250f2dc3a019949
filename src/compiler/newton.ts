import { log2, realPower } from "../program/maths.ts";
import { Memo } from "../program/memo.ts";
import type { Range } from "../program/plan.ts";
import { PlanError } from "../program/steps.ts";
import { fitRelative } from "./fit.ts";

export type RootKind = "reciprocal" | "inverseSqrt";

/** A first guess by a polynomial in x, normalised to [1/ratio, 1]. */
interface PolynomialGuess {
  /** From the constant up. */
  readonly coefficients: readonly number[];
  /** Bits after the point of x in the guess. */
  readonly guessBits: number;
}

/** How one root is found: a first guess, then Newton steps, each one flight. */
export interface NewtonPlan<Guess> {
  readonly kind: RootKind;
  readonly guess: Guess;
  readonly steps: number;
  /** Bits after the point of x in the Newton steps, and of y. */
  readonly xBits: number;
  readonly yBits: number;
  /** Relative error after the last step, roundings of x and y included. */
  readonly error: number;
}

export type RootPlan = NewtonPlan<PolynomialGuess>;

export const exact = { reciprocal: (x: number) => 1 / x, inverseSqrt: (x: number) => 1 / Math.sqrt(x) } as const;
/** One Newton step on t, the approximation over the exact root; both maps have their top, 1, at t = 1. */
const step = { reciprocal: (t: number) => t * (2 - t), inverseSqrt: (t: number) => (t * (3 - t * t)) / 2 } as const;
/** A first guess may overshoot by this factor: beyond 2 and sqrt(3) the iterations diverge. */
export const OVERSHOOT = 1.7;
/** Bits kept free above the largest intermediate: sign, overshoot, and one to spare. */
const HEADROOM = 3;
const MOST_STEPS = 20;
export const GOOD = 2 ** -11;
/** Beyond this relative error a plan is refused: an answer made with it would be wrong, not rough. */
const MOST_ERROR = 2 ** -5;
/** Bits after the point of y between the steps, the preferred first; fewer leave room for a wider range of x. */
export const Y_BITS = { reciprocal: [12, 10, 8, 7, 6, 5, 4], inverseSqrt: [10, 8, 7, 6, 5, 4] } as const;
const LEAST_X_BITS = 10;
const X_BITS = 22;
/** What x may take where its range is wide. */
const MOST_X_BITS = 32;

/**
 * The cheapest plan (fewest flights) for x in [1/ratio, 1] whose relative error stays below 2^-11, else the most
 * accurate one. y itself needs few bits between the steps: its rounding enters the next error squared.
 *
 * Scales: the guess of degree d leaves at scale 2^(d·guessBits + 8); a Newton step of 1/x at 2^(xBits + 2·yBits), one of
 * x^-1/2 at 2^(1 + xBits + 3·yBits); all must hold y's largest value below 2^63. (protocols.md, "Reciprocal, inverse
 * square root".)
 *
 * @throws PlanError when the range is not positive, or too wide for 64 bits.
 */
export function planRoot(kind: RootKind, ratio: number): RootPlan {
  return planned.of(`${kind}:${ratio}`, () => searchPlan(kind, ratio));
}

const planned = new Memo<RootPlan>();

function searchPlan(kind: RootKind, ratio: number): RootPlan {
  if (!(ratio >= 1) || !Number.isFinite(ratio)) throw new PlanError(`${kind}: the range of its input includes zero`);
  const start = startOf(kind, ratio);
  let best: RootPlan | null = null;
  for (const yBits of Y_BITS[kind]) {
    for (const plan of plansFor(start, kind, ratio, yBits)) if (best === null || better(plan, best)) best = plan;
    if (best !== null && best.error < GOOD) break;
  }
  if (best === null || best.error > MOST_ERROR)
    throw new PlanError(`${kind}: a range ratio of ${ratio.toFixed(0)} does not fit into 64 bits`);
  return best;
}

/** What all plans for one range begin with. */
interface Start {
  readonly samples: readonly number[];
  /** The fitted polynomial of a degree. */
  readonly fit: (degree: number) => readonly number[];
}

function startOf(kind: RootKind, ratio: number): Start {
  const fits = new Map<number, readonly number[]>();
  const fit = (degree: number) => {
    const known = fits.get(degree) ?? fitRelative(exact[kind], 1 / ratio, 1, degree).coefficients;
    fits.set(degree, known);
    return known;
  };
  return { samples: samples(ratio), fit };
}

function* plansFor(start: Start, kind: RootKind, ratio: number, yBits: number): Generator<RootPlan> {
  const f = exact[kind];
  const top = log2(f(1 / ratio));
  const most = yBits === Y_BITS[kind][0] ? X_BITS : MOST_X_BITS;
  const xBits = Math.min(most, roomForX(kind, ratio, yBits));
  if (xBits < LEAST_X_BITS) return;
  const rounding = (kind === "inverseSqrt" ? 0.5 : 1) * ratio * 2 ** -xBits;
  const units = start.samples.map((x) => 2 ** -yBits / f(x)); // y's rounding is a part of the root, the larger the smaller it is
  for (let degree = 4; degree >= 2; degree--) {
    const guessBits = Math.min(xBits, Math.floor((63 - HEADROOM - top - 8) / degree));
    let { coefficients, ratios } = firstGuess(start, kind, degree, guessBits);
    for (let steps = 1; steps <= MOST_STEPS; steps++) {
      ratios = ratios.map(([lo, hi], i) => {
        const [from, to] = [lo - units[i], hi + units[i]];
        const [a, b] = [step[kind](from), step[kind](to)];
        return [Math.min(a, b), from < 1 && to > 1 ? 1 : Math.max(a, b)];
      });
      if (ratios.some(([lo]) => lo <= 0)) break;
      const error = Math.max(...ratios.map(([lo, hi]) => Math.max(1 - lo, hi - 1))) + rounding;
      yield { kind, guess: { coefficients, guessBits }, steps, xBits, yBits, error };
    }
  }
}

/** Bits that a Newton step's 64 leave for x. */
export function roomForX(kind: RootKind, ratio: number, yBits: number): number {
  const stepBits = kind === "inverseSqrt" ? 1 + 3 * yBits : 2 * yBits;
  return Math.floor(63 - HEADROOM - log2(exact[kind](1 / ratio)) - stepBits);
}

/** Where a plan is judged: x from 1/ratio to 1, the same factor apart. */
function samples(ratio: number): number[] {
  return Array.from({ length: 401 }, (_, i) => realPower(ratio, i / 400 - 1));
}

function better(plan: RootPlan, than: RootPlan): boolean {
  const [good, wasGood] = [plan.error < GOOD, than.error < GOOD];
  if (good !== wasGood) return good;
  if (good && plan.steps !== than.steps) return plan.steps < than.steps;
  return plan.error < than.error;
}

/** A polynomial in x, rounded to guessBits, and its ratio to the root at each sample, at least and at most; scaled down if it overshot. */
function firstGuess(start: Start, kind: RootKind, degree: number, guessBits: number) {
  const f = exact[kind];
  const fitted = start.fit(degree);
  const ratios = start.samples.map((x): Range => {
    // x may be off by a unit either way.
    const at = [x - 2 ** -guessBits, x, x + 2 ** -guessBits];
    const ts = at.map((x1) => fitted.reduceRight((sum, c) => sum * x1 + c, 0) / f(x));
    return [Math.min(...ts), Math.max(...ts)];
  });
  const scale = Math.min(1, OVERSHOOT / Math.max(...ratios.map(([, hi]) => hi)));
  return {
    coefficients: fitted.map((c) => c * scale),
    ratios: ratios.map(([lo, hi]): Range => [lo * scale, hi * scale]),
  };
}
