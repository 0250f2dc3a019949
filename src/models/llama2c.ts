/**
 * Llama models as llama2.c keeps them (https://github.com/karpathy/llama2.c, export version 0), such as the TinyStories ones.
 *
 * Model: 7 32-bit integers (width, intermediate width, layers, heads, key heads, vocabulary, positions; a vocabulary below 0
 * means that the head is not the word table), then 32-bit floats: words, then of all layers each kind of tensor in turn, the
 * last norm, two tables of rotary angles (computed here instead), and the head. Tokenizer: the longest token's length, then
 * of each token a score, its length and its bytes. All little-endian.
 */

import { readFile, stat } from "node:fs/promises";
import * as v from "valibot";
import type { ModelSpec, NamedTensor, Weights } from "../program/spec.ts";
import { anyTokenizer } from "./any-tokenizer.ts";
import { sizes } from "./bounds.ts";
import type { Model } from "./checkpoint.ts";
import { type SpecOverrides, withOverrides } from "./config.ts";
import { baseOf } from "./families/all.ts";
import { check } from "./json.ts";
import { unpaired } from "./rows.ts";
import type { TokenizerFiles } from "./tokenizer.ts";
import { type ScoredPiece, scoredMerges } from "./tokenizers/scored-merges.ts";
import { elementCount, weightsOf } from "./weights.ts";

const FILE_LIMIT = 2 ** 31 - 1;
const HEADER_BYTES = 28;
/** The first number of later versions, "ak42". */
const LATER = 0x616b3432;
const MODEL = "the model's file";
const TOKENIZER = "the tokenizer's file";

const headerSchema = v.object({
  width: sizes.hidden,
  intermediate: sizes.intermediate,
  layers: sizes.layers,
  heads: sizes.heads,
  keyHeads: sizes.heads,
  vocabulary: sizes.vocabulary,
  positions: sizes.positions,
});

/**
 * Reads llama2.c's two files.
 * @throws an Error of one line that says which file is wrong and what to do.
 */
export async function loadLlama2c(
  modelPath: string,
  tokenizerPath: string,
  overrides: SpecOverrides = {},
): Promise<Model> {
  const { spec, weights } = llama2cModel(await bytesOf(modelPath, MODEL), overrides);
  const files = llama2cTokenizer(await bytesOf(tokenizerPath, TOKENIZER), spec.vocabulary);
  return { spec, weights, tokenizer: anyTokenizer(files, spec) };
}

/** The model of a file's bytes. @throws an Error of one line when they are not exactly what the header says. */
export function llama2cModel(
  bytes: Uint8Array,
  overrides: SpecOverrides = {},
): { readonly spec: ModelSpec; readonly weights: Weights } {
  const spec = withOverrides(specOfHeader(bytes), overrides);
  const layout = layoutOf(spec);
  const count = layout.reduce((sum, { shape }) => sum + elementCount(shape), 0);
  if (bytes.length !== HEADER_BYTES + 4 * count) {
    throw new Error(
      `${MODEL} has ${bytes.length} bytes, its header asks for ${HEADER_BYTES + 4 * count}: copy it again`,
    );
  }
  const floats = new Float32Array(count);
  new Uint8Array(floats.buffer).set(bytes.subarray(HEADER_BYTES));
  return { spec, weights: weightsOf(tensorsOf(floats, layout, spec)) };
}

function specOfHeader(bytes: Uint8Array): ModelSpec {
  if (bytes.length < HEADER_BYTES) throw new Error(`${MODEL} is too short: copy it again`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, HEADER_BYTES);
  const [width, intermediate, layers, heads, keyHeads, signed, positions] = Array.from({ length: 7 }, (_, i) =>
    view.getInt32(4 * i, true),
  );
  if (width === LATER) throw new Error(`${MODEL} is of a later version: export it as version 0`);
  const vocabulary = Math.abs(signed);
  check(headerSchema, { width, intermediate, layers, heads, keyHeads, vocabulary, positions }, MODEL);
  if (width % (2 * heads) !== 0 || heads % keyHeads !== 0) {
    throw new Error(`${MODEL} has heads that do not divide its width: copy it again`);
  }
  return {
    ...baseOf("llama"),
    ...{ layers, hidden: width, heads, keyHeads, headWidth: width / heads, intermediate, vocabulary, positions },
    ...{ types: 1, labels: vocabulary, epsilon: 1e-5, positionOffset: 0 },
    ...{ tied: signed > 0, problem: "generation", labelNames: [] },
    ...{ gelu: "exact", softmax: "exact", embedding: "private", answer: "scores" },
  };
}

