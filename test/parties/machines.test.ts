/** Two server processes, a dealer and a Redis: material prepared through one server is used through the other, once. */
import { type ChildProcess, spawn } from "node:child_process";
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { createClient } from "@redis/client";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { connectTcp } from "../../src/channels/tcp.ts";
import { Client } from "../../src/parties/client.ts";
import { oneTurn } from "../../src/program/steps.ts";
import { Ring } from "../../src/ring/ring.ts";
import { FileStore } from "../../src/stores/file-store.ts";
import { NO_REDIS, type RunningRedis, startRedis } from "./redis.ts";

const MAIN = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
const TEXT = "a gripping, funny and beautifully acted film";

async function keysAt(url: string): Promise<string[]> {
  const redis = await createClient({ url }).connect();
  try {
    return await redis.keys("*");
  } finally {
    redis.destroy();
  }
}

interface Process {
  readonly port: number;
  readonly said: string[];
  stop(signal?: NodeJS.Signals): Promise<void>;
}

async function start(...args: string[]): Promise<Process> {
  const child = spawn(process.execPath, [MAIN, ...args, "--listen", "127.0.0.1:0"], { stdio: "pipe" });
  const said: string[] = [];
  const port = await new Promise<number>((resolve, reject) => {
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on("line", (line) => {
        said.push(line);
        const found = / on 127\.0\.0\.1:(\d+)/.exec(line);
        if (found) resolve(Number(found[1]));
      });
    }
    child.once("exit", () => reject(new Error(said.join("\n"))));
  });
  return { port, said, stop: (signal = "SIGTERM") => stopped(child, signal) };
}

function stopped(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  child.kill(signal);
  return ended;
}

describe.skipIf(NO_REDIS !== undefined)(`behind one store${NO_REDIS === undefined ? "" : `: ${NO_REDIS}`}`, () => {
  let dir: string;
  let redis: RunningRedis;
  let dealer: Process;
  let servers: Process[];
  const serve = () =>
    start("serve", "demo", "--store", redis.url, "--dealer", `127.0.0.1:${dealer.port}`, "--deadline", "300");
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), "machines-"));
    redis = await startRedis();
    dealer = await start("deal", "--deadline", "300");
    servers = await Promise.all([serve(), serve()]);
  });
  afterAll(async () => {
    for (const process of [...(servers ?? []), dealer]) await process?.stop();
    await redis?.stop();
    await rm(dir, { recursive: true, force: true });
  });

  /** A client of one server, with a store of its own. */
  async function client(
    server: number,
    name: string,
    ports = { server: servers[server].port, dealer: dealer.port },
  ): Promise<Client> {
    const dial = (port: number, peer: string) => connectTcp("127.0.0.1", port, { peer, deadlineMs: 300_000 });
    return Client.connect(await Ring.create(), await dial(ports.server, "server"), {
      connectDealer: () => dial(ports.dealer, "dealer"),
      store: new FileStore(join(dir, name)),
    });
  }

  const dealt = (who: Process) => who.said.filter((line) => line.startsWith("dealt")).length;

  it("servers are one model: same name, same weights at the dealer, told once", async () => {
    const [a, b] = [await client(0, "one"), await client(1, "one")];
    expect(a.model).toEqual(b.model);
    const { bytes } = await a.infer(a.encode(TEXT));
    const again = await b.infer(b.encode(TEXT));
    expect([bytes.setup.server_to_dealer > 0, again.bytes.setup.server_to_dealer]).toEqual([true, 0]);
    await Promise.all([a.close(), b.close()]);
  });

  it("what one prepared the other uses", async () => {
    const a = await client(0, "two");
    const shape = oneTurn(16);
    await a.prepare(shape);
    await a.close();
    const before = dealt(dealer);
    const b = await client(1, "two");
    expect(await b.prepared(shape)).toBe(1);
    const run = await b.infer(b.encode(TEXT));
    expect([run.bytes.offline.dealer_to_server, dealt(dealer)]).toEqual([0, before]);
    expect(await b.prepared(shape)).toBe(0);
    await b.close();
  });

  it("of two uses that race at two servers one wins, and the loser's copy is burnt", async () => {
    const rounds = 5;
    const wins: number[] = [];
    for (let i = 0; i < rounds; i++) {
      const a = await client(0, "three");
      await a.prepare(oneTurn(16));
      await a.close();
      // A client's whole machine is copied, its ledger as well: it cannot know that there are two of it.
      for (const part of ["", ".used"])
        await cp(join(dir, `three${part}`), join(dir, `four${i}${part}`), { recursive: true });
      const twins = [await client(0, "three"), await client(1, `four${i}`)];
      const results = await Promise.allSettled(twins.map((twin) => twin.infer(twin.encode(TEXT))));
      wins.push(results.filter((result) => result.status === "fulfilled").length);
      for (const result of results)
        if (result.status === "rejected")
          expect(String(result.reason)).toMatch(/the server has no such material, or it was used/);
      await Promise.all(twins.map((twin) => twin.close()));
    }
    expect(wins).toEqual(Array(rounds).fill(1));
  });

  it("a server that is killed takes nothing with it", async () => {
    const a = await client(0, "five");
    await a.prepare(oneTurn(16));
    await a.close();
    await servers[0].stop("SIGKILL");
    servers[0] = await serve();
    const again = await client(0, "five");
    expect((await again.infer(again.encode(TEXT))).bytes.offline.dealer_to_server).toBe(0);
    await again.close();
  });

  it("two dealers meet in a Redis of their own, which has no disk, so that it cannot be the servers'", async () => {
    const meeting = await startRedis(["--appendonly", "no"]);
    const dealers: Process[] = [];
    try {
      for (let i = 0; i < 2; i++) dealers.push(await start("deal", "--meet", meeting.url, "--deadline", "300"));
      const [near, far] = dealers.map(({ port }) => `127.0.0.1:${port}`);
      const server = await start("serve", "demo", "--dealer", near, "--deadline", "300");
      dealers.push(server);
      const answers: number[] = [];
      for (const address of [near, far]) {
        const asked = await client(0, "six", { server: server.port, dealer: Number(address.split(":")[1]) });
        answers.push((await asked.infer(asked.encode(TEXT))).logits.length);
        await asked.close();
      }
      expect(answers).toEqual([2, 2]);
      expect(dealers.map(dealt)).toEqual([2, 0, 0]);
      const left = await keysAt(meeting.url);
      expect(left.filter((key) => !key.startsWith("mpcformer:came:"))).toEqual([]);
      await expect(start("deal", "--meet", redis.url)).rejects.toThrow(
        `the dealers' Redis must run with appendonly "no", not "yes": seeds reach no disk`,
      );
    } finally {
      for (const process of dealers) await process.stop();
      await meeting.stop();
    }
  });

  it("nobody says a secret", () => {
    // A server's model has a public id, in its profile too.
    for (const { said } of [dealer, ...servers]) {
      const text = said.join("\n");
      const ids = new Set(text.match(/\b[0-9a-f]{64}\b/g));
      expect(ids.size).toBe(said === dealer.said ? 0 : 1);
      expect([...ids].reduce((rest, id) => rest.replaceAll(id, ""), text)).not.toMatch(/[0-9a-f]{16}/);
    }
  });
});
