/** Rotary positions (Su et al., RoFormer, arXiv:2104.09864) as a model declares them, and the angles that follow. */

import { realPower } from "./maths.ts";

/** How the angles of a model's positions are made. */
export interface RotarySpec {
  /** The base: column pair j of n turns by theta^(-j / n) at each position. */
  readonly theta: number;
}

/** The angle by which each of a head's column pairs turns at each position, in radians. */
export function frequenciesOf({ theta }: RotarySpec, headWidth: number): readonly number[] {
  const half = headWidth / 2;
  return Array.from({ length: half }, (_, j) => realPower(theta, -j / half));
}
