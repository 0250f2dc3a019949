import type { Step, Value } from "../program/steps.ts";
import { RingOverflow } from "../program/steps.ts";
import { ruleOf } from "../protocols/all.ts";

/**
 * Sets the ring of every value, backwards from what its consumers need: an opening that truncates by t bits needs t bits
 * more than its result; a matrix product needs its operands in the result's ring; an elementwise polynomial lifts its
 * operand and needs only the operand's own bits. The narrower a ring, the fewer bits each opening sends.
 *
 * @throws RingOverflow when a value needs more than 64 bits.
 */
export function assignRings(values: readonly Value[], steps: readonly Step[]): void {
  const need = (id: number, bits: number) => {
    const value = values[id];
    if (bits > 64) throw new RingOverflow(value.name, bits);
    value.ring = Math.max(value.ring, bits);
  };
  for (let i = steps.length - 1; i >= 0; i--) ruleOf(steps[i]).needs(steps[i], values, need);
}
