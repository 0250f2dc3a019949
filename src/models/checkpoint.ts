/** Models as Hugging Face lays them out: config.json, model.safetensors (or its shards), the tokenizer's files; or a GGUF file. */

import { mkdir, open, rename, writeFile } from "node:fs/promises";
import { dirname, join as pathOf } from "node:path";
import { isDecoder, type ModelSpec, type NamedTensor, type Weights } from "../program/spec.ts";
import { anyTokenizer } from "./any-tokenizer.ts";
import { configJson, type SpecOverrides, specOf } from "./config.ts";
import { familyOf } from "./families/all.ts";
import { type ModelFiles, openModelFiles, SINGLE } from "./model-files.ts";
import { headOf, isHead, join, placeOf, type StoredTensor, sharedWith, split, storedTensors } from "./names.ts";
import { type TensorToWrite, writeSafetensors } from "./safetensors.ts";
import { poolingFiles, poolingIn } from "./sentence-vectors.ts";
import type { StoredWeight } from "./stored-weight.ts";
import { completed, type TextTokenizer, TOKENIZER_FILES, type TokenizerFiles } from "./tokenizer.ts";
import { requiredWeights, weightsOf } from "./weights.ts";
import { checkUnreadWeights } from "./weights-unread.ts";

/** A model ready to run: its public shape, the server's weights, and how texts become tokens. */
export interface Model {
  readonly spec: ModelSpec;
  readonly weights: Weights;
  readonly tokenizer: TextTokenizer;
}

const NO_WORDS = '{"model":{"type":"WordLevel","vocab":{"[IMAGE]":0},"unk_token":"[IMAGE]"}}';

export interface SaveOptions {
  /** The type of the saved weights; F32 unless told. */
  readonly dtype?: "F32" | "F16";
  /** Leaves an encoder's classifier out: a model to fine-tune. */
  readonly encoderOnly?: boolean;
}

/**
 * Reads a folder or a GGUF file: the spec (with the caller's overrides), the weights as floats, the tokenizer.
 * @throws an Error of one line that names the file or tensor and says what to do.
 */
export async function loadModel(path: string, overrides: SpecOverrides = {}): Promise<Model> {
  const files = await openModelFiles(path);
  const spec = await specIn(files, overrides);
  const tokenizer = await tokenizerIn(files, spec);
  return { spec, weights: await loadWeights(files, spec, () => undefined, true), tokenizer };
}

/** The labels that a model shall learn. */
export type NewHead = Pick<ModelSpec, "problem" | "labelNames">;

/**
 * Reads an encoder to train: the classifier, and the pooler where the folder has none, come from `fresh`. With `keep` a
 * classifier of the folder stays.
 * @throws an Error of one line, as `loadModel` does.
 */
export async function loadEncoder(
  path: string,
  head: NewHead,
  fresh: (spec: ModelSpec) => Weights,
  overrides: SpecOverrides = {},
  keep = false,
): Promise<Model> {
  const { problem, labelNames } = head;
  const files = await openModelFiles(path);
  const read = await specIn(files, overrides, "replaced");
  const spec = { ...read, problem, labelNames, labels: labelNames.length };
  if (isDecoder(spec)) throw new Error("this model continues texts: give an encoder to train");
  const tokenizer = await tokenizerIn(files, spec);
  const random = fresh(spec);
  const standIn = (name: string) => (isHead(name) ? random.get(name) : undefined);
  return { spec, weights: await loadWeights(files, spec, standIn, keep), tokenizer };
}

/** Reads the public shape alone; of a model that gets another head, whatever its own is. */
export async function loadSpec(
  path: string,
  overrides: SpecOverrides = {},
  head: "kept" | "replaced" = "kept",
): Promise<ModelSpec> {
  return specIn(await openModelFiles(path), overrides, head);
}

async function specIn(
  files: ModelFiles,
  overrides: SpecOverrides,
  head: "kept" | "replaced" = "kept",
): Promise<ModelSpec> {
  // transformers would put the adapter's weights on top of another model's.
  if (await files.has("adapter_config.json"))
    throw new Error("the folder holds an adapter (adapter_config.json): merge it into its model and save that");
  const text = await files.text("config.json", 2 ** 20);
  if (text === undefined) throw new Error("the folder has no config.json: give the folder of a model");
  const pooling = await poolingIn((name, limit) => files.text(name, limit));
  return specOf(text, overrides, head, pooling);
}

/** Reads the tokenizer alone: all that a client needs beside the public shape. */
export async function loadTokenizer(path: string, spec: ModelSpec): Promise<TextTokenizer> {
  return tokenizerIn(await openModelFiles(path), spec);
}

async function tokenizerIn(files: ModelFiles, spec: ModelSpec): Promise<TextTokenizer> {
  const own: Partial<Record<(typeof TOKENIZER_FILES)[number], string>> = {};
  for (const name of TOKENIZER_FILES) {
    const text = await files.text(name);
    if (text !== undefined) own[name] = text;
  }
  // An image has no words; clients and servers have files of a tokenizer all the same.
  if (spec.blocks.patches !== null) return anyTokenizer({ "tokenizer.json": NO_WORDS }, spec);
  return anyTokenizer(completed(own, (await files.text("config.json")) ?? "{}"), spec);
}

/**
 * Writes an ordinary Hugging Face folder that `loadModel` and transformers read. Existing files of these names are replaced,
 * the weights only once they are complete.
 */
