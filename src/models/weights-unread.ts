/**
 * Weights of a file that nothing reads. In a model's layers or embeddings they mean that the model computes another function than the one
 * computed here: a wrong answer without a word. Elsewhere they are heads of other tasks, which transformers leaves out too.
 */
import type { ModelSpec } from "../program/spec.ts";
import { familyOf } from "./families/all.ts";
import { printable } from "./json.ts";

/** What transformers stores, or stored once, and does not learn: masks, numbers of positions, rotary tables. */
const BUFFER =
  /(^|\.)(position_ids|token_type_ids|inv_freq|\w*rotary_emb\.\w+|masked_bias|causal_mask|alibi|num_batches_tracked)$/;
/** Causal masks of decoders, [1, 1, n, n]. */
const MASK = /(^|\.)(attn|attention)\.bias$/;
/** Of a layer, which has a number. */
const LAYER = /(?:^|\.)(?:layers?|h|blocks?|albert_layer_groups)\.(\d+)\./;
const EMBEDDING = /(^|\.)(embed|wte|wpe|word_embeddings)/;
const POOLER = /(^|\.)pooler\./;

/** A tensor as a file has it. */
interface Stored {
  readonly name: string;
  readonly shape: readonly number[];
}

/** @throws an Error that names a weight of the model's body which is not in `read`. */
export function checkUnreadWeights(entries: Iterable<Stored>, read: ReadonlySet<string>, spec: ModelSpec): void {
  const prefixes = familyOf(spec.architecture).names.prefixes.filter((prefix) => prefix !== "");
  for (const { name, shape } of entries) {
    if (read.has(name) || BUFFER.test(name) || POOLER.test(name) || (MASK.test(name) && shape.length === 4)) continue;
    const layer = LAYER.exec(name)?.[1];
    // Layers behind the last one that config.json names are left out, as transformers does.
    if (layer !== undefined && Number(layer) >= spec.layers) continue;
    const isBody = layer !== undefined || EMBEDDING.test(name) || prefixes.some((prefix) => name.startsWith(prefix));
    if (!isBody) continue;
    throw new Error(
      `the weights have ${printable(name)}, which nothing here reads: another model than config.json says, correct one`,
    );
  }
}
