/** What a decoder says in the clear: the reference for a private continuation. */

import { indexOfLargest } from "../program/largest.ts";
import type { ModelSpec, TokenizedText, Weights } from "../program/spec.ts";
import { FloatOps } from "../reference/float.ts";
import type { Matmul } from "../reference/matmul.ts";
import { turnsOf } from "./model.ts";

/** The likeliest token behind a text, and behind it again, `count` times, in floats. */
export function greedyTokens(
  spec: ModelSpec,
  weights: Weights,
  text: TokenizedText,
  count: number,
  matmul?: Matmul,
): number[] {
  const tokens: number[] = [];
  const choose = (logits: Float32Array) => {
    tokens.push(indexOfLargest(logits));
    return tokens[tokens.length - 1];
  };
  const ops = new FloatOps(weights, text, text.ids.length, { matmul, choose });
  for (const { data, columns } of turnsOf(ops, spec)) {
    if (tokens.length >= count - 1) {
      if (count > 0) choose(data.subarray(data.length - columns));
      break;
    }
  }
  return tokens;
}
