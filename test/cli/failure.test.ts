/** How every command fails: one line, or one JSON object; an exit code that says whose fault it is. */
import { spawnSync } from "node:child_process";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { portOf } from "../../src/channels/tcp.ts";
import { Failure, failureFrom, report, UsageError } from "../../src/cli/failure.ts";
import { run } from "../../src/cli/program.ts";
import { writeForMachines } from "../../src/cli/terminal.ts";
import { InternalError } from "../../src/errors.ts";
import { MAIN } from "./started.ts";

const COMMANDS = fileURLToPath(new URL("../../src/cli/commands", import.meta.url));

let dir: string;
/** A port that another program has. */
let taken: Server;
let at: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "failure-"));
  taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
  at = `127.0.0.1:${portOf(taken)}`;
  await writeFile(join(dir, "file"), "SECRET\n");
});
afterAll(async () => {
  taken.close();
  await rm(dir, { recursive: true, force: true });
});

let out = "";
let err = "";
beforeEach(() => {
  [out, err] = ["", ""];
  vi.spyOn(process.stdout, "write").mockImplementation((text) => {
    out += text;
    return true;
  });
  vi.spyOn(process.stderr, "write").mockImplementation((text) => {
    err += text;
    return true;
  });
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
  writeForMachines(false);
});

const missing = "/no/such/file";
const file = () => join(dir, "file");
const parties = ["server", "dealer"].flatMap((who) => [`--${who}`, "ws://x", `--${who}-key`, "0".repeat(64)]);
const trains = ["--data", missing, "--out", "/no/such/folder"];

/** Of every command: a command line that is wrong, and one that fails though it is right. */
const wrong: Readonly<Record<string, { readonly usage: readonly string[]; readonly failed: () => readonly string[] }>> =
  {
    approximations: { usage: ["--no-such"], failed: () => [] },
    audit: { usage: ["demo", "--sessions", "0"], failed: () => ["--dealer", "127.0.0.1:1"] },
    bench: { usage: ["bert-tiny", "--length", "x"], failed: () => [missing, "--length", "8"] },
    "build-native": { usage: ["--no-such"], failed: () => ["--cc", "/no/such/cc"] },
    calibrate: { usage: ["demo"], failed: () => [missing, "--data", missing] },
    chat: { usage: ["--positions", "0"], failed: () => ["--server", "127.0.0.1:1"] },
    completion: { usage: ["--no-such"], failed: () => [] },
    convert: { usage: ["model.bin"], failed: () => [missing, "--tokenizer", missing, "--out", missing] },
    deal: { usage: ["--deadline", "never"], failed: () => ["--listen", at] },
    demo: { usage: ["--max-tokens", "0"], failed: () => [""] },
    distill: { usage: ["--teacher", missing], failed: () => ["--teacher", missing, ...trains] },
    doctor: { usage: ["everything"], failed: () => [] },
    evaluate: { usage: ["demo"], failed: () => ["demo", "--data", missing] },
    finetune: { usage: ["--lr", "0", ...trains], failed: () => ["--from", missing, ...trains] },
    gateway: { usage: ["--listen", "0.0.0.0:1"], failed: () => ["--server", "127.0.0.1:1"] },
    generate: { usage: ["SECRET", "--top-p", "2"], failed: () => ["SECRET", "--server", "127.0.0.1:1"] },
    helper: { usage: ["--server", "here"], failed: () => ["--listen", at] },
    infer: { usage: ["SECRET", "--server", "here"], failed: () => ["SECRET", "--server", "127.0.0.1:1"] },
    keys: { usage: [], failed: () => [join(file(), "keys")] },
    plan: { usage: ["bert-tiny"], failed: () => [missing, "--length", "8"] },
    prepare: { usage: [], failed: () => ["--store", join(dir, "store"), "--server", "127.0.0.1:1"] },
    pretrain: { usage: ["--out", missing], failed: () => ["--texts", missing, "--out", missing] },
    serve: { usage: ["bert-base"], failed: () => [missing] },
    study: { usage: ["study.yaml"], failed: () => [file(), "--out", missing] },
    up: { usage: ["demo", "--max-tokens", "0"], failed: () => [missing] },
    web: { usage: ["demo", "--server", "ws://x"], failed: () => ["--listen", at, ...parties] },
  };
