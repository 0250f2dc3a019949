/**
 * A byte-level vocabulary learnt from texts, as GPT-2's was (Radford et al., 2019): every byte is a letter, and the pairs of
 * pieces that occur most often are joined (Sennrich et al., arXiv:1508.07909). No text is beyond it.
 */

import * as v from "valibot";
import { Pairs } from "../models/pairs.ts";
import type { TokenizerFiles } from "../models/tokenizer.ts";
import { BYTE_LETTERS, lettersOf } from "../models/tokenizers/letters.ts";
import { piecesOf } from "../models/tokenizers/pieces.ts";
import { preTokenizer } from "../models/tokenizers/pre-tokenizers.ts";

/** The token between texts: it begins one and so ends the one before. */
export const END_OF_TEXT = "<|endoftext|>";
const BYTES = 256;

/** GPT-2's words, a space belongs to the word behind it; in its letters for bytes. */
const LEVEL = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true } as const;
const WORDS = v.parse(preTokenizer, LEVEL);

/**
 * The tokenizer's files of a vocabulary of at most `size` pieces: the end of a text, the bytes, and joined pieces.
 * @throws an Error when the size has no room for the bytes.
 */
export function learnBytePairs(texts: Iterable<string>, size: number): TokenizerFiles {
  if (size <= BYTES) throw new Error(`a vocabulary of bytes has ${BYTES + 1} pieces or more: ask for more`);
  const letters = BYTE_LETTERS.map((code) => String.fromCodePoint(code));
  const counts = new Map<string, number>();
  for (const text of texts)
    for (const word of piecesOf(lettersOf(text), WORDS)) counts.set(word, (counts.get(word) ?? 0) + 1);
  const words = [...counts].map(([word, count]) => ({ count, pieces: [...word] }));
  const pairs = new Pairs(words, (left, right) => left + right);
  const merges: string[] = [];
  const vocabulary = new Set([END_OF_TEXT, ...letters]);
  while (vocabulary.size < size) {
    const joined = pairs.joinMostFrequent();
    if (joined === undefined) break;
    merges.push(`${joined.left} ${joined.right}`);
    vocabulary.add(joined.piece);
  }
  return filesOf([...vocabulary], merges);
}

/** A tokenizer as Hugging Face has it: byte pairs, each text behind the token that ends the one before. */
function filesOf(vocabulary: readonly string[], merges: readonly string[]): TokenizerFiles {
  const tokenizer = {
    version: "1.0",
    added_tokens: [{ id: 0, content: END_OF_TEXT, special: true, normalized: false }],
    normalizer: null,
    pre_tokenizer: LEVEL,
    post_processor: {
      type: "TemplateProcessing",
      single: [{ SpecialToken: { id: END_OF_TEXT, type_id: 0 } }, { Sequence: { id: "A", type_id: 0 } }],
      pair: [{ Sequence: { id: "A", type_id: 0 } }, { Sequence: { id: "B", type_id: 1 } }],
      special_tokens: { [END_OF_TEXT]: { id: END_OF_TEXT, ids: [0], tokens: [END_OF_TEXT] } },
    },
    decoder: LEVEL,
    model: { type: "BPE", vocab: Object.fromEntries(vocabulary.map((piece, id) => [piece, id])), merges },
  };
  const settings = {
    tokenizer_class: "PreTrainedTokenizerFast",
    bos_token: END_OF_TEXT,
    eos_token: END_OF_TEXT,
    add_bos_token: true,
  };
  return {
    "tokenizer.json": `${JSON.stringify(tokenizer, null, 1)}\n`,
    "tokenizer_config.json": `${JSON.stringify(settings, null, 2)}\n`,
  };
}
