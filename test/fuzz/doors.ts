/** The doors that others' bytes come through, each with small valid inputs. */

import { Channel } from "../../src/channels/channel.ts";
import type { Phase } from "../../src/channels/frame.ts";
import { planJson, planOf } from "../../src/cli/source.ts";
import { calibrate } from "../../src/compiler/calibrate.ts";
import { compile } from "../../src/compiler/compile.ts";
import { anyTokenizer } from "../../src/models/any-tokenizer.ts";
import { catalogSpec, randomText, randomWeights } from "../../src/models/catalog.ts";
import { configJson, specOf } from "../../src/models/config.ts";
import { baseOf } from "../../src/models/families/all.ts";
import { readGguf } from "../../src/models/gguf/model.ts";
import { parseJson } from "../../src/models/json.ts";
import { llama2cModel, llama2cTokenizer } from "../../src/models/llama2c.ts";
import { bytesSource, readHeader, readTensor, writeSafetensors } from "../../src/models/safetensors.ts";
import type { TokenizerFiles, TokenizerSpec } from "../../src/models/tokenizer.ts";
import { requiredWeights } from "../../src/models/weights.ts";
import { parse, publicModel } from "../../src/parties/messages.ts";
import type { ModelSpec } from "../../src/program/spec.ts";
import { oneTurn } from "../../src/program/steps.ts";
import { ggufBytes, tinyLlama } from "../models/gguf-bytes.ts";
import { type Edit, editBytes, editJson, editLines } from "./edits.ts";
import { type Door, Finding } from "./judge.ts";

const utf8 = new TextEncoder();
const text = new TextDecoder("utf-8", { ignoreBOM: true });

/** @throws Finding unless the two are written the same in JSON. */
function same(what: string, a: unknown, b: unknown): void {
  if (JSON.stringify(a) !== JSON.stringify(b)) throw new Finding(`${what} does not come back as it was`);
}

const PHASES: readonly (readonly [Phase, number, number])[] = [
  ["setup", 1, 5],
  ["offline", 0, 0],
  ["online", 0, 24],
  ["online", 1, 3],
];

/** The bytes of one stream of frames: JSON, then one of each of `PHASES`. */
async function stream(): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  const idle = { pause() {}, resume() {}, close() {} };
  const wire = {
    ...idle,
    write: async (own: readonly Uint8Array[]) => void parts.push(...own.map((part) => part.slice())),
  };
  const sender = new Channel(wire, { peer: "peer", deadlineMs: 60_000, side: "opener" });
  await sender.sendJson(0, { hello: "peer" });
  for (const [phase, step, length] of PHASES) await sender.send(phase, step, [new Uint8Array(length).fill(length)]);
  sender.close();
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

/** Settles as `promise` does. @throws Finding if it waits for more than has come. */
async function settled<T>(promise: Promise<T>): Promise<T> {
  let later: NodeJS.Immediate | undefined;
  const hang = new Promise<never>((_, reject) => {
    later = setImmediate(() => reject(new Finding("a receiver waits for ever")));
  });
  try {
    return await Promise.race([promise, hang]);
  } finally {
    clearImmediate(later);
  }
}

/** Whoever receives gets all frames or one refusal, however the stream is cut, and whether it comes before or after. */
async function enterFrames(bytes: Uint8Array): Promise<void> {
  const wire = { write: async () => {}, pause() {}, resume() {}, close() {} };
  const channel = new Channel(wire, { peer: "peer", deadlineMs: 60_000, side: "listener" });
  const chunk = 1 + (bytes.length % 23);
  const early = bytes.length % 2 === 0 ? channel.receiveJson(0) : null;
  early?.catch(() => undefined);
  for (let at = 0; at < bytes.length; at += chunk) channel.feed(bytes.slice(at, at + chunk));
  channel.disconnected();
  try {
    await settled(early ?? channel.receiveJson(0));
    for (const [phase, step, length] of PHASES) {
      const payload = await settled(channel.receive(phase, step, length));
      if (payload.length !== length) throw new Finding("a frame has another length than was asked for");
    }
  } finally {
    channel.close();
  }
}

const allBytes = (bytes: Uint8Array) => bytes;
const editsOfBytes = (base: Uint8Array, edits: readonly Edit[]) => edits.reduce(editBytes, base);

export const frames: Door<Uint8Array> = {
  name: "frames",
  bases: [await stream()],
  edited: editsOfBytes,
  enter: enterFrames,
  parse: allBytes,
};

/** A file of this header and body. */
function safetensorsFile(header: string, body: Uint8Array): Uint8Array {
  const own = utf8.encode(header);
  const bytes = new Uint8Array(8 + own.length + body.length);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(own.length), true);
  bytes.set(own, 8);
  bytes.set(body, 8 + own.length);
  return bytes;
}

