/** Greedy continuations by the float reference. */

import { turnsOf } from "../../src/models/model.ts";
import { indexOfLargest } from "../../src/program/largest.ts";
import type { ModelSpec, Weights } from "../../src/program/spec.ts";
import { FloatOps } from "../../src/reference/float.ts";

/** The logits of `turns` turns and the tokens chosen after them. */
export function greedy(spec: ModelSpec, weights: Weights, ids: readonly number[], turns: number) {
  const text = { ids, types: ids.map(() => 0) };
  const ops = new FloatOps(weights, text, ids.length, { choose: indexOfLargest });
  const logits: Float32Array[] = [];
  for (const { data } of turnsOf(ops, spec)) {
    logits.push(data);
    if (logits.length === turns) break;
  }
  return { logits, next: logits.map(indexOfLargest) };
}
