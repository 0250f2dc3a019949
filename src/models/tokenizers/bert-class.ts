/** BERT's tokenizer class of transformers, and those that differ from it in their names. */

import { bertTemplate, type TokenizerClass } from "./class.ts";

/** BERT's special tokens. */
export const BERT_TOKENS = {
  unk_token: "[UNK]",
  sep_token: "[SEP]",
  pad_token: "[PAD]",
  cls_token: "[CLS]",
  mask_token: "[MASK]",
} as const;

/** BERT's class. */
export const bertClass: TokenizerClass = {
  model: "WordPiece",
  tokens: BERT_TOKENS,
  types: true,
  parts: (model, { config, token }) => ({
    model: { type: "WordPiece", vocab: model.vocab, unk_token: token("unk_token") },
    normalizer: {
      type: "BertNormalizer",
      clean_text: true,
      handle_chinese_chars: config.tokenize_chinese_chars ?? true,
      strip_accents: config.strip_accents ?? null,
      lowercase: config.do_lower_case ?? true,
    },
    pre_tokenizer: { type: "BertPreTokenizer" },
    decoder: { type: "WordPiece", prefix: "##", cleanup: true },
  }),
  processor: ({ mark }) => bertTemplate(mark("cls_token"), mark("sep_token")),
};

/** The classes of BERT's kind by name. */
export const BERT_CLASSES: Readonly<Record<string, TokenizerClass>> = {
  BertTokenizer: bertClass,
  ElectraTokenizer: bertClass,
  MobileBertTokenizer: bertClass,
  ConvBertTokenizer: bertClass,
  SqueezeBertTokenizer: bertClass,
  LayoutLMTokenizer: bertClass,
  DistilBertTokenizer: { ...bertClass, types: false },
};
