/**
 * Heads: what a model makes of its last states, over `Ops<T>`. A head takes the states of the rows that it reads and gives
 * logits; which rows these are, `turnsOf` (model.ts) asks of the last layer.
 */

import { gelu } from "../approximations/registry.ts";
import type { Ops } from "../program/ops.ts";
import type { ModelSpec, Pooling } from "../program/spec.ts";
import { capped, linear } from "./blocks.ts";

/** Judges a text or an image by its first row: dense, a function, dense, or one dense layer alone. [1, labels] */
export function classification<T>(ops: Ops<T>, spec: ModelSpec, first: T): T {
  const { hidden, labels, blocks } = spec;
  if (blocks.pooler === "none") return ops.linear(first, linear("classifier", hidden, labels, true));
  const dense = ops.linear(first, linear("pooler", hidden, hidden, true)); // [1, d]
  const pooled = blocks.pooler === "relu" ? ops.relu(dense) : ops.smooth(dense, blocks.pooler);
  return ops.linear(pooled, linear("classifier", hidden, labels, true));
}

/** Judges each token by its own row: one dense layer. The rows beyond the text are zero. [n, labels] */
export function ofTokens<T>(ops: Ops<T>, { problem, hidden, labels }: ModelSpec, states: T): T {
  return ops.maskRows(ops.linear(states, linear(problem, hidden, labels, true)));
}

/** Which word a masked token stands for, of its row: dense, the model's function, a norm, and the words' logits. [1, vocabulary] */
export function ofMasked<T>(ops: Ops<T>, spec: ModelSpec, row: T): T {
  const { hidden, vocabulary, blocks, epsilon } = spec;
  const width = blocks.embeddingWidth ?? hidden;
  const inner = gelu(spec.gelu).apply(ops, ops.linear(row, linear("mask.dense", hidden, width, true)));
  const normed = ops.layerNorm(inner, { name: "mask.norm", width, epsilon, kind: "layer", bias: true });
  return ops.linear(normed, linear("head", width, vocabulary, true));
}

/** A text's vector, of the one row that it is made from. [1, d] */
export function ofVector<T>(ops: Ops<T>, { unit }: Pooling, pooled: T): T {
  return unit ? ops.unitRow(pooled) : pooled;
}

/** The next token's logits, of each row: [rows, vocabulary]. */
export function nextToken<T>(ops: Ops<T>, spec: ModelSpec, states: T): T {
  const logits = ops.linear(states, linear("head", spec.hidden, spec.vocabulary, spec.blocks.biases.head));
  return capped(ops, logits, spec.blocks.caps.logits);
}
