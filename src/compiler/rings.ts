import { log2 } from "../program/maths.ts";
import type { Step, Value } from "../program/steps.ts";
import { RingOverflow } from "../program/steps.ts";

/** The narrowest ring from which a value can be lifted again: |integer| < 2^(bits-2). */
export function liftBits(value: Value): number {
  return Math.ceil(log2(value.bound + 1)) + 2;
}

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
  for (const step of steps) {
    // A value that its own ring cannot hold would be lost whoever reads it.
    const out = values[step.out];
    if (step.kind === "open" && (step.mode === "reveal" || step.mode === "toClient")) need(out.id, liftBits(out));
  }
  for (let i = steps.length - 1; i >= 0; i--) needsOf(steps[i], values, need);
}

function needsOf(step: Step, values: readonly Value[], need: (id: number, bits: number) => void): void {
  const out = values[step.out];
  switch (step.kind) {
    case "input":
    case "entry":
    case "ramp":
      return;
    case "linear":
      for (const term of step.terms) need(term.x, out.ring);
      return;
    case "open":
    case "shift":
      need(step.x, out.ring + step.shift);
      return;
    case "slice":
      need(step.x, out.ring);
      if (out.needsMaskShares) values[step.x].needsMaskShares = true;
      return;
    case "place":
      for (const id of [step.x, step.y]) {
        need(id, out.ring);
        if (out.needsMaskShares) values[id].needsMaskShares = true;
      }
      return;
    case "difference":
      for (const id of [step.x, step.y]) need(id, Math.max(out.ring, liftBits(out)));
      need(step.out, liftBits(out));
      return;
    case "matmul":
      for (const id of [step.a, step.b]) {
        need(id, out.ring);
        values[id].needsMaskShares = true;
      }
      return;
    case "polynomial":
      for (const v of step.variables) {
        if (v.kind === "lifted") need(v.x, liftBits(values[v.x]));
        else if (v.kind === "native") need(v.x, out.ring);
      }
      for (const a of step.addends) need(a.x, out.ring);
      return;
    case "fourier":
      need(step.x, step.periodBits);
      return;
    case "rowSum":
    case "noise":
    case "keys":
      need(step.x, out.ring);
      return;
    case "lessThan":
      need(step.x, liftBits(values[step.x]));
      return;
    case "openBits":
    case "carry":
      return;
  }
}
