/** Bounds of the numbers that files and other parties give. */

import * as v from "valibot";

/** A whole number within bounds. */
export function whole(least: number, most: number) {
  const message = `must be a whole number from ${least} to ${most}`;
  return v.pipe(v.number(message), v.integer(message), v.minValue(least, message), v.maxValue(most, message));
}

/** Bounds that all architectures have in common. */
export const sizes = {
  layers: whole(1, 128),
  hidden: whole(1, 16_384),
  heads: whole(1, 256),
  intermediate: whole(1, 65_536),
  vocabulary: whole(1, 2_000_000),
  positions: whole(1, 1_048_576),
} as const;
