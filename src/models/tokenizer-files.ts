/**
 * A tokenizer's files as one tokenizer.json, checked: tokenizer.json itself, or BERT's vocab.txt, or vocab.json with merges.txt;
 * and tokenizer_config.json. They come from someone else, who does not get to run regular expressions here.
 */

import * as v from "valibot";
import { isDecoder, type ModelSpec } from "../program/spec.ts";
import { check, parseJson } from "./json.ts";
import { MOST_TOKENS, type TokenizerJson, tokenizerSchema, vocabularySchema } from "./tokenizer-schema.ts";

/** The files of a tokenizer that are read, by name. */
export const TOKENIZER_FILES = [
  "tokenizer.json",
  "tokenizer_config.json",
  "vocab.txt",
  "vocab.json",
  "merges.txt",
] as const;

export type TokenizerFiles = Readonly<Partial<Record<(typeof TOKENIZER_FILES)[number], string>>>;

/** What the tokenizer needs to know of the model. */
export type TokenizerSpec = Pick<ModelSpec, "architecture" | "vocabulary" | "positions" | "positionOffset" | "types">;

const special = v.nullish(
  v.pipe(
    v.union([v.string(), v.looseObject({ content: v.string() })]),
    v.transform((token) => (typeof token === "string" ? token : token.content)),
  ),
);
const settingsSchema = v.looseObject({
  do_lower_case: v.nullish(v.boolean()),
  strip_accents: v.nullish(v.boolean()),
  tokenize_chinese_chars: v.nullish(v.boolean()),
  add_prefix_space: v.nullish(v.boolean()),
  add_bos_token: v.nullish(v.boolean()),
  bos_token: special,
  eos_token: special,
  cls_token: special,
  sep_token: special,
  pad_token: special,
  unk_token: special,
  mask_token: special,
});

type Settings = v.InferOutput<typeof settingsSchema>;

/** The tokens that begin and end a decoder's text, unless tokenizer_config.json names others. */
const DECODER_TOKENS = {
  gpt2: { begin: "<|endoftext|>", end: "<|endoftext|>", unknown: "<|endoftext|>" },
  opt: { begin: "</s>", end: "</s>", unknown: "</s>" },
  llama: { begin: "<s>", end: "</s>", unknown: "<unk>" },
} as const;

/** What the files say. */
export interface TokenizerContent {
  readonly json: TokenizerJson;
  /** The tokens before and at the end of a decoder's text, where it has them. */
  readonly begin: string | undefined;
  readonly end: string | undefined;
}

/** The content of the files of a model's tokenizer. @throws an Error of one line that names the file and what is wrong in it. */
export function readTokenizer(files: TokenizerFiles, spec: TokenizerSpec): TokenizerContent {
  const label = "tokenizer_config.json";
  const settings = check(settingsSchema, parseJson(files[label] ?? "{}", label), label);
  return { json: completed(tokenizerJson(files, spec, settings), spec, settings), ...endsOf(spec, settings) };
}

function tokenizerJson(files: TokenizerFiles, spec: TokenizerSpec, settings: Settings): TokenizerJson {
  if (files["tokenizer.json"] !== undefined) {
    const json = parseJson(files["tokenizer.json"], "tokenizer.json");
    return check(tokenizerSchema, json, "tokenizer.json");
  }
  if (files["vocab.txt"] !== undefined) return wordPiece(files["vocab.txt"], settings);
  if (files["vocab.json"] !== undefined && files["merges.txt"] !== undefined) {
    return bytePairs(files["vocab.json"], files["merges.txt"], spec, settings);
  }
  const pairs = " or vocab.json with merges.txt";
  const other = { bert: " or vocab.txt", roberta: pairs, gpt2: pairs, opt: pairs, llama: "" }[spec.architecture];
  throw new Error(`the model has no tokenizer: put tokenizer.json${other} beside config.json`);
}

/** BERT's original files as a tokenizer.json. */
function wordPiece(vocabulary: string, settings: Settings): TokenizerJson {
  const lines = linesOf(vocabulary, "vocab.txt");
  if (lines[lines.length - 1] === "") lines.pop();
  const vocab = Object.fromEntries(lines.map((token, id) => [token, id]));
  const { cls_token, sep_token, pad_token, unk_token, mask_token } = settings;
  const unknown = unk_token ?? "[UNK]";
  const specials = [unknown, cls_token ?? "[CLS]", sep_token ?? "[SEP]", pad_token ?? "[PAD]", mask_token ?? "[MASK]"];
  const model = { type: "WordPiece" as const, vocab, unk_token: unknown, continuing_subword_prefix: "##" };
  return {
    model,
    normalizer: {
      type: "BertNormalizer",
      clean_text: true,
      handle_chinese_chars: true,
      strip_accents: null,
      lowercase: true,
    },
    pre_tokenizer: { type: "BertPreTokenizer" },
    post_processor: null,
    added_tokens: added(specials, vocab, "vocab.txt"),
  } as TokenizerJson;
}

