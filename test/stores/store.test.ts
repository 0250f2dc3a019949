/** One suite for every place where material waits; then what is peculiar to each. */
import { fork } from "node:child_process";
import { cp, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient } from "@redis/client";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { openStore } from "../../src/cli/store.ts";
import { Secret } from "../../src/ring/secret.ts";
import { FileStore } from "../../src/stores/file-store.ts";
import { RedisStore } from "../../src/stores/redis-store.ts";
import type { MaterialStore } from "../../src/stores/store.ts";
import { DURABLE, NO_REDIS, type RunningRedis, startRedis } from "../parties/redis.ts";

const KEY = "0123456789abcdef0123456789abcdef";
let dir: string;
let redis: RunningRedis;
beforeAll(async () => {
  if (NO_REDIS === undefined) redis = await startRedis();
});
afterAll(() => redis?.stop());
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "store-"));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const id = (i: number) => i.toString(16).padStart(32, "0");
const item = (...bytes: number[]) => ({ key: KEY, parts: [Uint8Array.from(bytes)] });
const folder = () => join(dir, "material");
const where = { files: () => folder(), redis: () => redis.url };

/** As a second process would: nothing of the first's memory. */
const openers: Record<keyof typeof where, (keepMs?: number) => Promise<MaterialStore>> = {
  files: async (keepMs) => new FileStore(folder(), { keepMs }),
  redis: (keepMs) => RedisStore.open(redis.url, { keepMs }),
};

const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Raw access to the Redis of these tests, as a backup tool has it. */
async function raw<T>(use: (send: (...args: string[]) => Promise<unknown>) => Promise<T>): Promise<T> {
  const client = await createClient({ url: redis.url }).connect();
  try {
    return await use((...args) => client.sendCommand(args));
  } finally {
    client.destroy();
  }
}

/** Brings all items back that waited when the copy was made, and nothing else. */
const copies = {
  files: async () => {
    const copy = join(dir, "copy");
    await cp(folder(), copy, { recursive: true });
    return () => cp(copy, folder(), { recursive: true });
  },
  redis: async () => {
    const client = await createClient({ url: redis.url, RESP: 2 }).connect();
    const waiting = await client.sendCommand<string[]>(["HGETALL", `mpcformer:${KEY}:waiting`]);
    const [name] = waiting;
    const piece = (await client.sendCommand<string>(["GET", `mpcformer:${KEY}:${name}:0`])) ?? "";
    client.destroy();
    return async () => {
      await raw((send) => send("HSET", `mpcformer:${KEY}:waiting`, ...waiting));
      await raw((send) => send("SET", `mpcformer:${KEY}:${name}:0`, piece));
    };
  },
};

