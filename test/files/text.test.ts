/** Text files: UTF-8 or refused, wherever one is read. */
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { textOf } from "../../src/cli/input.ts";
import { securityOfListener } from "../../src/cli/keys.ts";
import { readDocuments } from "../../src/cli/language.ts";
import { readStudies } from "../../src/cli/studies.ts";
import { decodeText, FileError, readTextFile } from "../../src/files/text.ts";
import { catalogSpec } from "../../src/models/catalog.ts";
import { loadSpec, loadTokenizer } from "../../src/models/checkpoint.ts";
import { readLabelled } from "../../src/tasks/labelled.ts";
import { readTexts } from "../../src/tasks/tables.ts";

const LATIN1 = Uint8Array.from([0x61, 0x0a, 0x74, 0xef, 0x6d, 0x65, 0x0a, 0x62]);
const UTF16 = new Uint8Array(Buffer.from("\ufeffonce upon a time", "utf16le"));
const UTF16_BE = UTF16.map((_, i) => UTF16[i ^ 1]);
const UTF16_BARE = UTF16.subarray(2);

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "text-"));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

async function file(name: string, content: Uint8Array | string): Promise<string> {
  const path = join(dir, name);
  await writeFile(path, content);
  return path;
}

describe("bytes as text", () => {
  it("are UTF-8, without a byte order mark", () => {
    expect(decodeText(new TextEncoder().encode("\ufeffdéjà vu 😀\n"), "a")).toBe("déjà vu 😀\n");
    expect(decodeText(new TextEncoder().encode("a\ufeffb"), "a")).toBe("a\ufeffb");
    expect(decodeText(new Uint8Array(0), "a")).toBe("");
    expect(decodeText(new TextEncoder().encode(`${"x".repeat(20)}\0`), "a")).toHaveLength(21);
  });

  it.each([
    ["another encoding", LATIN1, /^a, line 2: not UTF-8; convert the file$/],
    ["a character cut by a line's end", Uint8Array.from([0x61, 0xc3, 0x0a, 0xa9]), /line 1: not UTF-8/],
    ["a lone surrogate", Uint8Array.from([0xed, 0xa0, 0x80]), /line 1: not UTF-8/],
    ["an overlong form", Uint8Array.from([0x0a, 0xc0, 0x80]), /line 2: not UTF-8/],
    ["UTF-16, little endian", UTF16, /^a: UTF-16, not UTF-8; convert the file$/],
    ["UTF-16, big endian", UTF16_BE, /^a: UTF-16/],
    ["UTF-16 without a mark", UTF16_BARE, /^a: UTF-16/],
    ["UTF-32", Uint8Array.from([0xff, 0xfe, 0, 0, 0x61, 0, 0, 0]), /^a: UTF-16/],
  ])("refuses %s", (_, bytes, message) => {
    expect(() => decodeText(bytes, "a")).toThrow(FileError);
    expect(() => decodeText(bytes, "a")).toThrow(message);
  });

  it("tells a missing file, and why it was wanted", async () => {
    const path = join(dir, "none");
    await expect(readTextFile(path, "give one")).rejects.toThrow(`cannot read ${path}: give one`);
  });
});

describe("whoever reads a file", () => {
  const spec = catalogSpec("bert-tiny");
  const readers: readonly (readonly [string, (path: string, folder: string) => Promise<unknown>])[] = [
    ["a text to infer", (path) => textOf(undefined, { file: path })],
    ["texts to calibrate on", readTexts],
    ["labelled texts", (path) => readLabelled(path)],
    ["texts to train on", readDocuments],
    ["a study's results", (path) => readStudies({ studies: path, health: "localhost:0" })],
    ["peers", (path, folder) => securityOfListener({ key: folder, peers: path })],
    ["config.json", (_, folder) => loadSpec(folder)],
    ["tokenizer.json", (_, folder) => loadTokenizer(folder, spec)],
  ];
  it.each(readers)("%s", async (_, read) => {
    for (const bytes of [LATIN1, UTF16]) {
      const path = await file("any", bytes);
      for (const name of ["config.json", "tokenizer.json"]) await file(name, bytes);
      await expect(read(path, dir)).rejects.toThrow(/not UTF-8; convert the file/);
    }
  });

  it("reads through this one door: other readers are of files that this program wrote", async () => {
    const own = ["files/text.ts", "cli/pages.ts", "cli/keys.ts", "cli/commands/study.ts", "distill/curves.ts"];
    const hidden = ["cli/commands/infer.ts", "cli/commands/generate.ts"]; // ids that bench wrote
    const src = join(import.meta.dirname, "../../src");
    const readers: string[] = [];
    for (const name of await readdir(src, { recursive: true })) {
      if (!name.endsWith(".ts")) continue;
      if (/readFile(Sync)?\([^;]*"utf-?8"/.test(await readFile(join(src, name), "utf8"))) readers.push(name);
    }
    expect(readers.filter((name) => ![...own, ...hidden].includes(name))).toEqual([]);
  });
});
