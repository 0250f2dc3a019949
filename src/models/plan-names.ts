/** Plans of earlier releases, which counted a model's operations instead of naming them. */

import type { Plan, Ranges } from "../program/plan.ts";
import type { ModelSpec } from "../program/spec.ts";
import { operationNames } from "./weights.ts";

/** The plan with its ranges by the names of operations ("layer.0.query.out"), where it has them by number ("1.out"). */
export function namedPlan(plan: Plan, spec: ModelSpec): Plan {
  if (!Object.keys(plan.ranges).some((key) => /^\d/.test(key))) return plan;
  const names = operationNames(spec);
  const ranges: Record<string, Ranges[string]> = {};
  for (const [key, range] of Object.entries(plan.ranges)) {
    const [, count, what] = /^(\d+)\.(.+)$/.exec(key) ?? [];
    ranges[count === undefined ? key : `${names[Number(count)] ?? count}.${what}`] = range;
  }
  return { ...plan, ranges };
}