describe.each(["files", "redis"] as const)("%s", (kind) => {
  const skip = kind === "redis" && NO_REDIS !== undefined;
  const opened: MaterialStore[] = [];
  const open = async (keepMs?: number) => {
    const store = await openers[kind](keepMs);
    opened.push(store);
    return store;
  };
  beforeEach(async () => {
    if (kind === "redis" && !skip) await raw((send) => send("FLUSHALL"));
  });
  afterEach(async () => {
    for (const store of opened.splice(0)) await store.close();
  });

  it.skipIf(skip)(`gives an item back once, whole, and then no more${skip ? `: ${NO_REDIS}` : ""}`, async () => {
    const store = await open();
    await store.put(id(1), { key: KEY, parts: [Uint8Array.of(1, 2), Uint8Array.of(3)] });
    expect(await store.count(KEY)).toBe(1);
    const claimed = await store.claim(KEY);
    expect(claimed?.id).toBe(id(1));
    expect([...(await claimed!.bytes())]).toEqual([1, 2, 3]);
    for (const any of [store, await open()])
      expect([await any.count(KEY), await any.claim(KEY), await any.claim(KEY, id(1))]).toEqual([
        0,
        undefined,
        undefined,
      ]);
    await claimed!.discard();
    expect(await (await open()).claim(KEY, id(1))).toBeUndefined();
  });

  it.skipIf(skip)("knows how much of an owner waits, of whatever key, and forgets what was claimed", async () => {
    const [store, owner, other] = [await open(), "a".repeat(64), "f".repeat(32)];
    const part = new Uint8Array(100_000);
    expect(await store.stockOf(owner)).toBe(0);
    await store.put(id(1), { key: KEY, owner, parts: [part] });
    await store.put(id(2), { key: other, owner, parts: [part, part] });
    await store.put(id(3), { key: KEY, parts: [part] });
    await store.put(id(4), { key: KEY, owner: "b".repeat(64), parts: [part] });
    // And what tells whether an item is whole.
    const whole = await (await open()).stockOf(owner);
    expect(whole).toBeGreaterThanOrEqual(300_000);
    expect(whole).toBeLessThan(301_000);
    await (await store.claim(other, id(2)))!.discard();
    expect(await store.stockOf(owner)).toBeLessThan(101_000);
    await (await store.claim(KEY, id(1)))!.discard();
    expect([await store.stockOf(owner), (await store.stockOf("b".repeat(64))) > 0]).toEqual([0, true]);
    expect(await store.burnLeftovers()).toBe(0);
  });

  it.skipIf(skip)("keeps items of some megabytes, and keys apart", async () => {
    const store = await open();
    const large = Uint8Array.from({ length: 2 ** 24 + 5 }, (_, i) => i * 7);
    await store.put(id(1), { key: KEY, parts: [large.subarray(0, 9), large.subarray(9)] });
    expect(await store.claim("f".repeat(32))).toBeUndefined();
    expect(await store.claim("f".repeat(32), id(1))).toBeUndefined();
    const bytes = await (await store.claim(KEY, id(1)))!.bytes();
    expect(Buffer.compare(bytes, large)).toBe(0);
  });

  it.skipIf(skip)("takes an id once, however often it is put", async () => {
    const store = await open();
    const refused = /^this material is here already, or was used: material is kept once only$/;
    await store.put(id(1), item(1));
    await expect(store.put(id(1), item(2))).rejects.toThrow(refused);
    expect([...(await (await store.claim(KEY))!.bytes())]).toEqual([1]);
    for (const any of [store, await open()]) await expect(any.put(id(1), item(3))).rejects.toThrow(refused);
    expect(await store.claim(KEY)).toBeUndefined();
  });

  it.skipIf(skip)("refuses used items that a backup brought back, and gives the others", async () => {
    const store = await open();
    await store.put(id(1), item(1));
    const restore = await copies[kind]();
    expect((await store.claim(KEY))?.id).toBe(id(1));
    for (const any of [store, await open()]) {
      await restore();
      expect(await any.claim(KEY, id(1))).toBeUndefined();
      await restore();
      await any.put(id(any === store ? 2 : 3), item(2));
      expect((await any.claim(KEY))?.id).toBe(id(any === store ? 2 : 3));
      expect(await any.claim(KEY)).toBeUndefined();
    }
  });

  it.skipIf(skip)("burns what nobody claimed in time, and neither what is younger nor what was claimed", async () => {
    const keepMs = 3000;
    const store = await open(keepMs);
    for (const i of [1, 2, 3]) await store.put(id(i), item(i));
    const claimed = await store.claim(KEY, id(3));
    await wait(keepMs + 100);
    await store.put(id(4), item(4));
    expect(await store.burnLeftovers()).toBe(2);
    expect(await store.count(KEY)).toBe(1);
    expect(await store.claim(KEY, id(1))).toBeUndefined();
    expect((await store.claim(KEY))?.id).toBe(id(4));
    expect(await store.claim(KEY)).toBeUndefined();
    expect([...(await claimed!.bytes())]).toEqual([3]);
    // Claimed long ago: it stays used.
    await expect(store.put(id(3), item(3))).rejects.toThrow(/was used/);
  });

  it.skipIf(skip)("64 claimants of one item: one has it", async () => {
    const stores = await Promise.all(Array.from({ length: 8 }, () => open()));
    for (let round = 0; round < 20; round++) {
      await stores[0].put(id(round), item(round));
      const claims = Array.from({ length: 64 }, (_, i) =>
        stores[i % 8].claim(KEY, i % 2 === 0 ? id(round) : undefined),
      );
      const won = (await Promise.all(claims)).filter((claim) => claim !== undefined);
      expect(won.map((claim) => claim.id)).toEqual([id(round)]);
      await won[0].discard();
    }
  });

  it.skipIf(skip)("tells all processes the same identity of a model, another of another model", async () => {
    const bytes = (i: number) => new Uint8Array(16).fill(i);
    const told = async (store: MaterialStore, model: string, i: number) => {
      const known = await store.identity(model, { id: id(i), key: new Secret(bytes(i)) });
      return [known.id, known.key.expose()];
    };
    const [a, b] = [await open(), await open()];
    const first = await Promise.all([told(a, KEY, 1), told(b, KEY, 2)]);
    expect(first[0]).toEqual(first[1]);
    expect(await told(await open(), KEY, 3)).toEqual(first[0]);
    expect(await told(b, "f".repeat(32), 4)).toEqual([id(4), bytes(4)]);
  });

  it.skipIf(skip)("refuses names that are none", async () => {
    const store = await open();
    for (const name of ["../../etc", "", "ABC", `${KEY}/..`]) {
      await expect(store.claim(name)).rejects.toThrow(/hexadecimal/);
      await expect(store.count(name)).rejects.toThrow(/hexadecimal/);
      await expect(store.claim(KEY, name || "x")).rejects.toThrow(/hexadecimal/);
      await expect(store.put(name, item())).rejects.toThrow(/hexadecimal/);
      await expect(store.put(id(1), { key: name, parts: [] })).rejects.toThrow(/hexadecimal/);
    }
  });

  it.skipIf(skip)("lets one of several processes have each item", async () => {
    const store = await open();
    const count = 60;
    for (let i = 0; i < count; i++) await store.put(id(i), item(i));
    const script = join(dir, "claim.mjs");
    const module = new URL("../../dist/cli/store.js", import.meta.url).href;
    await writeFile(
      script,
      `import { openStore } from ${JSON.stringify(module)};
       const store = await openStore({ store: process.argv[2], deadline: "9" }, "server");
       for (;;) { const item = await store.claim(process.argv[3]); if (!item) break; process.send(item.id); }
       await store.close();`,
    );
    const claimed: string[] = [];
    const racers = Array.from({ length: 3 }, () => {
      const child = fork(script, [where[kind](), KEY]);
      child.on("message", (m) => claimed.push(String(m)));
      return new Promise((resolve) => child.on("exit", resolve));
    });
    expect(await Promise.all(racers)).toEqual([0, 0, 0]);
    expect(claimed.length).toBe(count);
    expect(new Set(claimed).size).toBe(count);
  });
});

