/**
 * Prepared material in Redis: for several server processes, on one machine or many, that serve one model. What lies there is
 * the server's share: whoever reads it is the server.
 *
 *   mpcformer:identity:<model>      the model's public name and the key of R
 *   mpcformer:epoch, :claims        which data set this is, and how many claims it has seen
 *   mpcformer:<key>:waiting         id -> number of pieces
 *   mpcformer:<key>:used            every id that was ever claimed
 *   mpcformer:owner:<owner>         key:id -> bytes, of the items that are an owner's stock
 *   mpcformer:<key>:<id>:<n>        the pieces; they expire, all at once, when their item has waited too long
 *
 * A claim is one script, which Redis runs alone, and with `appendfsync always` its answer leaves after the disk has it. A Redis
 * that promises less is refused. Commands are never sent twice: a lost answer burns the item.
 */

import { portions } from "../channels/portions.ts";
import { fromHex, hex } from "../ring/hex.ts";
import { randomKey } from "../ring/prg.ts";
import { Secret } from "../ring/secret.ts";
import { connectRedis, type RedisOptions, type Send, settingOf } from "./redis.ts";
import {
  type Claimed,
  checkName,
  type Identity,
  type Item,
  KEEP_MS,
  type MaterialStore,
  sealed,
  spent,
  unsealed,
} from "./store.ts";

/** Redis holds up to 512 MB in one value, and answers nobody else while it moves one. */
const PIECE = 1 << 23;
/** Pieces of an item that is being written, or read after its claim, vanish with their process. */
const PASSING_SECONDS = "3600";

/** What a claim's promise rests on: setting, value, and why. */
export const DEMANDED = [
  ["appendonly", "yes", "without it a restart forgets which material was used"],
  ["appendfsync", "always", "otherwise a crash forgets which material was used"],
  ["no-appendfsync-on-rewrite", "no", "otherwise a crash forgets which material was used"],
  ["maxmemory-policy", "noeviction", "others forget which material was used when memory is short"],
] as const;

/**
 * KEYS: used, waiting, epoch, claims, pieces. ARGV: id, a new epoch, milliseconds. {1, ...} when the item waits, {0, ...} when its id is not
 * new, {-1, ...} when pieces are lost; then epoch and claims.
 */
const PUT = `
redis.call('SETNX', KEYS[3], ARGV[2])
local seen = {redis.call('GET', KEYS[3]), tonumber(redis.call('GET', KEYS[4]) or 0)}
if redis.call('SISMEMBER', KEYS[1], ARGV[1]) == 1 or redis.call('HEXISTS', KEYS[2], ARGV[1]) == 1 then return {0, seen[1], seen[2]} end
for i = 5, #KEYS do if redis.call('EXISTS', KEYS[i]) == 0 then return {-1, seen[1], seen[2]} end end
for i = 5, #KEYS do redis.call('PEXPIRE', KEYS[i], ARGV[3]) end
redis.call('HSET', KEYS[2], ARGV[1], #KEYS - 4)
return {1, seen[1], seen[2]}`;

/**
 * KEYS: used, waiting, epoch, claims. ARGV: id or "", prefix of pieces, a new epoch, seconds. {id, pieces, epoch, claims} or nil.
 * What is not whole any more, because it waited too long, is burnt.
 */
const CLAIM = `
local id = ARGV[1]
if id == '' then id = redis.call('HRANDFIELD', KEYS[2]) end
while id do
  local pieces = redis.call('HGET', KEYS[2], id)
  if not pieces then return nil end
  redis.call('HDEL', KEYS[2], id)
  local mine = redis.call('SADD', KEYS[1], id) == 1
  local names = {}
  for i = 1, tonumber(pieces) do
    names[i] = ARGV[2] .. id .. ':' .. (i - 1)
    if redis.call('EXISTS', names[i]) == 0 then mine = false end
  end
  for _, name in ipairs(names) do
    if mine then redis.call('EXPIRE', name, ARGV[4]) else redis.call('DEL', name) end
  end
  if mine then
    redis.call('SETNX', KEYS[3], ARGV[3])
    return {id, pieces, redis.call('GET', KEYS[3]), redis.call('INCR', KEYS[4])}
  end
  if ARGV[1] ~= '' then return nil end
  id = redis.call('HRANDFIELD', KEYS[2])
end
return nil`;

