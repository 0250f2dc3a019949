/** A Redis of a test's own, on this machine. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

function installed(): boolean {
  try {
    execFileSync("redis-server", ["--version"]);
    return true;
  } catch {
    return false;
  }
}

/** Why the tests with Redis cannot run here; undefined where they can. */
export const NO_REDIS = installed()
  ? undefined
  : "redis-server is not installed (Debian: apt-get install redis-server)";

export const DURABLE = ["--appendonly", "yes", "--appendfsync", "always"];

export interface RunningRedis {
  readonly url: string;
  stop(): Promise<void>;
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Starts one with an empty folder, or that of an earlier one, which then stays. */
export async function startRedis(settings: readonly string[] = DURABLE, folder?: string): Promise<RunningRedis> {
  const dir = folder ?? (await mkdtemp(join(tmpdir(), "redis-")));
  const port = await freePort();
  const own = ["--port", String(port), "--bind", "127.0.0.1", "--dir", dir, "--save", ""];
  const child = spawn("redis-server", [...own, ...settings], { stdio: ["ignore", "pipe", "inherit"] });
  await ready(child);
  const stop = async () => {
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await ended;
    if (folder === undefined) await rm(dir, { recursive: true, force: true });
  };
  return { url: `redis://127.0.0.1:${port}/0`, stop };
}

function ready(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    child.stdout!.on("data", (chunk: Buffer) => {
      if (chunk.includes("Ready to accept connections")) resolve();
    });
    child.once("exit", () => reject(new Error("redis-server did not start")));
  });
}
