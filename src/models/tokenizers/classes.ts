/**
 * Tokenizer classes of transformers. A class takes the vocabulary from the files and brings the rest itself, whatever
 * tokenizer.json says of it; a folder without a class of its own has tokenizer.json as it is.
 */

import { tokenizerClassOf } from "../families/known.ts";
import { type DeclaredToken, plainToken } from "./added-tokens.ts";
import { BERT_CLASSES, BERT_TOKENS, bertClass } from "./bert-class.ts";
import { type Context, doubledTemplate, type Json, type Parts, type TokenizerClass } from "./class.ts";
import type { ModelOptions } from "./options.ts";
import { albert, camembert, debertaV2, t5, xlmRoberta } from "./scored-classes.ts";
import type { TokenName } from "./settings.ts";

const ROBERTA_TOKENS = {
  ...{ bos_token: "<s>", eos_token: "</s>", sep_token: "</s>", cls_token: "<s>" },
  ...{ unk_token: "<unk>", pad_token: "<pad>", mask_token: "<mask>" },
} as const;
const END_OF_TEXT = "<|endoftext|>";

const mpnet: TokenizerClass = {
  ...bertClass,
  tokens: {
    ...token("bos_token", "<s>"),
    ...token("eos_token", "</s>"),
    ...token("sep_token", "</s>"),
    ...token("cls_token", "<s>"),
    ...token("unk_token", "[UNK]"),
    ...token("pad_token", "<pad>"),
    ...token("mask_token", "<mask>", true),
  },
  types: false,
  processor: ({ mark }) => ({ type: "RobertaProcessing", cls: mark("cls_token"), sep: mark("sep_token") }),
};

const roberta: TokenizerClass = {
  model: "BPE",
  tokens: ROBERTA_TOKENS,
  types: false,
  parts: byteLevelParts,
  processor: ({ mark }) => ({ type: "RobertaProcessing", cls: mark("cls_token"), sep: mark("sep_token") }),
};

const deberta: TokenizerClass = {
  model: "BPE",
  tokens: { bos_token: "[CLS]", eos_token: "[SEP]", ...BERT_TOKENS },
  types: true,
  parts: byteLevelParts,
  processor: ({ mark }) => doubledTemplate(mark("cls_token"), mark("sep_token")),
};

const gpt2: TokenizerClass = {
  model: "BPE",
  tokens: { bos_token: END_OF_TEXT, eos_token: END_OF_TEXT, unk_token: END_OF_TEXT },
  types: false,
  parts: byteLevelParts,
};

const gptNeoX: TokenizerClass = {
  ...gpt2,
  tokens: { ...gpt2.tokens, pad_token: "<|padding|>" },
  ignoresProcessor: true,
  parts: (model, context) => ({ ...byteLevelParts(model, context), normalizer: { type: "NFC" } }),
};

