/** Fourier series of the smooth functions, fitted once for each range. */
import { type FourierFit, fitFourier } from "./fit.ts";
import type { SmoothName } from "./ops.ts";
import { magnitude, type Range } from "./plan.ts";
import { smoothFunctions } from "./smooth.ts";

/** The slope that a share adds exactly, the parity of the rest, the period beyond the range, and the range itself. */
const FORMS = {
  gelu: { slope: 0.5, parity: "even", slack: 1.25, reach: symmetric },
  "gelu-tanh": { slope: 0.5, parity: "even", slack: 1.25, reach: symmetric },
  silu: { slope: 0.5, parity: "even", slack: 1.25, reach: symmetric },
  tanh: { slope: 0, parity: "odd", slack: 1.5, reach: symmetric },
  "exp/4": { slope: 0, parity: "none", slack: 1.3, reach: (r: Range) => r },
} as const;

export interface Series extends FourierFit {
  readonly slope: number;
  readonly periodBits: number;
}

const fitted = new Map<string, Series>();

/** The range on which a function is evaluated, for values in `range`. */
export function reachOf(name: SmoothName, range: Range): Range {
  return FORMS[name].reach(range);
}

/**
 * The series of a function on `reach` whose period is a power of two of integers at `scale`.
 * @throws PlanError when no series fits.
 */
export function seriesOf(name: SmoothName, reach: Range, scale: number): Series {
  const key = `${name}:${reach}:${scale}`;
  let series = fitted.get(key);
  if (series === undefined) {
    const { slope, parity, slack } = FORMS[name];
    const periodBits = Math.ceil(Math.log2((reach[1] - reach[0]) * slack * scale));
    const f = smoothFunctions[name];
    series = { ...fitFourier((t) => f(t) - slope * t, reach, 2 ** periodBits / scale, parity), slope, periodBits };
    fitted.set(key, series);
  }
  return series;
}

function symmetric(range: Range): Range {
  return [-magnitude(range), magnitude(range)];
}
