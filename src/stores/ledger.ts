/**
 * The ids that were ever claimed, one line each, only ever appended to. It decides who has an item, and it is kept apart from
 * the items: a backup of them that comes back brings nothing that can be used again.
 *
 *   mpcformer-ledger-1 <epoch>     a random number: items name the ledger that they were put under
 *   <id> <ticket>                  a claim; of several of one id the first counts
 *
 * An append is one write, which the kernel does not interleave with another's on a local file system (not on NFS). A line
 * that a crash cut short is ended by the next one's leading newline.
 */

import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { dirname } from "node:path";
import { hex } from "../ring/hex.ts";
import { randomKey } from "../ring/prg.ts";
import { createText, isCode, makeFolder } from "./disk.ts";

const HEAD = /^mpcformer-ledger-1 ([0-9a-f]{32})\n/;
const LINE = /^([0-9a-f]{16,128}) ([0-9a-f]{32})$/;
/** Bytes read at once: several ten thousand lines. */
const CHUNK = 1 << 20;
/** More than a ticket. */
const TAIL = 80;

export class Ledger {
  /** Of this ledger; another file at the same path has another. */
  readonly epoch: string;
  private readonly path: string;
  private readonly burnt = new Set<string>();
  private at = 0;
  private rest = "";
  /** The last letters read: they must stay where they are. */
  private tail = "";
  /** Claims of one process wait for each other: they share the place up to which lines were read. */
  private last: Promise<unknown> = Promise.resolve();

  private constructor(path: string, epoch: string) {
    this.path = path;
    this.epoch = epoch;
  }

  /** Opens the ledger at a path, or begins one. @throws Error when what lies there is none. */
  static async open(path: string): Promise<Ledger> {
    await makeFolder(dirname(path));
    const known = await head(path);
    if (known !== null) return new Ledger(path, known);
    await createText(path, `mpcformer-ledger-1 ${hex(randomKey())}\n`);
    return new Ledger(path, (await head(path))!);
  }

  /**
   * Burns an id: true for the first who ever does, and nobody else. On disk when the promise resolves.
   * @throws Error when that cannot be done; the id may be burnt or not, and whoever asked does not have it.
   */
  enter(id: string): Promise<boolean> {
    return this.inTurn(async () => {
      const ticket = hex(randomKey());
      await this.append(`\n${id} ${ticket}\n`);
      return (await this.read()).get(id) === ticket;
    });
  }

  /** Whether an id was ever burnt. */
  has(id: string): Promise<boolean> {
    return this.inTurn(async () => {
      await this.read();
      return this.burnt.has(id);
    });
  }

  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.last.then(work);
    this.last = mine.catch(() => {});
    return mine;
  }

  /** Opened anew each time and never created: a ledger that was taken away is an error, not an empty one. */
  private async append(line: string): Promise<void> {
    const file = await open(this.path, constants.O_WRONLY | constants.O_APPEND);
    try {
      const bytes = Buffer.from(line);
      const { bytesWritten } = await file.write(bytes);
      if (bytesWritten !== bytes.length) throw new Error("the ledger of used material cannot be written");
      await file.sync();
    } finally {
      await file.close();
    }
  }

  /** The lines that came since; of each id that is new, its first ticket. @throws Error when the ledger went back in time. */
  private async read(): Promise<Map<string, string>> {
    const fresh = new Map<string, string>();
    const file = await open(this.path, "r");
    try {
      const buffer = Buffer.alloc(CHUNK);
      const more = async (at: number) =>
        buffer.toString("latin1", 0, (await file.read(buffer, 0, CHUNK, at)).bytesRead);
      let text = await more(this.at - this.tail.length);
      // Tickets are random: an older or another ledger has other letters here, or none.
      if (!text.startsWith(this.tail) || (await head(this.path)) !== this.epoch)
        throw new Error(
          "the ledger of used material was replaced by another or an older one: remove the store's items",
        );
      for (text = text.slice(this.tail.length); text !== ""; text = await more(this.at)) this.take(text, fresh);
      return fresh;
    } finally {
      await file.close();
    }
  }

  private take(text: string, fresh: Map<string, string>): void {
    this.at += text.length;
    this.tail = (this.tail + text).slice(-TAIL);
    const lines = (this.rest + text).split("\n");
    this.rest = lines.pop()!;
    for (const line of lines) {
      const [, id, ticket] = LINE.exec(line) ?? [];
      if (id === undefined || this.burnt.has(id)) continue;
      this.burnt.add(id);
      fresh.set(id, ticket);
    }
  }
}

/** The epoch of the ledger at a path; null when there is no file. */
async function head(path: string): Promise<string | null> {
  try {
    const file = await open(path, "r");
    try {
      const buffer = Buffer.alloc(64);
      const { bytesRead } = await file.read(buffer, 0, buffer.length, 0);
      const epoch = HEAD.exec(buffer.toString("latin1", 0, bytesRead))?.[1];
      if (epoch === undefined)
        throw new Error("the ledger of used material is damaged: remove it and the store's items");
      return epoch;
    } finally {
      await file.close();
    }
  } catch (error) {
    if (isCode(error, "ENOENT")) return null;
    throw error;
  }
}
