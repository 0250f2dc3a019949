import { exp, tanh } from "./maths.ts";
import type { PlainSmooth, SmoothName } from "./ops.ts";

/** The c of a function c·tanh(x/c); null of others. */
export function capOf(name: SmoothName): number | null {
  return name.startsWith("cap/") ? Number(name.slice(4)) : null;
}

/** A smooth function itself, in floats. */
export function smoothFunction(name: SmoothName): (x: number) => number {
  const cap = capOf(name);
  return cap === null ? smoothFunctions[name as PlainSmooth] : (x) => cap * tanh(x / cap);
}

/** Those without a parameter. */
export const smoothFunctions: Readonly<Record<PlainSmooth, (x: number) => number>> = {
  gelu: (x) => 0.5 * x * (1 + erf(x * Math.SQRT1_2)),
  "gelu-tanh": (x) => 0.5 * x * (1 + tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x))),
  silu: (x) => x / (1 + exp(-x)),
  tanh: (x) => tanh(x),
  "exp/4": (x) => exp(x / 4),
};

/** Coefficients of Cody, "Rational Chebyshev approximations for the error function", Math. Comp. 23 (1969), high to low. */
const SMALL = {
  top: [0.18577770618460315, 3.1611237438705655, 113.86415415105016, 377.485237685302, 3209.3775891384694],
  bottom: [1, 23.601290952344122, 244.02463793444417, 1282.6165260773723, 2844.236833439171],
};
const MIDDLE = {
  top: [
    2.1531153547440383e-8, 0.5641884969886701, 8.883149794388377, 66.11919063714163, 298.6351381974001,
    881.952221241769, 1712.0476126340707, 2051.0783778260716, 1230.3393547979972,
  ],
  bottom: [
    1, 15.744926110709835, 117.6939508913125, 537.1811018620099, 1621.3895745666903, 3290.7992357334597,
    4362.619090143247, 3439.3676741437216, 1230.3393548037495,
  ],
};
const LARGE = {
  top: [
    0.016315387137302097, 0.30532663496123236, 0.36034489994980445, 0.12578172611122926, 0.016083785148742275,
    0.0006587491615298378,
  ],
  bottom: [1, 2.568520192289822, 1.8729528499234673, 0.5279051029514285, 0.06051834131244132, 0.0023352049762686918],
};

/** The error function, to a few units in the last place of a double. */
export function erf(x: number): number {
  const y = Math.abs(x);
  if (y <= 0.46875) return x * ratio(SMALL, y * y);
  if (y > 6) return Math.sign(x);
  if (Number.isNaN(x)) return x;
  const tail = y <= 4 ? ratio(MIDDLE, y) : (1 / Math.sqrt(Math.PI) - ratio(LARGE, 1 / (y * y)) / (y * y)) / y;
  return Math.sign(x) * (1 - exp(-y * y) * tail);
}

function ratio(of: { top: readonly number[]; bottom: readonly number[] }, x: number): number {
  let top = 0;
  let bottom = 0;
  for (const coefficient of of.top) top = top * x + coefficient;
  for (const coefficient of of.bottom) bottom = bottom * x + coefficient;
  return top / bottom;
}
