/** The models of tokenizer.json that are known, as their checked fields. */

import type * as v from "valibot";
import type { bpeSchema } from "./bpe.ts";
import type { unigramSchema } from "./unigram.ts";
import type { wordLevelSchema, wordPieceSchema } from "./words.ts";

/** The fields of one model, whichever it is. */
export type ModelOptions = v.InferOutput<
  typeof bpeSchema | typeof wordPieceSchema | typeof wordLevelSchema | typeof unigramSchema
>;
