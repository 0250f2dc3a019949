/** A text's pieces, which a model divides one by one; and BERT's own way to cut them. */

import { type Letters, textOf } from "./letters.ts";
import { lettersIn, split } from "./splits.ts";
import { bareStep } from "./steps.ts";
import { PUNCTUATION_MARK, WHITE } from "./unicode.ts";

/** Cuts a text into pieces. */
export type PreTokenizer = (letters: Letters) => readonly Letters[];

/** BertPreTokenizer: words and punctuation. */
export const bertPreTokenizer = bareStep<PreTokenizer>((letters) =>
  split(letters, lettersIn(WHITE), "Removed").flatMap((word) => split(word, lettersIn(PUNCTUATION_MARK), "Isolated")),
);

/** The pieces of a text. */
export function lettersOfPieces(letters: Letters, cut: PreTokenizer | null): readonly Letters[] {
  if (letters.codes.length === 0) return [];
  return cut === null ? [letters] : cut(letters);
}

/** The pieces of a text, as texts. */
export function piecesOf(letters: Letters, cut: PreTokenizer | null): readonly string[] {
  return lettersOfPieces(letters, cut).map(({ codes }) => textOf(codes));
}
