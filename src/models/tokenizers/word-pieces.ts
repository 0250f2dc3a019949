/** BERT's kind of tokenizers alone: WordPiece, with the steps that BERT's classes bring. */

import { tokenizerClassOf } from "../families/known.ts";
import { BERT_CLASSES } from "./bert-class.ts";
import { bertNormalizer } from "./bert-normalizer.ts";
import { addedTokensOf, parsedTokenizer, type TokenizerFiles } from "./files.ts";
import { contentSchema, type Kinds } from "./kinds.ts";
import { bertPreTokenizer } from "./pieces.ts";
import { readSettings } from "./settings.ts";
import { wordDecoder } from "./word-decoder.ts";
import { WordPiece, wordPieceSchema } from "./words.ts";

/** What BERT's classes need. */
export const wordPieces: Kinds = {
  word: null,
  model: wordPieceSchema,
  content: contentSchema({
    model: wordPieceSchema,
    made: (options) => new WordPiece(options),
    normalizer: bertNormalizer,
    preTokenizer: bertPreTokenizer,
    decoder: wordDecoder,
  }),
  classOf: (name, architecture) => BERT_CLASSES[classNameOf(name, architecture)],
};

/** Whether `wordPieces` is all that these files need. @throws an Error of one line for settings that no tokenizer has. */
export function areWordPieces(files: TokenizerFiles, architecture: string): boolean {
  const json = parsedTokenizer(files);
  const own = addedTokensOf(json);
  const { config, named, extra, added } = readSettings(files, own);
  if (!Object.hasOwn(BERT_CLASSES, classNameOf(config.tokenizer_class, architecture))) return false;
  const tokens = [...named.values(), ...(extra ?? []), ...added.values(), ...own.map(({ token }) => token)];
  if (tokens.some((token) => typeof token === "object" && token?.single_word === true)) return false;
  if (json === undefined) return files["vocab.txt"] !== undefined;
  const { model } = json;
  return typeof model === "object" && model !== null && "type" in model && model.type === "WordPiece";
}

/** "Fast" behind a class's name changes nothing. */
function classNameOf(name: string | null | undefined, architecture: string): string {
  return (name ?? tokenizerClassOf(architecture) ?? "").replace(/Fast$/, "");
}
