/** Byte-pair encoding (Sennrich et al., arXiv:1508.07909): of a piece's neighbours the pair of the first rule is joined, again and again. */

import * as v from "valibot";
import { affix, maybe } from "./steps.ts";
import { MOST_TOKENS, type TokenModel, unknownMissing, Vocabulary, vocabularySchema } from "./vocabulary.ts";

export interface BpeOptions {
  readonly vocab: Readonly<Record<string, number>>;
  readonly merges: readonly (readonly [string, string])[];
  /** What letters without a token become; without it they are left out. */
  readonly unk_token: string | null;
  readonly continuing_subword_prefix: string | null;
  readonly end_of_word_suffix: string | null;
  /** Whether unknown letters side by side become one token. */
  readonly fuse_unk: boolean;
  /** Whether an unknown letter becomes the tokens of its bytes. */
  readonly byte_fallback: boolean;
  /** Whether a whole piece that is a token is not looked at further. */
  readonly ignore_merges: boolean;
}

/** Larger than the numbers of tokens, so that a pair of them is one number. */
const PAIR = 2 ** 21;
/** More letters than a piece has. */
const PLACES = 2 ** 30;

export class Bpe implements TokenModel {
  readonly #options: BpeOptions;
  readonly #vocabulary: Vocabulary;
  /** Rules by their pair: which of the rules, and what comes out. */
  readonly #ranks = new Map<number, number>();
  readonly #results: number[] = [];

  /** @throws an Error when a rule joins what are no tokens, or to what is none. */
  constructor(options: BpeOptions) {
    this.#options = options;
    this.#vocabulary = new Vocabulary(Object.entries(options.vocab));
    const prefix = options.continuing_subword_prefix?.length ?? 0;
    options.merges.forEach(([left, right], rank) => {
      const pair = [left, right, left + right.slice(prefix)].map((token) => this.idOf(token));
      const [a, b, joined] = pair;
      if (a === undefined || b === undefined || joined === undefined)
        throw new Error(`merges: rule ${rank + 1} has a token that the vocabulary lacks: copy the file again`);
      this.#ranks.set(a * PAIR + b, rank);
      this.#results.push(joined);
    });
  }

  idOf(token: string): number | undefined {
    return this.#vocabulary.idOf(token);
  }

  tokenOf(id: number): string | undefined {
    return this.#vocabulary.tokenOf(id);
  }

  get size(): number {
    return this.#vocabulary.size;
  }

  get largest(): number {
    return this.#vocabulary.largest;
  }

  tokenize(piece: string): readonly number[] {
    const whole = this.#options.ignore_merges ? this.idOf(piece) : undefined;
    return whole === undefined ? this.#merged(this.#symbols(piece)) : [whole];
  }

  /** A piece's letters as tokens. */
  #symbols(piece: string): number[] {
    const { continuing_subword_prefix, end_of_word_suffix, byte_fallback, fuse_unk, unk_token } = this.#options;
    const symbols: number[] = [];
    let pending: number | undefined; // an unknown one, put down once it is known how far it goes
    const letters = [...piece];
    letters.forEach((letter, i) => {
      const begun = i > 0 ? (continuing_subword_prefix ?? "") + letter : letter;
      const token = i === letters.length - 1 ? begun + (end_of_word_suffix ?? "") : begun;
      const id = this.idOf(token);
      if (id !== undefined) {
        if (pending !== undefined) symbols.push(pending);
        pending = undefined;
        symbols.push(id);
        return;
      }
      const bytes = byte_fallback ? this.#vocabulary.bytesOf(token) : undefined;
      if (bytes !== undefined) symbols.push(...bytes);
      else if (unk_token !== null) {
        if (pending !== undefined && !fuse_unk) symbols.push(pending);
        pending = this.idOf(unk_token);
        if (pending === undefined) throw unknownMissing();
      }
    });
    if (pending !== undefined) symbols.push(pending);
    return symbols;
  }

  #merged(symbols: number[]): readonly number[] {
    const next = symbols.map((_, i) => i + 1);
    const before = symbols.map((_, i) => i - 1);
    const queue = new Queue();
    const enqueue = (at: number) => {
      if (at < 0 || next[at] >= symbols.length) return;
      const rank = this.#ranks.get(symbols[at] * PAIR + symbols[next[at]]);
      if (rank !== undefined) queue.push(rank * PLACES + at);
    };
    for (let i = 0; i < symbols.length; i++) enqueue(i);
    for (let top = queue.pop(); top !== undefined; top = queue.pop()) {
      const at = top % PLACES;
      const result = this.#results[(top - at) / PLACES];
      const other = next[at];
      if (symbols[at] < 0 || other >= symbols.length) continue;
      // The pair may have changed since; it counts if it still becomes the same.
      const rank = this.#ranks.get(symbols[at] * PAIR + symbols[other]);
      if (rank === undefined || this.#results[rank] !== result) continue;
      symbols[at] = result;
      symbols[other] = -1;
      next[at] = next[other];
      if (next[at] < symbols.length) before[next[at]] = at;
      enqueue(before[at]);
      enqueue(at);
    }
    return symbols.filter((id) => id >= 0);
  }
}

/** Numbers, the smallest first. */
class Queue {
  readonly #heap: number[] = [];

  push(value: number): void {
    const heap = this.#heap;
    let at = heap.push(value) - 1;
    for (let up = (at - 1) >> 1; at > 0 && heap[up] > value; up = (at - 1) >> 1) {
      heap[at] = heap[up];
      at = up;
    }
    heap[at] = value;
  }

  pop(): number | undefined {
    const heap = this.#heap;
    const top = heap[0];
    const value = heap.pop();
    if (value === undefined || heap.length === 0) return top;
    let at = 0;
    for (;;) {
      let down = 2 * at + 1;
      if (down + 1 < heap.length && heap[down + 1] < heap[down]) down++;
      if (down >= heap.length || heap[down] >= value) break;
      heap[at] = heap[down];
      at = down;
    }
    heap[at] = value;
    return top;
  }
}

const mergesSchema = v.pipe(
  v.custom<readonly (string | readonly [string, string])[]>(isMerges, "must be pairs of tokens"),
  v.maxLength(MOST_TOKENS, `must be ${MOST_TOKENS} pairs or fewer`),
  v.transform((merges) =>
    merges.map((pair) => (typeof pair === "string" ? (pair.split(" ") as [string, string]) : pair)),
  ),
);

/** tokenizer.json's model of this kind. */
export const bpeSchema = v.strictObject({
  type: v.literal("BPE"),
  vocab: vocabularySchema,
  merges: mergesSchema,
  dropout: v.nullish(v.literal(0, "texts would become other tokens each time: set it to null")),
  unk_token: maybe(v.string()),
  continuing_subword_prefix: affix,
  end_of_word_suffix: affix,
  fuse_unk: v.nullish(v.boolean(), false),
  byte_fallback: v.nullish(v.boolean(), false),
  ignore_merges: v.nullish(v.boolean(), false),
});

/** All written as "a b", or all as ["a", "b"]. */
function isMerges(value: unknown): boolean {
  if (!Array.isArray(value)) return false;
  const isText = (token: unknown) => typeof token === "string";
  return value.every((pair: unknown) =>
    typeof pair === "string"
      ? pair.split(" ").length === 2
      : Array.isArray(pair) && pair.length === 2 && pair.every(isText),
  );
}