/** KEYS: waiting. ARGV: prefix of pieces. Forgets the items whose pieces have expired; how many those were. */
const SWEEP = `
local gone = 0
for _, id in ipairs(redis.call('HKEYS', KEYS[1])) do
  if redis.call('EXISTS', ARGV[1] .. id .. ':0') == 0 then gone = gone + redis.call('HDEL', KEYS[1], id) end
end
return gone`;

/** KEYS: an owner's items. Their bytes, of those that wait; the others are forgotten. */
const STOCK = `
local total = 0
local items = redis.call('HGETALL', KEYS[1])
for i = 1, #items, 2 do
  local key, id = string.match(items[i], '^(%x+):(%x+)$')
  if redis.call('HEXISTS', 'mpcformer:' .. key .. ':waiting', id) == 1 then total = total + tonumber(items[i + 1])
  else redis.call('HDEL', KEYS[1], items[i]) end
end
return total`;

export interface RedisStoreOptions extends RedisOptions {
  /** Milliseconds after which an item that nobody claimed is burnt; 30 days unless given. */
  readonly keepMs?: number;
}

export class RedisStore implements MaterialStore {
  private readonly send: Send;
  private readonly end: () => Promise<void>;
  private readonly keepMs: number;
  /** Which data set this was, and how many claims it had seen: another, or fewer, means that an old copy was brought back. */
  private mark: { readonly epoch: string; readonly claims: number } | null = null;
  /** Why nothing is put or claimed any more. */
  private stopped: Error | null = null;

  private constructor(send: Send, end: () => Promise<void>, keepMs: number) {
    this.send = send;
    this.end = end;
    this.keepMs = keepMs;
  }

  /**
   * Connects to redis://host:port/db (rediss: over TLS). @throws Error of one line when nobody answers there, when the
   * optional package @redis/client is not installed, and for a Redis that could forget a claim.
   */
  static async open(url: string, { keepMs = KEEP_MS, ...options }: RedisStoreOptions = {}): Promise<RedisStore> {
    const { send, end } = await connectRedis(url, options);
    const store = new RedisStore(send, end, keepMs);
    try {
      await store.demandDurable();
    } catch (error) {
      await end();
      throw error;
    }
    return store;
  }

  async put(id: string, item: Item): Promise<void> {
    const names = keysOf(item.key);
    checkName(id);
    if (this.stopped !== null) throw this.stopped;
    const pieces: string[] = [];
    let bytes = 0;
    for (const group of portions(sealed(item.parts), PIECE)) {
      const name = `${names.item}${id}:${pieces.length}`;
      if ((await this.send("SET", name, Buffer.concat(group), "EX", PASSING_SECONDS, "NX")) === null) throw spent();
      pieces.push(name);
      bytes += group.reduce((sum, part) => sum + part.length, 0);
    }
    const keys = [names.used, names.waiting, EPOCH, CLAIMS, ...pieces];
    const reply = await this.send("EVAL", PUT, String(keys.length), ...keys, id, hex(randomKey()), String(this.keepMs));
    const [done, epoch, claims] = (reply as unknown[]).map(String);
    this.demandForwards(epoch, Number(claims), 0);
    if (done === "1") return this.own(item, id, bytes);
    await this.send("DEL", ...pieces);
    throw done === "0" ? spent() : new Error("the material took too long to write: prepare it again");
  }

  async stockOf(owner: string): Promise<number> {
    checkName(owner);
    return Number(await this.send("EVAL", STOCK, "1", `mpcformer:owner:${owner}`));
  }

  async count(key: string): Promise<number> {
    const { waiting } = keysOf(key);
    await this.sweep(waiting);
    return Number(await this.send("HLEN", waiting));
  }

