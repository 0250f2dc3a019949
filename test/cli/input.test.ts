/** Texts from files and standard input: what is asked about is what was written, one answer a line, in order. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { linesOf, type PairOptions, textOf } from "../../src/cli/input.ts";
import { MAIN, type Started, start } from "./started.ts";

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "input-"));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

async function written(content: string | Uint8Array): Promise<string> {
  const path = join(dir, "texts");
  await writeFile(path, content);
  return path;
}

describe("one text", () => {
  it.each([
    ["  a film \n", "  a film "],
    ["a film\r\n", "a film"],
    ["two\n\nlines\n\n", "two\n\nlines\n"],
    ["\ufeffa film", "a film"],
  ])("of a file is what stands there, but for the end of the last line: %j", async (content, text) => {
    expect(await textOf(undefined, { file: await written(content) })).toEqual({ text });
  });

  it("of a pair may come from a file, or stand behind a tab", async () => {
    const file = await written("one\ttwo\n");
    expect(await textOf(undefined, { file, pairs: true })).toEqual({ text: "one", pair: "two" });
    expect(await textOf("a", { pairFile: file })).toEqual({ text: "a", pair: "one\ttwo" });
    expect(await textOf("a\tb", { pairs: true })).toEqual({ text: "a", pair: "b" });
    for (const text of ["a", "a\tb\tc"]) await expect(textOf(text, { pairs: true })).rejects.toThrow(/one tab/);
  });

  it("is one", async () => {
    await expect(textOf("a", { file: "b" })).rejects.toThrow(/not both/);
  });
});

describe("lines", () => {
  async function all(content: string | Uint8Array, options: PairOptions = {}) {
    const found = [];
    for await (const one of linesOf(undefined, { ...options, file: await written(content) })) found.push(one);
    return found;
  }

  it("are counted and kept as they stand: empty ones, spaces, and a last one without an end", async () => {
    expect(await all("\ufeffa\r\n\n  b \n\ufeffc")).toEqual([
      { line: 1, given: { text: "a" } },
      { line: 2, given: { text: "" } },
      { line: 3, given: { text: "  b " } },
      { line: 4, given: { text: "\ufeffc" } },
    ]);
    expect(await all("")).toEqual([]);
  });

  it("longer than a chunk are whole", async () => {
    const long = "é".repeat(100_000);
    expect(await all(`${long}\n${long}`)).toEqual([1, 2].map((line) => ({ line, given: { text: long } })));
  });

  it("that are no text, or no pair, cost the others nothing", async () => {
    const bytes = Buffer.concat([Buffer.from("a\tb\n"), Buffer.from([0xff, 0x0a]), Buffer.from("c\nd\te\n")]);
    const [first, second, third, last] = await all(bytes, { pairs: true });
    expect(first).toEqual({ line: 1, given: { text: "a", pair: "b" } });
    expect(second).toMatchObject({ line: 2, error: { message: expect.stringMatching(/line 2: not UTF-8/) } });
    expect(third).toMatchObject({ line: 3, error: { message: expect.stringMatching(/one tab/) } });
    expect(last).toEqual({ line: 4, given: { text: "d", pair: "e" } });
  });

  it("come from one place", async () => {
    const first = (argument: string | undefined, options: PairOptions) => linesOf(argument, options).next();
    await expect(first("a text", {})).rejects.toThrow(/--lines takes texts from --file F or standard input/);
    await expect(first("-", { file: "x" })).rejects.toThrow(/not both/);
    await expect(first(undefined, { pair: "x" })).rejects.toThrow(/--pairs/);
    await expect(first(undefined, { file: join(dir, "none") })).rejects.toThrow(/cannot read/);
  });
});

describe("standard input", () => {
  let dealer: Started;
  let server: Started;
  beforeAll(async () => {
    const own = ["--listen", "127.0.0.1:0"];
    dealer = await start(["deal", ...own]);
    server = await start(["serve", "demo", ...own, "--dealer", dealer.address]);
  });
  afterAll(() => Promise.all([server?.ended("SIGTERM"), dealer?.ended("SIGTERM")]));

  function infer(...args: string[]) {
    const peers = ["--server", server.address, "--dealer", dealer.address];
    const child = spawn(process.execPath, [MAIN, "infer", ...args, ...peers]);
    let err = "";
    child.stderr.on("data", (chunk: Buffer) => {
      err += chunk;
    });
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    return {
      stdin: child.stdin,
      line: async () => JSON.parse((await lines.next()).value),
      ended: once(child, "close").then(([code]) => ({ code, err })),
    };
  }

  it.each([[[]], [["-"]]])("is the text where none is given: %j", async (args) => {
    const asked = infer(...args, "--json");
    asked.stdin.end("a dull, lifeless film\n");
    expect((await asked.line()).label).toBe("negative");
    expect((await asked.ended).code).toBe(0);
  });

  it("without a text is told so", async () => {
    const asked = infer();
    asked.stdin.end();
    expect(await asked.ended).toEqual({
      code: 1,
      err: "mpcformer: standard input is empty: give a text there, or --file F\n",
    });
  });

  it("has lines that are answered as they come, each by its own", async () => {
    const asked = infer("--lines");
    const answers = [];
    // Each waits for the answer to the one before it: nothing is held back.
    for (const text of ["a dull film", "", "a joy"]) {
      asked.stdin.write(`${text}\n`);
      answers.push(await asked.line());
    }
    asked.stdin.end();
    expect(answers[0]).toMatchObject({ line: 1, label: "negative" });
    expect(answers[1]).toEqual({ line: 2, error: { kind: "failed", message: expect.stringMatching(/empty/) } });
    expect(answers[2]).toMatchObject({ line: 3, label: "positive" });
    expect(await asked.ended).toEqual({
      code: 1,
      err: "mpcformer: 1 of 3 lines have no answer: their own lines say why\n",
    });
  });
});
