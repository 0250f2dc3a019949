/**
 * Models that Hugging Face's own programs have downloaded to this machine, by their names there. Nothing is ever fetched.
 * https://huggingface.co/docs/huggingface_hub/guides/manage-cache
 */

import { stat } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { readTextFile } from "./text.ts";

/** `name`, `owner/name`, or such a model's GGUF file. */
const ID = /^((?:[\w-][\w.-]{0,95}\/)?[\w-][\w.-]{0,95}?)(?:\/([\w-][\w.-]{0,200}\.gguf))?$/;
const COMMIT = /^[0-9a-f]{40}$/;

/** Where the cache is, as `HF_HUB_CACHE`, `HF_HOME` and `XDG_CACHE_HOME` say. */
export function hubCache(env: NodeJS.ProcessEnv = process.env): string {
  if (env.HF_HUB_CACHE) return env.HF_HUB_CACHE;
  return join(env.HF_HOME || join(env.XDG_CACHE_HOME || join(homedir(), ".cache"), "huggingface"), "hub");
}

/** The folder (or GGUF file) of a model's main revision in a cache; undefined when it is not there. */
export async function cachedModel(id: string, cache = hubCache()): Promise<string | undefined> {
  const [, name, file] = ID.exec(id) ?? [];
  if (name === undefined) return undefined;
  const repository = join(cache, `models--${name.replace("/", "--")}`);
  const commit = await readTextFile(join(repository, "refs", "main")).catch(() => "");
  if (!COMMIT.test(commit.trim())) return undefined;
  const found = join(repository, "snapshots", commit.trim(), file ?? "");
  return (await stat(found).catch(() => undefined)) === undefined ? undefined : found;
}
