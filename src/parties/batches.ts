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
}

export interface Batch {
  readonly length: number;
  readonly texts: readonly Numbered[];
}

/** Texts in runs of one padded length each: their own, or the one that is given for all. Each text is in one run. */
export function batchesOf(texts: readonly Numbered[], lengthOf: (text: TokenizedText) => number): readonly Batch[] {
  const open = new Map<number, Numbered[]>();
  const batches: Batch[] = [];
  for (const one of texts) {
    const length = lengthOf(one.text);
    const batch = open.get(length) ?? [];
    if (batch.length === 0) batches.push({ length, texts: batch });
    batch.push(one);
    open.set(length, batch.length < Math.min(MOST_TEXTS, Math.floor(RUN_TOKENS / length)) ? batch : []);
  }
  return batches;
}

/** The padded length of the longest text. @throws PlanError beyond the model's positions. */
export function commonLength(texts: readonly TokenizedText[], limit: number): number {
  return bucketFor(Math.max(...texts.map(({ ids }) => ids.length)), limit);
}

/** @throws PartyError for a padded length that a text does not fit into, or that the model has not: before anything is sent. */
export function checkLength(texts: readonly TokenizedText[], length: number, limit: number): void {
  if (!(Number.isInteger(length) && length >= 1 && length <= limit))
    throw new PartyError(`a padded length is a whole number from 1 to the model's ${limit}, not ${length}`);
  const longest = Math.max(...texts.map(({ ids }) => ids.length));
  if (longest > length)
    throw new PartyError(
      `a text has ${longest} tokens, more than the padded length ${length}: shorten it, or pad to more`,
    );
}
