import { fitRelative } from "./fit.ts";
import { PlanError } from "./steps.ts";

export type RootKind = "reciprocal" | "inverseSqrt";

/** How one root is found: a first guess by a polynomial in x, then Newton steps, each one flight. */
export interface RootPlan {
  readonly kind: RootKind;
  /** From the constant up; in x normalised to [1/ratio, 1]. */
  readonly coefficients: readonly number[];
  readonly steps: number;
  /** Bits after the point of x in the Newton steps, of x in the guess, and of y. */
  readonly xBits: number;
  readonly guessBits: number;
  readonly yBits: number;
  /** Relative error after the last step, roundings of x and y included. */
  readonly error: number;
}

const exact = { reciprocal: (x: number) => 1 / x, inverseSqrt: (x: number) => 1 / Math.sqrt(x) } as const;
/** One Newton step on t, the approximation over the exact root; both maps have their top, 1, at t = 1. */
const step = { reciprocal: (t: number) => t * (2 - t), inverseSqrt: (t: number) => (t * (3 - t * t)) / 2 } as const;
/** A first guess may overshoot by this factor: beyond 2 and sqrt(3) the iterations diverge. */
export const OVERSHOOT = 1.7;
/** Bits kept free above the largest intermediate: sign, overshoot, and one to spare. */
const HEADROOM = 3;
const MOST_STEPS = 16;
const GOOD = 2 ** -11;

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
  const key = `${kind}:${ratio}`;
  const known = planned.get(key) ?? searchPlan(kind, ratio);
  planned.set(key, known);
  return known;
}

/** The same range comes in every turn of a decoder. */
const planned = new Map<string, RootPlan>();

function searchPlan(kind: RootKind, ratio: number): RootPlan {
  if (!(ratio >= 1) || !Number.isFinite(ratio)) throw new PlanError(`${kind}: the range of its input includes zero`);
  const top = Math.log2(exact[kind](1 / ratio));
  const yBits = kind === "inverseSqrt" ? 10 : 12;
  const stepBits = kind === "inverseSqrt" ? 1 + 3 * yBits : 2 * yBits;
  const xBits = Math.min(22, Math.floor(63 - HEADROOM - top - stepBits));
  if (xBits < 10) throw new PlanError(`${kind}: a range ratio of ${ratio.toFixed(0)} does not fit into 64 bits`);
  const rounding = (kind === "inverseSqrt" ? 0.5 : 1) * ratio * 2 ** -xBits;
  let best: RootPlan | null = null;
  for (let degree = 4; degree >= 2; degree--) {
    const guessBits = Math.min(xBits, Math.floor((63 - HEADROOM - top - 8) / degree));
    const guess = firstGuess(kind, ratio, degree, guessBits);
    let [lo, hi] = [guess.lo, guess.hi];
    for (let steps = 1; steps <= MOST_STEPS && lo > 0; steps++) {
      [lo, hi] = [lo - 2 ** -yBits, hi + 2 ** -yBits];
      const next = [step[kind](lo), step[kind](hi)];
      [lo, hi] = [Math.min(...next), lo < 1 && hi > 1 ? 1 : Math.max(...next)];
      const error = Math.max(1 - lo, hi - 1) + rounding;
      const plan = { kind, coefficients: guess.coefficients, steps, xBits, guessBits, yBits, error };
      if (best === null || better(plan, best)) best = plan;
    }
  }
  if (best === null) throw new PlanError(`${kind}: no first guess converges over a range ratio of ${ratio.toFixed(0)}`);
  return best;
}

function better(plan: RootPlan, than: RootPlan): boolean {
  const [good, wasGood] = [plan.error < GOOD, than.error < GOOD];
  if (good !== wasGood) return good;
  if (good && plan.steps !== than.steps) return plan.steps < than.steps;
  return plan.error < than.error;
}

/** A polynomial in x, rounded to guessBits, and the range of its ratio to the root; scaled down if it overshot. */
function firstGuess(kind: RootKind, ratio: number, degree: number, guessBits: number) {
  const f = exact[kind];
  const fit = fitRelative(f, 1 / ratio, 1, degree);
  let [lo, hi] = [Number.POSITIVE_INFINITY, 0];
  for (let i = 0; i <= 400; i++) {
    const x = ratio ** (i / 400 - 1);
    // x may be off by a unit either way.
    for (const at of [x - 2 ** -guessBits, x, x + 2 ** -guessBits]) {
      const t = fit.coefficients.reduceRight((sum, c) => sum * at + c, 0) / f(x);
      [lo, hi] = [Math.min(lo, t), Math.max(hi, t)];
    }
  }
  const scale = Math.min(1, OVERSHOOT / hi);
  return { coefficients: fit.coefficients.map((c) => c * scale), lo: lo * scale, hi: hi * scale };
}
