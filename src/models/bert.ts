/**
 * BERT and RoBERTa sequence classification, written once over `Ops<T>`.
 *
 * n: positions, d: hidden width, a: heads, f: intermediate width. Both are post-layer-norm encoders with the same head
 * (first row, dense, tanh, dense); they differ in the position table's first row and in the checkpoint's names.
 */

import { gelu, softmax } from "../approximations/registry.ts";
import type { EmbeddingRef, Heads, LinearRef, NormRef, Ops } from "../program/ops.ts";
import type { ModelSpec } from "../program/spec.ts";

/** The model's logits: [1, labels]. */
export function classifier<T>(ops: Ops<T>, spec: ModelSpec): T {
  let h = ops.embed(embeddings(spec)); // [n, d]
  // Only the first row of the last layer is ever read, so there the queries are that row alone: it gives [1, d].
  for (let i = 0; i < spec.layers; i++) h = layer(ops, spec, i === spec.layers - 1 ? ops.firstRow(h) : h, h, i);
  const pooled = ops.smooth(ops.linear(h, linear("pooler", spec.hidden, spec.hidden)), "tanh"); // [1, d]
  return ops.linear(pooled, linear("classifier", spec.hidden, spec.labels)); // [1, labels]
}

/** The encoder's last states, of all rows: [n, d]. What pre-training reads. */
export function encoder<T>(ops: Ops<T>, spec: ModelSpec): T {
  let h = ops.embed(embeddings(spec)); // [n, d]
  for (let i = 0; i < spec.layers; i++) h = layer(ops, spec, h, h, i);
  return h;
}

/** One encoder layer: the new states of `rows`, which attend to all of `h`. */
function layer<T>(ops: Ops<T>, spec: ModelSpec, rows: T, h: T, index: number): T {
  const at = `layer.${index}`;
  const x = norm(ops, spec, ops.add(attention(ops, spec, rows, h, at), rows), `${at}.attention.norm`);
  return norm(ops, spec, ops.add(feedForward(ops, spec, x, at), x), `${at}.norm`);
}

/** Attention of `rows` over all of `h`, heads side by side, then the output layer. */
function attention<T>(ops: Ops<T>, spec: ModelSpec, rows: T, h: T, at: string): T {
  const { hidden } = spec;
  const heads: Heads = { queries: spec.heads, keys: spec.heads, causal: false };
  const q = ops.linear(rows, linear(`${at}.query`, hidden, hidden));
  const k = ops.maskRows(ops.linear(h, linear(`${at}.key`, hidden, hidden))); // [n, d]
  const v = ops.maskRows(ops.linear(h, linear(`${at}.value`, hidden, hidden))); // [n, d]
  const weights = softmax(spec.softmax).apply(ops, ops.scores(q, k, heads)); // [a·rows, n]
  return ops.linear(ops.weightedMean(weights, v, heads), linear(`${at}.attention.output`, hidden, hidden));
}

function feedForward<T>(ops: Ops<T>, spec: ModelSpec, x: T, at: string): T {
  const { hidden, intermediate } = spec;
  const inner = gelu(spec.gelu).apply(ops, ops.linear(x, linear(`${at}.intermediate`, hidden, intermediate)));
  return ops.linear(inner, linear(`${at}.output`, intermediate, hidden));
}

function norm<T>(ops: Ops<T>, spec: ModelSpec, x: T, name: string): T {
  return ops.layerNorm(x, normRef(spec, name));
}

function normRef(spec: ModelSpec, name: string): NormRef {
  return { name, width: spec.hidden, epsilon: spec.epsilon, kind: "layer" };
}

function linear(name: string, inputs: number, outputs: number): LinearRef {
  return { name, inputs, outputs, bias: true };
}

/** What an encoder embeds; the client of public tables does it alone. */
export function embeddings(spec: ModelSpec): EmbeddingRef {
  return {
    word: "embeddings.word",
    position: "embeddings.position",
    type: "embeddings.type",
    vocabulary: spec.vocabulary,
    positions: spec.positions,
    types: spec.types,
    width: spec.hidden,
    positionOffset: spec.positionOffset,
    padding: spec.architecture === "roberta" ? spec.positionOffset - 1 : null,
    norm: normRef(spec, "embeddings.norm"),
    readers: "layers",
  };
}
