/** Once only: reserve, commit to disk, and only then send. What `npm run long -- once` does at length is done here in short. */

import { execFile } from "node:child_process";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Channel } from "../../src/channels/channel.ts";
import { memoryPair } from "../../src/channels/memory.ts";
import { calibrate } from "../../src/compiler/calibrate.ts";
import { randomText, randomWeights } from "../../src/models/catalog.ts";
import { Client } from "../../src/parties/client.ts";
import { DealerService } from "../../src/parties/dealer.ts";
import { publicModel } from "../../src/parties/model-identity.ts";
import { ServerService } from "../../src/parties/server.ts";
import { oneTurn } from "../../src/program/steps.ts";
import { hex } from "../../src/ring/hex.ts";
import { randomKey } from "../../src/ring/prg.ts";
import { Ring } from "../../src/ring/ring.ts";
import { Secret } from "../../src/ring/secret.ts";
import { FileStore } from "../../src/stores/file-store.ts";
import type { MaterialStore } from "../../src/stores/store.ts";
import { TINY } from "./harness.ts";
import { NO_REDIS, startRedis } from "./redis.ts";

const LONG = fileURLToPath(new URL("../long/once.mjs", import.meta.url));
const KEY = "0123456789abcdef0123456789abcdef";

/** What reaches the disk, in order: [operation, last part of the path]. */
const journal = vi.hoisted(() => [] as string[]);
vi.mock("node:fs/promises", async (original) => {
  const fs = await original<typeof import("node:fs/promises")>();
  const name = (path: unknown) => String(path).split("/").at(-1)!.replace(/^.*\./, "*.");
  return {
    ...fs,
    rename: async (from: string, to: string) => {
      await fs.rename(from, to);
      journal.push(`rename to ${name(to)}`);
    },
    open: async (...args: Parameters<typeof fs.open>) => {
      const file = await fs.open(...args);
      const [sync, write] = [file.sync.bind(file), file.write.bind(file)];
      const written = Object.assign(file, {
        sync: async () => {
          await sync();
          journal.push(`sync ${name(args[0])}`);
        },
        write: (bytes: Uint8Array, at?: number) => {
          journal.push(`write ${name(args[0])}`);
          return write(bytes, at);
        },
      });
      return written;
    },
  };
});

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "once-"));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

describe.each(["files", "redis"])("with %s", (kind) => {
  const reason = kind === "redis" ? NO_REDIS : undefined;
  it.skipIf(reason !== undefined)(
    `30 SIGKILLs and 20 races of 64 clients: nothing is used twice${reason === undefined ? "" : `: ${reason}`}`,
    async () => {
      const redis = kind === "redis" ? await startRedis() : undefined;
      try {
        const more = redis === undefined ? [] : ["--store", redis.url];
        const run = promisify(execFile)(process.execPath, [LONG, "--kills", "30", "--rounds", "20", "--json", ...more]);
        const { kills, race } = JSON.parse((await run).stdout);
        expect(kills).toMatchObject({ kills: 30, used_twice: 0 });
        expect(kills.sent).toBeGreaterThan(0);
        expect(race).toEqual({ clients: 64, rounds: 20, one_winner: 20, no_winner: 0, several_winners: 0 });
      } finally {
        await redis?.stop();
      }
    },
  );
});

describe("the order", () => {
  it("of a claim: the rename, then the ledger, each on disk before the claimant knows", async () => {
    const store = new FileStore(join(dir, "material"));
    await store.put("1".repeat(32), { key: KEY, parts: [Uint8Array.of(1)] });
    journal.length = 0;
    await store.claim(KEY);
    expect(journal).toEqual(["rename to *.claimed", `sync ${KEY}`, `write ${KEY}`, `sync ${KEY}`]);
  });

  it("of an item: it is whole on disk before it can be claimed", async () => {
    const store = new FileStore(join(dir, "material"));
    await store.count(KEY);
    journal.length = 0;
    await store.put("1".repeat(32), { key: KEY, parts: [Uint8Array.of(1)] });
    expect(journal).toEqual(["write *.partial", "write *.partial", "sync *.partial", `sync ${KEY}`]);
  });

  it("of a client: nothing leaves before its claim is on disk; and of a server the same", async () => {
    const [atClient, atServer] = [gated("client"), gated("server")];
    const { client, wire } = await world(atClient.store, atServer.store);
    await client.prepare(oneTurn(8));
    const bytes = () => [wire.sent.control.bytes, wire.sent.online.bytes, wire.received.control.bytes];
    const before = bytes();
    const answer = client.infer(randomText(TINY, 7, 1));
    await atClient.asked;
    await settled();
    expect(bytes()).toEqual(before);
    atClient.open();
    await atServer.asked;
    await settled();
    const [, online, received] = bytes();
    expect([online, received]).toEqual(before.slice(1));
    atServer.open();
    expect((await answer).logits.length).toBe(TINY.labels);
    await client.close();
  });

  it("of a failure: a claim that cannot be made durable sends nothing, and burns nothing at the server", async () => {
    const store = new FileStore(join(dir, "client"));
    const broken: MaterialStore = Object.assign(Object.create(store), {
      claim: () => Promise.reject(new Error("no space left on device")),
    });
    const atServer = new FileStore(join(dir, "server"));
    const { client, wire, key } = await world(broken, atServer);
    await client.prepare(oneTurn(8));
    const before = wire.sent.control.bytes;
    await expect(client.infer(randomText(TINY, 7, 1))).rejects.toThrow("no space left on device");
    expect(wire.sent.control.bytes).toBe(before);
    expect(await atServer.count(await key())).toBe(1);
  });
});

