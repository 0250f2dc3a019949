import type { Program, Step, StepKind } from "../program/steps.ts";
import { carry, lessThan, openBits } from "./compare.ts";
import { linear } from "./linear.ts";
import { input, open } from "./open.ts";
import { fourier } from "./periodic.ts";
import { polynomial } from "./polynomial.ts";
import { product } from "./product.ts";
import type { Protocol, Traffic } from "./protocol.ts";
import { difference, entry, keys, noise, place, ramp, rowSum, shift, slice } from "./reshape.ts";

/** Which primitive executes which kind of step. */
const protocols: { readonly [K in StepKind]: Protocol<K> } = {
  input,
  linear,
  open,
  openBits,
  slice,
  place,
  shift,
  difference,
  matmul: product,
  polynomial,
  entry,
  ramp,
  rowSum,
  keys,
  noise,
  fourier,
  lessThan,
  carry,
};

/** The primitive of a step, as one that takes any step: the table above keeps kind and primitive together. */
export function protocolOf(step: Step): Protocol<StepKind> {
  return protocols[step.kind] as unknown as Protocol<StepKind>;
}

const declared = new WeakMap<Step, Traffic>();

/** What a step of a finished program sends; worked out once. */
export function trafficOf(step: Step, program: Program): Traffic {
  let traffic = declared.get(step);
  if (traffic === undefined) {
    traffic = protocolOf(step).traffic(step, program);
    declared.set(step, traffic);
  }
  return traffic;
}
