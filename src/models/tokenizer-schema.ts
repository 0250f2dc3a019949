/** What a tokenizer.json may say: everything that the library reads, bounded, so that it neither fails late nor runs long. */

import * as v from "valibot";
import { whole } from "./config-fields.ts";

/** As many as a model's vocabulary can have. */
export const MOST_TOKENS = 2_000_000;
const MOST_STEPS = 64;
const MOST_WORD_LETTERS = 256;
const PATTERN = "must be a plain string: regular expressions of a file are never run";
/** Normalizers and pre-tokenizers without patterns of their own, or plain ones. */
const SAFE_STEPS = [
  "BertNormalizer",
  "BertPreTokenizer",
  "ByteLevel",
  "Lowercase",
  "Metaspace",
  "NFC",
  "NFD",
  "NFKC",
  "NFKD",
  "Prepend",
  "Punctuation",
  "Replace",
  "Sequence",
  "Strip",
  "StripAccents",
  "Whitespace",
  "WhitespaceSplit",
  "Digits",
];
/** A normalizer or pre-tokenizer. */
export interface Step {
  readonly type: string;
  readonly normalizers?: readonly Step[];
  readonly pretokenizers?: readonly Step[];
  readonly prepend_scheme?: string;
  readonly pattern?: { readonly String: string };
  readonly content?: string;
}
const letter = v.optional(v.pipe(v.string(), v.maxLength(1, "must be one letter")));
const affix = v.nullish(v.pipe(v.string(), v.maxLength(16, "must be 16 letters or fewer")));
const flag = v.nullish(v.boolean());
const stepSchema: v.GenericSchema<unknown, Step> = v.pipe(
  v.looseObject({
    type: v.picklist(SAFE_STEPS, `is not supported: use one of ${SAFE_STEPS.join(", ")}`),
    normalizers: v.optional(v.array(v.lazy(() => stepSchema))),
    pretokenizers: v.optional(v.array(v.lazy(() => stepSchema))),
    prepend: v.optional(v.pipe(v.string(), v.maxLength(16, "must be 16 letters or fewer"))),
    prepend_scheme: v.optional(v.string()),
    replacement: letter,
    str_rep: letter,
    pattern: v.optional(v.strictObject({ String: v.pipe(v.string(), v.minLength(1, "must not be empty")) }, PATTERN)),
    content: v.optional(v.string()),
  }),
  v.check((step) => step.type !== "Replace" || neverGrows(step), "Replace must not make texts longer"),
);
/** All steps of a text's preparation. */
const preparation = v.nullish(
  v.pipe(
    stepSchema,
    v.check((step) => stepsOf(step).length <= MOST_STEPS, `must have ${MOST_STEPS} steps or fewer`),
  ),
  null,
);

const typeId = whole(0, 63);
const template = v.pipe(
  v.array(
    v.union(
      [
        v.strictObject({ SpecialToken: v.looseObject({ id: v.string(), type_id: typeId }) }),
        v.strictObject({ Sequence: v.looseObject({ id: v.picklist(["A", "B"]), type_id: typeId }) }),
      ],
      "must be SpecialToken or Sequence, each with an id and a type_id from 0 to 63",
    ),
  ),
  v.maxLength(64, "must have 64 items or fewer"),
);
type Template = v.InferOutput<typeof template>;
const mark = v.tuple([v.string(), v.number()]);
const oneProcessor = [
  v.looseObject({
    type: v.literal("TemplateProcessing"),
    single: v.pipe(template, v.check(hasOnce("A"), "must have the text A once")),
    pair: v.pipe(template, v.check(hasOnce("AB"), "must have the texts A and B once each")),
  }),
  v.looseObject({ type: v.picklist(["BertProcessing", "RobertaProcessing"]), cls: mark, sep: mark }),
  v.looseObject({ type: v.literal("ByteLevel") }),
] as const;
const UNKNOWN_PROCESSOR = "is not supported: save it again with transformers";
const sequence = v.looseObject({
  type: v.literal("Sequence"),
  processors: v.pipe(
    v.array(v.variant("type", oneProcessor, UNKNOWN_PROCESSOR)),
    v.check((steps) => steps.filter(({ type }) => type !== "ByteLevel").length <= 1, "must place special tokens once"),
    v.maxLength(8, "must have 8 steps or fewer"),
  ),
});

export const vocabularySchema = v.custom<Record<string, number>>(
  isVocabulary,
  `must give each token a whole number below ${MOST_TOKENS}`,
);

export const tokenizerSchema = v.looseObject({
  model: v.looseObject({
    type: v.optional(v.picklist(["WordPiece", "BPE"], "is not supported: use WordPiece or BPE")),
    vocab: vocabularySchema,
    merges: v.optional(v.custom<readonly unknown[]>(isMerges, "must be pairs of tokens")),
    unk_token: v.nullish(v.string()),
    max_input_chars_per_word: v.nullish(whole(1, MOST_WORD_LETTERS)),
    continuing_subword_prefix: affix,
    continuing_subword_suffix: affix,
    end_of_word_suffix: affix,
    fuse_unk: flag,
    byte_fallback: flag,
    ignore_merges: flag,
  }),
  normalizer: preparation,
  pre_tokenizer: preparation,
  post_processor: v.nullish(v.variant("type", [...oneProcessor, sequence], UNKNOWN_PROCESSOR), null),
  added_tokens: v.optional(
    v.array(
      v.looseObject({
        id: whole(0, MOST_TOKENS - 1),
        content: v.pipe(
          v.string(),
          v.minLength(1, "must not be empty"),
          v.maxLength(1000, "must be 1000 letters or fewer"),
        ),
        special: v.optional(v.boolean()),
      }),
    ),
    [],
  ),
});

/** A tokenizer.json as the library takes it. */
export type TokenizerJson = v.InferOutput<typeof tokenizerSchema>;

/** A step and those in it. */
export function stepsOf(step: Step | null): readonly Step[] {
  if (step === null) return [];
  return [step, ...[...(step.normalizers ?? []), ...(step.pretokenizers ?? [])].flatMap(stepsOf)];
}

function neverGrows({ pattern, content }: Step): boolean {
  return pattern !== undefined && (content ?? "").length <= pattern.String.length;
}

/** Whether a template has each of these texts once and no other. */
function hasOnce(texts: string): (items: Template) => boolean {
  return (items) => {
    const ids = items.flatMap((item) => ("Sequence" in item ? item.Sequence.id : []));
    return ids.sort().join("") === texts;
  };
}

/** Whatever its tokens are called: valibot's own records lack some names, such as "prototype", a token of GPT-2. */
function isVocabulary(value: unknown): boolean {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  return Object.values(value).every(
    (id: unknown) => Number.isInteger(id) && (id as number) >= 0 && (id as number) < MOST_TOKENS,
  );
}

/** All written as "a b", or all as ["a", "b"]. */
function isMerges(value: unknown): boolean {
  if (!Array.isArray(value)) return false;
  if (typeof value[0] === "string") return value.every((pair: unknown) => typeof pair === "string");
  const isText = (token: unknown) => typeof token === "string";
  return value.every((pair: unknown) => Array.isArray(pair) && pair.length === 2 && pair.every(isText));
}