describe("randomness", () => {
  it("is the operating system's alone: no seed of masks can be given to this program", async () => {
    const rooms = ["ring", "platform", "protocols", "stores", "parties", "channels"];
    const sources = new Map<string, string>();
    for (const room of rooms) {
      const folder = fileURLToPath(new URL(`../../src/${room}`, import.meta.url));
      for (const file of await readdir(folder)) {
        if (file.endsWith(".ts")) sources.set(`${room}/${file}`, await readFile(join(folder, file), "utf8"));
      }
    }
    const found = (pattern: RegExp) =>
      [...sources].flatMap(([file, text]) => [...text.matchAll(pattern)].map(([match]) => `${file}: ${match}`)).sort();
    // Where generators get their keys: fresh ones, a peer's message, what was stored, or the model key. No constant, no option.
    expect(found(/new Prg\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)/g)).toEqual([
      // Of a session that was dealt, to deal it again; no run follows.
      "parties/audit.ts: new Prg(seed.expose())",
      "parties/dealing.ts: new Prg(fromHex(seed))",
      "parties/lent-covers.ts: new Prg(lent.seed.expose())",
      "parties/offline-session.ts: new Prg(material.seed.expose())",
      // The challenge of a check, which the server draws: at the client, and where it is drawn.
      "parties/proving.ts: new Prg(fromHex(seed))",
      "parties/server-proving.ts: new Prg(key)",
      "parties/simulate.ts: new Prg(clientSeed)",
      "parties/simulate.ts: new Prg(clientSeed)",
      "parties/simulate.ts: new Prg(clientSeed)",
      "parties/simulate.ts: new Prg(serverSeed)",
      "parties/simulate.ts: new Prg(serverSeed)",
      "parties/thin.ts: new Prg(seed)",
      "parties/weights.ts: new Prg(digest.subarray(0, 16))",
      "stores/material.ts: new Prg(seed.expose())",
    ]);
    expect(found(/new StoredMaterial\([^;]*\)/g)).toEqual([
      'parties/audit.ts: new StoredMaterial("server", program, seeds[1])',
      'parties/offline-session.ts: new StoredMaterial("client", program, new Secret(randomKey()))',
      'parties/server-offline.ts: new StoredMaterial("server", program, new Secret(randomKey()))',
      'parties/simulate.ts: new StoredMaterial("client", program, new Secret(clientSeed))',
      'parties/simulate.ts: new StoredMaterial("server", program, new Secret(serverSeed))',
      "stores/material.ts: new StoredMaterial(role, program, new Secret(bytes.subarray(0, 16)))",
    ]);
    expect(found(/\[clientSeed, serverSeed\] = .*;/g)).toEqual([
      "parties/simulate.ts: [clientSeed, serverSeed] = [randomKey(), randomKey()];",
    ]);
    expect(found(/Math\.random|Date\.now\(\) *[*^%]/g)).toEqual([]);
    // The one seed there is: of a client's choice among the logits it knows anyway.
    expect(found(/from "\.\.\/models\/random\.ts"/g)).toEqual(['parties/generation.ts: from "../models/random.ts"']);
    expect(found(/process\.env\??\.\w+/g)).toEqual(["platform/native.ts: process.env.MPCFORMER_KERNELS"]);
  });

  it("takes no argument, and fails when the system has none", () => {
    expect(randomKey.length).toBe(0);
    expect(hex(randomKey())).not.toBe(hex(randomKey()));
    const broken = vi.spyOn(crypto, "getRandomValues").mockImplementation(() => {
      throw new Error("no entropy");
    });
    expect(() => randomKey()).toThrow("no entropy");
    broken.mockRestore();
  });
});

/** A store whose claims wait for a gate. */
function gated(name: string) {
  const files = new FileStore(join(dir, name));
  let [ask, open] = [() => {}, () => {}];
  const asked = new Promise<void>((resolve) => {
    ask = resolve;
  });
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  const store: MaterialStore = Object.assign(Object.create(files), {
    claim: async (key: string, id?: string) => {
      const claimed = await files.claim(key, id);
      ask();
      await gate;
      return claimed;
    },
  });
  return { store, asked, open: () => open() };
}

/** Whatever would be sent by mistake is sent by now. */
const settled = () => new Promise((resolve) => setTimeout(resolve, 50));

/** All three parties in this process, over the memory channels. */
async function world(clientStore: MaterialStore, serverStore: MaterialStore) {
  const weights = randomWeights(TINY, 5);
  const plan = calibrate(
    TINY,
    weights,
    Array.from({ length: 10 }, (_, i) => randomText(TINY, 4 + i, i)),
  );
  const dealer = new DealerService(await Ring.create());
  const connectDealer = async (): Promise<Channel> => {
    const [mine, dealers] = memoryPair();
    dealer.serve(dealers).catch(() => {});
    return mine;
  };
  const model = await publicModel({ spec: TINY, plan, tokenizer: {}, commitment: hex(randomKey()) }, weights);
  const served = { model, modelKey: new Secret(randomKey()), weights: async () => weights, tokenizer: {} };
  const keys: string[] = [];
  const watched: MaterialStore = Object.assign(Object.create(serverStore), {
    put: (id: string, item: Parameters<MaterialStore["put"]>[1]) => {
      keys.push(item.key);
      return serverStore.put(id, item);
    },
  });
  const server = new ServerService(await Ring.create(), served, { connectDealer, store: watched });
  const [wire, servers] = memoryPair();
  server.serve(servers).catch(() => {});
  const client = await Client.connect(await Ring.create(), wire, { connectDealer, store: clientStore });
  return { client, wire, key: async () => keys[0] };
}
