/** Tokenizers of every kind, for whoever reads folders. */

import { TextTokenizer, type TokenizerFiles, type TokenizerSpec } from "./tokenizer.ts";
import { everyKind } from "./tokenizers/every-kind.ts";

/** A model's tokenizer. @throws an Error of one line that names the file and what is missing or not supported in it. */
export function anyTokenizer(files: TokenizerFiles, spec: TokenizerSpec): TextTokenizer {
  return new TextTokenizer(files, spec, everyKind);
}
