/** A masked word as transformers' fill-mask pipeline tells it. */
import type { TextTokenizer } from "../models/tokenizer.ts";
import { softmaxOf } from "./probabilities.ts";

/** A token that may stand in the masked place. */
export interface FilledMask {
  readonly score: number;
  readonly token: number;
  readonly token_str: string;
  /** The text with it. */
  readonly sequence: string;
}

/**
 * The likeliest tokens of a text's masked place, the likeliest first.
 * @param ids the text's tokens, the masked one among them
 * @param logits of that place, one for each token
 */
export function filledMasks(
  tokenizer: TextTokenizer,
  ids: readonly number[],
  logits: readonly number[],
  count: number,
): FilledMask[] {
  const scores = softmaxOf(logits);
  const order = [...scores.keys()].sort((a, b) => scores[b] - scores[a]).slice(0, count);
  return order.map((token) => {
    const whole = ids.map((id) => (id === tokenizer.maskId ? token : id));
    return { score: scores[token], token, token_str: tokenizer.decode([token]), sequence: tokenizer.decode(whole) };
  });
}
