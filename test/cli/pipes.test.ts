/** Where nobody looks: closed pipes, and progress in files. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { formatSeconds } from "../../src/cli/format.ts";
import { Progress } from "../../src/cli/progress.ts";
import { MAIN, piped } from "./started.ts";

const SOURCES = fileURLToPath(new URL("../../src/cli", import.meta.url));

/** A command whose stdout is closed by its reader before the first word. */
async function unread(...args: string[]) {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  child.stdout.destroy();
  let err = "";
  child.stderr.on("data", (chunk: Buffer) => {
    err += chunk.toString();
  });
  const [code] = (await once(child, "close")) as [number | null];
  return { code, err };
}

describe("a closed pipe", () => {
  it.each([[["approximations"]], [["--help"]], [["plan", "bert-tiny", "--length", "8", "--json"]]])(
    "ends %j quietly, as it ends other programs",
    async (args) => {
      const { code, err } = await unread(...args);
      expect(err).not.toMatch(/EPIPE|Error| at /);
      expect(code).toBe(141);
    },
  );

  it("ends no service: it goes on to answer", async () => {
    const service = (...args: string[]) =>
      spawn(process.execPath, [MAIN, ...args, "--listen", "127.0.0.1:0", "--log", "text", "--json"], {
        stdio: ["ignore", "pipe", "pipe"],
      });
    const listening = async (child: ReturnType<typeof service>) => {
      const [line] = (await once(createInterface({ input: child.stdout }), "line")) as [string];
      const { host, port } = (JSON.parse(line) as { listening: { host: string; port: number } }).listening;
      child.stdout.destroy();
      child.stderr.destroy();
      return `${host}:${port}`;
    };
    const deal = service("deal");
    const dealer = await listening(deal);
    const serve = service("serve", "demo", "--dealer", dealer);
    const server = await listening(serve);
    // Both tell what they measured and log, to nobody.
    for (const text of ["a dull film", "a joy"]) {
      const { code, err } = await piped(["infer", text, "--server", server, "--dealer", dealer, "--json"]);
      expect(code, err).toBe(0);
    }
    expect([deal.exitCode, serve.exitCode]).toEqual([null, null]);
    for (const child of [serve, deal]) {
      child.kill("SIGTERM");
      expect((await once(child, "exit"))[0]).toBe(0);
    }
  });
});

it("one place alone writes to the terminal", async () => {
  const files = await readdir(SOURCES, { recursive: true });
  for (const file of files.filter((name) => name.endsWith(".ts") && name !== "terminal.ts"))
    expect(await readFile(join(SOURCES, file), "utf8"), file).not.toMatch(/process\.std(out|err)|\bconsole\.\w+\(/);
});

describe("progress in a file", () => {
  let written: string[];
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["performance"] });
    written = [];
    vi.spyOn(process.stderr, "write").mockImplementation((text) => {
      written.push(String(text));
      return true;
    });
  });
  afterEach(() => {
    vi.restoreAllMocks();
    vi.useRealTimers();
  });

  it("is a line now and then, of what is known", () => {
    const progress = new Progress(false);
    const step = progress.of("computing", "steps");
    for (let second = 0; second <= 20; second++) {
      step(second, 20, second > 12 ? "loss 0.5" : "");
      vi.advanceTimersByTime(1000);
    }
    expect(written).toEqual([
      "computing 25% | 1.0 steps/s | 15s left\n",
      "computing 50% | 1.0 steps/s | 10s left\n",
      "computing 75% | 1.0 steps/s | 5s left | loss 0.5\n",
    ]);
  });

  it("foretells nothing without a rate, and says nothing of short work", () => {
    const step = new Progress(false).of("computing");
    step(0, 10);
    vi.advanceTimersByTime(6000);
    step(0, 10);
    for (const done of [1, 5, 10]) step(done, 10);
    expect(written).toEqual(["computing 0%\n"]);
  });

  it("is silent for machines, and once it is stopped", () => {
    const stopped = new Progress(false);
    stopped.stop();
    for (const progress of [new Progress(true), stopped]) {
      const step = progress.of("computing");
      step(0, 2);
      vi.advanceTimersByTime(6000);
      step(1, 2);
    }
    expect(written).toEqual([]);
  });

  it.each([
    [0, "1s"],
    [0.2, "1s"],
    [59.5, "1m00s"],
    [125, "2m05s"],
    [3 * 3600 + 61, "3h01m"],
  ])("%d s are %s", (seconds, text) => expect(formatSeconds(seconds)).toBe(text));
});
