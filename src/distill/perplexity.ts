/** How well a decoder foretells texts: the measure of language models. */

import { logitsOf } from "../models/model.ts";
import type { ModelSpec, TokenizedText, Weights } from "../program/spec.ts";
import { FloatOps } from "../reference/float.ts";
import type { Matmul } from "../reference/matmul.ts";

/** Over all tokens that have one before them in their text. */
export interface Perplexity {
  /** Mean negative logarithm of a token's probability. */
  readonly loss: number;
  /** exp(loss): among so many tokens, equally likely, the model would have to guess. */
  readonly perplexity: number;
  readonly tokens: number;
}

export interface PerplexityOptions {
  readonly matmul?: Matmul;
  readonly progress?: (done: number, total: number) => void;
}

/**
 * Of texts under a decoder in the clear, by the float reference.
 * @throws an Error when no text has two tokens.
 */
export function perplexity(
  spec: ModelSpec,
  weights: Weights,
  texts: readonly TokenizedText[],
  options: PerplexityOptions = {},
): Perplexity {
  const likelihoods = texts.map((text, i) => {
    const ops = new FloatOps(weights, text, text.ids.length, { matmul: options.matmul, scoring: true });
    const { data, columns } = logitsOf(ops, spec);
    options.progress?.(i + 1, texts.length);
    return text.ids.slice(1).map((id, row) => logLikelihood(data.subarray(row * columns, (row + 1) * columns), id));
  });
  return perplexityOf(likelihoods);
}

/** From the log likelihoods of every text's tokens behind the first. @throws an Error when there are none. */
export function perplexityOf(likelihoods: readonly ArrayLike<number>[]): Perplexity {
  let [sum, tokens] = [0, 0];
  for (const text of likelihoods) {
    for (let i = 0; i < text.length; i++) sum += text[i];
    tokens += text.length;
  }
  if (tokens === 0) throw new Error("perplexity needs a text of two tokens or more: give longer ones");
  const loss = -sum / tokens;
  return { loss, perplexity: Math.exp(loss), tokens };
}

/** log softmax(logits)[token]. */
export function logLikelihood(logits: Float32Array, token: number): number {
  const most = logits.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  let sum = 0;
  for (const x of logits) sum += Math.exp(x - most);
  return logits[token] - most - Math.log(sum);
}
