/**
 * Tokenizer classes of transformers. A class takes the vocabulary from the files and brings the rest itself, whatever
 * tokenizer.json says of it; a folder without a class of its own has tokenizer.json as it is.
 */

import type { AddedToken } from "./added-tokens.ts";
import type { ModelOptions } from "./schema.ts";
import { contentOf, type NamedToken, type Settings, TOKEN_NAMES, type TokenName } from "./settings.ts";

type Json = Readonly<Record<string, unknown>>;

/** The parts of a tokenizer.json that a class brings. */
interface Parts {
  readonly model: Json;
  readonly normalizer?: Json;
  readonly pre_tokenizer: Json;
  readonly decoder: Json;
}

/** What a class's parts depend on: the files' settings, and its special tokens. */
interface Context {
  readonly config: Settings["config"];
  readonly token: (name: TokenName) => string;
  /** A token and its number. */
  readonly mark: (name: TokenName) => readonly [string, number];
}

export interface TokenizerClass {
  readonly model: ModelOptions["type"];
  /** The special tokens unless the files name others; null for none. */
  readonly tokens: Readonly<Partial<Record<TokenName, NamedToken>>>;
  readonly parts: (model: ModelOptions, context: Context) => Parts;
  /** Of classes that place the special tokens themselves. */
  readonly processor?: (context: Context) => Json;
  /** Whether tokenizer.json's post-processor is left out. */
  readonly ignoresProcessor?: boolean;
  /** Whether the model is told which of two texts a token belongs to. */
  readonly types: boolean;
}

const BERT_TOKENS = {
  unk_token: "[UNK]",
  sep_token: "[SEP]",
  pad_token: "[PAD]",
  cls_token: "[CLS]",
  mask_token: "[MASK]",
} as const;
const ROBERTA_TOKENS = {
  ...{ bos_token: "<s>", eos_token: "</s>", sep_token: "</s>", cls_token: "<s>" },
  ...{ unk_token: "<unk>", pad_token: "<pad>", mask_token: "<mask>" },
} as const;
const END_OF_TEXT = "<|endoftext|>";

const bert: TokenizerClass = {
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

const mpnet: TokenizerClass = {
  ...bert,
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
  BertTokenizer: bert,
  ElectraTokenizer: bert,
  MobileBertTokenizer: bert,
  ConvBertTokenizer: bert,
  SqueezeBertTokenizer: bert,
  LayoutLMTokenizer: bert,
  DistilBertTokenizer: { ...bert, types: false },
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
};
/** What means that tokenizer.json is taken as it is. */
const AS_IT_IS = ["PreTrainedTokenizer", "TokenizersBackend", "BloomTokenizer"];
/** The class of an architecture's folders that name none. */
const USUAL: Readonly<Record<string, string>> = {
  bert: "BertTokenizer",
  roberta: "RobertaTokenizer",
  gpt2: "GPT2Tokenizer",
  opt: "GPT2Tokenizer",
};

/**
 * The class of a folder; null where tokenizer.json is taken as it is.
 * @throws an Error when the files name a class that is not known here.
 */
export function classOf(
  name: string | null | undefined,
  architecture: string,
  tokenizerJson: string | undefined,
): TokenizerClass | null {
  const plain = (name ?? USUAL[architecture] ?? "TokenizersBackend").replace(/Fast$/, "");
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

type Mark = readonly [string, number];

function bertTemplate(cls: Mark, sep: Mark): Json {
  const [begin, end, a, b] = [special(cls), special(sep), text("A"), text("B")];
  return template([begin(0), a(0), end(0)], [begin(0), a(0), end(0), b(1), end(1)], [cls, sep]);
}

function doubledTemplate(cls: Mark, sep: Mark): Json {
  const [begin, end, a, b] = [special(cls), special(sep), text("A"), text("B")];
  return template([begin(0), a(0), end(0)], [begin(0), a(0), end(0), end(0), b(0), end(0)], [cls, sep]);
}

/** What transformers makes of add_bos_token and add_eos_token. */
export function edgesTemplate(bos: Mark | null, eos: Mark | null): Json {
  const [a, b] = [text("A"), text("B")];
  const around = (inner: Json, type: number) => [
    ...(bos === null ? [] : [special(bos)(type)]),
    inner,
    ...(eos === null ? [] : [special(eos)(type)]),
  ];
  const marks = [bos, eos].filter((mark): mark is Mark => mark !== null);
  return template(around(a(0), 0), [...around(a(0), 0), ...around(b(1), 1)], marks);
}

function template(single: readonly Json[], pair: readonly Json[], marks: readonly Mark[]): Json {
  const entries = marks.map(([id, number]) => [id, { id, ids: [number], tokens: [id] }]);
  return { type: "TemplateProcessing", single, pair, special_tokens: Object.fromEntries(entries) };
}

function special([id]: Mark): (type_id: number) => Json {
  return (type_id) => ({ SpecialToken: { id, type_id } });
}

function text(id: "A" | "B"): (type_id: number) => Json {
  return (type_id) => ({ Sequence: { id, type_id } });
}

/** A special token that a class adds as one that is looked for in the normalised text. */
function token(name: TokenName, content: string, lstrip = false): Readonly<Partial<Record<TokenName, AddedToken>>> {
  return { [name]: { content, lstrip, rstrip: false, single_word: false, normalized: true, special: false } };
}

/** The special tokens of a class or of a plain tokenizer.json, the files' before its own. */
export function namedTokens(own: TokenizerClass | null, { named }: Settings): ReadonlyMap<string, NamedToken> {
  const all = new Map<string, NamedToken | null>(Object.entries(own?.tokens ?? {}));
  for (const [name, value] of named) all.set(name, value);
  const order = new Set<string>([...TOKEN_NAMES, ...all.keys()]);
  return new Map(
    [...order].flatMap((name) => {
      const value = all.get(name) ?? null;
      return value === null ? [] : [[name, value] as const];
    }),
  );
}

/** What of a class depends on special tokens, by their names and numbers. */
export function contextOf(
  config: Settings["config"],
  named: ReadonlyMap<string, NamedToken>,
  idOf: (content: string) => number | undefined,
): Context {
  const own = (name: TokenName) => {
    const found = named.get(name);
    if (found === undefined) throw new Error(`tokenizer_config.json: ${name}: must name a token`);
    return contentOf(found);
  };
  const mark = (name: TokenName): Mark => {
    const id = idOf(own(name));
    if (id === undefined) throw new Error(`tokenizer_config.json: ${name}: is no token of the vocabulary`);
    return [own(name), id];
  };
  return { config, token: own, mark };
}
