/**
 * Prepared material in a folder: the store that needs nothing else. Several processes of one machine may share it.
 *
 *   <dir>/<key>/<id>.<epoch>.material   waiting, put under the ledger of this epoch
 *   <dir>/<key>/<id>.claimed            taken: being read by its claimant, or left by one that died
 *   <dir>/<model>.identity              the model's public name and the key of R
 *   <dir>.used/owners/<owner>/<key>.<id>   whose stock an item is: an empty file
 *   <dir>.used/<key>                    the ledger of claimed ids, beside the folder and not in it
 *
 * A claim renames the item, so that most who race lose early, and then enters it in the ledger, which decides. The ledger
 * lies outside the folder so that copying the folder back, after whatever happened, does not bring used material back: its
 * ids are in the ledger, or it names another ledger.
 */

import { readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { fromHex, hex } from "../ring/hex.ts";
import { Secret } from "../ring/secret.ts";
import { createOnce, createText, makeFolder, syncFolder, unless } from "./disk.ts";
import { Ledger } from "./ledger.ts";
import {
  type Claimed,
  checkName,
  type Identity,
  type Item,
  isName,
  KEEP_MS,
  type MaterialStore,
  sealed,
  spent,
  unsealed,
} from "./store.ts";

/** Nobody takes longer from one write to the next: what is older belongs to no living process. */
const QUIET_MS = 60_000;
/** No key is called so. */
const OWNERS = "owners";

export interface FileStoreOptions {
  /** The folder of the ledgers; keep it out of backups of the store. */
  readonly used?: string;
  /** Milliseconds after which an item that nobody claimed is burnt; 30 days unless given. */
  readonly keepMs?: number;
}

export class FileStore implements MaterialStore {
  private readonly dir: string;
  private readonly used: string;
  private readonly keepMs: number;
  private readonly ledgers = new Map<string, Promise<Ledger>>();

  constructor(dir: string, { used = `${resolve(dir)}.used`, keepMs = KEEP_MS }: FileStoreOptions = {}) {
    this.dir = dir;
    this.used = used;
    this.keepMs = keepMs;
  }

  async put(id: string, item: Item): Promise<void> {
    const folder = await this.folder(item.key);
    checkName(id);
    const ledger = await this.ledger(item.key);
    if (await ledger.has(id)) throw spent();
    const path = join(folder, waitingName(id, ledger));
    if (!(await createOnce(path, sealed(item.parts), join(folder, `${id}.partial`)))) throw spent();
    if (item.owner === undefined) return;
    // Not synced: what a crash forgets is not counted, and used all the same.
    await writeFile(join(await this.ownersFolder(item.owner), `${item.key}.${id}`), "", { mode: 0o600 });
  }

  async count(key: string): Promise<number> {
    return (await this.waiting(key)).length;
  }

  async stockOf(owner: string): Promise<number> {
    const folder = await this.ownersFolder(owner);
    let total = 0;
    for (const name of await readdir(folder)) {
      const [key, id] = name.split(".");
      const item = await stat(join(this.dir, key, waitingName(id, await this.ledger(key)))).catch(() => null);
      if (item === null) await rm(join(folder, name), { force: true });
      else total += item.size;
    }
    return total;
  }

  async claim(key: string, id?: string): Promise<Claimed | undefined> {
    if (id !== undefined) checkName(id);
    const folder = await this.folder(key);
    const ledger = await this.ledger(key);
    for (const name of id === undefined ? await this.waiting(key) : [id]) {
      const claimed = join(folder, `${name}.claimed`);
      const waiting = join(folder, waitingName(name, ledger));
      // Another's rename was first.
      if (!(await unless("ENOENT", () => rename(waiting, claimed)))) continue;
      await syncFolder(folder);
      if (await ledger.enter(name)) return claimedItem(name, claimed);
      // It was used before and came back.
      await rm(claimed, { force: true });
    }
    return undefined;
  }

  async identity(model: string, fresh: Identity): Promise<Identity> {
    checkName(model);
    const path = join(await makeFolder(this.dir), `${model}.identity`);
    await createText(path, `${fresh.id} ${hex(fresh.key.expose())}\n`);
    const [, id, key] = /^([0-9a-f]{32,64}) ([0-9a-f]{32})\n$/.exec(await readFile(path, "latin1")) ?? [];
    if (id === undefined) throw new Error("the store's identity of this model is damaged: remove the store");
    return { id, key: new Secret(fromHex(key)) };
  }

  /** Also items of a ledger that is not here: nobody can know whether they were used. */
  async burnLeftovers(quietMs = QUIET_MS): Promise<number> {
    let burnt = 0;
    for (const key of await readdir(this.dir).catch(() => [])) {
      if (!isName(key)) continue;
      const { epoch } = await this.ledger(key);
      for (const file of await readdir(join(this.dir, key))) {
        const path = join(this.dir, key, file);
        if (!(await this.isLeft(path, epoch, quietMs))) continue;
        await rm(path, { force: true });
        burnt++;
      }
    }
    return burnt;
  }

  async close(): Promise<void> {}

  private async isLeft(path: string, epoch: string, quietMs: number): Promise<boolean> {
    // A claim renames the file first, so that it is either claimed or burnt.
    if (path.endsWith(`.${epoch}.material`)) return (await ageOf(path, "mtimeMs")) >= this.keepMs;
    return path.endsWith(".material") || (await ageOf(path, "ctimeMs")) >= quietMs;
  }

  private async waiting(key: string): Promise<string[]> {
    const end = waitingName("", await this.ledger(key));
    const files = await readdir(await this.folder(key));
    return files.filter((f) => f.endsWith(end)).map((f) => f.slice(0, -end.length));
  }

  private async folder(key: string): Promise<string> {
    checkName(key);
    return makeFolder(join(this.dir, key));
  }

  private ownersFolder(owner: string): Promise<string> {
    checkName(owner);
    return makeFolder(join(this.used, OWNERS, owner));
  }

  private ledger(key: string): Promise<Ledger> {
    checkName(key);
    let ledger = this.ledgers.get(key);
    if (ledger === undefined) {
      ledger = Ledger.open(join(this.used, key));
      ledger.catch(() => this.ledgers.delete(key));
      this.ledgers.set(key, ledger);
    }
    return ledger;
  }
}

function waitingName(id: string, ledger: Ledger): string {
  return `${id}.${ledger.epoch}.material`;
}

function claimedItem(id: string, path: string): Claimed {
  return {
    id,
    bytes: async () => unsealed(await readFile(path)),
    discard: () => rm(path, { force: true }),
  };
}

/** Milliseconds since a file was last written (mtime), or written or renamed (ctime); less than none when it is gone. */
async function ageOf(path: string, since: "mtimeMs" | "ctimeMs"): Promise<number> {
  const found = await stat(path).catch(() => null);
  return found === null ? -1 : Date.now() - found[since];
}