const QWEN2_PATTERN = String.raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`;
const qwen2: TokenizerClass = {
  model: "BPE",
  tokens: { eos_token: END_OF_TEXT, unk_token: END_OF_TEXT, pad_token: END_OF_TEXT },
  types: false,
  parts: (model, context) => ({
    ...byteLevelParts(model, context),
    normalizer: { type: "NFC" },
    pre_tokenizer: {
      type: "Sequence",
      pretokenizers: [
        { type: "Split", pattern: { Regex: QWEN2_PATTERN }, behavior: "Isolated", invert: false },
        { type: "ByteLevel", add_prefix_space: context.config.add_prefix_space ?? false, use_regex: false },
      ],
    },
  }),
};

const llama: TokenizerClass = {
  model: "BPE",
  tokens: { bos_token: "<s>", eos_token: "</s>", unk_token: "<unk>" },
  types: false,
  parts: (model, { config }) => {
    const spaced = config.add_prefix_space ?? true;
    const scheme = spaced ? (config.legacy ? "always" : "first") : "never";
    return {
      model: { ...bpe(model), fuse_unk: true, byte_fallback: true },
      pre_tokenizer: { type: "Metaspace", replacement: "▁", prepend_scheme: scheme, split: false },
      decoder: {
        type: "Sequence",
        decoders: [...PIECES_TO_TEXT, ...(spaced ? [{ type: "Strip", content: " ", start: 1, stop: 0 }] : [])],
      },
    };
  },
};

const gemma: TokenizerClass = {
  model: "BPE",
  tokens: {
    ...{ bos_token: "<bos>", eos_token: "<eos>", unk_token: "<unk>" },
    ...{ pad_token: "<pad>", mask_token: "<mask>" },
  },
  types: false,
  parts: (model, { token }) => ({
    model: { ...bpe(model), unk_token: token("unk_token"), fuse_unk: true, byte_fallback: true },
    normalizer: { type: "Replace", pattern: { String: " " }, content: "▁" },
    pre_tokenizer: { type: "Split", pattern: { String: " " }, behavior: "MergedWithPrevious", invert: false },
    decoder: { type: "Sequence", decoders: PIECES_TO_TEXT },
  }),
};

const PIECES_TO_TEXT = [
  { type: "Replace", pattern: { String: "▁" }, content: " " },
  { type: "ByteFallback" },
  { type: "Fuse" },
] as const;

/** The classes by name; "Fast" behind a name changes nothing. */
const CLASSES: Readonly<Record<string, TokenizerClass>> = {
  ...BERT_CLASSES,
  MPNetTokenizer: mpnet,
  RobertaTokenizer: roberta,
  BartTokenizer: roberta,
  LongformerTokenizer: roberta,
  DebertaTokenizer: deberta,
  GPT2Tokenizer: gpt2,
  GPTNeoXTokenizer: gptNeoX,
  Qwen2Tokenizer: qwen2,
  LlamaTokenizer: llama,
  GemmaTokenizer: gemma,
  XLMRobertaTokenizer: xlmRoberta,
  CamembertTokenizer: camembert,
  AlbertTokenizer: albert,
  DebertaV2Tokenizer: debertaV2,
  T5Tokenizer: t5,
};
/** What means that tokenizer.json is taken as it is. */
const AS_IT_IS = ["PreTrainedTokenizer", "TokenizersBackend", "BloomTokenizer"];
/**
 * The class of a folder; null where tokenizer.json is taken as it is.
 * @throws an Error when the files name a class that is not known here.
 */
export function classOf(
  name: string | null | undefined,
  architecture: string,
  tokenizerJson: string | undefined,
): TokenizerClass | null {
  const plain = (name ?? tokenizerClassOf(architecture) ?? "TokenizersBackend").replace(/Fast$/, "");
  if (AS_IT_IS.includes(plain)) return null;
  // Llama 3's folders name Llama's class, which their byte-level tokenizer is none of.
  if (plain === "LlamaTokenizer" && tokenizerJson?.includes('"ByteLevel"')) return null;
  if (!Object.hasOwn(CLASSES, plain)) {
    throw new Error(
      `tokenizer_config.json: tokenizer_class: ${plain} is not supported: save tokenizer.json as a PreTrainedTokenizerFast`,
    );
  }
  return CLASSES[plain];
}

function bpe(model: ModelOptions): Json {
  const { vocab } = model;
  return { type: "BPE", vocab, merges: "merges" in model ? model.merges : [] };
}

function byteLevelParts(model: ModelOptions, { config }: Context): Parts {
  return {
    model: { ...bpe(model), continuing_subword_prefix: "", end_of_word_suffix: "" },
    pre_tokenizer: { type: "ByteLevel", add_prefix_space: config.add_prefix_space ?? false, use_regex: true },
    decoder: { type: "ByteLevel" },
  };
}

/** A special token that a class brings with its properties. */
function token(name: TokenName, content: string, lstrip = false): Readonly<Partial<Record<TokenName, DeclaredToken>>> {
  return { [name]: { ...plainToken(content, false), lstrip } };
}
