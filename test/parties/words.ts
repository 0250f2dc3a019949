/** A tokenizer for the tiny random models: each of their 60 tokens is a word, so that a text's tokens are known. */
import type { TokenizerFiles } from "../../src/models/tokenizer.ts";

const SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
const WORDS = Array.from({ length: 60 }, (_, i) => SPECIAL[i] ?? `w${i}`);

/** Of an encoder: [CLS] and [SEP] stand around a text. */
export const ENCODER_WORDS: TokenizerFiles = { "vocab.txt": `${WORDS.join("\n")}\n` };

/** Of a decoder: nothing stands around; a token's text is its word behind a space. */
export const DECODER_WORDS: TokenizerFiles = {
  "tokenizer.json": JSON.stringify({
    added_tokens: [],
    normalizer: null,
    pre_tokenizer: { type: "WhitespaceSplit" },
    post_processor: null,
    decoder: null,
    model: { type: "WordLevel", vocab: Object.fromEntries(WORDS.map((word, id) => [word, id])), unk_token: "[UNK]" },
  }),
  "tokenizer_config.json": JSON.stringify({ tokenizer_class: "PreTrainedTokenizerFast" }),
};

/** The text of these tokens. */
export function wordsOf(ids: readonly number[]): string {
  return ids.map((id) => WORDS[id]).join(" ");
}
