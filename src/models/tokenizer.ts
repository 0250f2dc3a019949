/**
 * Text to token ids, as the checkpoint's own tokenizer does it. Built from files already read (a folder, a download, the
 * other party): tokenizer.json, or BERT's vocab.txt, or RoBERTa's vocab.json with merges.txt; and tokenizer_config.json.
 */

import { Tokenizer } from "@huggingface/tokenizers";
import * as v from "valibot";
import type { ModelSpec, TokenizedText } from "../program/spec.ts";
import { check, parseJson } from "./json.ts";

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

export interface EncodeOptions {
  /** Shortens a text beyond the model's positions instead of refusing it; of a pair, the longer one first. */
  readonly truncate?: boolean;
}

/** Normalizers and pre-tokenizers without patterns of their own: a file's regular expressions are never run. */
const SAFE_STEPS = [
  "BertNormalizer",
  "BertPreTokenizer",
  "ByteLevel",
  "Lowercase",
  "NFC",
  "NFD",
  "NFKC",
  "NFKD",
  "Punctuation",
  "Sequence",
  "Strip",
  "StripAccents",
  "Whitespace",
  "WhitespaceSplit",
  "Digits",
];
const stepSchema: v.GenericSchema<unknown, { type: string }> = v.looseObject({
  type: v.picklist(SAFE_STEPS, `is not supported: use one of ${SAFE_STEPS.join(", ")}`),
  normalizers: v.optional(v.array(v.lazy(() => stepSchema))),
  pretokenizers: v.optional(v.array(v.lazy(() => stepSchema))),
});
const vocabularySchema = v.record(v.string(), v.pipe(v.number(), v.integer(), v.minValue(0)));
const tokenizerSchema = v.looseObject({
  model: v.looseObject({
    type: v.optional(v.picklist(["WordPiece", "BPE"], "is not supported: use WordPiece or BPE")),
    vocab: vocabularySchema,
  }),
  normalizer: v.nullish(stepSchema, null),
  pre_tokenizer: v.nullish(stepSchema, null),
  post_processor: v.nullish(v.looseObject({ type: v.string() }), null),
  added_tokens: v.optional(v.array(v.looseObject({ id: v.number(), content: v.string() })), []),
});
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
  cls_token: special,
  sep_token: special,
  pad_token: special,
  unk_token: special,
  mask_token: special,
});

type TokenizerJson = v.InferOutput<typeof tokenizerSchema>;
type Settings = v.InferOutput<typeof settingsSchema>;

/** Encodes texts for one model. */
export class TextTokenizer {
  /** The files it was built from, to save or to send. */
  readonly files: TokenizerFiles;
  /** The vocabulary's size: one more than the largest number of a token. */
  readonly size: number;
  /** The most tokens a text may have, the special ones included. */
  readonly limit: number;
  readonly #spec: TokenizerSpec;
  readonly #tokenizer: Tokenizer;
  readonly #prepare: (text: string) => string;

  /** @throws an Error of one line that names the file and what is missing or not supported in it. */
  constructor(files: TokenizerFiles, spec: TokenizerSpec) {
    const settings = check(
      settingsSchema,
      parseJson(files["tokenizer_config.json"] ?? "{}", "tokenizer_config.json"),
      "tokenizer_config.json",
    );
    const json = completed(tokenizerJson(files, spec, settings), spec, settings);
    this.files = files;
    this.limit = spec.positions - spec.positionOffset;
    const ids = [...Object.values(json.model.vocab), ...json.added_tokens.map(({ id }) => id)];
    this.size = 1 + ids.reduce((most, id) => Math.max(most, id), 0);
    this.#spec = spec;
    this.#prepare = preparation(json);
    try {
      this.#tokenizer = new Tokenizer({ decoder: null, ...json }, {});
    } catch {
      throw new Error("tokenizer.json could not be used: save it again with the fast tokenizer of transformers");
    }
  }

  /**
   * `[CLS] text [SEP]` or `[CLS] text [SEP] pair [SEP]`; `<s> text </s>` or `<s> text </s></s> pair </s>` for RoBERTa.
   * @throws an Error when a text is empty, or longer than the model's positions and `truncate` is not set.
   */
  encode(text: string, pair?: string, options: EncodeOptions = {}): TokenizedText {
    let first = this.#tokens(text);
    let second = pair === undefined ? undefined : this.#tokens(pair);
    const specials = this.#assemble([], second && []).tokens.length;
    const total = first.length + (second?.length ?? 0) + specials;
    if (total > this.limit) {
      if (options.truncate !== true) {
        throw new Error(`the text has ${total} tokens, the model takes ${this.limit}: shorten it, or set truncate`);
      }
      const [n, m] = kept(first.length, second?.length ?? 0, this.limit - specials);
      first = first.slice(0, n);
      second = second?.slice(0, m);
    }
    const { tokens, types } = this.#assemble(first, second);
    return { ids: tokens.map((token) => this.#id(token)), types };
  }

  /** A token's number, if the vocabulary has it. */
  idOf(token: string): number | undefined {
    return this.#tokenizer.token_to_id(token);
  }

  #tokens(text: string): string[] {
    const tokens = text === "" ? [] : this.#tokenizer.tokenize(this.#prepare(text));
    if (tokens.length === 0) throw new Error("the text is empty: give one with at least one letter");
    return tokens;
  }

  #assemble(first: string[], second?: string[]): { tokens: string[]; types: number[] } {
    const result = this.#tokenizer.post_processor?.(first, second ?? null, true);
    if (result === undefined) throw new Error("tokenizer.json has no post_processor: save it again with transformers");
    const types = result.token_type_ids;
    const typed = this.#spec.architecture === "bert" && this.#spec.types > 1 && types !== undefined;
    return { tokens: result.tokens, types: typed ? types : result.tokens.map(() => 0) };
  }

