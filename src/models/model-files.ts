/** Where a model comes from, whatever holds it: a Hugging Face folder, or a GGUF file, which is read as if it were one. Node only. */

import { basename, dirname } from "node:path";
import * as v from "valibot";
import { hasFile, readText, withFile } from "./files.ts";
import { type GgufModel, readGguf } from "./gguf/model.ts";
import { check, parseJson } from "./json.ts";
import { readHeader, readTensor } from "./safetensors.ts";
import type { StoredWeight } from "./stored-weight.ts";

/** The files of a model by Hugging Face's names. */
export interface ModelFiles {
  /** A file's text, or undefined when there is none. @throws as `readText` does. */
  text(name: string, limit?: number): Promise<string | undefined>;
  has(name: string): Promise<boolean>;
  /**
   * Opens the files of weights one after another.
   * @returns whether there are any. @throws an Error that names the file.
   */
  eachOfWeights(use: (weights: ReadonlyMap<string, StoredWeight>) => Promise<void>): Promise<boolean>;
}

export const SINGLE = "model.safetensors";
const INDEX = "model.safetensors.index.json";
const indexSchema = v.looseObject({
  weight_map: v.record(
    v.string(),
    v.pipe(v.string(), v.regex(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,200}\.safetensors$/, "must be a file beside the index")),
  ),
});

/** Whether a path names a GGUF file. */
export function isGguf(path: string): boolean {
  return /\.gguf$/i.test(path);
}

/** The files of a folder, or of one GGUF file. @throws an Error of one line when the file is not valid. */
export async function openModelFiles(path: string): Promise<ModelFiles> {
  if (!isGguf(path)) return folderFiles(path);
  const [folder, name] = [dirname(path), basename(path)];
  if (!(await hasFile(folder, name))) throw new Error(`${name} is no file: check its path`);
  return ggufFiles(folder, name, await withFile(folder, name, (source) => readGguf(source, name)));
}

function folderFiles(folder: string): ModelFiles {
  return {
    text: (name, limit) => readText(folder, name, limit),
    has: (name) => hasFile(folder, name),
    async eachOfWeights(use) {
      const names = await weightFiles(folder);
      for (const name of names) {
        await withFile(folder, name, async (source) => {
          const entries = [...(await readHeader(source, name))];
          const stored = ([theirs, entry]: (typeof entries)[number]): [string, StoredWeight] => [
            theirs,
            { name: entry.name, shape: entry.shape, place: entry.begin, read: () => readTensor(source, entry) },
          ];
          await use(new Map(entries.map(stored)));
        });
      }
      return names.length > 0;
    },
  };
}

/** The names of a folder's files of weights: one, or its shards. */
async function weightFiles(folder: string): Promise<readonly string[]> {
  if (await hasFile(folder, SINGLE)) return [SINGLE];
  const index = await readText(folder, INDEX);
  if (index === undefined) return [];
  return [...new Set(Object.values(check(indexSchema, parseJson(index, INDEX), INDEX).weight_map))];
}

function ggufFiles(folder: string, name: string, model: GgufModel): ModelFiles {
  const texts: Readonly<Record<string, string | undefined>> = { ...model.tokenizer, "config.json": model.config };
  return {
    text: async (wanted) => texts[wanted],
    has: async (wanted) => texts[wanted] !== undefined,
    async eachOfWeights(use) {
      await withFile(folder, name, (source) => use(model.weights(source)));
      return true;
    },
  };
}
