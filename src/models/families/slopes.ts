/** The slopes of ALiBi (Press et al., arXiv:2108.12409): what each head's scores lose for every position between a row and a key. */

import { realPower } from "../../program/maths.ts";

/** Of a power of two of heads: 2^(-most / heads), its square, and so on, as 32-bit floats. */
function geometric(heads: number, most: number): number[] {
  return Array.from({ length: heads }, (_, i) => Math.fround(realPower(2, (-most * (i + 1)) / heads)));
}

/** BLOOM's and Falcon's: of other numbers of heads, the rest has every other slope of twice as many. */
export function bloomSlopes(heads: number): readonly number[] {
  const whole = 2 ** Math.floor(Math.log2(heads));
  const between = geometric(2 * whole, 8).filter((_, i) => i % 2 === 0);
  return [...geometric(whole, 8), ...between].slice(0, heads);
}

/** MPT's: of other numbers of heads, every second slope of the next power of two, then the others. */
export function mptSlopes(heads: number, most: number): readonly number[] {
  const whole = 2 ** Math.ceil(Math.log2(heads));
  const all = geometric(whole, most);
  if (whole === heads) return all;
  return [...all.filter((_, i) => i % 2 === 1), ...all.filter((_, i) => i % 2 === 0)].slice(0, heads);
}
