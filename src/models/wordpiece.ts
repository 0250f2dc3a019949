/**
 * A WordPiece vocabulary learnt from texts: the pairs of pieces that occur most often are joined, as byte-pair encoding does
 * it (Sennrich et al., arXiv:1508.07909), over the words that BERT's tokenizer sees.
 */

import * as v from "valibot";
import { Pairs, type Word } from "./pairs.ts";
import { lettersOf } from "./tokenizers/letters.ts";
import { normalizer } from "./tokenizers/normalizers.ts";
import { piecesOf } from "./tokenizers/pieces.ts";
import { preTokenizer } from "./tokenizers/pre-tokenizers.ts";

/** BERT's special tokens, in their usual places. */
export const SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] as const;
const MOST_LETTERS = 500;

/**
 * The vocab.txt of at most `size` pieces: the special tokens, the letters that occur most often, and joined pieces.
 * @throws an Error when the size has no room for letters.
 */
export function learnWordPieces(texts: Iterable<string>, size: number): string {
  if (size < SPECIALS.length + 100)
    throw new Error(`a vocabulary has ${SPECIALS.length + 100} pieces or more: ask for more`);
  const counts = new Map<string, number>();
  for (const text of texts) for (const word of wordsOf(text)) counts.set(word, (counts.get(word) ?? 0) + 1);
  const words: Word[] = [...counts].map(([word, count]) => ({
    count,
    pieces: [...word].map((letter, i) => (i === 0 ? letter : `##${letter}`)),
  }));
  const vocabulary = new Set<string>([...SPECIALS, ...commonLetters(words)]);
  const pairs = new Pairs(words, (left, right) => left + right.replace(/^##/, ""));
  while (vocabulary.size < size) {
    const joined = pairs.joinMostFrequent();
    if (joined === undefined) break;
    vocabulary.add(joined.piece);
  }
  return `${[...vocabulary].join("\n")}\n`;
}

/** The words that BERT's tokenizer sees: lower case, without accents, marks by themselves. */
function wordsOf(text: string): readonly string[] {
  return piecesOf(BERT_NORMALIZER(lettersOf(text)), BERT_PRE_TOKENIZER);
}

const BERT_NORMALIZER = v.parse(normalizer, {
  type: "BertNormalizer",
  clean_text: true,
  handle_chinese_chars: true,
  strip_accents: null,
  lowercase: true,
});
const BERT_PRE_TOKENIZER = v.parse(preTokenizer, { type: "BertPreTokenizer" });

function commonLetters(words: readonly Word[]): string[] {
  const counts = new Map<string, number>();
  for (const { count, pieces } of words)
    for (const piece of pieces) counts.set(piece, (counts.get(piece) ?? 0) + count);
  const sorted = [...counts].sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1));
  return sorted.slice(0, MOST_LETTERS).map(([piece]) => piece);
}
