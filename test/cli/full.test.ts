/** A server whose disk takes no more: what cannot be kept is not promised, and the next text is answered all the same. */
import { spawnSync } from "node:child_process";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { MAIN, type Started, start } from "./started.ts";

let dir: string;
let dealer: Started;
let server: Started;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "full-"));
  dealer = await start(["deal", "--listen", "127.0.0.1:0"]);
  // A file of more than 32 kB cannot be written: the error of a full disk, at a place that a test can choose.
  const listen = ["--listen", "127.0.0.1:0", "--dealer", dealer.address];
  server = await start(["serve", "demo", ...listen, "--store", join(dir, "server"), "--log", "text"], "ulimit -f 32");
});
afterAll(async () => {
  await Promise.all([server?.ended("SIGKILL"), dealer?.ended("SIGKILL")]);
  await rm(dir, { recursive: true, force: true });
});

it.skipIf(spawnSync("bash", ["-c", "ulimit -f 32"]).status !== 0)(
  "says so, keeps nothing half, and goes on",
  async () => {
    const peers = ["--server", server.address, "--dealer", dealer.address];
    const run = (...args: string[]) => spawnSync(process.execPath, [MAIN, ...args, ...peers], { encoding: "utf8" });
    const kept = run("prepare", "--store", join(dir, "client"), "--tokens", "16");
    expect(kept.status).toBe(1);
    const told = kept.stderr.trim().split("\n").at(-1);
    expect(told).toMatch(
      /^mpcformer: the server refused: a fault on this side: its operator finds [0-9a-f]{8} in the log$/,
    );
    const reference = /[0-9a-f]{8}/.exec(told!)![0];
    // This process was busy waiting for the other: it reads the log now.
    await expect.poll(() => server.log()).toMatch(new RegExp(`a session ended: EFBIG.*${reference}`));
    expect(JSON.parse(run("infer", "a dull film", "--json").stdout).label).toBe("negative");
  },
);

it("leaves no part of an item behind", async () => {
  const files = await readdir(join(dir, "server"), { recursive: true });
  expect(files.filter((file) => /partial|material$/.test(file))).toEqual([]);
});
