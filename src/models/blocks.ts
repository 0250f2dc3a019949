/**
 * What models are made of, written once over `Ops<T>` from what a spec says of its blocks: embeddings, layers with attention
 * and feed-forward, norms.
 *
 * n: positions, d: hidden width, a: query heads, w: a head's width, f: intermediate width.
 */

import { gelu, silu, softmax } from "../approximations/registry.ts";
import { patchWidth } from "../program/images.ts";
import type { EmbeddingRef, Heads, LinearRef, NormRef, Ops, RelativeRef, Rotary } from "../program/ops.ts";
import { frequenciesOf } from "../program/rotary.ts";
import type { ModelSpec } from "../program/spec.ts";

/** What a decoder's layer keeps of all tokens so far. */
export interface Memory<T> {
  keys: T | null;
  values: T | null;
}

/** A memory for each layer, empty. */
export function memoriesOf<T>(spec: ModelSpec): readonly Memory<T>[] {
  return Array.from({ length: spec.layers }, () => ({ keys: null, values: null }));
}

/** What a model embeds; the client of public tables does it alone. */
export function embeddingsOf(spec: ModelSpec): EmbeddingRef {
  const { blocks, hidden, vocabulary, positions, positionOffset, types } = spec;
  return {
    word: "embeddings.word",
    position: blocks.positionTable ? "embeddings.position" : null,
    type: blocks.typeTable ? "embeddings.type" : null,
    vocabulary,
    positions: blocks.positionTable ? positions : 0,
    types: blocks.typeTable ? types : 0,
    width: blocks.embeddingWidth ?? hidden,
    positionOffset,
    padding: blocks.skipsPadding ? positionOffset - 1 : null,
    patches: patchesOf(spec),
    norm: blocks.embeddingNorm ? { ...norm(spec, "embeddings.norm"), width: blocks.embeddingWidth ?? hidden } : null,
    readers: readersOf(spec),
  };
}

function patchesOf({ blocks: { patches }, hidden }: ModelSpec): EmbeddingRef["patches"] {
  if (patches === null) return null;
  return { layer: linear("embeddings.patch", patchWidth(patches), hidden, true), first: "embeddings.first" };
}

function readersOf({ blocks }: ModelSpec): EmbeddingRef["readers"] {
  if (blocks.normPlace === "after" || blocks.normPlace === "branch") return "layers";
  return blocks.norm === "layer" ? "centred stream" : "plain stream";
}

/**
 * The states behind all layers. `asked` picks the rows that are read of the last one, so that it computes no others.
 * @param memories of a decoder, a layer's each; null: every row sees every row.
 */
export function layers<T>(
  ops: Ops<T>,
  spec: ModelSpec,
  embedded: T,
  asked: (x: T) => T,
  memories: readonly Memory<T>[] | null,
): T {
  let x = widened(ops, spec, embedded); // [n, d]
  for (let i = 0; i < spec.layers; i++) {
    const rows = i === spec.layers - 1 ? asked : (h: T) => h;
    x = layer(ops, spec, x, rows, i, memories === null ? null : memories[i]);
  }
  return spec.blocks.finalNorm ? ops.layerNorm(x, norm(spec, "norm")) : x;
}

/** The embeddings at the layers' width. */
function widened<T>(ops: Ops<T>, { hidden, blocks }: ModelSpec, embedded: T): T {
  const { embeddingWidth } = blocks;
  if (embeddingWidth === null) return embedded;
  return ops.maskRows(ops.linear(embedded, linear("widened", embeddingWidth, hidden, true)));
}

/** Where a layer's weights are: `layer.3`. */
function placeOf({ layers: all, blocks }: ModelSpec, index: number): string {
  return `layer.${Math.floor((index * (blocks.layerGroups ?? all)) / all)}`;
}

/** One layer: the new states of the rows asked for, which attend to all. */
function layer<T>(ops: Ops<T>, spec: ModelSpec, x: T, asked: (h: T) => T, index: number, memory: Memory<T> | null): T {
  const at = placeOf(spec, index);
  const attentionNorm = norm(spec, `${at}.attention.norm`);
  const feedForwardNorm = norm(spec, `${at}.norm`);
  if (spec.blocks.normPlace === "after") {
    const rows = asked(x);
    const y = ops.layerNorm(ops.add(attention(ops, spec, rows, x, index, memory), rows), attentionNorm);
    return ops.layerNorm(ops.add(feedForward(ops, spec, y, at), y), feedForwardNorm);
  }
  if (spec.blocks.normPlace === "branch") {
    // A norm's result is masked, and so are the sums of such; what a layer reads is told so.
    const y = ops.maskRows(
      ops.add(behind(ops, spec, attention(ops, spec, asked(x), x, index, memory), `${at}.attention`), asked(x)),
    );
    return ops.maskRows(ops.add(behind(ops, spec, feedForward(ops, spec, y, at), at), y));
  }
  const h = ops.layerNorm(x, attentionNorm);
  if (spec.blocks.parallel !== "no") {
    const g = spec.blocks.parallel === "one norm" ? asked(h) : ops.layerNorm(asked(x), feedForwardNorm);
    const branches = ops.add(attention(ops, spec, asked(h), h, index, memory), feedForward(ops, spec, g, at));
    return ops.add(branches, asked(x));
  }
  const y = ops.add(behind(ops, spec, attention(ops, spec, asked(h), h, index, memory), `${at}.attention`), asked(x));
  return ops.add(behind(ops, spec, feedForward(ops, spec, ops.layerNorm(y, feedForwardNorm), at), at), y);
}

/** A branch's result, normalised where norms stand behind branches. */
function behind<T>(ops: Ops<T>, spec: ModelSpec, branch: T, at: string): T {
  const { normPlace } = spec.blocks;
  const isNormed = normPlace === "both" || normPlace === "branch";
  return isNormed ? ops.layerNorm(branch, norm(spec, `${at}.branch.norm`)) : branch;
}

