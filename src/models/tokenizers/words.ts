/** Models that look words up: WordPiece, in the longest parts that are tokens, and WordLevel, whole. */

import * as v from "valibot";
import { shortText } from "./steps.ts";
import { MOST_WORD_LETTERS, type TokenModel, unknownMissing, Vocabulary, vocabularySchema } from "./vocabulary.ts";

abstract class Words implements TokenModel {
  protected readonly vocabulary: Vocabulary;
  readonly #unknown: string;

  constructor(vocab: Readonly<Record<string, number>>, unknown: string) {
    this.vocabulary = new Vocabulary(Object.entries(vocab));
    this.#unknown = unknown;
  }

  abstract tokenize(piece: string): readonly number[];

  idOf(token: string): number | undefined {
    return this.vocabulary.idOf(token);
  }

  tokenOf(id: number): string | undefined {
    return this.vocabulary.tokenOf(id);
  }

  get size(): number {
    return this.vocabulary.size;
  }

  get largest(): number {
    return this.vocabulary.largest;
  }

  protected get unknown(): number {
    const id = this.idOf(this.#unknown);
    if (id === undefined) throw unknownMissing();
    return id;
  }
}

export interface WordPieceOptions {
  readonly vocab: Readonly<Record<string, number>>;
  readonly unk_token: string;
  readonly continuing_subword_prefix: string;
  /** Longer words are unknown. */
  readonly max_input_chars_per_word: number;
}

export class WordPiece extends Words {
  readonly #options: WordPieceOptions;

  constructor(options: WordPieceOptions) {
    super(options.vocab, options.unk_token);
    this.#options = options;
  }

  tokenize(piece: string): readonly number[] {
    const letters = [...piece];
    if (letters.length > this.#options.max_input_chars_per_word) return [this.unknown];
    const ids: number[] = [];
    for (let from = 0; from < letters.length; ) {
      let to = letters.length;
      let id: number | undefined;
      for (; to > from; to--) {
        const part = letters.slice(from, to).join("");
        id = this.idOf(from === 0 ? part : this.#options.continuing_subword_prefix + part);
        if (id !== undefined) break;
      }
      if (id === undefined) return [this.unknown];
      ids.push(id);
      from = to;
    }
    return ids;
  }
}

export class WordLevel extends Words {
  tokenize(piece: string): readonly number[] {
    return [this.idOf(piece) ?? this.unknown];
  }
}

/** tokenizer.json's models of these kinds. */
export const wordPieceSchema = v.strictObject({
  type: v.literal("WordPiece"),
  vocab: vocabularySchema,
  unk_token: v.optional(v.string(), "[UNK]"),
  continuing_subword_prefix: v.optional(shortText, "##"),
  max_input_chars_per_word: v.optional(
    v.pipe(
      v.number(),
      v.integer(),
      v.minValue(1, "must be from 1 on"),
      v.maxValue(MOST_WORD_LETTERS, `must be from 1 to ${MOST_WORD_LETTERS}`),
    ),
    100,
  ),
});
export const wordLevelSchema = v.strictObject({
  type: v.literal("WordLevel"),
  vocab: vocabularySchema,
  unk_token: v.optional(v.string(), "<unk>"),
});