describe("files alone", () => {
  /** Where an item waits: its name has the ledger's epoch. */
  const waiting = async (name: string) =>
    join(folder(), KEY, (await readdir(join(folder(), KEY))).find((file) => file.startsWith(name))!);

  it("are for this user alone, and leave nothing", async () => {
    const store = new FileStore(folder());
    await store.put(id(1), item(1));
    expect((await stat(await waiting(id(1)))).mode & 0o777).toBe(0o600);
    await (await store.claim(KEY))!.discard();
    expect(await readdir(join(folder(), KEY))).toEqual([]);
  });

  it("that are cut short or altered are refused and burnt, without a word of their content", async () => {
    const store = new FileStore(folder());
    for (const [i, damage] of [
      (b: Buffer) => b.subarray(0, b.length - 1),
      (b: Buffer) => Buffer.from(b.map((x, j) => (j === 2 ? x ^ 1 : x))),
      () => Buffer.alloc(3),
    ].entries()) {
      await store.put(id(i), { key: KEY, parts: [new TextEncoder().encode("SECRET")] });
      const path = await waiting(id(i));
      await writeFile(path, damage(await readFile(path)));
      const claimed = await store.claim(KEY);
      await expect(claimed!.bytes()).rejects.toThrow(/^prepared material is damaged: it was burnt; prepare more$/);
      expect(await store.claim(KEY)).toBeUndefined();
    }
  });

  it("that a crash left claimed or half written are burnt, not what another process writes now", async () => {
    const store = new FileStore(folder());
    for (const i of [1, 2]) await store.put(id(i), item(i));
    await store.claim(KEY, id(1));
    await writeFile(join(folder(), KEY, `${id(3)}.partial`), "x");
    const after = new FileStore(folder());
    expect(await after.burnLeftovers()).toBe(0);
    expect(await after.burnLeftovers(0)).toBe(2);
    expect((await after.claim(KEY))?.id).toBe(id(2));
  });

  it("whose ledger is lost are never handed out: nobody knows which were used", async () => {
    await new FileStore(folder()).put(id(1), item(1));
    await rm(`${folder()}.used`, { recursive: true });
    const after = new FileStore(folder());
    expect([await after.count(KEY), await after.claim(KEY), await after.claim(KEY, id(1))]).toEqual([
      0,
      undefined,
      undefined,
    ]);
    expect(await after.burnLeftovers()).toBe(1);
    await after.put(id(2), item(2));
    expect((await after.claim(KEY))?.id).toBe(id(2));
  });

  it("stop when their ledger is exchanged for an older one, or damaged", async () => {
    const store = new FileStore(folder());
    for (const i of [1, 2, 3]) await store.put(id(i), item(i));
    const ledger = join(`${folder()}.used`, KEY);
    const older = await readFile(ledger);
    await store.claim(KEY, id(1));
    await writeFile(ledger, older);
    await expect(store.claim(KEY, id(2))).rejects.toThrow(/was replaced by another or an older one/);
    await rm(ledger);
    await expect(store.claim(KEY, id(3))).rejects.toThrow(/ENOENT/);
    await writeFile(ledger, "nonsense\n");
    await expect(new FileStore(folder()).claim(KEY)).rejects.toThrow(/ledger of used material is damaged/);
  });

  it("outlive a line of the ledger that a crash cut short", async () => {
    const store = new FileStore(folder());
    await store.put(id(1), item(1));
    await store.put(id(2), item(2));
    const ledger = join(`${folder()}.used`, KEY);
    await writeFile(ledger, `${await readFile(ledger, "latin1")}\n${id(1).slice(0, 20)}`);
    for (const i of [1, 2]) expect((await store.claim(KEY, id(i)))?.id).toBe(id(i));
    expect(await new FileStore(folder()).claim(KEY, id(2))).toBeUndefined();
  });
});

