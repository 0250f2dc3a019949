/**
 * A GGUF file's tokenizer as Hugging Face's files. The file has the vocabulary, what kind each token is of, and either rules
 * (byte-level pairs, "gpt2") or scores (SentencePiece, "llama"); how a text is cut beforehand it says by a name alone.
 */

import * as v from "valibot";
import { whole } from "../bounds.ts";
import { check } from "../json.ts";
import type { TokenizerFiles } from "../tokenizers/files.ts";
import { scoredMerges } from "../tokenizers/scored-merges.ts";
import { MOST_TOKENS } from "../tokenizers/vocabulary.ts";
import type { GgufHeader } from "./header.ts";
import { cutOf } from "./pre-tokenizers.ts";

/** Letters of a token: every cut through a scored one is looked up. */
const LONGEST = 1000;
/** Kinds of tokens. */
const NORMAL = 1;
const CONTROL = 3;
const USER_DEFINED = 4;

const id = v.optional(whole(0, MOST_TOKENS - 1));
const flag = v.optional(v.boolean());
const texts = v.custom<readonly string[]>(
  (value) => isList(value, (item) => typeof item === "string" && item.length <= LONGEST),
  `must be ${MOST_TOKENS} or fewer, of ${LONGEST} letters or fewer`,
);
const numbers = v.custom<readonly number[]>(
  (value) => isList(value, Number.isFinite),
  `must be ${MOST_TOKENS} numbers or fewer`,
);
const schema = v.looseObject({
  model: v.picklist(["gpt2", "llama"], "only the kinds gpt2 and llama are supported: give another model"),
  pre: v.optional(v.string()),
  tokens: texts,
  merges: v.optional(texts),
  scores: v.optional(numbers),
  token_type: v.optional(numbers),
  bos_token_id: id,
  eos_token_id: id,
  eot_token_id: id,
  eom_token_id: id,
  unknown_token_id: id,
  padding_token_id: id,
  add_bos_token: flag,
  add_eos_token: flag,
  add_space_prefix: flag,
});
type Fields = v.InferOutput<typeof schema>;

const PREFIX = "tokenizer.ggml.";

/**
 * The files, the chat template among them.
 * @throws an Error of one line that names the field and what is supported.
 */
export function ggufTokenizer({ values }: Pick<GgufHeader, "values">, label: string): TokenizerFiles {
  const own = [...values].filter(([name]) => name.startsWith(PREFIX));
  const fields = check(
    schema,
    Object.fromEntries(own.map(([name, value]) => [name.slice(PREFIX.length), value])),
    `${label}: ${PREFIX.slice(0, -1)}`,
  );
  const { tokens, token_type: kinds, scores } = fields;
  for (const [name, list] of Object.entries({ token_type: kinds, scores }))
    if (list !== undefined && list.length !== tokens.length)
      throw new Error(`${label}: ${PREFIX}${name} is not as long as the vocabulary: convert the model again`);
  const special = (name: keyof Fields) => tokenOf(fields, name, label);
  const template = values.get("tokenizer.chat_template");
  const settings = {
    tokenizer_class: "PreTrainedTokenizerFast",
    bos_token: special("bos_token_id"),
    eos_token: special("eos_token_id"),
    unk_token: special("unknown_token_id"),
    pad_token: special("padding_token_id"),
    clean_up_tokenization_spaces: false,
    ...(typeof template === "string" ? { chat_template: template } : {}),
  };
  const ends = [fields.eos_token_id, fields.eot_token_id, fields.eom_token_id].filter((end) => end !== undefined);
  return {
    "tokenizer.json": JSON.stringify(fields.model === "gpt2" ? byteLevel(fields, label) : sentencePiece(fields, label)),
    "tokenizer_config.json": written(settings),
    ...(ends.length > 0 ? { "generation_config.json": written({ eos_token_id: [...new Set(ends)] }) } : {}),
  };
}

/** GPT-2's kind: pairs of bytes written as letters, joined by the file's rules. */
function byteLevel(fields: Fields, label: string): object {
  const { merges } = fields;
  if (merges === undefined)
    throw new Error(`${label}: ${PREFIX}merges is missing: convert the model again with a newer llama.cpp`);
  const cut = cutOf(fields.pre, `${label}: ${PREFIX}pre`);
  const byteSteps = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true };
  return {
    ...common(fields, fields.add_bos_token ?? cut.begins, label),
    normalizer: cut.normalizer,
    pre_tokenizer: { type: "Sequence", pretokenizers: [...cut.steps, { ...byteSteps, use_regex: cut.plain }] },
    decoder: { ...byteSteps, use_regex: true },
    model: { type: "BPE", ignore_merges: cut.wholePieces, vocab: vocabulary(fields), merges },
  };
}

