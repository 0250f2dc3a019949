/** A model by its spec: the one door to all architectures. */

import type { EmbeddingRef, Ops } from "../program/ops.ts";
import { isDecoder, type ModelSpec } from "../program/spec.ts";
import { classifier, embeddings as encoderEmbeddings } from "./bert.ts";
import { decoder, embeddings as decoderEmbeddings } from "./decoder.ts";

/** The logits of each turn: an encoder has one, a decoder as many as are taken. */
export function* turnsOf<T>(ops: Ops<T>, spec: ModelSpec): Generator<T, void> {
  if (isDecoder(spec)) yield* decoder(ops, spec);
  else yield classifier(ops, spec);
}

/** The logits of the first turn: [1, labels]; of a decoder whose text is scored, [n, vocabulary]. */
export function logitsOf<T>(ops: Ops<T>, spec: ModelSpec): T {
  const first = turnsOf(ops, spec).next();
  if (first.done === true) throw new Error("a model has at least one turn");
  return first.value;
}

/** The embedding that a model begins with. */
export function embeddingsOf(spec: ModelSpec): EmbeddingRef {
  return isDecoder(spec) ? decoderEmbeddings(spec) : encoderEmbeddings(spec);
}