/** @throws an Error when there are more lines than a vocabulary has tokens; no more are ever held. */
function linesOf(text: string, label: string): string[] {
  const lines = text.split(/\r\n|\n|\r/, MOST_TOKENS + 1);
  if (lines.length > MOST_TOKENS) throw new Error(`${label} has more than ${MOST_TOKENS} lines: copy the file again`);
  return lines;
}

/** The original files of RoBERTa, GPT-2 and OPT as a tokenizer.json. */
function bytePairs(vocabulary: string, merges: string, spec: TokenizerSpec, settings: Settings): TokenizerJson {
  const vocab = check(vocabularySchema, parseJson(vocabulary, "vocab.json"), "vocab.json");
  const rules = linesOf(merges, "merges.txt").filter((line) => line.trim() !== "" && !line.startsWith("#version"));
  if (!rules.every((rule) => rule.split(" ").length === 2)) {
    throw new Error("merges.txt must have two tokens on a line: copy the file again");
  }
  const { unknown, specials } = bytePairSpecials(vocab, spec, settings);
  const model = { type: "BPE" as const, vocab, merges: rules, unk_token: unknown, continuing_subword_prefix: "" };
  return {
    model,
    normalizer: null,
    pre_tokenizer: { type: "ByteLevel", add_prefix_space: settings.add_prefix_space ?? false, trim_offsets: true },
    post_processor: null,
    added_tokens: added(specials, vocab, "vocab.json"),
  } as TokenizerJson;
}

function bytePairSpecials(
  vocab: Record<string, number>,
  { architecture }: TokenizerSpec,
  settings: Settings,
): { unknown: string; specials: string[] } {
  const { cls_token, sep_token, pad_token, unk_token, mask_token, bos_token, eos_token } = settings;
  if (architecture === "bert" || architecture === "roberta") {
    const unknown = unk_token ?? "<unk>";
    const specials = [cls_token ?? "<s>", pad_token ?? "<pad>", sep_token ?? "</s>", unknown, mask_token ?? "<mask>"];
    return { unknown, specials };
  }
  const usual = DECODER_TOKENS[architecture];
  const unknown = unk_token ?? usual.unknown;
  const padding = Object.hasOwn(vocab, pad_token ?? "") ? [pad_token as string] : []; // a decoder can do without
  return { unknown, specials: [bos_token ?? usual.begin, eos_token ?? usual.end, unknown, ...padding] };
}

function added(tokens: readonly string[], vocab: Record<string, number>, label: string) {
  return [...new Set(tokens)].map((content) => {
    if (!Object.hasOwn(vocab, content)) throw new Error(`${label} lacks a special token: copy the file again`);
    return { id: vocab[content], content, special: true, normalized: false };
  });
}

/** tokenizer_config.json has the last word on BERT's normalizer; the special tokens are placed if the file doesn't say how. */
function completed(json: TokenizerJson, spec: TokenizerSpec, settings: Settings): TokenizerJson {
  const bert = spec.architecture === "bert";
  const normalizer =
    json.normalizer?.type === "BertNormalizer" ? { ...json.normalizer, ...overridden(settings) } : json.normalizer;
  if (json.post_processor !== null || isDecoder(spec)) return { ...json, normalizer };
  const cls = settings.cls_token ?? (bert ? "[CLS]" : "<s>");
  const sep = settings.sep_token ?? (bert ? "[SEP]" : "</s>");
  const type = bert ? "BertProcessing" : "RobertaProcessing";
  return { ...json, normalizer, post_processor: { type, cls: [cls, 0], sep: [sep, 0] } };
}

function overridden(settings: Settings): Record<string, boolean> {
  const { do_lower_case, strip_accents, tokenize_chinese_chars } = settings;
  const fields = { lowercase: do_lower_case, strip_accents, handle_chinese_chars: tokenize_chinese_chars };
  return Object.fromEntries(
    Object.entries(fields).filter((field): field is [string, boolean] => typeof field[1] === "boolean"),
  );
}

/** The tokens before and at the end of a decoder's text. GPT-2 has none before. */
function endsOf(
  { architecture }: TokenizerSpec,
  settings: Settings,
): { begin: string | undefined; end: string | undefined } {
  if (architecture === "bert" || architecture === "roberta") return { begin: undefined, end: undefined };
  const usual = DECODER_TOKENS[architecture];
  const begins = settings.add_bos_token ?? architecture !== "gpt2";
  return { begin: begins ? (settings.bos_token ?? usual.begin) : undefined, end: settings.eos_token ?? usual.end };
}
