/** Which texts share a run: those of one padded length, as many as a run's memory has room for. */
import { bucketFor } from "../program/lengths.ts";
import type { TokenizedText } from "../program/spec.ts";
import { MOST_TEXTS, PartyError } from "./messages.ts";

/** Tokens of a run, about: more share its flights, and hold more material in memory. */
const RUN_TOKENS = 256;

export interface Numbered {
  /** Its place among all texts. */
  readonly at: number;
  readonly text: TokenizedText;
  /** Its padded length. */
  readonly length: number;
}

export interface Batch {
  readonly length: number;
  readonly texts: readonly Numbered[];
}

/** Texts in runs of one padded length each. Each text is in one run. */
export function batchesOf(texts: readonly Numbered[]): readonly Batch[] {
  const open = new Map<number, Numbered[]>();
  const batches: Batch[] = [];
  for (const one of texts) {
    const { length } = one;
    const batch = open.get(length) ?? [];
    if (batch.length === 0) batches.push({ length, texts: batch });
    batch.push(one);
    open.set(length, batch.length < Math.min(MOST_TEXTS, Math.floor(RUN_TOKENS / length)) ? batch : []);
  }
  return batches;
}

/**
 * The padded length of a text of so many tokens: the given one, else the smallest of the list that holds it.
 * @throws PartyError, PlanError for a text that is longer, and a length that the model has not: before anything is sent.
 */
export function paddedLength(tokens: number, limit: number, given?: number): number {
  if (given === undefined) return bucketFor(tokens, limit);
  if (!(Number.isInteger(given) && given >= 1 && given <= limit))
    throw new PartyError(`a padded length is a whole number from 1 to the model's ${limit}, not ${given}`);
  if (tokens > given)
    throw new PartyError(
      `a text has ${tokens} tokens, more than the padded length ${given}: shorten it, or pad to more`,
    );
  return given;
}
