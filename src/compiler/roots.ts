import { log2, wholePower } from "../program/maths.ts";
import type { Range } from "../program/plan.ts";
import type { Monomial, Value, Variable } from "../program/steps.ts";
import { ROOT_WORK } from "./budget.ts";
import type { Builder } from "./builder.ts";
import { constant } from "./builder.ts";
import { OVERSHOOT, planRoot, type RootKind, type RootPlan } from "./newton.ts";
import { planSpline, type SplinePlan } from "./splines.ts";

/**
 * 1/x or 1/sqrt(x) for a share x known to lie in `range`: a masked value, opened and ready to be multiplied with, with so many
 * `bits` after the point where its smallest value is about 1.
 *
 * x is opened once; a dealt spline, or a polynomial where the range is too wide for one, gives the result or a first guess. Every
 * Newton step that follows is a local polynomial of opened values and one opening: 2 + steps flights in all. With `mask` (1 for
 * the text's rows, 0 beyond) the result is zero on padded rows: the factor rides along for free. (docs/protocols.md, "Roots".)
 */
export function root(b: Builder, kind: RootKind, x: Value, range: Range, mask: Value | null, bits: number): Value {
  const [lo, hi] = range;
  b.budget.fit(`${kind}:${hi / lo}`, ROOT_WORK);
  const spline = planSpline(kind, hi / lo, x.rows * x.columns, bits);
  const plan = spline ?? planRoot(kind, hi / lo);
  const atTop = kind === "reciprocal" ? 1 / hi : 1 / Math.sqrt(hi);
  const largest = (kind === "reciprocal" ? hi / lo : Math.sqrt(hi / lo)) * OVERSHOOT;
  const y = (scale: number) => b.value(`${kind}`, x.rows, x.columns, scale, largest, "share");

  const first = spline === null ? polynomialGuess : splineGuess;
  const start = first(b, plan as SplinePlan & RootPlan, { x, range, mask: plan.steps === 0 ? mask : null, y });
  let current = start.guess;
  for (let step = 1; step <= plan.steps; step++) {
    const opened = b.open(current, "exchange", 2 ** plan.yBits, largest);
    current = newtonStep(b, kind, { fine: start.fine, hi, opened, mask: step === plan.steps ? mask : null, y });
  }
  const result = b.open(current, "exchange", 2 ** bits, largest);
  // The normalisation moves into the scale: the opened integers now stand for the root of x itself.
  return rescaled(result, result.scale / atTop);
}

interface Begin {
  readonly x: Value;
  readonly range: Range;
  /** Where the guess is the result. */
  readonly mask: Value | null;
  readonly y: (scale: number) => Value;
}

/** A first guess, and the opened x that it was made from. */
interface Start {
  readonly fine: Value;
  readonly guess: Value;
}

function polynomialGuess(b: Builder, plan: RootPlan, { x, range: [, hi], y }: Begin): Start {
  const fine = b.open(x, "exchange", 2 ** plan.xBits / hi, hi);
  const { coefficients, guessBits } = plan.guess;
  const coarse = shifted(b, fine, Math.max(0, Math.ceil(log2(fine.scale * hi) - guessBits)), hi);
  const s = coarse.scale * hi;
  const degree = coefficients.length - 1;
  const guessScale = wholePower(s, degree) * 2 ** 8;
  const guess = coefficients.map((c, j) => ({
    coefficient: constant((c * guessScale) / wholePower(s, j)),
    degrees: [j],
  }));
  return { fine, guess: polynomial(b, [lifted(coarse)], guess.slice(1), guess[0].coefficient, y(guessScale)) };
}

function splineGuess(b: Builder, plan: SplinePlan, { x, range: [lo, hi], mask, y }: Begin): Start {
  const { bits, intervalBits, degree, coefficientBits } = plan.guess;
  // The largest value has an interval behind it for what carries.
  const top = 2 ** bits - 2 ** (bits - intervalBits) - 2;
  const target = (top / hi) * 2 ** (plan.xBits - bits);
  const fine = b.open(filling(b, x, target), "exchange", target, hi);
  const coarse = shifted(b, fine, plan.xBits - bits, hi);
  const guess = b.add(
    {
      kind: "spline",
      x: coarse.id,
      of: plan.kind,
      bits,
      intervalBits,
      degree,
      least: Math.max(1, Math.floor(lo * coarse.scale)),
      largest: Math.floor(hi * coarse.scale),
      coefficientBits,
      factor: mask?.id ?? null,
    },
    y(2 ** (coefficientBits + bits - intervalBits)),
  );
  return { fine, guess };
}

