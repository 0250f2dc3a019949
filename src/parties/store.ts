/**
 * Prepared material on disk, used once. An item belongs to a key (model and program); any item of a key serves any text
 * of that length.
 *
 *   <dir>/<key>/<id>.material   waiting
 *   <dir>/<key>/<id>.claimed    taken: never handed out again, whatever happens next
 *
 * A claim is a rename, made durable before the claimant learns of it: two claimants cannot both win, and after a crash the
 * item is burnt, not reused.
 */
import { createHash, type Hash } from "node:crypto";
import { constants } from "node:fs";
import { mkdir, open, readdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";

const MAGIC = "mpcformer-material-1";
const NAME = /^[0-9a-f]{16,128}$/;

/** @throws Error when the item is cut short or altered: it is burnt, and more must be prepared. */
export interface Claimed {
  readonly id: string;
  bytes(): Promise<Uint8Array>;
  /** Removes the item for good. */
  discard(): Promise<void>;
}

export class MaterialStore {
  private readonly dir: string;

  constructor(dir: string) {
    this.dir = dir;
  }

  /** Writes one item; it can be claimed once the promise resolves, and not before. */
  async put(id: string, item: { readonly key: string; readonly parts: Iterable<Uint8Array> }): Promise<void> {
    const folder = await this.folder(item.key);
    checkName(id);
    const partial = join(folder, `${id}.partial`);
    const file = await open(partial, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
    try {
      const hash = createHash("sha256");
      for (const part of item.parts) await writeAll(file, part, hash);
      await file.write(Buffer.from(`${hash.digest("hex")}${MAGIC}`));
      await file.sync();
    } catch (error) {
      await rm(partial, { force: true });
      throw error;
    } finally {
      await file.close();
    }
    await rename(partial, join(folder, `${id}.material`));
    await syncFolder(folder);
  }

  /** How many items of a key wait. */
  async count(key: string): Promise<number> {
    return (await this.waiting(key)).length;
  }

  /** Takes one item, or the one of this id, for good; undefined when there is none. Durable when the promise resolves. */
  async claim(key: string, id?: string): Promise<Claimed | undefined> {
    if (id !== undefined) checkName(id);
    const folder = await this.folder(key);
    for (const name of id === undefined ? await this.waiting(key) : [id]) {
      const claimed = join(folder, `${name}.claimed`);
      try {
        await rename(join(folder, `${name}.material`), claimed);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === "ENOENT") continue;
        throw error;
      }
      await syncFolder(folder);
      return { id: name, bytes: () => readChecked(claimed), discard: () => rm(claimed, { force: true }) };
    }
    return undefined;
  }

  /** Burns what a crash left half written or half used. Call before the store is shared with running claimants. */
  async burnLeftovers(): Promise<number> {
    let burnt = 0;
    for (const key of await readdir(this.dir).catch(() => [])) {
      if (!NAME.test(key)) continue;
      for (const file of await readdir(join(this.dir, key))) {
        if (!file.endsWith(".claimed") && !file.endsWith(".partial")) continue;
        await rm(join(this.dir, key, file), { force: true });
        burnt++;
      }
    }
    return burnt;
  }

  private async waiting(key: string): Promise<string[]> {
    const files = await readdir(await this.folder(key));
    return files.filter((f) => f.endsWith(".material")).map((f) => f.slice(0, -".material".length));
  }

  private async folder(key: string): Promise<string> {
    checkName(key);
    const folder = join(this.dir, key);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    return folder;
  }
}

function checkName(name: string): void {
  if (!NAME.test(name)) throw new Error("a material's key and id are hexadecimal");
}

async function writeAll(file: Awaited<ReturnType<typeof open>>, part: Uint8Array, hash: Hash): Promise<void> {
  hash.update(part);
  for (let at = 0; at < part.length; ) at += (await file.write(part, at)).bytesWritten;
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function readChecked(path: string): Promise<Uint8Array> {
  const all = await readFile(path);
  const trailer = all.subarray(Math.max(0, all.length - 64 - MAGIC.length)).toString("latin1");
  const body = all.subarray(0, Math.max(0, all.length - 64 - MAGIC.length));
  const whole = trailer === `${createHash("sha256").update(body).digest("hex")}${MAGIC}`;
  if (!whole) throw new Error("prepared material is damaged: it was burnt; prepare more");
  return body;
}
