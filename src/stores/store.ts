/**
 * Prepared material, used once: the contract of the places where it waits. An item belongs to a key (model and program); any
 * item of a key serves any text of that length. `FileStore` keeps items in a folder, `RedisStore` where several machines
 * reach them; test/stores/store.test.ts runs one suite over both.
 *
 * What every store promises: of all claims of one id, whoever makes them and whenever, one at most gets the item. A claim
 * is on disk before its promise resolves. Between two evils a store burns: what a crash, a lost answer or a restored
 * backup leaves in doubt is never handed out again.
 */
import { createHash } from "node:crypto";
import type { Secret } from "../ring/secret.ts";

/** How long an item waits, unless told. */
export const KEEP_MS = 30 * 86_400_000;

const MAGIC = "mpcformer-material-1";
const TRAILER = 64 + MAGIC.length;
const NAME = /^[0-9a-f]{16,128}$/;

export interface Item {
  /** What it serves: the model's id and the program's fingerprint. */
  readonly key: string;
  /** Whose stock it is, in hexadecimal: nobody's unless given. */
  readonly owner?: string;
  /** Read once, as they are written. */
  readonly parts: Iterable<Uint8Array>;
}

/** One item that belongs to the claimant alone. */
export interface Claimed {
  readonly id: string;
  /** Once. @throws Error when the item is cut short or altered: it is burnt, and more must be prepared. */
  bytes(): Promise<Uint8Array>;
  /** Removes the item's bytes for good. Its id stays burnt, with or without this. */
  discard(): Promise<void>;
}

/** The public name of a served model, and the key that R is expanded from. */
export interface Identity {
  readonly id: string;
  readonly key: Secret;
}

export interface MaterialStore {
  /**
   * Writes one item; it can be claimed once the promise resolves, and not before.
   * @throws Error for an id that waits or was ever claimed, for a name that is not hexadecimal, and when it cannot be written.
   */
  put(id: string, item: Item): Promise<void>;
  /** How many items of a key wait. A hint: others claim at the same time. */
  count(key: string): Promise<number>;
  /** Bytes of all items of an owner that wait, of whatever key. A hint, as `count`. */
  stockOf(owner: string): Promise<number>;
  /**
   * Takes one item, or the one of this id, for good; undefined when there is none, or no more.
   * @throws Error when it cannot be made durable that the item is taken: then nobody has it.
   */
  claim(key: string, id?: string): Promise<Claimed | undefined>;
  /**
   * Who a model is, for all processes that serve it from this store: the first to ask decides. Prepared material depends on R,
   * and dealers know masked weights by the id, so that servers behind one address must agree on both.
   * `model` is a digest of all that the weights are.
   */
  identity(model: string, fresh: Identity): Promise<Identity>;
  /**
   * Removes what crashes left half written or half used, and what has waited for longer than the store keeps an item: its other
   * half may be lost. Returns how many items that were. Never what is in use; their ids stay as they are, used or not.
   */
  burnLeftovers(): Promise<number>;
  close(): Promise<void>;
}

/** @throws Error unless keys and ids are plain hexadecimal: they become parts of paths. */
export function checkName(name: string): void {
  if (!NAME.test(name)) throw new Error("a material's key and id are hexadecimal");
}

export function isName(name: string): boolean {
  return NAME.test(name);
}

/** The error of `put` for an id that is not new. */
export function spent(): Error {
  return new Error("this material is here already, or was used: material is kept once only");
}

/** An item's bytes, and behind them what tells whether all of them are there and as they were. */
export function* sealed(parts: Iterable<Uint8Array>): Iterable<Uint8Array> {
  const hash = createHash("sha256");
  for (const part of parts) {
    hash.update(part);
    yield part;
  }
  yield Buffer.from(`${hash.digest("hex")}${MAGIC}`);
}

/** What was sealed. @throws Error, without a word of the content, when it is not whole. */
export function unsealed(all: Uint8Array): Uint8Array {
  const end = Math.max(0, all.length - TRAILER);
  const body = all.subarray(0, end);
  const trailer = Buffer.from(all.subarray(end)).toString("latin1");
  const whole = trailer === `${createHash("sha256").update(body).digest("hex")}${MAGIC}`;
  if (!whole) throw new Error("prepared material is damaged: it was burnt; prepare more");
  return body;
}
