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
/** Bits kept free above the largest intermediate: sign, the guess's own error, and one to spare. */
const HEADROOM = 3;

/**
 * The cheapest plan (fewest flights) for x in [1/ratio, 1] whose relative error stays below 2^-11, else the most
 * accurate one.
 *
 * Scales: the guess of degree d leaves at scale 2^(d·guessBits + 8); a Newton step of 1/x at 2^(xBits + 2·yBits), one of
 * x^-1/2 at 2^(1 + xBits + 3·yBits); all must hold y's largest value below 2^63. (protocols.md, "Reciprocal, inverse
 * square root".)
 *
 * @throws PlanError when the range is not positive, or too wide for 64 bits.
 */
export function planRoot(kind: RootKind, ratio: number): RootPlan {
  if (!(ratio >= 1) || !Number.isFinite(ratio)) throw new PlanError(`${kind}: the range of its input includes zero`);
  const f = exact[kind];
  const top = Math.log2(f(1 / ratio));
  const yBits = kind === "inverseSqrt" ? 12 : 14;
  const stepBits = kind === "inverseSqrt" ? 1 + 3 * yBits : 2 * yBits;
  const xBits = Math.min(22, Math.floor(63 - HEADROOM - top - stepBits));
  if (xBits < 10) throw new PlanError(`${kind}: a range ratio of ${ratio.toFixed(0)} does not fit into 64 bits`);
  const rounding = (kind === "inverseSqrt" ? 0.5 : 1) * ratio * 2 ** -xBits;
  let best: RootPlan | null = null;
  for (let degree = 4; degree >= 2; degree--) {
    const guessBits = Math.min(xBits, Math.floor((63 - HEADROOM - top - 8) / degree));
    const fit = fitRelative(f, 1 / ratio, 1, degree);
    let error = fit.error + ratio * 2 ** -guessBits;
    // 1/x converges from any error below 1, x^-1/2 from one below 0.73 on the far side.
    if (error >= (kind === "reciprocal" ? 0.999 : 0.7)) continue;
    for (let steps = 1; steps <= 14; steps++) {
      const incoming = error + 2 ** -yBits;
      error = kind === "inverseSqrt" ? 1.5 * incoming ** 2 + 0.5 * incoming ** 3 : incoming ** 2;
      const plan = { kind, coefficients: fit.coefficients, steps, xBits, guessBits, yBits, error: error + rounding };
      const good = (p: RootPlan) => p.error < 2 ** -11;
      if (
        best === null ||
        (good(plan) && !good(best)) ||
        (good(plan) && good(best) && plan.steps < best.steps) ||
        (good(plan) === good(best) && (plan.steps === best.steps || !good(plan)) && plan.error < best.error)
      ) {
        best = plan;
      }
    }
  }
  if (best === null) throw new PlanError(`${kind}: no first guess converges over a range ratio of ${ratio.toFixed(0)}`);
  return best;
}
