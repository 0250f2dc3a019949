/**
 * GPT-2, OPT and Llama, written once over `Ops<T>`.
 *
 * n: positions, d: hidden width, a: query heads, f: intermediate width. They differ in where the norms stand and of which kind
 * they are, in how positions enter, in the feed-forward layer, in grouped key heads, and in the checkpoint's names.
 */

import { gelu, silu, softmax } from "../approximations/registry.ts";
import type { EmbeddingRef, Heads, LinearRef, NormRef, Ops } from "../program/ops.ts";
import type { ModelSpec } from "../program/spec.ts";

/** What a layer keeps of all tokens so far. */
interface Memory<T> {
  keys: T | null;
  values: T | null;
}

/**
 * The logits of turn after turn, without end: of the text's last position (or of all of them, when it is scored), then of each
 * token that the client chose. [1, vocabulary] or [n, vocabulary]
 */
export function* decoder<T>(ops: Ops<T>, spec: ModelSpec): Generator<T, never> {
  const memories = Array.from({ length: spec.layers }, (): Memory<T> => ({ keys: null, values: null }));
  let logits: T | undefined;
  for (;;) {
    let x = ops.embed(embeddings(spec), logits); // [n, d] or [1, d]
    memories.forEach((memory, i) => {
      x = layer(ops, spec, x, i, memory);
    });
    const last = spec.normFirst ? ops.layerNorm(x, norm(spec, "norm")) : x;
    logits = ops.linear(last, linear("head", spec.hidden, spec.vocabulary, false));
    yield logits;
  }
}

/** One layer; the last one goes on with the rows alone that are asked for. */
function layer<T>(ops: Ops<T>, spec: ModelSpec, x: T, index: number, memory: Memory<T>): T {
  const at = `layer.${index}`;
  const asked = (h: T) => (index === spec.layers - 1 ? ops.askedRows(h) : h);
  if (!spec.normFirst) {
    const rows = asked(x);
    const y = ops.layerNorm(
      ops.add(attention(ops, spec, rows, x, at, memory), rows),
      norm(spec, `${at}.attention.norm`),
    );
    return ops.layerNorm(ops.add(feedForward(ops, spec, y, at), y), norm(spec, `${at}.norm`));
  }
  const h = ops.layerNorm(x, norm(spec, `${at}.attention.norm`));
  const y = ops.add(attention(ops, spec, asked(h), h, at, memory), asked(x));
  return ops.add(feedForward(ops, spec, ops.layerNorm(y, norm(spec, `${at}.norm`)), at), y);
}

/** Attention of `rows` over all of `h` and what came before, heads side by side, then the output layer. */
function attention<T>(ops: Ops<T>, spec: ModelSpec, rows: T, h: T, at: string, memory: Memory<T>): T {
  const { hidden } = spec;
  const heads: Heads = { queries: spec.heads, keys: spec.keyHeads, causal: true };
  const width = (hidden / spec.heads) * spec.keyHeads;
  const bias = hasBiases(spec);
  const turned = (x: T, count: number) =>
    spec.rotary === null ? x : ops.rotate(x, { heads: count, theta: spec.rotary });
  const q = turned(ops.linear(rows, linear(`${at}.query`, hidden, hidden, bias)), heads.queries);
  const k = turned(ops.maskRows(ops.linear(h, linear(`${at}.key`, hidden, width, bias))), heads.keys);
  const v = ops.maskRows(ops.linear(h, linear(`${at}.value`, hidden, width, bias)));
  memory.keys = ops.remember(memory.keys, k); // [n so far, width]
  memory.values = ops.remember(memory.values, v);
  const weights = softmax(spec.softmax).apply(ops, ops.scores(q, memory.keys, heads)); // [a·rows, n so far]
  const mean = ops.weightedMean(weights, memory.values, heads);
  return ops.linear(mean, linear(`${at}.attention.output`, hidden, hidden, bias));
}

function feedForward<T>(ops: Ops<T>, spec: ModelSpec, x: T, at: string): T {
  const { hidden, intermediate } = spec;
  const bias = hasBiases(spec);
  const inner = ops.linear(x, linear(`${at}.intermediate`, hidden, intermediate, bias)); // [n, f]
  const output = linear(`${at}.output`, intermediate, hidden, bias);
  if (spec.architecture !== "llama") return ops.linear(gelu(spec.gelu).apply(ops, inner), output);
  const gate = silu(spec.gelu).apply(ops, ops.linear(x, linear(`${at}.gate`, hidden, intermediate, bias)));
  return ops.linear(ops.multiply(gate, inner), output);
}

function hasBiases(spec: ModelSpec): boolean {
  return spec.architecture !== "llama";
}

function norm(spec: ModelSpec, name: string): NormRef {
  return { name, width: spec.hidden, epsilon: spec.epsilon, kind: spec.architecture === "llama" ? "rms" : "layer" };
}

function linear(name: string, inputs: number, outputs: number, bias: boolean): LinearRef {
  return { name, inputs, outputs, bias };
}

/** What a decoder embeds; the client of a public table does it alone. */
export function embeddings(spec: ModelSpec): EmbeddingRef {
  const table = spec.rotary === null;
  return {
    word: "embeddings.word",
    position: table ? "embeddings.position" : null,
    type: null,
    vocabulary: spec.vocabulary,
    positions: table ? spec.positions : 0,
    types: 0,
    width: spec.hidden,
    positionOffset: spec.positionOffset,
    padding: null,
    norm: null,
    readers: readers(spec),
  };
}

function readers(spec: ModelSpec): EmbeddingRef["readers"] {
  if (!spec.normFirst) return "layers";
  return spec.architecture === "llama" ? "plain stream" : "centred stream";
}