/** Tensors of one kind in the file: of all layers, one after another, where the name has a `#`. */
interface Block {
  /** None: the program does not need it. */
  readonly name: string | null;
  /** [layers, ...] or the tensor's own. */
  readonly shape: readonly number[];
  /** Heads whose rows lie in pairs side by side; the program has a pair a half of the head apart. */
  readonly pairedHeads?: number;
}

function layoutOf(spec: ModelSpec): readonly Block[] {
  const { layers, hidden, heads, keyHeads, intermediate, vocabulary, positions, tied } = spec;
  const keyWidth = (hidden / heads) * keyHeads;
  const angles: Block = { name: null, shape: [positions, hidden / heads / 2] };
  return [
    { name: "embeddings.word", shape: [vocabulary, hidden] },
    { name: "layer.#.attention.norm.weight", shape: [layers, hidden] },
    { name: "layer.#.query.weight", shape: [layers, hidden, hidden], pairedHeads: heads },
    { name: "layer.#.key.weight", shape: [layers, keyWidth, hidden], pairedHeads: keyHeads },
    { name: "layer.#.value.weight", shape: [layers, keyWidth, hidden] },
    { name: "layer.#.attention.output.weight", shape: [layers, hidden, hidden] },
    { name: "layer.#.norm.weight", shape: [layers, hidden] },
    { name: "layer.#.gate.weight", shape: [layers, intermediate, hidden] },
    { name: "layer.#.output.weight", shape: [layers, hidden, intermediate] },
    { name: "layer.#.intermediate.weight", shape: [layers, intermediate, hidden] },
    { name: "norm.weight", shape: [hidden] },
    angles,
    angles,
    ...(tied ? [] : [{ name: "head.weight", shape: [vocabulary, hidden] }]),
  ];
}

function tensorsOf(floats: Float32Array, layout: readonly Block[], spec: ModelSpec): Map<string, NamedTensor> {
  const found = new Map<string, NamedTensor>();
  let at = 0;
  for (const { name, shape, pairedHeads } of layout) {
    const own = name?.includes("#") ? shape.slice(1) : shape;
    const size = elementCount(own);
    for (let i = 0; i < elementCount(shape) / size; i++, at += size) {
      if (name === null) continue;
      const data = floats.subarray(at, at + size);
      const full = name.replace("#", String(i));
      if (!data.every(Number.isFinite))
        throw new Error(`${MODEL}: ${full} has a value that is not finite: copy it again`);
      const rows = pairedHeads === undefined ? data : unpaired(data, own[0], own[1], pairedHeads);
      found.set(full, { shape: own, data: rows });
    }
  }
  const words = found.get("embeddings.word");
  if (spec.tied && words !== undefined) found.set("head.weight", words);
  return found;
}

/** Tokens with a place of their own: the unknown, the first, the last, and one for each byte. */
const SPECIALS = ["<unk>", "<s>", "</s>"];
const FIRST_PIECE = SPECIALS.length + 256;
/** Bytes of a token, at most: every cut through a token is looked up. */
const LONGEST = 256;

/**
 * The tokenizer of a file's bytes, as Hugging Face's files. llama2.c joins the two neighbours whose union has the highest
 * score, as SentencePiece does.
 * @throws an Error of one line when the bytes are not exactly so many tokens, in their usual places.
 */