export async function saveModel(folder: string, model: Model, options: SaveOptions = {}): Promise<void> {
  const { spec, weights, tokenizer } = model;
  await mkdir(folder, { recursive: true });
  const tensors = tensorsInFiles(spec, (name) => !(options.encoderOnly && isHead(name))).map(
    (stored): TensorToWrite => ({
      name: stored.names[0],
      shape: stored.shape,
      data: () =>
        join(
          stored,
          stored.parts.map((name) => weights.get(name).data),
        ),
    }),
  );
  const partial = pathOf(folder, `${SINGLE}.partial`);
  const file = await open(partial, "w");
  try {
    await writeSafetensors(tensors, options.dtype ?? "F32", (bytes) => file.writeFile(bytes));
  } finally {
    await file.close();
  }
  await rename(partial, pathOf(folder, SINGLE));
  await writeFile(pathOf(folder, "config.json"), configJson(spec, options.encoderOnly));
  await saveTokenizer(folder, tokenizer.files);
  if (spec.pooling !== undefined && !options.encoderOnly) await savePooling(folder, poolingFiles(spec, spec.pooling));
}

async function savePooling(folder: string, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(pathOf(folder, name)), { recursive: true });
    await writeFile(pathOf(folder, name), text);
  }
}

async function saveTokenizer(folder: string, files: TokenizerFiles): Promise<void> {
  for (const name of TOKENIZER_FILES) {
    const text = files[name];
    if (text !== undefined) await writeFile(pathOf(folder, name), text);
  }
}

/** The tensors that a model's files hold of those it needs; what shares another's is not stored. */
function tensorsInFiles(spec: ModelSpec, wanted: (name: string) => boolean): readonly StoredTensor[] {
  const own = [...requiredWeights(spec)].filter(([name]) => wanted(name) && sharedWith(name, spec) === undefined);
  return storedTensors(new Map(own), spec);
}

/** `standIn` gives what the files lack, and the classifier even where they have one, unless it is kept. */
async function loadWeights(
  files: ModelFiles,
  spec: ModelSpec,
  standIn: (name: string) => NamedTensor | undefined,
  keepClassifier: boolean,
): Promise<Weights> {
  const shapes = requiredWeights(spec);
  const wanted = tensorsInFiles(spec, (name) => keepClassifier || !/^(classifier|tokens)\./.test(name));
  const found = new Map<string, NamedTensor>();
  const { read = (entries) => entries } = familyOf(spec.architecture);
  const all = storedTensors(shapes, spec);
  const known = new Set(all.flatMap(({ names, twins }) => [...names, ...twins]));
  const any = await files.eachOfWeights((entries) => {
    const own = read(entries);
    checkUnreadWeights(own.values(), known, spec);
    return readTensors(own, wanted, shapes, found);
  });
  if (!any) throw await noWeights(files, spec);
  for (const name of shapes.keys()) {
    const shared = found.get(sharedWith(name, spec) ?? "");
    const tensor = found.get(name) ?? standIn(name) ?? (shared && headOf(shared, spec));
    if (tensor !== undefined) found.set(name, tensor);
  }
  const missing = [...shapes.keys()].filter((name) => !found.has(name));
  if (missing.length > 0) throw missingTensors(missing, spec);
  return weightsOf(found);
}

/** Reads the wanted tensors of a file's, under whichever of their names. */
async function readTensors(
  entries: ReadonlyMap<string, StoredWeight>,
  wanted: readonly StoredTensor[],
  shapes: ReadonlyMap<string, readonly number[]>,
  found: Map<string, NamedTensor>,
): Promise<void> {
  for (const stored of wanted) {
    const stands = [...stored.names, ...stored.twins].flatMap((theirs) => entries.get(theirs) ?? []);
    for (const entry of distinct(stands)) {
      checkShape(entry, stored);
      const parts = split(stored, (await entry.read()).data);
      stored.parts.forEach((name, i) => {
        const before = found.get(name)?.data;
        if (before !== undefined && !isSame(before, parts[i])) throw repeated(entry.name, stored);
        found.set(name, { shape: shapes.get(name) ?? [], data: parts[i] });
      });
    }
  }
}

/** Aliases of one place in the file are one entry. */
function distinct(entries: readonly StoredWeight[]): readonly StoredWeight[] {
  return [...new Map(entries.map((entry) => [entry.place, entry])).values()];
}

function checkShape({ name, shape }: StoredWeight, stored: StoredTensor): void {
  if (shape.length === stored.shape.length && shape.every((size, i) => size === stored.shape[i])) return;
  throw new Error(`tensor ${name} has shape [${shape}], config.json asks for [${stored.shape}]: correct one`);
}

function isSame(a: Float32Array, b: Float32Array): boolean {
  return a.every((value, i) => value === b[i]);
}

function repeated(name: string, { twins }: StoredTensor): Error {
  if (twins.length > 0) return new Error("the words and the head differ, config.json ties them: correct one");
  return new Error(`tensor ${name} is stored twice, and not the same: remove one of them`);
}

/** What a folder without weights has instead. */
async function noWeights(files: ModelFiles, spec: ModelSpec): Promise<Error> {
  const auto = `AutoModel${familyOf(spec.architecture).headName}`.replace("LMHeadModel", "ForCausalLM");
  for (const name of ["pytorch_model.bin", "pytorch_model.bin.index.json"]) {
    if (await files.has(name)) {
      const command = `python -c "from transformers import ${auto}; ${auto}.from_pretrained('.').save_pretrained('.')"`;
      return new Error(`the folder has only pytorch_model.bin, which can run code: convert it in there: ${command}`);
    }
  }
  return new Error(`the folder has no ${SINGLE}: give the folder of a complete model`);
}

function missingTensors(missing: readonly string[], spec: ModelSpec): Error {
  const name = placeOf(missing[0], spec).names[0];
  if (missing.every(isHead)) {
    return new Error(
      `the model has no classifier (${name} is missing): fine-tune it for sequence classification first`,
    );
  }
  return new Error(`the weights lack ${name} and ${missing.length - 1} more tensors: check the file and config.json`);
}
