/** A GGUF file (llama.cpp, ollama) as the files of a Hugging Face folder: config.json, the tokenizer's files, the weights. */

import type { NamedTensor } from "../../program/spec.ts";
import { printable } from "../json.ts";
import { transpose, unpaired } from "../rows.ts";
import { type ByteSource, checkFinite } from "../safetensors.ts";
import type { StoredWeight } from "../stored-weight.ts";
import type { TokenizerFiles } from "../tokenizers/files.ts";
import { elementCount } from "../weights.ts";
import { architectureOf, type Config, type GgufArchitecture } from "./architectures.ts";
import { type GgufTensor, readGgufHeader } from "./header.ts";
import { ggufTokenizer } from "./tokenizer.ts";

/** What a file holds, without its weights' values. */
export interface GgufModel {
  /** The text of a config.json. */
  readonly config: string;
  readonly tokenizer: TokenizerFiles;
  /** The weights by Hugging Face's names, each read from the file that is open. */
  weights(source: ByteSource): ReadonlyMap<string, StoredWeight>;
}

/**
 * Reads all of a file but its weights.
 * @throws an Error of one line that names what is wrong or not supported.
 */
export async function readGguf(source: ByteSource, label: string): Promise<GgufModel> {
  const header = await readGgufHeader(source, label);
  const parts = header.values.get("split.count");
  if (typeof parts === "number" && parts > 1)
    throw new Error(`${label} is one of ${parts} parts of a model: join them with llama-gguf-split --merge first`);
  const architecture = architectureOf(header, label);
  const config = architecture.config(header, label);
  const named = [...header.tensors.values()].map((tensor) => ({ tensor, ...placeOf(tensor, architecture, label) }));
  return {
    config: `${JSON.stringify(config, null, 2)}\n`,
    tokenizer: ggufTokenizer(header, label),
    weights: (open) =>
      new Map(
        named.map(({ tensor, theirs, pattern }) => [
          theirs,
          {
            name: tensor.name,
            shape: architecture.transposed?.includes(pattern) ? [...tensor.shape].reverse() : tensor.shape,
            place: tensor.begin,
            read: () => readWeight(open, tensor, pattern, { architecture, config, label }),
          },
        ]),
      ),
  };
}

/** Hugging Face's name of a tensor, and its own without the layer's number. */
function placeOf({ name }: GgufTensor, { names }: GgufArchitecture, label: string) {
  const [, stem, suffix] = /^(.+)\.(weight|bias)$/.exec(name) ?? [];
  const layer = /^blk\.(\d{1,4})\./.exec(name)?.[1];
  const pattern = layer === undefined ? stem : stem?.replace(`blk.${layer}.`, "blk.#.");
  if (pattern === undefined || !Object.hasOwn(names, pattern))
    throw new Error(`${label}: tensor ${printable(name)} is no part of a model that is supported: use another one`);
  return { theirs: `${names[pattern].replace("#", layer ?? "")}.${suffix}`, pattern };
}

/** A tensor's values as Hugging Face stores them, its heads' rows as the program has them. */
async function readWeight(
  source: ByteSource,
  { name, type, shape, begin, end }: GgufTensor,
  pattern: string,
  { architecture, config, label }: { architecture: GgufArchitecture; config: Config; label: string },
): Promise<NamedTensor> {
  if (type.decode === undefined)
    throw new Error(`${label}: tensor ${printable(name)} holds ${type.name}, which is not read: convert it to Q8_0`);
  const packed = new Uint8Array(end - begin);
  await source.read(begin, packed);
  const data = new Float32Array(elementCount(shape));
  type.decode(packed, data);
  checkFinite(name, data);
  const [rows] = shape;
  if (architecture.lessOne?.includes(pattern)) return { shape, data: data.map((gain) => gain - 1) };
  if (architecture.transposed?.includes(pattern) && shape.length === 2)
    return { shape: [...shape].reverse(), data: transpose(data, rows, shape[1]) };
  const field = architecture.paired?.[pattern];
  if (field === undefined) return { shape, data };
  const heads = Number(config[field]);
  if (rows % (2 * heads) !== 0)
    throw new Error(`${label}: tensor ${printable(name)} has rows that ${heads} heads do not divide: copy it again`);
  return { shape, data: unpaired(data, rows, data.length / rows, heads) };
}