const MIXED = safetensorsFile(
  '{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},' +
    '"b":{"dtype":"F16","shape":[2],"data_offsets":[8,12]},"c":{"dtype":"BF16","shape":[],"data_offsets":[12,14]},' +
    '"d":{"dtype":"I64","shape":[0,3],"data_offsets":[14,14]}}',
  new Uint8Array(14).fill(1),
);

/** Half of the edits change the header's tokens (its length follows), half any bytes of the file. */
function editsOfSafetensors(base: Uint8Array, edits: readonly Edit[]): Uint8Array {
  const length = Number(new DataView(base.buffer).getBigUint64(0, true));
  const own = edits.filter(([kind]) => kind % 2 === 0).map(([kind, ...rest]): Edit => [kind >>> 1, ...rest]);
  const header = own.reduce(editJson, text.decode(base.subarray(8, 8 + length)));
  const others = edits.filter(([kind]) => kind % 2 === 1).map(([kind, ...rest]): Edit => [kind >>> 1, ...rest]);
  return editsOfBytes(safetensorsFile(header, base.subarray(8 + length)), others);
}

async function enterSafetensors(bytes: Uint8Array): Promise<void> {
  const source = bytesSource(bytes);
  let covered = 0;
  for (const entry of (await readHeader(source, "file")).values()) {
    covered += entry.end - entry.begin;
    if (entry.dtype === "I64") continue;
    const { shape, data } = await readTensor(source, entry);
    if (!data.every(Number.isFinite)) throw new Finding("a value is not finite");
    const parts: Uint8Array[] = [];
    await writeSafetensors([{ name: entry.name, shape, data: () => data }], "F32", async (p) => void parts.push(p));
    const written = bytesSource(Uint8Array.from(parts.flatMap((part) => [...part])));
    const again = await readHeader(written, "file");
    same("a tensor", [...(await readTensor(written, again.get(entry.name)!)).data], [...data]);
  }
  if (covered > bytes.length) throw new Finding("tensors overlap");
}

export const safetensors: Door<Uint8Array> = {
  name: "safetensors",
  bases: [MIXED],
  edited: editsOfSafetensors,
  enter: enterSafetensors,
  parse: allBytes,
};

/** Names of shapes, one of each architecture. */
const SHAPES = ["bert-tiny", "roberta-base", "gpt2-tiny", "opt-tiny", "llama-tiny"];

const decode = (bytes: Uint8Array) => text.decode(bytes);
const editsOfJson = (base: string, edits: readonly Edit[]) => edits.reduce(editJson, base);

async function enterConfig(config: string): Promise<void> {
  const spec = specOf(config);
  same("a spec", specOf(configJson(spec)), spec);
  for (const [key, value] of Object.entries(spec)) if (value === undefined) throw new Finding(`${key} is undefined`);
  const largest = Math.max(...[...requiredWeights(spec).values()].map((shape) => shape.reduce((a, b) => a * b, 1)));
  if (largest > 2 ** 31) throw new Finding(`a tensor of ${largest} values`);
}

export const config: Door<string> = {
  name: "config",
  bases: SHAPES.map((name) => configJson(catalogSpec(name))),
  edited: editsOfJson,
  enter: enterConfig,
  parse: decode,
};

/** A public model as a peer sends it: what is taken can be laid out, with names of functions that are known or refused. */
async function enterModel(json: string): Promise<void> {
  const { spec } = parse(publicModel, parseJson(json, "the message"), "server");
  const largest = Math.max(...[...requiredWeights(spec).values()].map((shape) => shape.reduce((a, b) => a * b, 1)));
  if (largest > 2 ** 31) throw new Finding(`a tensor of ${largest} values`);
}

export const model: Door<string> = {
  name: "model",
  bases: SHAPES.map((name) =>
    JSON.stringify({
      id: "0".repeat(32),
      commitment: "0".repeat(32),
      tables: null,
      spec: catalogSpec(name),
      plan: { ranges: {}, exponents: {}, margin: 2 },
    }),
  ),
  edited: editsOfJson,
  enter: enterModel,
  parse: decode,
};

export interface TokenizerInput {
  readonly architecture: TokenizerSpec["architecture"];
  readonly files: TokenizerFiles;
}

