import { log2, wholePower } from "../program/maths.ts";
import type { Range } from "../program/plan.ts";
import type { Monomial, Value, Variable } from "../program/steps.ts";
import { ROOT_WORK } from "./budget.ts";
import type { Builder } from "./builder.ts";
import { constant } from "./builder.ts";
import { OVERSHOOT, planRoot, type RootKind } from "./newton.ts";

/**
 * 1/x or 1/sqrt(x) for a share x known to lie in `range`: a masked value, opened and ready to be multiplied with, with so many
 * `bits` after the point where its smallest value is about 1.
 *
 * x is opened once; the first guess and every Newton step are local polynomials of opened values, each followed by one
 * opening: 2 + steps flights in all. With `mask` (1 for the text's rows, 0 beyond) the result is zero on padded rows: the
 * factor rides in the last step for free. (protocols.md, "Reciprocal, inverse square root".)
 */
export function root(b: Builder, kind: RootKind, x: Value, range: Range, mask: Value | null, bits: number): Value {
  const [lo, hi] = range;
  b.budget.fit(`${kind}:${hi / lo}`, ROOT_WORK);
  const plan = planRoot(kind, hi / lo);
  const atTop = kind === "reciprocal" ? 1 / hi : 1 / Math.sqrt(hi);
  const largest = (kind === "reciprocal" ? hi / lo : Math.sqrt(hi / lo)) * OVERSHOOT;
  const fine = b.open(x, "exchange", 2 ** plan.xBits / hi, hi);
  const fineScale = fine.scale * hi;
  const y = (scale: number) => b.value(`${kind}`, x.rows, x.columns, scale, largest, "share");

  const guessShift = Math.max(0, Math.ceil(log2(fineScale) - plan.guessBits));
  const coarse = b.value(x.name, x.rows, x.columns, fine.scale / 2 ** guessShift, hi, "masked");
  b.add({ kind: "shift", x: fine.id, shift: guessShift }, coarse);
  const s = coarse.scale * hi;
  const degree = plan.coefficients.length - 1;
  const guessScale = wholePower(s, degree) * 2 ** 8;
  const guess = plan.coefficients.map((c, j) => ({
    coefficient: constant((c * guessScale) / wholePower(s, j)),
    degrees: [j],
  }));
  let current = polynomial(b, [lifted(coarse)], guess.slice(1), guess[0].coefficient, y(guessScale));

  for (let step = 1; step <= plan.steps; step++) {
    const opened = b.open(current, "exchange", 2 ** plan.yBits, largest);
    const masked = step === plan.steps ? mask : null;
    const variables = [lifted(fine), lifted(opened), ...(masked ? [native(masked)] : [])];
    const tail = masked ? [1] : [];
    const [scale, first, power] =
      kind === "reciprocal"
        ? [fineScale * wholePower(opened.scale, 2), 2 * fineScale * opened.scale, 2]
        : [2 * fineScale * wholePower(opened.scale, 3), 3 * fineScale * wholePower(opened.scale, 2), 3];
    const monomials = [
      { coefficient: constant(first), degrees: [0, 1, ...tail] },
      { coefficient: -1, degrees: [1, power, ...tail] },
    ];
    current = polynomial(b, variables, monomials, 0, y(scale));
  }
  const result = b.open(current, "exchange", 2 ** bits, largest);
  // The normalisation moves into the scale: the opened integers now stand for the root of x itself.
  return rescaled(result, result.scale / atTop);
}

function rescaled(value: Value, scale: number): Value {
  return Object.assign(value, { scale });
}

export function lifted(x: Value, repeat = 1): Variable {
  return { x: x.id, kind: "lifted", repeat };
}

function native(x: Value, repeat = 1): Variable {
  return { x: x.id, kind: "native", repeat };
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