  #id(token: string): number {
    const model = this.#tokenizer.model;
    const id = this.#tokenizer.token_to_id(token) ?? model?.unk_token_id;
    if (id === undefined)
      throw new Error("the vocabulary lacks a token and has none for the unknown: check the tokenizer");
    if (id >= this.#spec.vocabulary) {
      throw new Error(`a token's id is beyond the model's ${this.#spec.vocabulary}: use the model's own tokenizer`);
    }
    return id;
  }
}

/** How many tokens of each of two texts stay: the longer one is shortened first, as transformers does. */
function kept(first: number, second: number, room: number): [number, number] {
  if (room < 1) throw new Error("the model has too few positions for a text: use another model");
  if (second === 0) return [Math.min(first, room), 0];
  const short = Math.min(first, second);
  const [a, b] =
    short + Math.max(short, room - short) > room
      ? [Math.floor(room / 2), Math.ceil(room / 2)]
      : [short, Math.max(short, room - short)];
  return first > second ? [b, a] : [a, b];
}

function tokenizerJson(files: TokenizerFiles, spec: TokenizerSpec, settings: Settings): TokenizerJson {
  if (files["tokenizer.json"] !== undefined) {
    const json = parseJson(files["tokenizer.json"], "tokenizer.json");
    return check(tokenizerSchema, json, "tokenizer.json");
  }
  if (files["vocab.txt"] !== undefined) return wordPiece(files["vocab.txt"], settings);
  if (files["vocab.json"] !== undefined && files["merges.txt"] !== undefined) {
    return bytePairs(files["vocab.json"], files["merges.txt"], settings);
  }
  const needed = spec.architecture === "bert" ? "vocab.txt" : "vocab.json with merges.txt";
  throw new Error(`the model has no tokenizer: put tokenizer.json or ${needed} beside config.json`);
}

/** BERT's original files as a tokenizer.json. */
function wordPiece(vocabulary: string, settings: Settings): TokenizerJson {
  const lines = vocabulary.split(/\r\n|\n|\r/);
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

/** RoBERTa's original files as a tokenizer.json. */
function bytePairs(vocabulary: string, merges: string, settings: Settings): TokenizerJson {
  const vocab = check(vocabularySchema, parseJson(vocabulary, "vocab.json"), "vocab.json");
  const rules = merges.split(/\r?\n/).filter((line) => line.trim() !== "" && !line.startsWith("#version"));
  if (!rules.every((rule) => rule.split(" ").length === 2)) {
    throw new Error("merges.txt must have two tokens on a line: copy the file again");
  }
  const { cls_token, sep_token, pad_token, unk_token, mask_token } = settings;
  const unknown = unk_token ?? "<unk>";
  const specials = [cls_token ?? "<s>", pad_token ?? "<pad>", sep_token ?? "</s>", unknown, mask_token ?? "<mask>"];
  const model = { type: "BPE" as const, vocab, merges: rules, unk_token: unknown, continuing_subword_prefix: "" };
  return {
    model,
    normalizer: null,
    pre_tokenizer: { type: "ByteLevel", add_prefix_space: settings.add_prefix_space ?? false, trim_offsets: true },
    post_processor: null,
    added_tokens: added(specials, vocab, "vocab.json"),
  } as TokenizerJson;
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
  if (json.post_processor !== null) return { ...json, normalizer };
  const cls = settings.cls_token ?? (bert ? "[CLS]" : "<s>");
  const sep = settings.sep_token ?? (bert ? "[SEP]" : "</s>");
  const type = bert ? "BertProcessing" : "RobertaProcessing";
  return { ...json, normalizer, post_processor: { type, cls: [cls, 0], sep: [sep, 0] } };
}

/**
 * Where the library's BertNormalizer differs from the original: ideographs beyond 16 bits are words of their own, and a
 * capital sigma becomes σ at a word's end too.
 */
function preparation(json: TokenizerJson): (text: string) => string {
  const { type, lowercase, handle_chinese_chars } = (json.normalizer ?? {}) as Record<string, unknown>;
  if (type !== "BertNormalizer") return (text) => text;
  return (text) => {
    const spaced =
      handle_chinese_chars === false ? text : text.replace(/[\u{20000}-\u{2CEAF}\u{2F800}-\u{2FA1F}]/gu, " $& ");
    return lowercase === false ? spaced : spaced.replaceAll("Σ", "σ");
  };
}

function overridden(settings: Settings): Record<string, boolean> {
  const { do_lower_case, strip_accents, tokenize_chinese_chars } = settings;
  const fields = { lowercase: do_lower_case, strip_accents, handle_chinese_chars: tokenize_chinese_chars };
  return Object.fromEntries(
    Object.entries(fields).filter((field): field is [string, boolean] => typeof field[1] === "boolean"),
  );
}
