/** Which texts share a run: those of one padded length, as many as a run's memory has room for. */
import type { TokenizedText } from "../program/spec.ts";
import type { Shape } from "../program/steps.ts";
import { MOST_TEXTS, PartyError } from "./messages.ts";

/** Tokens of a run, about: more share its flights, and hold more material in memory. */
const RUN_TOKENS = 256;

export interface Numbered {
  /** Its place among all texts. */
  readonly at: number;
  readonly text: TokenizedText;
  readonly shape: Shape;
}

export interface Batch {
  readonly shape: Shape;
  readonly texts: readonly Numbered[];
}

/** Texts in runs of one shape each; those of one padded length have one shape. Each text is in one run. */
export function batchesOf(texts: readonly Numbered[]): readonly Batch[] {
  const open = new Map<number, Numbered[]>();
  const batches: Batch[] = [];
  for (const one of texts) {
    const { length } = one.shape;
    const batch = open.get(length) ?? [];
    if (batch.length === 0) batches.push({ shape: one.shape, texts: batch });
    batch.push(one);
    open.set(length, batch.length < Math.min(MOST_TEXTS, Math.floor(RUN_TOKENS / length)) ? batch : []);
  }
  return batches;
}

/** @throws PartyError for none, and for more than a run takes. */
export function checkCount(texts: readonly unknown[]): void {
  if (texts.length === 0 || texts.length > MOST_TEXTS)
    throw new PartyError(`a run takes 1 to ${MOST_TEXTS} texts, not ${texts.length}`);
}