export function llama2cTokenizer(bytes: Uint8Array, vocabulary: number): TokenizerFiles {
  const pieces = piecesOf(bytes, vocabulary);
  const vocab = Object.fromEntries(pieces.map(({ text }, id) => [text, id]));
  if (Object.keys(vocab).length !== vocabulary) throw new Error(`${TOKENIZER} has a token twice: copy it again`);
  const special = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
  const json = {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: SPECIALS.map((content, id) => ({ id, content, ...special })),
    ...SENTENCE_PIECE,
    model: {
      type: "BPE",
      unk_token: "<unk>",
      fuse_unk: true,
      byte_fallback: true,
      vocab,
      merges: scoredMerges(pieces.slice(FIRST_PIECE)),
    },
  };
  const settings = { bos_token: "<s>", eos_token: "</s>", unk_token: "<unk>", add_bos_token: true };
  return { "tokenizer.json": JSON.stringify(json), "tokenizer_config.json": `${JSON.stringify(settings, null, 2)}\n` };
}

/** Llama's: a space before the text, `▁` for spaces, `<s>` in front; and back. */
const SENTENCE_PIECE = {
  normalizer: {
    type: "Sequence",
    normalizers: [
      { type: "Prepend", prepend: "▁" },
      { type: "Replace", pattern: { String: " " }, content: "▁" },
    ],
  },
  pre_tokenizer: null,
  post_processor: {
    type: "TemplateProcessing",
    single: [{ SpecialToken: { id: "<s>", type_id: 0 } }, { Sequence: { id: "A", type_id: 0 } }],
    pair: [{ Sequence: { id: "A", type_id: 0 } }, { Sequence: { id: "B", type_id: 1 } }],
    special_tokens: { "<s>": { id: "<s>", ids: [1], tokens: ["<s>"] } },
  },
  decoder: {
    type: "Sequence",
    decoders: [
      { type: "Replace", pattern: { String: "▁" }, content: " " },
      { type: "ByteFallback" },
      { type: "Fuse" },
      { type: "Strip", content: " ", start: 1, stop: 0 },
    ],
  },
};

function piecesOf(bytes: Uint8Array, vocabulary: number): readonly ScoredPiece[] {
  if (vocabulary < FIRST_PIECE) throw new Error(`${TOKENIZER} needs ${FIRST_PIECE} tokens or more: use another model`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  const pieces: ScoredPiece[] = [];
  let at = 4;
  while (pieces.length < vocabulary) {
    const length = at + 8 <= bytes.length ? view.getInt32(at + 4, true) : -1;
    if (length < 0 || at + 8 + length > bytes.length) {
      throw new Error(`${TOKENIZER} does not hold the model's ${vocabulary} tokens: give the model's own, whole`);
    }
    const own = bytes.subarray(at + 8, at + 8 + length);
    const score = view.getFloat32(at, true);
    if (length > LONGEST || !Number.isFinite(score)) {
      throw new Error(`${TOKENIZER} has a token ${pieces.length} without a score, or too long: copy it again`);
    }
    pieces.push({ text: pieceText(own, pieces.length, decoder), score });
    at += 8 + length;
  }
  if (at !== bytes.length)
    throw new Error(`${TOKENIZER} holds more than the model's ${vocabulary} tokens: give its own`);
  return pieces;
}

/** A token as tokenizer.json writes it. llama2.c has spaces for `▁` and line breaks around the first and the last token. */
function pieceText(bytes: Uint8Array, id: number, decoder: TextDecoder): string {
  let text: string;
  try {
    text = decoder.decode(bytes);
  } catch (cause) {
    throw new Error(`${TOKENIZER} has a token that is not UTF-8: copy it again`, { cause });
  }
  if (id >= FIRST_PIECE) return text.replaceAll(" ", "▁");
  const byte = (id - SPECIALS.length).toString(16).toUpperCase().padStart(2, "0");
  const usual = id < SPECIALS.length ? SPECIALS[id] : `<0x${byte}>`;
  if (text.trim() !== usual) throw new Error(`${TOKENIZER} has an unusual token ${id}: use Llama's order of tokens`);
  return usual;
}

async function bytesOf(path: string, label: string): Promise<Uint8Array> {
  try {
    if ((await stat(path)).size > FILE_LIMIT) throw new Error("too large");
    return await readFile(path);
  } catch (cause) {
    throw new Error(`${label} cannot be read, or is larger than 2 GiB: check its path`, { cause });
  }
}
