/** Small files that are on disk, not in a cache, when the promise resolves. */

import { constants } from "node:fs";
import { type FileHandle, link, mkdir, open, rm } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { hex } from "../ring/hex.ts";
import { randomKey } from "../ring/prg.ts";

/** A new name in a folder, or one that is gone, survives a crash after this alone. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** A folder that only this user reads, and that survives a crash. */
export async function makeFolder(folder: string): Promise<string> {
  const first = await mkdir(folder, { recursive: true, mode: 0o700 });
  if (first === undefined) return folder;
  for (let made = resolve(folder); made.length >= resolve(first).length; made = dirname(made))
    await syncFolder(dirname(made));
  return folder;
}

async function writeAll(file: FileHandle, part: Uint8Array): Promise<void> {
  for (let at = 0; at < part.length; ) at += (await file.write(part, at)).bytesWritten;
}

/**
 * Writes a file that is not there yet: whole or not at all, whenever the machine stops. False when another was first, whose
 * file stays.
 */
export async function createOnce(path: string, parts: Iterable<Uint8Array>, partial: string): Promise<boolean> {
  const file = await open(partial, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
  try {
    try {
      for (const part of parts) await writeAll(file, part);
      await file.sync();
    } finally {
      await file.close();
    }
    // A link, unlike a rename, never replaces what is there.
    return await unless("EEXIST", () => link(partial, path));
  } finally {
    await rm(partial, { force: true });
    await syncFolder(dirname(path));
  }
}

/** As `createOnce`, under a passing name of its own. */
export function createText(path: string, text: string): Promise<boolean> {
  return createOnce(path, [Buffer.from(text)], `${path}.${hex(randomKey())}.partial`);
}

/** Whether it was done; false when this error, and no other, was in the way. */
export async function unless(code: string, work: () => Promise<void>): Promise<boolean> {
  try {
    await work();
    return true;
  } catch (error) {
    if (isCode(error, code)) return false;
    throw error;
  }
}

export function isCode(error: unknown, code: string): boolean {
  return (error as NodeJS.ErrnoException).code === code;
}
