/**
 * A tokenizer of files that another party sent: BERT's kind is at hand, the others are loaded when they are needed, so that a page does
 * not fetch what its model has no use for.
 */

import { TextTokenizer, type TokenizerFiles, type TokenizerSpec } from "./tokenizer.ts";
import { areWordPieces, wordPieces } from "./tokenizers/word-pieces.ts";

/** A model's tokenizer. @throws an Error of one line that names the file and what is missing or not supported in it. */
export async function loadedTokenizer(files: TokenizerFiles, spec: TokenizerSpec): Promise<TextTokenizer> {
  if (areWordPieces(files, spec.architecture)) return new TextTokenizer(files, spec, wordPieces);
  const { anyTokenizer } = await import("./any-tokenizer.ts");
  return anyTokenizer(files, spec);
}
