/**
 * What tokenizers are made of, as far as a program has loaded it. Most of it serves few models: a client loads what its server's model
 * needs (../loaded-tokenizer.ts), whoever reads folders has all of it.
 */

import * as v from "valibot";
import { type AddedToken, settled } from "./added-tokens.ts";
import type { Normalizer } from "./bert-normalizer.ts";
import type { TokenizerClass } from "./class.ts";
import type { ModelOptions } from "./options.ts";
import type { PreTokenizer } from "./pieces.ts";
import { type Processor, processor } from "./processors.ts";
import { maybe } from "./steps.ts";
import { addedToken } from "./token-schema.ts";
import type { CodeSet } from "./unicode.ts";
import { MOST_TOKENS, type TokenModel } from "./vocabulary.ts";
import type { Decoder } from "./word-decoder.ts";

/** A tokenizer.json that was checked, its steps as what they do. */
export interface TokenizerContent {
  readonly model: { readonly type: ModelOptions["type"]; readonly made: TokenModel };
  readonly normalizer: Normalizer | null;
  readonly pre_tokenizer: PreTokenizer | null;
  readonly post_processor: Processor | null;
  readonly decoder: Decoder | null;
  readonly added_tokens: readonly AddedToken[];
}

/** Everything of these kinds that files may name; what else they name is refused. */
export interface Kinds {
  /** Letters of words; null where no added token is a single word. */
  readonly word: CodeSet | null;
  /** The model alone, where a tokenizer's class decides the rest. */
  readonly model: v.GenericSchema<unknown, ModelOptions>;
  /** A whole tokenizer.json, bounded, so that it neither fails late nor runs long. */
  readonly content: v.GenericSchema<unknown, TokenizerContent>;
  /**
   * The class of a folder; null where tokenizer.json is taken as it is.
   * @throws an Error when the files name a class that is not known.
   */
  readonly classOf: (
    name: string | null | undefined,
    architecture: string,
    tokenizerJson: string | undefined,
  ) => TokenizerClass | null;
}

/** The steps that a tokenizer.json may have, and the models, which `made` makes of their fields. */
interface Steps<O extends ModelOptions> {
  readonly model: v.GenericSchema<unknown, O>;
  readonly made: (options: O) => TokenModel;
  readonly normalizer: v.GenericSchema<unknown, Normalizer>;
  readonly preTokenizer: v.GenericSchema<unknown, PreTokenizer>;
  readonly decoder: v.GenericSchema<unknown, Decoder>;
}

/** The check of a whole tokenizer.json that has these steps alone. */
export function contentSchema<O extends ModelOptions>(steps: Steps<O>): Kinds["content"] {
  return v.looseObject({
    model: v.pipe(
      steps.model,
      v.transform((options) => ({ type: options.type, made: steps.made(options) })),
    ),
    normalizer: maybe(steps.normalizer),
    pre_tokenizer: maybe(steps.preTokenizer),
    post_processor: maybe(processor),
    decoder: maybe(steps.decoder),
    added_tokens: v.optional(
      v.pipe(
        v.array(v.pipe(addedToken, v.transform(settled))),
        v.maxLength(MOST_TOKENS, `must be ${MOST_TOKENS} or fewer`),
      ),
      [],
    ),
  });
}
