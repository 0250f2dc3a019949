/** The list of all step kinds: a kind without a rule does not compile. */
import { InternalError } from "../errors.ts";
import type { Program, Step, StepKind } from "../program/steps.ts";
import { carry, lessThan, openBits } from "./compare.ts";
import { counts, nonzero } from "./count.ts";
import { linear } from "./linear.ts";
import { input, open } from "./open.ts";
import { fourier } from "./periodic.ts";
import { polynomial } from "./polynomial.ts";
import { product } from "./product.ts";
import { relative } from "./relative.ts";
import { difference, place, shift, slice } from "./reshape.ts";
import type { LocalRule, OpeningRule, Rule, Traffic } from "./rule.ts";
import { columnSum, entry, iota, keys, noise, rowSum } from "./shares.ts";
import { spline } from "./spline.ts";

const rules: { readonly [K in StepKind]: Rule<K> } = {
  input,
  entry,
  linear,
  open,
  openBits,
  slice,
  place,
  shift,
  difference,
  matmul: product,
  polynomial,
  iota,
  rowSum,
  columnSum,
  keys,
  relative,
  noise,
  fourier,
  spline,
  lessThan,
  carry,
  counts,
  nonzero,
};

/** The name of every kind. */
export const STEP_KINDS = Object.keys(rules) as readonly StepKind[];

/** The rule of a step, as one that takes any step: the table above keeps kind and rule together. */
export function ruleOf(step: Pick<Step, "kind">): Rule<StepKind> {
  return rules[step.kind] as unknown as Rule<StepKind>;
}

/** The rule of a local step of a flight. @throws Error for an opening: a fault of the program. */
export function localRuleOf(step: Step): LocalRule<StepKind> {
  const rule = ruleOf(step);
  if (!("run" in rule)) throw new InternalError(`step ${step.id} sends messages: ${step.kind}`);
  return rule;
}

/** The rule of an opening of a flight. @throws Error for a local step: a fault of the program. */
export function openingRuleOf(step: Step): OpeningRule<StepKind> {
  const rule = ruleOf(step);
  if (!("send" in rule)) throw new InternalError(`step ${step.id} sends no message: ${step.kind}`);
  return rule;
}

const declared = new WeakMap<Step, Traffic>();

/** What a step of a finished program sends; worked out once. */
export function trafficOf(step: Step, program: Program): Traffic {
  let traffic = declared.get(step);
  if (traffic === undefined) {
    traffic = ruleOf(step).traffic(step, program);
    declared.set(step, traffic);
  }
  return traffic;
}