const LETTERS = ["a", "b", "c", "Ġ", "ab", "▁", "▁a"];
const PIECES = Object.fromEntries([...["<unk>", "<s>", "</s>", "<0x0A>"], ...LETTERS].map((piece, id) => [piece, id]));
const WORDS = Object.fromEntries(
  ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "##b"].map((word, id) => [word, id]),
);
const TEMPLATE = {
  type: "TemplateProcessing",
  single: [{ SpecialToken: { id: "[CLS]", type_id: 0 } }, { Sequence: { id: "A", type_id: 0 } }],
  pair: [{ Sequence: { id: "A", type_id: 0 } }, { Sequence: { id: "B", type_id: 1 } }],
  special_tokens: { "[CLS]": { id: "[CLS]", ids: [2], tokens: ["[CLS]"] } },
};
const WORD_PIECE = {
  added_tokens: [{ id: 2, content: "[CLS]", special: true, normalized: false, lstrip: false }],
  normalizer: { type: "BertNormalizer", lowercase: true, strip_accents: null },
  pre_tokenizer: { type: "BertPreTokenizer" },
  post_processor: TEMPLATE,
  model: {
    type: "WordPiece",
    unk_token: "[UNK]",
    max_input_chars_per_word: 100,
    continuing_subword_prefix: "##",
    vocab: WORDS,
  },
};
const BYTE_PAIR = {
  added_tokens: [{ id: 1, content: "<s>", special: true }],
  normalizer: {
    type: "Sequence",
    normalizers: [
      { type: "Prepend", prepend: "▁" },
      { type: "Replace", pattern: { String: " " }, content: "▁" },
    ],
  },
  pre_tokenizer: null,
  post_processor: null,
  decoder: {
    type: "Sequence",
    decoders: [{ type: "ByteFallback" }, { type: "Strip", content: " ", start: 1, stop: 0 }],
  },
  model: {
    type: "BPE",
    unk_token: "<unk>",
    fuse_unk: true,
    byte_fallback: true,
    vocab: PIECES,
    merges: [
      ["a", "b"],
      ["▁", "a"],
    ],
  },
};
const PAIR_FILES = { "vocab.json": JSON.stringify(PIECES), "merges.txt": "#version: 0.2\na b\n▁ a\n" };
const TOKENIZERS: readonly TokenizerInput[] = [
  {
    architecture: "bert",
    files: { "tokenizer.json": JSON.stringify(WORD_PIECE), "tokenizer_config.json": '{"do_lower_case":true}' },
  },
  {
    architecture: "llama",
    files: {
      "tokenizer.json": JSON.stringify(BYTE_PAIR),
      "tokenizer_config.json": '{"bos_token":"<s>","add_bos_token":true}',
    },
  },
  { architecture: "bert", files: { "vocab.txt": `${Object.keys(WORDS).join("\n")}\n` } },
  {
    architecture: "gpt2",
    files: {
      ...PAIR_FILES,
      "tokenizer_config.json": '{"bos_token":{"content":"<s>"},"eos_token":"</s>","unk_token":"<unk>"}',
    },
  },
];

/** Each edit changes one of the files, by its lines or its tokens. */
function editsOfTokenizer(base: TokenizerInput, edits: readonly Edit[]): TokenizerInput {
  const files: Partial<Record<keyof TokenizerFiles, string>> = { ...base.files };
  const names = Object.keys(files) as (keyof TokenizerFiles)[];
  for (const [kind, ...rest] of edits) {
    const name = names[(kind >>> 3) % names.length];
    const edit = name.endsWith(".json") ? editJson : editLines;
    files[name] = edit(files[name] ?? "", [kind, ...rest]);
  }
  return { ...base, files };
}

const TEXTS = ["ab a", "Ab[CLS] \u{20000}é\n", ""];

async function enterTokenizer({ architecture, files }: TokenizerInput): Promise<void> {
  const isDecoder = architecture !== "bert" && architecture !== "roberta";
  const { blocks } = baseOf(architecture);
  const spec = { architecture, blocks, isDecoder, vocabulary: 64, positions: 40, positionOffset: 0, types: 2 };
  const tokenizer = anyTokenizer(files, spec);
  const pairs = isDecoder ? [undefined] : ["b a", undefined];
  for (const pair of pairs) {
    for (const own of TEXTS) {
      if (own === "" && pair === undefined) continue;
      const { ids, types } = tokenizer.encode(own === "" ? "b" : own, pair, { truncate: true });
      const whole = (most: number) => (n: number) => Number.isInteger(n) && n >= 0 && n < most;
      if (!ids.every(whole(64)) || !types.every(whole(2)) || types.length !== ids.length || ids.length > 40)
        throw new Finding("a text has ids or types that the model does not");
      if (typeof tokenizer.decode(ids) !== "string") throw new Finding("ids give no text");
    }
  }
  same("a tokenizer", anyTokenizer(tokenizer.files, spec).encode("a"), tokenizer.encode("a"));
}

export const tokenizer: Door<TokenizerInput> = {
  name: "tokenizer",
  bases: TOKENIZERS,
  edited: editsOfTokenizer,
  enter: enterTokenizer,
  parse: (bytes) => JSON.parse(decode(bytes)) as TokenizerInput,
};

