import { log2 } from "./maths.ts";
import type { Value } from "./steps.ts";

/** The narrowest ring from which a value can be lifted again: |integer| < 2^(bits-2). */
export function liftBits(value: Value): number {
  return Math.ceil(log2(value.bound + 1)) + 2;
}
