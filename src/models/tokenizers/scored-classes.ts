/** Tokenizer classes of transformers whose tokens have scores: SentencePiece's unigram models. */

import { plainToken } from "./added-tokens.ts";
import {
  bertTemplate,
  type Context,
  doubledTemplate,
  type Json,
  special,
  type TokenizerClass,
  template,
  text,
} from "./class.ts";
import type { ModelOptions } from "./options.ts";

const ROBERTA = {
  ...{ bos_token: "<s>", eos_token: "</s>", sep_token: "</s>", cls_token: "<s>" },
  ...{ unk_token: "<unk>", pad_token: "<pad>" },
} as const;

export const xlmRoberta: TokenizerClass = {
  model: "Unigram",
  tokens: { ...ROBERTA, mask_token: "<mask>" },
  types: false,
  parts: (model, context) => ({
    model: scored(model, () => 3),
    normalizer: charsmapOf(context),
    ...wordsWithSpaces(context),
  }),
  processor: ({ mark }) => doubledTemplate(mark("bos_token"), mark("eos_token")),
};

export const camembert: TokenizerClass = {
  ...xlmRoberta,
  tokens: { ...ROBERTA, mask_token: { ...plainToken("<mask>", true), lstrip: true } },
  extra: ["<s>NOTUSED", "</s>NOTUSED", "<unk>NOTUSED"],
  parts: (model, context) => ({
    ...xlmRoberta.parts(model, context),
    model: scored(model, (vocab) => Math.max(0, vocab.indexOf(context.token("unk_token")))),
  }),
};

export const albert: TokenizerClass = {
  model: "Unigram",
  tokens: {
    ...{ bos_token: "[CLS]", eos_token: "[SEP]", unk_token: "<unk>", sep_token: "[SEP]" },
    ...{ pad_token: "<pad>", cls_token: "[CLS]", mask_token: "[MASK]" },
  },
  types: false,
  parts: (model, context) => {
    const { keep_accents, do_lower_case } = context.config;
    const map = charsmapOf(context);
    const normalizers = [
      { type: "Replace", pattern: { String: "``" }, content: '"' },
      { type: "Replace", pattern: { String: "''" }, content: '"' },
      ...(keep_accents ? [] : [{ type: "NFKD" }, { type: "StripAccents" }]),
      ...((do_lower_case ?? true) ? [{ type: "Lowercase" }] : []),
      ...(map === null ? [] : [map]),
    ];
    return {
      model: scored(model, () => 1),
      normalizer: { type: "Sequence", normalizers },
      ...wordsWithSpaces(context),
    };
  },
  processor: ({ mark }) => bertTemplate(mark("cls_token"), mark("sep_token")),
};

export const debertaV2: TokenizerClass = {
  model: "Unigram",
  tokens: {
    ...{ bos_token: "[CLS]", eos_token: "[SEP]", unk_token: "[UNK]", sep_token: "[SEP]" },
    ...{ pad_token: "[PAD]", cls_token: "[CLS]", mask_token: "[MASK]" },
  },
  types: true,
  parts: (model, { config, token }) => {
    const scheme = (config.add_prefix_space ?? true) ? "always" : "first";
    const metaspace = { type: "Metaspace", replacement: "▁", prepend_scheme: scheme, split: true };
    const punctuation = config.split_by_punct ? [{ type: "Punctuation", behavior: "Isolated" }] : [];
    const unknown = (vocab: readonly string[], scores: readonly number[]) => {
      const at = vocab.findIndex((one, i) => one === token("unk_token") && scores[i] === 0);
      return at < 0 ? 1 : at;
    };
    return {
      model: scored(model, unknown),
      normalizer: {
        type: "Sequence",
        normalizers: [
          ...(config.do_lower_case ? [{ type: "Lowercase" }] : []),
          { type: "Replace", pattern: { Regex: String.raw`\s{2,}|[\n\r\t]` }, content: " " },
          { type: "NFC" },
          { type: "Strip", strip_left: false, strip_right: true },
        ],
      },
      pre_tokenizer: { type: "Sequence", pretokenizers: [...punctuation, metaspace] },
      decoder: metaspace,
    };
  },
  processor: ({ mark }) => bertTemplate(mark("cls_token"), mark("sep_token")),
};

export const t5: TokenizerClass = {
  model: "Unigram",
  tokens: { eos_token: "</s>", unk_token: "<unk>", pad_token: "<pad>" },
  extra: ({ extra_ids }) => Array.from({ length: extra_ids ?? 100 }, (_, i) => `<extra_id_${i}>`),
  types: false,
  parts: (model, context) => ({
    model: scored(model, () => 2),
    normalizer: charsmapOf(context),
    ...wordsWithSpaces({ ...context, config: { ...context.config, add_prefix_space: true } }),
  }),
  processor: ({ mark }) => {
    const eos = mark("eos_token");
    const end = special(["</s>", eos[1]])(0);
    const [a, b] = [text("A")(0), text("B")(0)];
    return template([a, end], [a, end, b, end], [["</s>", eos[1]]]);
  },
};

/** The model with the class's own number for the unknown. */
function scored(model: ModelOptions, unknown: (vocab: readonly string[], scores: readonly number[]) => number): Json {
  const vocab = model.type === "Unigram" ? model.vocab : [];
  const id = unknown(
    vocab.map(([token]) => token),
    vocab.map(([, score]) => score),
  );
  return { type: "Unigram", vocab, unk_id: id, byte_fallback: false };
}

/** Words that begin with a space, written as its mark. */
function wordsWithSpaces({ config }: Pick<Context, "config">): {
  readonly pre_tokenizer: Json;
  readonly decoder: Json;
} {
  const scheme = (config.add_prefix_space ?? true) ? "always" : "never";
  const metaspace = { type: "Metaspace", replacement: "▁", prepend_scheme: scheme, split: true };
  return {
    pre_tokenizer: { type: "Sequence", pretokenizers: [{ type: "WhitespaceSplit" }, metaspace] },
    decoder: metaspace,
  };
}

/** SentencePiece's table of replacements, if tokenizer.json has one. */
function charsmapOf({ normalizers }: Pick<Context, "normalizers">): Json | null {
  return normalizers.find(({ type, precompiled_charsmap }) => type === "Precompiled" && precompiled_charsmap) ?? null;
}
