/** Fourier series of the smooth functions, fitted once for each range. */

import { log2 } from "../program/maths.ts";
import { Memo } from "../program/memo.ts";
import type { PlainSmooth, SmoothName } from "../program/ops.ts";
import { magnitude, type Range } from "../program/plan.ts";
import { capOf, smoothFunction } from "../program/smooth.ts";
import { PlanError } from "../program/steps.ts";
import { type FourierFit, fitFourier, MOST_HARMONICS } from "./fit.ts";

/** The slope that a share adds exactly, the parity of the rest, the period beyond the range, and the range itself. */
const FORMS = {
  gelu: { slope: 0.5, parity: "even", slack: 1.25, reach: symmetric },
  "gelu-tanh": { slope: 0.5, parity: "even", slack: 1.25, reach: symmetric },
  silu: { slope: 0.5, parity: "even", slack: 1.25, reach: symmetric },
  tanh: { slope: 0, parity: "odd", slack: 1.5, reach: symmetric },
  "exp/4": { slope: 0, parity: "none", slack: 1.3, reach: (r: Range) => r },
} as const;
/** Of c·tanh(x/c), which is x itself as long as x is small. */
const CAP = { slope: 1, parity: "odd", slack: 1.5, reach: symmetric } as const;

function formOf(name: SmoothName): (typeof FORMS)[PlainSmooth] | typeof CAP {
  return capOf(name) === null ? FORMS[name as PlainSmooth] : CAP;
}

export interface Series extends FourierFit {
  readonly slope: number;
  readonly periodBits: number;
}

const fitted = new Memo<Series>();

/** The range on which a function is evaluated, for values in `range`. */
export function reachOf(name: SmoothName, range: Range): Range {
  return formOf(name).reach(range);
}

/** The widest range in which a series of e^x has few harmonics. */
const WIDEST_EXPONENT = 32;

/**
 * The root, a power of four, of a function that a series is made of: 1 but for exponentials of a wide range. Its power is
 * taken afterwards, four at a time.
 */
export function rootOf(name: SmoothName, reach: Range): number {
  let root = 1;
  if (name === "exp/4") while ((reach[1] - reach[0]) / (4 * root) > WIDEST_EXPONENT) root *= 4;
  return root;
}

/**
 * The series of a function's `root`-th root on `reach` whose period is a power of two of integers at `scale`; its error is
 * 2^-`closer` of the usual one where that has few enough harmonics.
 * @throws PlanError when no series fits.
 */
export function seriesOf(name: SmoothName, reach: Range, scale: number, root = 1, closer = 0): Series {
  return fitted.of(`${name}:${reach}:${scale}:${root}:${closer}`, () => {
    const { slope, parity, slack } = formOf(name);
    const periodBits = Math.ceil(log2((reach[1] - reach[0]) * slack * scale));
    // The root of an exponential is the same function at a part of its argument.
    const f = (t: number) => smoothFunction(name)(t / root) - slope * t;
    const tolerance = toleranceOf(name, reach, root);
    const fitted = (bits: number, most: number): Series => {
      const found = fitFourier(f, reach, 2 ** periodBits / scale, parity, tolerance / 2 ** bits, most);
      return { ...found, slope, periodBits };
    };
    const usual = closer === 0 ? MOST_HARMONICS : 2 * MOST_HARMONICS;
    for (let bits = closer; ; bits--) {
      try {
        return fitted(bits, usual);
      } catch (error) {
        // A wide range has not the harmonics for more; a decoder's gates may need twice as many for the usual error.
        if (!(error instanceof PlanError)) throw error;
        if (bits === 0) return fitted(0, 2 * MOST_HARMONICS);
      }
    }
  });
}

/** The error sought of a series: 2^-12, more on ranges beyond ±8, less for what is raised to a power. */
function toleranceOf(name: SmoothName, reach: Range, root: number): number {
  const width = (reach[1] - reach[0]) / (name === "exp/4" ? 4 * root : 1);
  return (2 ** -12 * Math.max(1, width / 16)) / Math.sqrt(root);
}

function symmetric(range: Range): Range {
  return [-magnitude(range), magnitude(range)];
}
