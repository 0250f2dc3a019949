/**
 * Every door with thousands of changed inputs, from a fixed seed and a fresh one, and with a corpus of inputs that once
 * mattered. A failure prints its seed and the shortest changes; the long form is `npm run long -- fuzz`.
 */

import { readdirSync, readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import * as doors from "./doors.ts";
import { type Door, Finding, judge } from "./judge.ts";

const RUNS = 2000;
const FIXED_SEED = 20_260_701;
const CORPUS = new URL("./corpus/", import.meta.url);

const word = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const edits = fc.array(fc.tuple(word, word, word, word), { minLength: 1, maxLength: 4 });

async function fuzz<T>(door: Door<T>, seed: number, numRuns = RUNS): Promise<void> {
  const changed = fc.asyncProperty(fc.nat(door.bases.length - 1), edits, async (base, own) => {
    await judge(door, door.edited(door.bases[base], own));
  });
  await fc.assert(changed, { seed, numRuns });
}

/** Each door of doors.ts, with its own type of input. */
function suite<T>(door: Door<T>): void {
  describe(door.name, () => {
    it("takes its valid inputs", async () => {
      for (const base of door.bases) expect((await judge(door, base)).outcome).toBe("taken");
    });

    it("takes or refuses in one line whatever is changed, from a fixed seed", () => fuzz(door, FIXED_SEED));
    it("and from a fresh one", () => fuzz(door, Date.now() % 2 ** 31));

    const inputs = readdirSync(new URL(`${door.name}/`, CORPUS));
    it.each(inputs)("corpus: %s", async (file) => {
      const input = door.parse(readFileSync(new URL(`${door.name}/${file}`, CORPUS)));
      expect((await judge(door, input)).outcome).toBe(file.split("-")[0]);
    });
  });
}

suite(doors.frames);
suite(doors.safetensors);
suite(doors.config);
suite(doors.model);
suite(doors.tokenizer);
suite(doors.plan);
suite(doors.llama2c);
suite(doors.gguf);

describe("arbitrary bytes", () => {
  it.each([doors.frames, doors.safetensors, doors.gguf])("$name", async (door) => {
    const any = fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (bytes) => void (await judge(door, bytes)));
    await fc.assert(any, { numRuns: RUNS });
  });

  it.each([doors.config, doors.model, doors.plan])("$name", async (door) => {
    const any = fc.asyncProperty(fc.oneof(fc.json(), fc.string()), async (json) => void (await judge(door, json)));
    await fc.assert(any, { numRuns: RUNS });
  });
});

describe("the judge", () => {
  const door = (enter: () => Promise<void>): Door<null> => ({
    name: "",
    bases: [],
    edited: () => null,
    parse: () => null,
    enter,
  });
  const computes = (ms: number) => {
    const start = process.cpuUsage();
    while (process.cpuUsage(start).user < 1000 * ms);
  };
  it.each<[string, () => Promise<void>]>([
    ["an accident", async () => void JSON.parse("{")],
    ["two lines", () => Promise.reject(new Error("a: b\nc"))],
    ["no advice", () => Promise.reject(new Error("wrong"))],
    ["a system's error", async () => void readFileSync("/nowhere")],
    ["a slow answer", async () => computes(150)],
    ["much memory", async () => void Buffer.alloc(200 * 2 ** 20, 1)],
  ])("finds %s", async (_, enter) => {
    await expect(judge(door(enter), null)).rejects.toThrow(Finding);
  });
});