describe.skipIf(NO_REDIS !== undefined)("Redis alone", () => {
  it.each([
    [["--appendonly", "no"], 'Redis must run with "appendonly yes", not "no"'],
    [["--appendonly", "yes", "--appendfsync", "everysec"], 'Redis must run with "appendfsync always", not "everysec"'],
    [[...DURABLE, "--no-appendfsync-on-rewrite", "yes"], '"no-appendfsync-on-rewrite no"'],
    [[...DURABLE, "--maxmemory-policy", "allkeys-lru"], '"maxmemory-policy noeviction", not "allkeys-lru"'],
    [[...DURABLE, "--rename-command", "CONFIG", ""], '"appendonly yes", not "unknown"'],
    [[...DURABLE, "--replicaof", "127.0.0.1 1"], "this Redis is a replica"],
    [[...DURABLE, "--requirepass", "abc"], "Redis cannot be used at 127.0.0.1:"],
  ])("that runs with %j is refused in one line", async (settings, why) => {
    const weak = await startRedis(settings);
    try {
      const error = await RedisStore.open(weak.url).catch((e: Error) => e);
      expect(String(error)).toContain(why);
      expect(String(error).split("\n").length).toBe(1);
    } finally {
      await weak.stop();
    }
  });

  it("asks again before each claim, and burns nothing when refused", async () => {
    await raw((send) => send("FLUSHALL"));
    const store = await RedisStore.open(redis.url);
    await store.put(id(1), item(1));
    await raw((send) => send("CONFIG", "SET", "appendfsync", "everysec"));
    await expect(store.claim(KEY)).rejects.toThrow(/appendfsync always/);
    await raw((send) => send("CONFIG", "SET", "appendfsync", "always"));
    expect((await store.claim(KEY))?.id).toBe(id(1));
    await store.close();
  });

  /** A Redis with three items, of which a copy can be taken, and which can be set back to it at the same address. */
  async function copied() {
    const [data, kept] = [join(dir, "appendonlydir"), join(dir, "redis")];
    const port = await startRedis([...DURABLE], dir);
    const store = await RedisStore.open(port.url);
    for (const i of [1, 2, 3]) await store.put(id(i), item(i));
    const setBack = async () => {
      await port.stop();
      await rm(data, { recursive: true });
      await cp(kept, data, { recursive: true });
      return startRedis([...DURABLE, "--port", new URL(port.url).port], dir);
    };
    return { store, copy: () => cp(data, kept, { recursive: true }), setBack };
  }

  it("that lost its data to a copy of before the first claim is found out too", async () => {
    const { store, copy, setBack } = await copied();
    await copy();
    await store.claim(KEY, id(2));
    const again = await setBack();
    await expect.poll(() => store.claim(KEY, id(2)).catch((e: Error) => e.message)).toMatch(/Redis went back in time/);
    await again.stop();
    await store.close();
  });

  it("that lost its data to an older copy is found out by whoever served through it", async () => {
    const { store, copy, setBack } = await copied();
    await store.claim(KEY, id(1));
    await copy();
    await store.claim(KEY, id(2));
    const again = await setBack();
    await expect.poll(() => store.claim(KEY, id(2)).catch((e: Error) => e.message)).toMatch(/Redis went back in time/);
    // Stopped for good: later claims would soon have passed the count.
    for (let i = 0; i < 5; i++) await expect(store.claim(KEY)).rejects.toThrow(/Redis went back in time/);
    await again.stop();
    await store.close();
  });

  it("that is killed right after a claim has forgotten nothing", async () => {
    for (let round = 0; round < 3; round++) {
      const running = await startRedis(DURABLE, dir);
      const store = await RedisStore.open(running.url);
      for (let i = 0; i < 4 * round; i++) expect(await store.claim(KEY, id(i))).toBeUndefined();
      for (let i = 4 * round; i < 4 * round + 4; i++) {
        await store.put(id(i), item(i));
        await store.claim(KEY, id(i));
      }
      await running.stop();
      await store.close();
    }
  });

  it("never gives half an item: what lost a piece is burnt, and another is given", async () => {
    await raw((send) => send("FLUSHALL"));
    const store = await RedisStore.open(redis.url);
    const large = { key: KEY, parts: [new Uint8Array(2 ** 23), new Uint8Array(2 ** 23), new Uint8Array(9)] };
    for (const [i, piece] of [0, 1, 2].entries()) {
      await store.put(id(i), large);
      await raw((send) => send("DEL", `mpcformer:${KEY}:${id(i)}:${piece}`));
      expect(await store.claim(KEY, id(i))).toBeUndefined();
      await store.put(id(10 + i), large);
      await raw((send) => send("DEL", `mpcformer:${KEY}:${id(10 + i)}:${piece}`));
    }
    await store.put(id(20), item(7));
    expect([...(await (await store.claim(KEY))!.bytes())]).toEqual([7]);
    expect(await store.claim(KEY)).toBeUndefined();
    const keys = (await raw((send) => send("KEYS", `mpcformer:${KEY}:*`))) as string[];
    expect(keys.filter((key) => !key.endsWith(":used") && !key.endsWith(":waiting"))).toEqual([]);
    await store.close();
  });

  it("forgets what expired as soon as it is counted or claimed", async () => {
    await raw((send) => send("FLUSHALL"));
    const store = await RedisStore.open(redis.url, { keepMs: 200 });
    const waiting = () => raw((send) => send("HLEN", `mpcformer:${KEY}:waiting`));
    for (const ask of [() => store.count(KEY), async () => (await store.claim(KEY)) ?? 0]) {
      for (const i of [1, 2, 3]) await store.put(id(i), item(i));
      await wait(300);
      expect(await waiting()).toBe(3);
      expect(await ask()).toBe(0);
      expect(await waiting()).toBe(0);
    }
    await store.close();
  });

  it("leaves a claimant the time to read, however old the item was", async () => {
    await raw((send) => send("FLUSHALL"));
    const store = await RedisStore.open(redis.url, { keepMs: 4000 });
    await store.put(id(1), item(1));
    const claimed = await store.claim(KEY);
    await wait(4200);
    expect([...(await claimed!.bytes())]).toEqual([1]);
    await store.close();
  });

  it("keeps nothing of an item that was used but its id", async () => {
    await raw((send) => send("FLUSHALL"));
    const store = await RedisStore.open(redis.url);
    await store.put(id(1), item(1));
    await (await store.claim(KEY))!.bytes();
    const keys = await raw((send) => send("KEYS", "*"));
    expect((keys as string[]).sort()).toEqual(["mpcformer:claims", "mpcformer:epoch", `mpcformer:${KEY}:used`].sort());
    await store.close();
  });
});

describe("--store", () => {
  const deadline = 9;
  it("takes folders, and says in one line what is wrong with an address", async () => {
    expect(await openStore({ store: undefined, deadline }, "client")).toBeUndefined();
    expect(await openStore({ store: folder(), deadline }, "client")).toBeInstanceOf(FileStore);
    for (const [store, why] of [
      ["redis://", "--store takes a folder, or redis://host:port/db"],
      ["redis://127.0.0.1:6379/a/b", "--store takes a folder, or redis://host:port/db"],
      ["redis://10.0.0.1:6379/0", "10.0.0.1 is not this machine and the channel is not encrypted"],
      ["redis://:secret@127.0.0.1:1/0", "Redis cannot be used at 127.0.0.1:1: connect ECONNREFUSED"],
    ]) {
      const error = String(await openStore({ store, deadline }, "client").catch((e: Error) => e));
      expect(error).toContain(why);
      expect(error).not.toMatch(/secret|\n/);
    }
  });
});
