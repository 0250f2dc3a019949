/**
 * Masked-language modelling (Devlin et al., arXiv:1810.04805): a small BERT learns from plain text, before it learns a task.
 * Of a text's tokens 15% are to be told: 80% of them are masked, 10% replaced by another token, 10% left as they are.
 */

import { statesOf } from "../models/model.ts";
import { generator, uniforms } from "../models/random.ts";
import type { TextTokenizer } from "../models/tokenizer.ts";
import type { ModelSpec, TokenizedText } from "../program/spec.ts";
import { type Batch, batchOf } from "./batches.ts";
import { MASKED_ROWS, MASKED_TOKENS, type TrainingGraph, WORDS } from "./graph.ts";
import { batchSize, tokenEntropy } from "./losses.ts";
import type { Term } from "./objective.ts";
import type { TrainedModel } from "./trained-model.ts";
import { TrainingOps } from "./training-ops.ts";
import { initialTensor } from "./weights.ts";

const SHARE = 0.15;
/** Pieces shorter than this many tokens say little. */
const SHORTEST = 8;

/** Special tokens by their numbers. */
export interface MaskTokens {
  readonly cls: number;
  readonly sep: number;
  readonly mask: number;
}

/** Texts cut into pieces of at most `length` tokens, the special ones included. `tokenizer` takes texts of any length. */
export function piecesOf(
  texts: readonly string[],
  tokenizer: TextTokenizer,
  { cls, sep }: MaskTokens,
  length: number,
): TokenizedText[] {
  return texts.flatMap((text) => {
    const own = tokenizer.encode(text).ids.slice(1, -1);
    const pieces: TokenizedText[] = [];
    for (let at = 0; at < own.length; at += length - 2) {
      const ids = [cls, ...own.slice(at, at + length - 2), sep];
      if (ids.length >= SHORTEST) pieces.push({ ids, types: ids.map(() => 0) });
    }
    return pieces;
  });
}

/** A batch with tokens to be told; the same for the same seed and number. */
export function maskedBatch(
  texts: readonly TokenizedText[],
  spec: Pick<ModelSpec, "vocabulary">,
  { cls, sep, mask }: MaskTokens,
  seed: number,
  index: number,
): Batch {
  const batch = batchOf(
    texts.map((text) => ({ text, label: 0 })),
    { labels: 1, problem: "regression" },
  );
  const uniform = uniforms(generator(`masks of batch ${index}`, seed));
  const [rows, tokens]: [number[], number[]] = [[], []];
  const ids = batch.ids.slice();
  for (let row = 0; row < ids.length; row++) {
    const id = batch.ids[row];
    if (batch.mask[row] === 0 || id === cls || id === sep) continue;
    // One token at least is to be told.
    if (uniform() >= SHARE && !(rows.length === 0 && row > ids.length / 2)) continue;
    rows.push(row);
    tokens.push(id);
    const draw = uniform();
    if (draw < 0.8) ids[row] = mask;
    else if (draw < 0.9) ids[row] = Math.floor(uniform() * spec.vocabulary);
  }
  return { ...batch, ids, masked: { rows: Int32Array.from(rows), tokens: Int32Array.from(tokens) } };
}

/** Writes the model and its head (dense, GELU, norm, the word table again, a bias) into the graph: one term, "tokens". */
export function writeMaskedModelling(graph: TrainingGraph, { spec, weights }: TrainedModel, seed: number): Term[] {
  const o = graph.batch.operators;
  const { e } = o;
  const ops = new TrainingOps(
    graph.batch,
    graph.trainable(weights, () => false),
    graph.dropout,
  );
  const states = statesOf(ops, spec).value; // [B·n, d]
  const rows = e.graph.input(MASKED_ROWS, "int64", ["masked", 1]);
  const targets = e.graph.input(MASKED_TOKENS, "int64", ["masked", 1]);
  const head = (name: string, shape: readonly number[]) => graph.train(name, initialTensor(name, shape, seed));
  const { hidden, vocabulary, epsilon } = spec;
  const x = o.linear(
    o.rows(states, rows),
    head("mlm.dense.weight", [hidden, hidden]),
    head("mlm.dense.bias", [hidden]),
  );
  const normed = o.layerNorm(
    o.smooth(x, "gelu"),
    head("mlm.norm.weight", [hidden]),
    head("mlm.norm.bias", [hidden]),
    epsilon,
  );
  const logits = o.linear(normed, graph.train(WORDS, weights.get(WORDS)), head("mlm.bias", [vocabulary]));
  const count = e.floats(batchSize(o, logits.name));
  return [{ name: "tokens", weight: 1, value: tokenEntropy(o, logits, targets, vocabulary, { count }) }];
}