/** Attention of `rows` over all of `h` and what came before, heads side by side, then the output layer. */
function attention<T>(ops: Ops<T>, spec: ModelSpec, rows: T, h: T, index: number, memory: Memory<T> | null): T {
  const at = placeOf(spec, index);
  const { hidden, headWidth, blocks } = spec;
  const heads = headsOf(spec, index, memory !== null);
  const [inner, keyWidth] = [headWidth * heads.queries, headWidth * heads.keys];
  const { query: bias, output: outputBias } = blocks.biases;
  const placed = (x: T, part: "query" | "key", count: number) => {
    const y = normedHeads(ops, spec, x, `${at}.${part}.norm`, count);
    const z = part === "key" ? ops.maskRows(y) : y;
    const rotary = rotaryOf(spec, index, count);
    return rotary === null ? z : ops.rotate(z, rotary);
  };
  const q = placed(ops.linear(rows, linear(`${at}.query`, hidden, inner, bias)), "query", heads.queries);
  const k = placed(ops.linear(h, linear(`${at}.key`, hidden, keyWidth, bias)), "key", heads.keys); // [n, keyWidth]
  const v = ops.maskRows(ops.linear(h, linear(`${at}.value`, hidden, keyWidth, bias)));
  const { keys, values } = memory === null ? { keys: k, values: v } : remembered(ops, memory, k, v);
  const scores = capped(ops, ops.scores(q, keys, heads, relativeOf(spec, at)), blocks.caps.scores); // [a·rows, n so far]
  const weights = softmax(spec.softmax).apply(ops, scores);
  const mean = ops.weightedMean(weights, values, heads); // [rows, a·w]
  return ops.linear(mean, linear(`${at}.attention.output`, inner, hidden, outputBias));
}

function headsOf({ heads, keyHeads, blocks }: ModelSpec, layer: number, causal: boolean): Heads {
  const { window, slopes, scoreScale } = blocks;
  return {
    queries: heads,
    keys: keyHeads,
    causal,
    ...(scoreScale === null ? {} : { scale: scoreScale }),
    ...(window?.layers.includes(layer) ? { window: window.size } : {}),
    ...(slopes === null ? {} : { slopes }),
  };
}

/** c·tanh(x/c). */
export function capped<T>(ops: Ops<T>, x: T, cap: number | null): T {
  return cap === null ? x : ops.smooth(x, `cap/${cap}`);
}

/** Queries or keys, normalised where the model does it: head by head with one head's weights, or as one row. */
function normedHeads<T>(ops: Ops<T>, { blocks, headWidth, epsilon }: ModelSpec, x: T, name: string, heads: number): T {
  if (blocks.queryNorm === "none") return x;
  const width = blocks.queryNorm === "heads" ? headWidth : headWidth * heads;
  const groups = blocks.queryNorm === "heads" ? heads : 1;
  return ops.layerNorm(x, { name, width, groups, epsilon, kind: blocks.norm, bias: blocks.normBias });
}

/** The keys and values of all tokens so far: [n so far, width]. */
function remembered<T>(ops: Ops<T>, memory: Memory<T>, k: T, v: T): { keys: T; values: T } {
  const keys = ops.remember(memory.keys, k);
  const values = ops.remember(memory.values, v);
  Object.assign(memory, { keys, values });
  return { keys, values };
}

/** The relative positions of a layer. */
function relativeOf(spec: ModelSpec, at: string): RelativeRef | null {
  const { relative } = spec.blocks;
  if (relative === null) return null;
  const table = "relative";
  if (relative.kind === "bias") return { spec: relative, table, norm: null, keys: null, queries: null };
  const dense = (part: "key" | "query") =>
    linear(`${at}.${relative.shared ? "" : "relative."}${part}`, spec.hidden, spec.heads * spec.headWidth, true);
  return {
    spec: relative,
    table,
    norm: relative.normed ? norm(spec, "relative.norm") : null,
    keys: relative.ofQueries ? dense("key") : null,
    queries: relative.ofKeys ? dense("query") : null,
  };
}

function rotaryOf({ blocks, headWidth }: ModelSpec, layer: number, heads: number): Rotary | null {
  const isWindowed = blocks.window?.layers.includes(layer) ?? false;
  const rotary = (isWindowed ? blocks.windowRotary : null) ?? blocks.rotary;
  if (rotary === null || rotary.without.includes(layer)) return null;
  return { heads, frequencies: frequenciesOf(rotary, headWidth) };
}

function feedForward<T>(ops: Ops<T>, spec: ModelSpec, x: T, at: string): T {
  const { hidden, intermediate, blocks } = spec;
  const bias = blocks.biases.feedForward;
  const activation = blocks.activation === "silu" ? silu(spec.gelu) : gelu(spec.gelu);
  const inner = ops.linear(x, linear(`${at}.intermediate`, hidden, intermediate, bias)); // [n, f]
  const output = linear(`${at}.output`, intermediate, hidden, bias);
  if (!blocks.gated) return ops.linear(activation.apply(ops, inner), output);
  const gate = activation.apply(ops, ops.linear(x, linear(`${at}.gate`, hidden, intermediate, bias)));
  return ops.linear(ops.multiply(gate, inner), output);
}

/** A norm of the model's kind over its hidden width. */
function norm({ blocks, hidden, epsilon }: ModelSpec, name: string): NormRef {
  return { name, width: hidden, epsilon, kind: blocks.norm, bias: blocks.normBias };
}

/** A dense layer by name. */
export function linear(name: string, inputs: number, outputs: number, bias: boolean): LinearRef {
  return { name, inputs, outputs, bias };
}
