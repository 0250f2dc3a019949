/** Labels of tokens as entities: what transformers' token-classification pipeline makes of them. */

import type { SpannedText, TextTokenizer } from "../models/tokenizer.ts";
import { indexOfLargest } from "../program/largest.ts";
import { softmaxOf } from "./probabilities.ts";

/** One token's label. */
export interface TokenLabel {
  readonly entity: string;
  /** The label's probability. */
  readonly score: number;
  /** The token's place among all tokens, special ones included. */
  readonly index: number;
  readonly word: string;
  /** The part of the text, in UTF-16 units: `text.slice(start, end)`. */
  readonly start: number;
  readonly end: number;
}

/** Tokens side by side that are one entity. */
export interface Entity {
  readonly entity_group: string;
  /** The mean of its tokens' probabilities. */
  readonly score: number;
  readonly word: string;
  readonly start: number;
  readonly end: number;
}

/** The label of tokens that belong to no entity. */
const OUTSIDE = "O";

/**
 * The likeliest label of each token of the text.
 * @param logits one row of `labels` for each token (and for padding behind them)
 */
export function tokenLabels(
  { ids, spans }: SpannedText,
  logits: readonly number[],
  labels: readonly string[],
  tokenizer: TextTokenizer,
): TokenLabel[] {
  return ids.flatMap((id, index) => {
    const span = spans[index];
    if (span === null) return [];
    const scores = softmaxOf(logits.slice(index * labels.length, (index + 1) * labels.length));
    const best = indexOfLargest(scores);
    const word = tokenizer.pieceOf(id);
    return [{ entity: labels[best], score: scores[best], index, word, start: span.from, end: span.to }];
  });
}

/** The labels that are of entities. */
export function labelled(labels: readonly TokenLabel[]): TokenLabel[] {
  return labels.filter(({ entity }) => entity !== OUTSIDE);
}

/**
 * Entities of all labels (aggregation "simple"): neighbours with one label are one entity, unless the second begins its own
 * (`B-`). Their words are the text's, without WordPiece's marks.
 */
export function entitiesOf(labels: readonly TokenLabel[], text: string): Entity[] {
  const groups: TokenLabel[][] = [];
  let before: Tag | undefined;
  for (const label of labels) {
    const tag = tagOf(label.entity);
    if (before !== undefined && tag.name === before.name && !tag.begins) groups[groups.length - 1].push(label);
    else groups.push([label]);
    before = tag;
  }
  return groups.map((group) => entityOf(group, text)).filter(({ entity_group }) => entity_group !== OUTSIDE);
}

function entityOf(group: readonly TokenLabel[], text: string): Entity {
  const [first, last] = [group[0], group[group.length - 1]];
  return {
    entity_group: tagOf(first.entity).name,
    score: group.reduce((sum, { score }) => sum + score, 0) / group.length,
    word: text.slice(first.start, last.end),
    start: first.start,
    end: last.end,
  };
}

interface Tag {
  readonly name: string;
  readonly begins: boolean;
}

/** `B-PER` begins a PER, `I-PER` goes on with one; a label without either goes on. */
function tagOf(entity: string): Tag {
  const [, mark, name] = /^([BI])-(.*)$/su.exec(entity) ?? [];
  return mark === undefined ? { name: entity, begins: false } : { name, begins: mark === "B" };
}
