/** All kinds of tokenizers. */

import * as v from "valibot";
import { Bpe, bpeSchema } from "./bpe.ts";
import { WORD } from "./categories.ts";
import { classOf } from "./classes.ts";
import { decoder } from "./decoders.ts";
import { contentSchema, type Kinds } from "./kinds.ts";
import { normalizer } from "./normalizers.ts";
import type { ModelOptions } from "./options.ts";
import { preTokenizer } from "./pre-tokenizers.ts";
import { Unigram, unigramSchema } from "./unigram.ts";
import type { TokenModel } from "./vocabulary.ts";
import { WordLevel, WordPiece, wordLevelSchema, wordPieceSchema } from "./words.ts";

/** A model. Files of old do not name its kind. */
const model = v.pipe(
  v.unknown(),
  v.transform((value) =>
    typeof value === "object" && value !== null && !("type" in value) ? { ...value, type: kindOf(value) } : value,
  ),
  v.variant(
    "type",
    [bpeSchema, wordPieceSchema, wordLevelSchema, unigramSchema],
    "is not supported: use one of BPE, WordPiece, WordLevel, Unigram",
  ),
);

function kindOf(value: object): string {
  if ("merges" in value) return "BPE";
  if ("vocab" in value && Array.isArray(value.vocab)) return "Unigram";
  return "max_input_chars_per_word" in value || "continuing_subword_prefix" in value ? "WordPiece" : "WordLevel";
}

/** @throws an Error when the model's parts do not fit together. */
function made(options: ModelOptions): TokenModel {
  if (options.type === "BPE") return new Bpe(options);
  if (options.type === "Unigram") return new Unigram(options);
  if (options.type === "WordLevel") return new WordLevel(options.vocab, options.unk_token);
  return new WordPiece(options);
}

/** All that is read. */
export const everyKind: Kinds = {
  word: WORD,
  model,
  content: contentSchema({ model, made, normalizer, preTokenizer, decoder }),
  classOf,
};