/** Models of a few numbers, to calibrate and compile at once. */
const TINY = { layers: 1, hidden: 4, heads: 1, keyHeads: 1, headWidth: 4, intermediate: 4, vocabulary: 16 };
const SMALL: readonly ModelSpec[] = [
  { ...catalogSpec("bert-tiny"), ...TINY },
  { ...catalogSpec("llama-tiny"), ...TINY, labels: 16 },
];

function smallPlan(spec: ModelSpec): string {
  const texts = [1, 2].map((seed) => randomText(spec, 8, seed));
  return planJson(spec, calibrate(spec, randomWeights(spec, 1), texts));
}

/** A plan that is taken either compiles or is refused in words. */
async function enterPlan(json: string): Promise<void> {
  for (const spec of SMALL) {
    const plan = planOf(json, spec);
    if (plan === null) continue;
    same("a plan", planOf(planJson(spec, plan), spec), plan);
    const { values } = compile(spec, plan, oneTurn(8));
    if (!values.every(({ scale, bound, ring }) => Number.isFinite(scale) && Number.isFinite(bound) && ring <= 64))
      throw new Finding("a value of the program is not finite or does not fit the ring");
  }
}

export const plan: Door<string> = {
  name: "plan",
  bases: SMALL.map(smallPlan),
  edited: editsOfJson,
  enter: enterPlan,
  parse: decode,
};

/** All of a file: what it says of the model and the tokenizer, then every weight. */
async function enterGguf(bytes: Uint8Array): Promise<void> {
  const source = bytesSource(bytes);
  const file = await readGguf(source, "the file");
  const spec = specOf(file.config);
  anyTokenizer(file.tokenizer, spec).encode("ab", undefined, { truncate: true });
  for (const { shape, read } of file.weights(source).values()) {
    const { data } = await read();
    if (data.length !== shape.reduce((a, b) => a * b, 1) || !data.every(Number.isFinite))
      throw new Finding("a weight has another shape, or is not finite");
  }
}

export const gguf: Door<Uint8Array> = {
  name: "gguf",
  bases: [ggufBytes(tinyLlama())],
  edited: editsOfBytes,
  enter: enterGguf,
  parse: allBytes,
};

/** Both of llama2.c's files in one: the model, then the tokenizer. */
export interface Llama2cInput {
  readonly model: Uint8Array;
  readonly tokenizer: Uint8Array;
}

const VOCABULARY = 262;

/** Width 4, one layer of one head, random floats. */
function llama2cBytes(): Llama2cInput {
  const header = Int32Array.of(4, 6, 1, 1, 1, VOCABULARY, 16);
  const floats = new Float32Array(VOCABULARY * 4 + 4 * 3 + 4 * 16 + 6 * 4 * 3 + 2 * 16 * 2).fill(0.25);
  const model = new Uint8Array(28 + floats.byteLength);
  model.set(new Uint8Array(header.buffer));
  model.set(new Uint8Array(floats.buffer), 28);
  return { model, tokenizer: llama2cTokens() };
}

function llama2cTokens(): Uint8Array {
  const bytes = Array.from({ length: 256 }, (_, i) => `<0x${i.toString(16).toUpperCase().padStart(2, "0")}>`);
  const pieces = ["<unk>", "<s>", "</s>", ...bytes, "a", "b", "ab"];
  const parts = pieces.flatMap((piece, i) => [
    ...new Uint8Array(Float32Array.of(-i).buffer),
    piece.length,
    0,
    0,
    0,
    ...utf8.encode(piece),
  ]);
  return Uint8Array.from([6, 0, 0, 0, ...parts]);
}

async function enterLlama2c({ model, tokenizer: tokens }: Llama2cInput): Promise<void> {
  const { spec, weights } = llama2cModel(model);
  for (const [name, shape] of requiredWeights(spec)) {
    const { data } = weights.get(name);
    if (data.length !== shape.reduce((a, b) => a * b, 1) || !data.every(Number.isFinite))
      throw new Finding(`${name} is wrong`);
  }
  const own = anyTokenizer(llama2cTokenizer(tokens, spec.vocabulary), spec);
  own.encode("ab");
}

export const llama2c: Door<Llama2cInput> = {
  name: "llama2c",
  bases: [llama2cBytes()],
  edited: (base, edits) => ({
    model: editsOfBytes(
      base.model,
      edits
        .filter(([kind]) => kind % 2 === 0)
        .map(([kind, place, ...rest]): Edit => [kind >>> 1, place % 3 === 0 ? place : place % 40, ...rest]),
    ),
    tokenizer: editsOfBytes(
      base.tokenizer,
      edits.filter(([kind]) => kind % 2 === 1).map(([kind, ...rest]): Edit => [kind >>> 1, ...rest]),
    ),
  }),
  enter: enterLlama2c,
  parse: (bytes) => ({ model: bytes, tokenizer: llama2cTokens() }),
};
