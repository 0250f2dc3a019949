/** What a tokenizer.json may say: everything that is read, bounded, so that it neither fails late nor runs long. */

import * as v from "valibot";
import { type DeclaredToken, settled } from "./added-tokens.ts";
import { Bpe, bpeSchema } from "./bpe.ts";
import { decoder } from "./decoders.ts";
import { normalizer } from "./normalizers.ts";
import { preTokenizer } from "./pre-tokenizers.ts";
import { processor } from "./processors.ts";
import { maybe } from "./steps.ts";
import { Unigram, unigramSchema } from "./unigram.ts";
import { MOST_TOKENS, type TokenModel } from "./vocabulary.ts";
import { WordLevel, WordPiece, wordLevelSchema, wordPieceSchema } from "./words.ts";

const MOST_TOKEN_LETTERS = 1000;

/** A token's text. */
export const content = v.pipe(
  v.string(),
  v.minLength(1, "must not be empty"),
  v.maxLength(MOST_TOKEN_LETTERS, `must be ${MOST_TOKEN_LETTERS} letters or fewer`),
);
const flag = v.optional(v.boolean(), false);

/** An added token with all that may be said of it. */
export const addedToken = v.pipe(
  v.looseObject({
    content,
    single_word: flag,
    lstrip: flag,
    rstrip: flag,
    normalized: v.optional(v.boolean()),
    special: flag,
  }),
  v.transform(
    ({ content, single_word, lstrip, rstrip, normalized, special }): DeclaredToken => ({
      ...{ content, single_word, lstrip, rstrip, special },
      normalized: normalized ?? null,
    }),
  ),
);

const model = v.variant(
  "type",
  [bpeSchema, wordPieceSchema, wordLevelSchema, unigramSchema],
  "is not supported: use one of BPE, WordPiece, WordLevel, Unigram",
);
export type ModelOptions = v.InferOutput<typeof model>;

/** The model alone, where a tokenizer's class decides the rest. Files of old do not name its kind. */
export const modelSchema = v.pipe(
  v.unknown(),
  v.transform((value) =>
    typeof value === "object" && value !== null && !("type" in value) ? { ...value, type: kindOf(value) } : value,
  ),
  model,
);

function kindOf(value: object): string {
  if ("merges" in value) return "BPE";
  if ("vocab" in value && Array.isArray(value.vocab)) return "Unigram";
  return "max_input_chars_per_word" in value || "continuing_subword_prefix" in value ? "WordPiece" : "WordLevel";
}

/** A whole tokenizer.json. */
export const tokenizerSchema = v.looseObject({
  model: modelSchema,
  normalizer: maybe(normalizer),
  pre_tokenizer: maybe(preTokenizer),
  post_processor: maybe(processor),
  decoder: maybe(decoder),
  added_tokens: v.optional(
    v.pipe(
      v.array(v.pipe(addedToken, v.transform(settled))),
      v.maxLength(MOST_TOKENS, `must be ${MOST_TOKENS} or fewer`),
    ),
    [],
  ),
});
export type TokenizerContent = v.InferOutput<typeof tokenizerSchema>;

/** @throws an Error when the model's parts do not fit together. */
export function modelOf(options: ModelOptions): TokenModel {
  if (options.type === "BPE") return new Bpe(options);
  if (options.type === "Unigram") return new Unigram(options);
  if (options.type === "WordLevel") return new WordLevel(options.vocab, options.unk_token);
  return new WordPiece(options);
}
