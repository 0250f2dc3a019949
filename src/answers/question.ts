/** Where in a text the answer to a question begins and ends: what transformers' question-answering pipeline makes of the logits. */

import type { SpannedText } from "../models/tokenizer.ts";
import { softmaxOf } from "./probabilities.ts";

/** One part of the context that may be the answer. */
export interface AnswerSpan {
  readonly score: number;
  /** The part of the context, in UTF-16 units: `context.slice(start, end)`. */
  readonly start: number;
  readonly end: number;
  readonly answer: string;
}

export interface QuestionOptions {
  /** How many answers, the likeliest first; 1 unless told. */
  readonly topK?: number;
  /** The most tokens of an answer; 15 unless told. */
  readonly maxAnswerTokens?: number;
}

/**
 * The likeliest parts of the context.
 * @param encoded the question, then the context
 * @param logits of each token (and of padding behind them) that of a beginning and that of an end
 */
export function answerSpans(
  { spans }: SpannedText,
  logits: readonly number[],
  context: string,
  { topK = 1, maxAnswerTokens = 15 }: QuestionOptions = {},
): AnswerSpan[] {
  // The first token, which stands for "no answer", takes its part of the probability, and is none.
  const places = spans.flatMap((span, i) => (i === 0 || span?.text === 1 ? [i] : []));
  const [begins, ends] = [0, 1].map((which) => softmaxOf(places.map((i) => logits[2 * i + which])));
  const found: { score: number; from: number; to: number }[] = [];
  for (let from = 1; from < places.length; from++)
    for (let to = from; to < Math.min(places.length, from + maxAnswerTokens); to++)
      found.push({ score: begins[from] * ends[to], from: places[from], to: places[to] });
  found.sort((a, b) => b.score - a.score);
  return found.slice(0, topK).map(({ score, from, to }) => {
    const [start, end] = [spans[from]?.from ?? 0, spans[to]?.to ?? 0];
    return { score, start, end, answer: context.slice(start, end) };
  });
}