/**
 * x times 1, 3, 5 or 7: whichever comes nearest to `scale` from below once halved or doubled often enough. Intervals are of the ring, so a
 * value that fills it has more of them.
 */
function filling(b: Builder, x: Value, scale: number): Value {
  const below = (factor: number) => {
    const ratio = log2((x.scale * factor) / scale);
    return Math.ceil(ratio - 1e-9) - ratio;
  };
  const odd = [3, 5, 7].reduce((best, f) => (below(f) < below(best) ? f : best), 1);
  // A share of few bits is made larger, not smaller.
  const factor = odd * 2 ** Math.max(0, Math.floor(log2(scale / (x.scale * odd)) + 1e-9));
  if (factor === 1) return x;
  const out = b.value(x.name, x.rows, x.columns, x.scale * factor, x.bound / x.scale, "share");
  const addends = [{ x: x.id, coefficient: factor, repeat: 1 }];
  return b.add({ kind: "polynomial", variables: [], monomials: [], addends, constant: 0, rowSum: false }, out);
}

function shifted(b: Builder, x: Value, shift: number, size: number): Value {
  if (shift === 0) return x;
  const coarse = b.value(x.name, x.rows, x.columns, x.scale / 2 ** shift, size, "masked");
  return b.add({ kind: "shift", x: x.id, shift }, coarse);
}

interface NewtonInput {
  readonly fine: Value;
  readonly hi: number;
  readonly opened: Value;
  readonly mask: Value | null;
  readonly y: (scale: number) => Value;
}

/** y(2 - xy) or y(3 - xy²)/2, times the mask if there is one. */
function newtonStep(b: Builder, kind: RootKind, { fine, hi, opened, mask, y }: NewtonInput): Value {
  const fineScale = fine.scale * hi;
  const variables = [lifted(fine), lifted(opened), ...(mask ? [native(mask)] : [])];
  const tail = mask ? [1] : [];
  const [scale, first, power] =
    kind === "reciprocal"
      ? [fineScale * wholePower(opened.scale, 2), 2 * fineScale * opened.scale, 2]
      : [2 * fineScale * wholePower(opened.scale, 3), 3 * fineScale * wholePower(opened.scale, 2), 3];
  const monomials = [
    { coefficient: constant(first), degrees: [0, 1, ...tail] },
    { coefficient: -1, degrees: [1, power, ...tail] },
  ];
  return polynomial(b, variables, monomials, 0, y(scale));
}

function rescaled(value: Value, scale: number): Value {
  return Object.assign(value, { scale });
}

export function lifted(x: Value, repeat = 1): Variable {
  return { x: x.id, kind: "lifted", repeat, room: 0 };
}

/**
 * An opened root of rows of `repeat` values each. It is opened in the ring of what is made with it where 64 bits allow: a few bits for
 * each row online, and for each value a third fewer from the dealer. Not where a spline's table would grow by more.
 */
export function rootOfRows(b: Builder, x: Value, repeat: number): Variable {
  // Both were emitted a moment ago: a long continuation has tens of thousands of steps before them.
  const madeBy = (id: number) => b.emitted.findLast((step) => step.out === id);
  const opening = madeBy(x.id);
  if (opening?.kind !== "open") return lifted(x, repeat);
  const made = madeBy(opening.x);
  const table =
    made?.kind === "spline" ? (made.degree + 1) * 2 ** made.intervalBits * (made.factor === null ? 1 : 2) : 0;
  return { ...lifted(x, repeat), room: table > repeat ? 0 : 64 - opening.shift };
}

function native(x: Value): Variable {
  return { x: x.id, kind: "native", repeat: 1, room: 0 };
}

export function polynomial(
  b: Builder,
  variables: readonly Variable[],
  monomials: readonly Monomial[],
  constantTerm: number,
  out: Value,
  rowSum = false,
): Value {
  return b.add({ kind: "polynomial", variables, monomials, addends: [], constant: constantTerm, rowSum }, out);
}
