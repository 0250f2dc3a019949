/** WordPiece's decoder, and what every tokenizer must know to show a text that is not over. */

import * as v from "valibot";
import { flag, shortText, step } from "./steps.ts";

/** `unfinished`: more tokens will come, so a letter whose bytes are not complete is left out. */
export type Decoder = (tokens: readonly string[], unfinished: boolean) => readonly string[];

/** A byte as a token writes it. */
export const BYTE_TOKEN = /^<0x([0-9A-Fa-f]{2}|\+[0-9A-Fa-f])>$/;

/** Whether a token is a byte that others may follow. */
export function isByteToken(token: string): boolean {
  return BYTE_TOKEN.test(token);
}

/** The spaces that WordPiece's decoder takes away again, in this order; transformers' own list lacks "do not". */
const SPACED = [
  [" .", "."],
  [" ?", "?"],
  [" !", "!"],
  [" ,", ","],
  [" ' ", "'"],
  [" n't", "n't"],
  [" 'm", "'m"],
  [" do not", " don't"],
  [" 's", "'s"],
  [" 've", "'ve"],
  [" 're", "'re"],
] as const;

/** English punctuation without the spaces of its tokens, as transformers' `clean_up_tokenization_spaces` has it. */
export function withoutSpaces(text: string): string {
  return tidied(text, false);
}

function tidied(text: string, negations: boolean): string {
  return SPACED.filter(([from]) => negations || from !== " do not").reduce(
    (tidy, [from, to]) => tidy.replaceAll(from, to),
    text,
  );
}

/** WordPiece of a tokenizer.json: words with spaces between them. */
export const wordDecoder = v.pipe(
  step({ prefix: v.optional(shortText, "##"), cleanup: v.optional(flag, true) }),
  v.transform(
    ({ prefix, cleanup }): Decoder =>
      (tokens) =>
        tokens.map((token, i) => {
          const continues = i > 0 && token.startsWith(prefix);
          const text = i === 0 ? token : continues ? token.slice(prefix.length) : ` ${token}`;
          return cleanup ? tidied(text, true) : text;
        }),
  ),
);
