/** Labels that a model was never trained on, by whether a text entails a sentence about each: what transformers' pipeline makes of it. */

import { softmaxOf } from "./probabilities.ts";

/** Labels, the likeliest first, with their scores. */
export interface ZeroShot {
  readonly labels: readonly string[];
  readonly scores: readonly number[];
}

/** Where a label goes in the sentence about it. */
const PLACE = "{}";
export const USUAL_SENTENCE = `This example is ${PLACE}.`;

/** The sentences about labels. @throws an Error when the template has no place for one, or there is no label. */
export function sentencesAbout(labels: readonly string[], template: string): string[] {
  if (!template.includes(PLACE))
    throw new Error(`the sentence about a label has no ${PLACE}: put it where the label goes`);
  if (labels.length === 0) throw new Error("there is no label to choose from: give one or more");
  return labels.map((label) => template.replace(PLACE, () => label));
}

/** Which of a model's labels means that the first text entails the second. @throws an Error when none does. */
export function entailmentIn(labelNames: readonly string[]): number {
  const found = labelNames.findIndex((name) => /^entail/i.test(name));
  if (found < 0 || labelNames.length < 2)
    throw new Error("this model does not tell whether a text entails another: ask one with a label ENTAILMENT");
  return found;
}

/**
 * Scores of the labels.
 * @param logits the model's, of the text with the sentence about each label
 * @param several whether labels may hold together: each is then judged against its contradiction alone
 */
export function zeroShotOf(
  labels: readonly string[],
  logits: readonly (readonly number[])[],
  entailment: number,
  several: boolean,
): ZeroShot {
  const other = (row: readonly number[]) => row[entailment === 0 ? row.length - 1 : 0];
  const scores =
    several || labels.length === 1
      ? logits.map((row) => softmaxOf([other(row), row[entailment]])[1])
      : softmaxOf(logits.map((row) => row[entailment]));
  const order = labels.map((_, i) => i).sort((a, b) => scores[b] - scores[a]);
  return { labels: order.map((i) => labels[i]), scores: order.map((i) => scores[i]) };
}
