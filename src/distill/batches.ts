/** From examples to padded batches, in an order that seed and epoch fix. */

import { generator, shuffled } from "../models/random.ts";
import { answersEachToken, type ModelSpec, type TokenizedText } from "../program/spec.ts";

/** A text and what to learn of it: a class's number, or the value of a regression; of a text to continue, nothing more. */
export interface Example {
  readonly text: TokenizedText;
  readonly label: number;
  /** The label of each token, where tokens are judged; -1: none. */
  readonly tokenLabels?: Int32Array;
  /** A teacher's logits of it, where the teacher itself is not in the graph. */
  readonly logits?: Float32Array;
}

/** Texts side by side, padded with token 0 to the longest: B·n ids and types; a mask that is 1 at the texts' own tokens. */
export interface Batch {
  readonly size: number;
  readonly positions: number;
  readonly ids: Int32Array;
  readonly types: Int32Array;
  readonly mask: Float32Array;
  /** Tokens without padding. */
  readonly tokens: number;
  /** One-hot rows of classes [B, labels], or values [B, 1]; of texts to continue nothing. */
  readonly targets: Float32Array;
  /** The label of each position, where tokens are judged; -1: none. [B, n] */
  readonly tokenLabels?: Int32Array;
  /** A teacher's logits [B, labels]. */
  readonly logits?: Float32Array;
  /** Masked-language modelling: the rows (of B·n) that were masked, and their tokens. */
  readonly masked?: { readonly rows: Int32Array; readonly tokens: Int32Array };
}

/** Padded lengths are multiples of this: fewer shapes, and rows that vectors divide. */
const GRANULE = 4;
/** Texts of similar length are batched within windows of so many batches: little padding, and still a random order. */
const WINDOW = 40;

/** What a batch is made of: the examples' indices. */
export type Selection = readonly number[];

/** A text's first tokens, and its last one (a separator) as their end; the text itself where it is no longer than that. */
export function cutTo(text: TokenizedText, tokens: number): TokenizedText {
  const { ids, types } = text;
  if (ids.length <= tokens) return text;
  const cut = <T extends TokenizedText["ids"]>(values: T) => [
    ...values.slice(0, tokens - 1),
    values[values.length - 1],
  ];
  return { ...text, ids: cut(ids), types: cut(types) };
}

/** The longest texts at a part (from 0 to 1) of the way: the lengths follow each other in equal shares. Without any: all texts. */
export function longestAt(part: number, curriculum: readonly number[] = []): number {
  return curriculum[Math.min(curriculum.length - 1, Math.floor(part * curriculum.length))] ?? Number.POSITIVE_INFINITY;
}

/** The batches of one epoch, each with texts of similar length; the last of the epoch may be smaller. */
export function epochOf(lengths: readonly number[], size: number, seed: number, epoch: number): Selection[] {
  const next = generator(`order of epoch ${epoch}`, seed);
  const order = shuffled(lengths.length, next);
  const batches: Selection[] = [];
  for (let start = 0; start < order.length; start += size * WINDOW) {
    const window = order.slice(start, start + size * WINDOW).sort((a, b) => lengths[a] - lengths[b] || a - b);
    for (let at = 0; at < window.length; at += size) batches.push(window.slice(at, at + size));
  }
  return shuffled(batches.length, next).map((i) => batches[i]);
}

/** All examples once, longest batch first (so that memory is known at once). */
export function inOrder(lengths: readonly number[], size: number): Selection[] {
  const order = lengths.map((_, i) => i).sort((a, b) => lengths[b] - lengths[a] || a - b);
  return Array.from({ length: Math.ceil(order.length / size) }, (_, i) => order.slice(i * size, (i + 1) * size));
}

/** @throws an Error when a label is none of the model's. */
export function batchOf(examples: readonly Example[], spec: Pick<ModelSpec, "labels" | "problem">): Batch {
  const longest = Math.max(...examples.map(({ text }) => text.ids.length));
  const positions = Math.ceil(longest / GRANULE) * GRANULE;
  const [ids, types] = [new Int32Array(examples.length * positions), new Int32Array(examples.length * positions)];
  const mask = new Float32Array(examples.length * positions);
  const targets = new Float32Array(answersEachToken(spec) ? 0 : examples.length * spec.labels);
  const labelled = examples[0].tokenLabels !== undefined;
  const tokenLabels = labelled ? new Int32Array(examples.length * positions).fill(-1) : undefined;
  const logits = examples[0].logits === undefined ? undefined : new Float32Array(targets.length);
  let tokens = 0;
  examples.forEach(({ text, label, tokenLabels: own, logits: soft }, b) => {
    // A text that was cut has its last token in the place of another one.
    const whole = own?.length === text.ids.length;
    if (own !== undefined) tokenLabels?.set(whole ? own : own.subarray(0, text.ids.length - 1), b * positions);
    if (soft !== undefined) logits?.set(soft, b * spec.labels);
    ids.set(text.ids, b * positions);
    types.set(text.types, b * positions);
    mask.fill(1, b * positions, b * positions + text.ids.length);
    tokens += text.ids.length;
    if (spec.problem === "regression") targets[b] = label;
    else if (spec.problem === "classification") {
      if (!(Number.isInteger(label) && label >= 0 && label < spec.labels)) {
        throw new Error(`a label is none of 0 to ${spec.labels - 1}: check the data or --labels`);
      }
      targets[b * spec.labels + label] = 1;
    }
  });
  return { size: examples.length, positions, ids, types, mask, tokens, targets, tokenLabels, logits };
}

/** The token behind each position; -1 where a text ends, and in its padding: B·n. */
export function nextTokens({ ids, mask, positions }: Batch): Int32Array {
  return ids.map((_, at) => ((at + 1) % positions === 0 || mask[at + 1] === 0 ? -1 : ids[at + 1]));
}
