/** An answer as people and machines read it: a label with probabilities, a value, or what was found in a text. */
import { type Entity, entitiesOf, labelled, type TokenLabel, tokenLabels } from "../answers/entities.ts";
import { sigmoidOf, softmaxOf } from "../answers/probabilities.ts";
import { type AnswerSpan, answerSpans } from "../answers/question.ts";
import type { SpannedText, TextTokenizer } from "../models/tokenizer.ts";
import { indexOfLargest } from "../program/largest.ts";
import { answersTokens, type ModelSpec, type TokenizedText } from "../program/spec.ts";
import type { Inference } from "./run.ts";

/** Candidates that a reading has. */
const CANDIDATES = 5;

/** A token that may stand in a masked place, and how likely it does. */
export interface Candidate {
  readonly index: number;
  readonly word?: string;
  readonly score: number;
}

export interface Reading {
  readonly label?: string;
  readonly index?: number;
  /**
   * Probabilities of the labels, of each by itself where several may hold; none where the server tells the label alone, or where
   * tokens are judged.
   */
  readonly scores?: readonly number[];
  /** Of a regression of one value. */
  readonly value?: number;
  /** Of a regression of several. */
  readonly values?: readonly number[];
  /** Of a model that embeds texts. */
  readonly vector?: readonly number[];
  /** Of a model that labels tokens: neighbours with one label are one entity. */
  readonly entities?: readonly Entity[];
  /** The same, token by token, without those that belong to no entity. */
  readonly tokenLabels?: readonly TokenLabel[];
  /** Of a model that fills a masked word: the likeliest tokens there. */
  readonly candidates?: readonly Candidate[];
  /** Of a model that finds answers: the likeliest part of the text. */
  readonly answer?: AnswerSpan;
}

/** One answer and what it took. */
export interface Answer extends Inference, Reading {}

/** What was asked: the text (or two), and its tokens as `encode` gives them. */
export interface Asked {
  readonly text: string;
  readonly pair?: string;
  readonly encoded: TokenizedText;
  readonly tokenizer: TextTokenizer | null;
}

/**
 * Logits as people read them: label and probabilities, values, entities, or an answer.
 * @param asked of models that judge tokens: what the logits are of
 */
export function reading(spec: ModelSpec, logits: readonly number[], asked?: Asked): Reading {
  const { problem, labelNames, answer } = spec;
  if (problem === "vector") return { vector: logits };
  if (problem === "mask") return { candidates: candidatesOf(logits, asked?.tokenizer ?? null) };
  if (problem === "regression") return spec.labels === 1 ? { value: logits[0] } : { values: logits };
  if (answersTokens(spec)) return asked === undefined ? {} : tokensReading(spec, logits, asked);
  if (answer === "label") return { label: labelNames[logits[0]] ?? String(logits[0]), index: logits[0] };
  const index = indexOfLargest(logits);
  const scores = problem === "labels" ? sigmoidOf(logits) : softmaxOf(logits);
  return { label: labelNames[index] ?? String(index), index, scores };
}

/** The likeliest words of a masked place, the likeliest first. */
function candidatesOf(logits: readonly number[], tokenizer: TextTokenizer | null): Candidate[] {
  const probabilities = softmaxOf(logits);
  const order = probabilities.map((_, index) => index).sort((a, b) => probabilities[b] - probabilities[a]);
  return order.slice(0, CANDIDATES).map((index) => {
    const word = tokenizer === null || index >= tokenizer.size ? "" : tokenizer.decode([index]).trim();
    return { index, score: probabilities[index], ...(word === "" ? {} : { word }) };
  });
}

/** Of a head that judges tokens, the logits of the text's own: the rows of padding behind them are zero. */
export function ownRows(spec: ModelSpec, { ids }: TokenizedText, logits: number[]): number[] {
  return answersTokens(spec) ? logits.slice(0, ids.length * spec.labels) : logits;
}

function tokensReading(
  { problem, labelNames }: ModelSpec,
  logits: readonly number[],
  { text, pair, encoded, tokenizer }: Asked,
): Reading {
  if (tokenizer === null || !("spans" in encoded)) return {};
  const spanned = encoded as SpannedText;
  if (problem === "spans") return { answer: answerSpans(spanned, logits, pair ?? "")[0] };
  const labels = tokenLabels(spanned, logits, labelNames, tokenizer);
  return { entities: entitiesOf(labels, text), tokenLabels: labelled(labels) };
}