/** They look at this program alone, and cannot fail. */
const NEVER_FAIL = ["approximations", "completion", "doctor"];

it("every command is among these", async () => {
  const files = (await readdir(COMMANDS)).map((name) => name.replace(".ts", ""));
  expect(Object.keys(wrong).sort()).toEqual(files.sort());
});

describe.each(Object.keys(wrong))("%s", (name) => {
  const { usage, failed } = wrong[name];
  const cases: [string, number, () => readonly string[]][] = [["usage", 2, () => usage]];
  if (!NEVER_FAIL.includes(name)) cases.push(["failed", 1, failed]);

  it.each(cases)("%s: exit code %d", async (kind, code, args) => {
    expect(await run([name, ...args()])).toBe(code);
    expect(err).toMatch(/^mpcformer: .+\n$/);
    const line = err.slice("mpcformer: ".length, -1);
    err = "";
    expect(await run([name, ...args(), "--json"])).toBe(code);
    expect(JSON.parse(err)).toEqual({ error: { kind, message: line } });
    expect(out).toBe("");
    expect(err).not.toMatch(/SECRET/);
  });
});

describe("a command line", () => {
  it.each([
    [["infre", "text"], /^mpcformer: unknown command 'infre' \(Did you mean infer\?\)\n$/],
    [["infer", "text", "--sever", "x"], /^mpcformer: unknown option '--sever' \(Did you mean --server\?\)\n$/],
  ])("that is mistyped is told what was meant: %j", async (args, message) => {
    expect(await run(args)).toBe(2);
    expect(err).toMatch(message);
  });

  it("without a command is told which there are", async () => {
    expect(await run([])).toBe(2);
    expect(err).toMatch(/^Usage: mpcformer .*\n {2}infer /s);
  });

  it("that asks for help or the version gets it", async () => {
    for (const args of [["--help"], ["infer", "--help"], ["help", "infer"], ["--version"]]) {
      out = "";
      expect(await run(args)).toBe(0);
      expect(out).toMatch(/^Usage: mpcformer|^\d+\.\d+/);
    }
    expect(err).toBe("");
  });
});

describe("a fault of the program", () => {
  it.each([new InternalError("the ring is square"), new TypeError("x is undefined"), "thrown"])(
    "has a code of its own: %s",
    (error) => {
      expect(report(error)).toBe(70);
      expect(err).toMatch(/^mpcformer: a fault of mpcformer itself: .* \(please report it; --debug shows where\)\n$/);
    },
  );
});

describe("--debug", () => {
  const error = new Failure("cannot go on", { cause: new Error("a reason", { cause: new RangeError("the root") }) });

  it("shows stacks, and the causes of causes", () => {
    report(error);
    expect(err).toBe("mpcformer: cannot go on\n");
    vi.stubEnv("MPCFORMER_DEBUG", "1");
    err = "";
    report(error);
    expect(err).toMatch(
      /^mpcformer: cannot go on\nFailure: cannot go on\n +at .*caused by Error: a reason\n +at .*caused by RangeError: the root\n/s,
    );
  });

  it("is passed on between processes, as kinds are", () => {
    vi.stubEnv("MPCFORMER_DEBUG", "1");
    writeForMachines(true);
    report(error);
    const again = failureFrom(err.trim(), "nothing was told");
    expect(again).toBeInstanceOf(Failure);
    expect((again.cause as Error).stack).toBe(error.stack);
    expect(((again.cause as Error).cause as Error).message).toBe("a reason");
    for (const one of [new UsageError("a"), new InternalError("b")]) {
      err = "";
      report(one);
      expect(failureFrom(err.trim(), "")).toBeInstanceOf(one.constructor);
    }
    expect(failureFrom("", "nothing was told").message).toBe("nothing was told");
  });

  it("and exit codes reach whoever runs the program", () => {
    const ran = spawnSync(process.execPath, [MAIN, "keys", "--debug", join(file(), "keys")], { encoding: "utf8" });
    expect(ran.status).toBe(1);
    expect(ran.stderr).toMatch(/^mpcformer: cannot write keys.*\nFailure: .*caused by Error: E[A-Z]+/s);
  });
});