  async claim(key: string, id = ""): Promise<Claimed | undefined> {
    const names = keysOf(key);
    if (id !== "") checkName(id);
    if (this.stopped !== null) throw this.stopped;
    // Each time: Redis may have been started again with other settings, or another one answers.
    await this.demandDurable();
    const keys = [names.used, names.waiting, EPOCH, CLAIMS];
    const reply = await this.send("EVAL", CLAIM, "4", ...keys, id, names.item, hex(randomKey()), PASSING_SECONDS);
    if (!Array.isArray(reply)) return undefined;
    const [name, pieces, epoch, claims] = reply.map(String);
    this.demandForwards(epoch, Number(claims), 1);
    return this.claimed(name, { prefix: `${names.item}${name}:`, pieces: Number(pieces) });
  }

  async identity(model: string, fresh: Identity): Promise<Identity> {
    checkName(model);
    const name = `mpcformer:identity:${model}`;
    await this.send("SETNX", name, `${fresh.id} ${hex(fresh.key.expose())}`);
    const [id, key] = String(await this.send("GET", name)).split(" ");
    return { id, key: new Secret(fromHex(key)) };
  }

  /** Of items that waited too long, and of what a crash leaves, the pieces expire by themselves: only lists are cleaned. */
  async burnLeftovers(): Promise<number> {
    let burnt = 0;
    let cursor = "0";
    do {
      const reply = await this.send("SCAN", cursor, "MATCH", "mpcformer:*:waiting", "COUNT", "1000");
      const [next, lists] = reply as [Buffer, Buffer[]];
      for (const waiting of lists) burnt += await this.sweep(String(waiting));
      cursor = String(next);
    } while (cursor !== "0");
    return burnt;
  }

  close(): Promise<void> {
    return this.end();
  }

  private async own({ key, owner }: Item, id: string, bytes: number): Promise<void> {
    if (owner === undefined) return;
    checkName(owner);
    const name = `mpcformer:owner:${owner}`;
    await this.send("HSET", name, `${key}:${id}`, String(bytes));
    await this.send("PEXPIRE", name, String(this.keepMs));
  }

  private async sweep(waiting: string): Promise<number> {
    return Number(await this.send("EVAL", SWEEP, "1", waiting, waiting.slice(0, -"waiting".length)));
  }

  private claimed(id: string, { prefix, pieces }: { prefix: string; pieces: number }): Claimed {
    const names = Array.from({ length: pieces }, (_, i) => `${prefix}${i}`);
    return {
      id,
      bytes: async () => {
        const parts: Buffer[] = [];
        for (const name of names) parts.push(((await this.send("GETDEL", name)) as Buffer | null) ?? Buffer.alloc(0));
        return unsealed(Buffer.concat(parts));
      },
      discard: async () => {
        await this.send("DEL", ...names);
      },
    };
  }

  /** @throws Error of one line unless a claim that was answered is on this Redis's disk. */
  private async demandDurable(): Promise<void> {
    for (const [setting, demanded, why] of DEMANDED) {
      const value = await settingOf(this.send, setting);
      if (value !== demanded) throw new Error(`Redis must run with "${setting} ${demanded}", not "${value}": ${why}`);
    }
    const role = await this.send("ROLE");
    if (!Array.isArray(role) || String(role[0]) !== "master")
      throw new Error("this Redis is a replica, which learns late which material was used: name the master");
  }

  /** `own`: whether this command was a claim itself. Once back, the store stays stopped: the count would soon have passed the mark, with used material handed out. */
  private demandForwards(epoch: string, claims: number, own: 0 | 1): void {
    const { mark } = this;
    if (mark !== null && (epoch !== mark.epoch || claims < mark.claims + own))
      this.stopped = new Error(
        "Redis went back in time, so that used material is there again: empty it (FLUSHDB), start the servers again",
      );
    if (this.stopped !== null) throw this.stopped;
    this.mark = { epoch, claims };
  }
}

const EPOCH = "mpcformer:epoch";
const CLAIMS = "mpcformer:claims";

function keysOf(key: string): { readonly used: string; readonly waiting: string; readonly item: string } {
  checkName(key);
  return { used: `mpcformer:${key}:used`, waiting: `mpcformer:${key}:waiting`, item: `mpcformer:${key}:` };
}
