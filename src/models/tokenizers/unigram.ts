/** Kudo's unigram model (arXiv:1804.10959): of all ways to divide a piece into tokens, the one with the highest sum of scores. */

import * as v from "valibot";
import { MOST_TOKENS, MOST_WORD_LETTERS, type TokenModel, unknownMissing, Vocabulary } from "./vocabulary.ts";

export interface UnigramOptions {
  readonly vocab: readonly (readonly [string, number])[];
  readonly unk_id: number | null;
  readonly byte_fallback: boolean;
}

/** An unknown letter scores so much less than the least likely token. */
const UNKNOWN_PENALTY = 10;

interface Step {
  readonly score: number;
  /** Where the token begins, and its number; the unknown one without a number. */
  readonly from: number;
  readonly id: number | null;
}

export class Unigram implements TokenModel {
  readonly #options: UnigramOptions;
  readonly #vocabulary: Vocabulary;
  readonly #sorted: readonly string[];
  readonly #unknownScore: number;

  constructor(options: UnigramOptions) {
    this.#options = options;
    this.#vocabulary = new Vocabulary(options.vocab.map(([token], id) => [token, id]));
    this.#sorted = [...this.#vocabulary.ids.keys()].filter((token) => token !== "").sort(byUnits);
    this.#unknownScore = options.vocab.reduce((least, [, score]) => Math.min(least, score), Infinity) - UNKNOWN_PENALTY;
  }

  idOf(token: string): number | undefined {
    return this.#vocabulary.idOf(token);
  }

  tokenOf(id: number): string | undefined {
    return this.#options.vocab[id]?.[0];
  }

  get size(): number {
    return this.#options.vocab.length;
  }

  get largest(): number {
    return this.#options.vocab.length - 1;
  }

  tokenize(piece: string): readonly number[] {
    return this.#divided(piece).flatMap((text) => {
      const id = this.idOf(text);
      if (id !== undefined) return [id];
      const bytes = this.#options.byte_fallback ? this.#vocabulary.bytesOf(text) : undefined;
      if (bytes !== undefined) return bytes;
      if (this.#options.unk_id === null) throw unknownMissing();
      return [this.#options.unk_id];
    });
  }

  /** The texts of the best way's tokens; unknown letters side by side are one text. */
  #divided(piece: string): readonly string[] {
    const steps = this.#best(piece);
    const texts: string[] = [];
    let unknown = "";
    for (let end = piece.length; end > 0; ) {
      const { from, id } = steps[end] as Step;
      const text = piece.slice(from, end);
      if (id === null || id === this.#options.unk_id) unknown = text + unknown;
      else {
        if (unknown !== "") texts.push(unknown);
        unknown = "";
        texts.push(text);
      }
      end = from;
    }
    return (unknown === "" ? texts : [...texts, unknown]).reverse();
  }

  /** For each place in the piece, the last token of the best way there. */
  #best(piece: string): readonly (Step | undefined)[] {
    const steps: (Step | undefined)[] = [];
    const consider = (end: number, step: Step) => {
      const known = steps[end];
      if (known === undefined || step.score > known.score) steps[end] = step;
    };
    for (let from = 0; from < piece.length; ) {
      const before = steps[from]?.score ?? 0;
      const length = (piece.codePointAt(from) as number) > 0xffff ? 2 : 1;
      let single = false;
      for (const token of this.#beginnings(piece, from)) {
        const id = this.idOf(token) as number;
        consider(from + token.length, { score: this.#options.vocab[id][1] + before, from, id });
        single ||= token.length === length;
      }
      if (!single) {
        if (this.#options.unk_id === null) throw unknownMissing();
        consider(from + length, { score: this.#unknownScore + before, from, id: null });
      }
      from += length;
    }
    return steps;
  }

  /** The tokens with which the piece goes on, shortest first. */
  *#beginnings(piece: string, from: number): Generator<string> {
    const sorted = this.#sorted;
    let [low, high] = [0, sorted.length];
    for (let depth = 0; from + depth < piece.length && low < high; depth++) {
      const unit = piece.charCodeAt(from + depth);
      low = first(low, high, (i) => sorted[i].charCodeAt(depth) >= unit);
      high = first(low, high, (i) => sorted[i].charCodeAt(depth) > unit);
      if (low < high && sorted[low].length === depth + 1) yield sorted[low++];
    }
  }
}

function byUnits(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** The first index from `low` to `high` that passes a test which all behind it pass. */
function first(low: number, high: number, test: (index: number) => boolean): number {
  let [from, to] = [low, high];
  while (from < to) {
    const middle = (from + to) >> 1;
    if (test(middle)) to = middle;
    else from = middle + 1;
  }
  return from;
}

/** tokenizer.json's model of this kind. */
export const unigramSchema = v.pipe(
  v.strictObject({
    type: v.literal("Unigram"),
    unk_id: v.nullish(v.pipe(v.number(), v.integer(), v.minValue(0)), null),
    vocab: v.pipe(
      v.custom<readonly (readonly [string, number])[]>(isScored, "must be pairs of a token and a score"),
      v.maxLength(MOST_TOKENS, `must have ${MOST_TOKENS} tokens or fewer`),
    ),
    byte_fallback: v.optional(v.boolean(), false),
  }),
  v.check(({ unk_id, vocab }) => unk_id === null || unk_id < vocab.length, "unk_id must be a token's number"),
);

function isScored(value: unknown): boolean {
  return (
    Array.isArray(value) &&
    value.every(
      (pair: unknown) =>
        Array.isArray(pair) &&
        pair.length === 2 &&
        typeof pair[0] === "string" &&
        pair[0].length <= MOST_WORD_LETTERS &&
        Number.isFinite(pair[1]),
    )
  );
}
