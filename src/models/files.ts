/** The files of a checkpoint folder, read with bounds: Node only. */

import type { FileHandle } from "node:fs/promises";
import { open, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { decodeText } from "../files/text.ts";
import type { ByteSource } from "./safetensors.ts";

const CHUNK = 64 * 2 ** 20;

/** A file's text, or undefined when there is none. @throws an Error when it is longer than `limit` bytes or not UTF-8. */
export async function readText(folder: string, name: string, limit = 64 * 2 ** 20): Promise<string | undefined> {
  const path = join(folder, name);
  const size = await fileSize(path);
  if (size === undefined) return undefined;
  if (size > limit) throw new Error(`${name} is larger than ${limit} bytes: this is no such file`);
  return decodeText(await readFile(path), name);
}

/** Whether the folder has this file. */
export async function hasFile(folder: string, name: string): Promise<boolean> {
  return (await fileSize(join(folder, name))) !== undefined;
}

/** Runs `use` over an open file. @throws an Error that names the file when it cannot be opened. */
export async function withFile<T>(folder: string, name: string, use: (source: ByteSource) => Promise<T>): Promise<T> {
  let handle: FileHandle;
  try {
    handle = await open(join(folder, name), "r");
  } catch (cause) {
    throw new Error(`${name} cannot be opened: check that the folder is complete`, { cause });
  }
  try {
    return await use(fileSource(handle, (await handle.stat()).size));
  } finally {
    await handle.close();
  }
}

function fileSource(handle: FileHandle, size: number): ByteSource {
  return {
    size,
    async read(offset, into) {
      for (let done = 0; done < into.length; ) {
        const length = Math.min(CHUNK, into.length - done);
        const { bytesRead } = await handle.read(into, done, length, offset + done);
        if (bytesRead === 0) throw new Error("the file ends too early: copy it again");
        done += bytesRead;
      }
    },
  };
}

async function fileSize(path: string): Promise<number | undefined> {
  try {
    const found = await stat(path);
    return found.isFile() ? found.size : undefined;
  } catch {
    return undefined;
  }
}
