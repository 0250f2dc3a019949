/**
 * How byte-level tokenizers cut a text, by the names that GGUF files give them (`tokenizer.ggml.pre`, from llama.cpp's
 * converter). Each is what the tokenizer.json of such a model says.
 */

/** What a name stands for. */
export interface Cut {
  /** Steps before the letters of bytes. */
  readonly steps: readonly object[];
  /** Whether GPT-2's own rule cuts after these steps. */
  readonly plain: boolean;
  readonly normalizer: object | null;
  /** Whether a piece that is a token is taken whole. */
  readonly wholePieces: boolean;
  /** Whether a text begins with the first token where the file does not say. */
  readonly begins: boolean;
}

const CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
const SPACES = String.raw`\s*[\r\n]+|\s+(?!\S)|\s+`;
/** Words with a sign before them, so many digits, signs, spaces. */
const modern = (digits: string) =>
  String.raw`${CONTRACTIONS}|[^\r\n\p{L}\p{N}]?\p{L}+|${digits}| ?[^\s\p{L}\p{N}]+[\r\n]*|${SPACES}`;
const UPPER = String.raw`\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}`;
const LOWER = String.raw`\p{Ll}\p{Lm}\p{Lo}\p{M}`;
/** Words cut where small letters end, then as above. */
const cased = (behind: string, digits: string) =>
  String.raw`[^\r\n\p{L}\p{N}]?[${UPPER}]*[${LOWER}]+${behind}|[^\r\n\p{L}\p{N}]?[${UPPER}]+[${LOWER}]*${behind}` +
  String.raw`|${digits}| ?[^\s\p{L}\p{N}]+[\r\n/]*|${SPACES}`;
const THREE_DIGITS = String.raw`\p{N}{1,3}`;
const ONE_DIGIT = String.raw`\p{N}`;

const gpt2: Cut = { steps: [], plain: true, normalizer: null, wholePieces: false, begins: false };
const digits: Cut = { ...gpt2, steps: [{ type: "Digits", individual_digits: true }] };
const split = (pattern: string): Cut => ({
  ...gpt2,
  steps: [{ type: "Split", pattern: { Regex: pattern }, behavior: "Isolated", invert: false }],
  plain: false,
});
const llama3: Cut = { ...split(modern(THREE_DIGITS)), wholePieces: true, begins: true };
const qwen2: Cut = { ...split(modern(ONE_DIGIT)), normalizer: { type: "NFC" } };
const tekken: Cut = { ...split(cased("", ONE_DIGIT)), wholePieces: true, begins: true };
const gpt4o: Cut = split(cased(`${CONTRACTIONS}?`, THREE_DIGITS));

const CUTS: Readonly<Record<string, Cut>> = {
  "gpt-2": gpt2,
  mpt: gpt2,
  olmo: gpt2,
  smollm: digits,
  starcoder: digits,
  refact: digits,
  codeshell: digits,
  "llama-bpe": llama3,
  llama3: llama3,
  "llama-v3": llama3,
  falcon3: llama3,
  "smaug-bpe": { ...llama3, wholePieces: false, begins: false },
  qwen2: qwen2,
  tekken,
  "gpt-4o": gpt4o,
};

/** @throws an Error of one line when the file names none, or one that is not known. */
export function cutOf(name: string | undefined, label: string): Cut {
  if (name === undefined) throw new Error(`${label} is missing: convert the model again with a newer llama.cpp`);
  if (Object.hasOwn(CUTS, name)) return CUTS[name];
  const shown = /^[a-z0-9._-]{1,40}$/i.test(name) ? `"${name}"` : "this";
  throw new Error(`${label}: ${shown} is not supported: use the model's Hugging Face folder instead`);
}
