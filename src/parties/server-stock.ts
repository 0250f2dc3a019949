/** The server's half of prepared material: who may keep how much of it in the store, and how it is taken out. */

import { Quota, Refused } from "../admission/quota.ts";
import { StoredMaterial } from "../stores/material.ts";
import type { MaterialStore } from "../stores/store.ts";
import type { Compiled, HeldModel } from "./held-model.ts";
import { PartyError } from "./messages.ts";
import type { Made } from "./server-offline.ts";
import { digestOf } from "./weights.ts";

/** What may wait in the store for one account, unless told. */
const MOST_STOCK_BYTES = 4e9;
const FULL = "as much material waits here as may be prepared for you: use some of it first";

export class ServerStock {
  private readonly model: HeldModel;
  private readonly store: MaterialStore | undefined;
  private readonly mostBytes: number;
  /** Bytes on their way into the store, by account. */
  private readonly preparing: Quota;

  /** Without a store nothing is kept. `mostBytes`: of one account. */
  constructor(model: HeldModel, store: MaterialStore | undefined, mostBytes = MOST_STOCK_BYTES) {
    this.model = model;
    this.store = store;
    this.mostBytes = mostBytes;
    this.preparing = new Quota({ most: Number.POSITIVE_INFINITY, each: mostBytes, full: FULL, own: FULL });
  }

  /** How many items of a program wait; null without a store. */
  async count(compiled: Compiled): Promise<number | null> {
    return this.store === undefined ? null : this.store.count(this.model.storeKey(compiled));
  }

  /**
   * Keeps room in the store for what an account prepares; the result gives it back, when the item is in the store and counted there.
   * @throws Refused when the account's stock is full.
   */
  async roomFor(account: string, bytes: number): Promise<() => void> {
    const { store } = this;
    if (store === undefined) throw new PartyError("the server keeps no material: start it with --store DIR");
    if (account === "") return () => {};
    const free = this.preparing.take(account, bytes);
    const stock = await store.stockOf(await digestOf(account));
    if (stock + this.preparing.takenBy(account) <= this.mostBytes) return free;
    free();
    throw new Refused("quota", FULL);
  }

  /** Keeps what was made; it counts as the account's from then on. */
  async put({ session, material }: Made, compiled: Compiled, account: string): Promise<void> {
    const owner = account === "" ? undefined : await digestOf(account);
    await this.store?.put(session, { key: this.model.storeKey(compiled), owner, parts: material.parts() });
  }

  /** Material prepared earlier: marked as used on disk before the first online byte leaves. */
  async claim(session: string, compiled: Compiled): Promise<StoredMaterial> {
    const item = await this.store?.claim(this.model.storeKey(compiled), session);
    if (item === undefined)
      throw new PartyError("the server has no such material, or it was used or is too old: prepare more");
    try {
      return StoredMaterial.parse("server", compiled.program, await item.bytes());
    } finally {
      await item.discard();
    }
  }
}