/** SentencePiece's kind: `▁` for spaces, one before the text, bytes for letters without a token. */
function sentencePiece(fields: Fields, label: string): object {
  const { tokens, scores, token_type: kinds, unknown_token_id: unknown } = fields;
  if (scores === undefined) throw new Error(`${label}: ${PREFIX}scores is missing: convert the model again`);
  const spaced = fields.add_space_prefix ?? true;
  const pieces = tokens
    .map((text, i) => ({ text, score: scores[i] }))
    .filter((_, i) => kinds === undefined || kinds[i] === NORMAL || kinds[i] === USER_DEFINED);
  const toText = [
    { type: "Replace", pattern: { String: "▁" }, content: " " },
    { type: "ByteFallback" },
    { type: "Fuse" },
    ...(spaced ? [{ type: "Strip", content: " ", start: 1, stop: 0 }] : []),
  ];
  return {
    ...common(fields, fields.add_bos_token ?? true, label),
    normalizer: null,
    pre_tokenizer: {
      type: "Metaspace",
      replacement: "▁",
      prepend_scheme: spaced ? "first" : "never",
      split: false,
    },
    decoder: { type: "Sequence", decoders: toText },
    model: {
      type: "BPE",
      unk_token: unknown === undefined ? null : tokens[unknown],
      ...{ fuse_unk: true, byte_fallback: true, vocab: vocabulary(fields), merges: scoredMerges(pieces) },
    },
  };
}

/** What both kinds have: tokens that are found in a text before anything else, and those around it. */
function common(fields: Fields, begins: boolean, label: string): object {
  const { tokens, token_type: kinds, bos_token_id: bos, eos_token_id: eos } = fields;
  const whole = { single_word: false, lstrip: false, rstrip: false, normalized: false };
  const added = tokens.flatMap((content, number) => {
    const kind = kinds?.[number];
    if (content === "" || (kind !== CONTROL && kind !== USER_DEFINED)) return [];
    return [{ id: number, content, ...whole, special: kind === CONTROL }];
  });
  const ends = fields.add_eos_token ?? false;
  if ((begins && bos === undefined) || (ends && eos === undefined))
    throw new Error(`${label}: ${PREFIX}add_bos_token or add_eos_token names no token: convert the model again`);
  const mark = (number: number | undefined) => tokenText(tokens, number as number, label);
  const marks = [...(begins ? [[mark(bos), bos]] : []), ...(ends ? [[mark(eos), eos]] : [])];
  const around = (inner: object) => [
    ...(begins ? [{ SpecialToken: { id: mark(bos), type_id: 0 } }] : []),
    inner,
    ...(ends ? [{ SpecialToken: { id: mark(eos), type_id: 0 } }] : []),
  ];
  const [a, b] = ["A", "B"].map((text) => ({ Sequence: { id: text, type_id: 0 } }));
  const template = {
    type: "TemplateProcessing",
    single: around(a),
    pair: [...around(a), ...around(b)],
    special_tokens: Object.fromEntries(
      marks.map(([text, number]) => [text, { id: text, ids: [number], tokens: [text] }]),
    ),
  };
  return {
    ...{ version: "1.0", truncation: null, padding: null, added_tokens: added },
    post_processor: marks.length === 0 ? null : template,
  };
}

function vocabulary({ tokens }: Fields): Record<string, number> {
  return Object.fromEntries(tokens.map((token, number) => [token, number]));
}

/** The token that a field names by its number. */
function tokenOf(fields: Fields, name: keyof Fields, label: string): string | undefined {
  const number = fields[name];
  return typeof number === "number" ? tokenText(fields.tokens, number, label) : undefined;
}

function tokenText(tokens: readonly string[], number: number, label: string): string {
  const token = tokens[number];
  if (token === undefined || token === "")
    throw new Error(`${label}: a special token's number is none of the vocabulary: convert the model again`);
  return token;
}

function isList(value: unknown, isItem: (item: unknown) => boolean): boolean {
  return Array.isArray(value) && value.length <= MOST_TOKENS && value.every(isItem);
}

function written(value: object): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
