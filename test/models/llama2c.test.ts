import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { calibrate } from "../../src/compiler/calibrate.ts";
import { compile } from "../../src/compiler/compile.ts";
import { anyTokenizer } from "../../src/models/any-tokenizer.ts";
import { randomModel } from "../../src/models/catalog.ts";
import { loadModel, saveModel } from "../../src/models/checkpoint.ts";
import { greedyTokens } from "../../src/models/greedy.ts";
import { llama2cModel, llama2cTokenizer, loadLlama2c } from "../../src/models/llama2c.ts";
import { requiredWeights } from "../../src/models/weights.ts";
import { TextInput } from "../../src/parties/text.ts";
import { IntegerWeights } from "../../src/parties/weights.ts";
import { indexOfLargest } from "../../src/program/largest.ts";
import type { ModelSpec, Weights } from "../../src/program/spec.ts";
import { oneTurn } from "../../src/program/steps.ts";
import { runClear } from "../../src/protocols/clear.ts";
import { Ring } from "../../src/ring/ring.ts";
import { greedy } from "./greedy.ts";

const STORIES = new URL("../../../shared/data/models/stories260K", import.meta.url).pathname;
const MODEL = join(STORIES, "stories260K.bin");
const TOKENIZER = join(STORIES, "tok512.bin");
const STORY = ", there was a little girl named Lily. She loved to play outside in the park.";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "mpcformer-test-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** llama2.c's file of a model, its words in the first place and rows of queries and keys in pairs. */
function fileOf({ hidden, heads, ...spec }: ModelSpec, weights: Weights): Uint8Array {
  const header = [hidden, spec.intermediate, spec.layers, heads, spec.keyHeads, -spec.vocabulary, spec.positions];
  const floats: number[] = [];
  const add = (name: string) => void floats.push(...weights.get(name).data);
  const half = hidden / heads / 2;
  const paired = (name: string) => {
    const { data } = weights.get(name);
    for (let head = 0; head < data.length / hidden; head += 2 * half) {
      for (let row = 0; row < 2 * half; row++) {
        const from = head + (row >> 1) + (row % 2) * half;
        floats.push(...data.subarray(from * hidden, (from + 1) * hidden));
      }
    }
  };
  const all = (what: string, write: (name: string) => void = add) => {
    for (let i = 0; i < spec.layers; i++) write(`layer.${i}.${what}.weight`);
  };
  add("embeddings.word");
  all("attention.norm");
  all("query", paired);
  all("key", paired);
  for (const what of ["value", "attention.output", "norm", "gate", "output", "intermediate"]) all(what);
  add("norm.weight");
  floats.push(...new Array(2 * spec.positions * half).fill(0));
  add("head.weight");
  return new Uint8Array(
    Buffer.concat([Buffer.from(Int32Array.from(header).buffer), Buffer.from(Float32Array.from(floats).buffer)]),
  );
}

describe("llama2cModel", () => {
  const { spec, weights } = randomModel("llama-tiny", 5, { embedding: "private" });
  const file = fileOf(spec, weights);

  it("reads every tensor, also with a head of its own", () => {
    const read = llama2cModel(file);
    expect(read.spec).toEqual(spec);
    for (const name of requiredWeights(spec).keys()) expect(read.weights.get(name)).toEqual(weights.get(name));
  });

  it("takes overrides, and bytes that lie anywhere", () => {
    const shifted = Buffer.concat([Uint8Array.of(7), file]).subarray(1);
    const read = llama2cModel(shifted, { gelu: "quad" });
    expect(read.spec.gelu).toBe("quad");
    expect(read.weights.get("head.weight")).toEqual(weights.get("head.weight"));
  });

  it.each<[string, (bytes: Uint8Array, view: DataView) => unknown, RegExp]>([
    ["a cut file", (bytes) => bytes.subarray(0, bytes.length - 4), /its header asks for \d+: copy it again/],
    ["a longer file", (bytes) => Buffer.concat([bytes, bytes.subarray(0, 4)]), /its header asks for/],
    ["a header alone", (bytes) => bytes.subarray(0, 20), /is too short/],
    ["a later version", (_, view) => view.setInt32(0, 0x616b3432, true), /later version: export it as version 0/],
    ["no layers", (_, view) => view.setInt32(8, 0, true), /layers: must be a whole number from 1/],
    ["a negative width", (_, view) => view.setInt32(0, -64, true), /width: must be a whole number/],
    ["heads that do not divide", (_, view) => view.setInt32(16, 3, true), /heads that do not divide/],
    ["the other vocabulary's sign", (_, view) => view.setInt32(20, 512, true), /its header asks for/],
    ["a value that is not finite", (_, view) => view.setUint32(100, 0x7fc00000, true), /embeddings.word has a value/],
  ])("refuses %s", (_, change, message) => {
    const bytes = file.slice();
    const changed = change(bytes, new DataView(bytes.buffer));
    expect(() => llama2cModel(changed instanceof Uint8Array ? changed : bytes)).toThrow(message);
  });
});

/** A tokenizer's file: Llama's first 259 tokens, then these. */
function tokenizerFile(pieces: readonly (readonly [string, number])[]): Uint8Array {
  const bytes = Array.from({ length: 256 }, (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`);
  const first = ["<unk>", "\n<s>\n", "\n</s>\n", ...bytes].map((text) => [text, 0] as const);
  const parts = [...first, ...pieces].map(([text, score]) => {
    const own = Buffer.from(text);
    const head = Buffer.alloc(8);
    head.writeFloatLE(score, 0);
    head.writeInt32LE(own.length, 4);
    return Buffer.concat([head, own]);
  });
  return Buffer.concat([Buffer.from([8, 0, 0, 0]), ...parts]);
}

/** llama2.c's `encode`, in its own words: letters or bytes, then the best neighbours are joined until there are none. */
function llama2cEncode(pieces: readonly (readonly [string, number])[], text: string): number[] {
  const ids = new Map(pieces.map(([piece], i) => [piece, i + 259]));
  const piece = (id: number) => (id < 259 ? "\0" : pieces[id - 259][0]);
  const tokens = [...(text === "" ? "" : ` ${text}`)].flatMap((letter) => {
    const id = ids.get(letter);
    return id === undefined ? [...Buffer.from(letter)].map((byte) => byte + 3) : [id];
  });
  for (;;) {
    let [best, at] = [-1e10, -1];
    for (let i = 0; i + 1 < tokens.length; i++) {
      const id = ids.get(piece(tokens[i]) + piece(tokens[i + 1]));
      if (id !== undefined && pieces[id - 259][1] > best) [best, at] = [pieces[id - 259][1], i];
    }
    if (at < 0) return [1, ...tokens];
    tokens.splice(at, 2, ids.get(piece(tokens[at]) + piece(tokens[at + 1]))!);
  }
}

/** The pieces of a tokenizer's file behind Llama's first 259. */
function piecesOf(file: Buffer): (readonly [string, number])[] {
  const pieces: (readonly [string, number])[] = [];
  for (let at = 4; at < file.length; ) {
    const length = file.readInt32LE(at + 4);
    pieces.push([file.toString("utf8", at + 8, at + 8 + length), file.readFloatLE(at)]);
    at += 8 + length;
  }
  return pieces.slice(259);
}

const PIECES: readonly (readonly [string, number])[] = [
  [" a", -1],
  ["ab", -2],
  ["bc", -3],
  ["abc", -4],
  [" abc", -5],
  [" ", -6],
  ["a", -7],
  ["b", -8],
  ["c", -9],
  ["é", -10],
];
const SIZE = 259 + PIECES.length;
const { spec: shape } = randomModel("llama-tiny", 1);

describe("llama2cTokenizer", () => {
  const tokenizer = anyTokenizer(llama2cTokenizer(tokenizerFile(PIECES), SIZE), { ...shape, vocabulary: SIZE });

  it.each(["abc", "a", "", " abc  abc", "bcabcab", "é\n東ab", "cab bac abcabc"])(
    "encodes %j as llama2.c does",
    (text) => {
      const { ids } = tokenizer.encode(text);
      expect(ids).toEqual(llama2cEncode(PIECES, text));
      expect(tokenizer.decode(ids)).toBe(text);
    },
  );

  it("knows the end", () => expect(tokenizer.endId).toBe(2));

  it.each<[string, Uint8Array, RegExp]>([
    ["too few tokens", tokenizerFile(PIECES.slice(1)), /does not hold the model's 269 tokens/],
    ["too many tokens", tokenizerFile([...PIECES, ["x", -11]]), /holds more than the model's 269 tokens/],
    ["a cut file", tokenizerFile(PIECES).subarray(0, 3000), /does not hold/],
    ["an empty file", new Uint8Array(0), /does not hold/],
    ["a token twice", tokenizerFile([...PIECES.slice(1), ["a", -11]]), /a token twice/],
    ["other first tokens", tokenizerFile(PIECES).map((byte) => (byte === 0x30 ? 0x31 : byte)), /an unusual token 3/],
    ["a score that is none", tokenizerFile([...PIECES.slice(1), ["x", Number.NaN]]), /a token 268 without a score/],
    ["a token without end", tokenizerFile([...PIECES.slice(1), ["x".repeat(2 ** 20), -11]]), /or too long/],
    ["a token that is not UTF-8", tokenizerFile(PIECES).map((byte) => (byte === 0xc3 ? 0xff : byte)), /not UTF-8/],
  ])("refuses %s", (_, bytes, message) => {
    expect(() => llama2cTokenizer(bytes, SIZE)).toThrow(message);
  });

  it("says when a file is not there", async () => {
    await expect(loadLlama2c(join(folder, "no"), "no")).rejects.toThrow(/^the model's file cannot be read/);
  });
});

describe.skipIf(!existsSync(MODEL))("stories260K (needs ../shared/data)", () => {
  it("tells its story, also from a saved folder", async () => {
    const converted = await loadLlama2c(MODEL, TOKENIZER);
    await saveModel(folder, converted);
    const { spec, weights, tokenizer } = await loadModel(folder);
    expect(spec).toEqual(converted.spec);
    expect(spec).toMatchObject({ layers: 5, hidden: 64, heads: 8, keyHeads: 4, intermediate: 172, tied: true });
    for (const model of [converted, { weights, tokenizer }]) {
      const { ids } = model.tokenizer.encode("Once upon a time");
      const { next } = greedy(spec, model.weights, ids, 60);
      expect(model.tokenizer.decode(next).slice(0, STORY.length)).toBe(STORY);
    }
  });

  it("halves in F16 and tells the same", async () => {
    await saveModel(folder, await loadLlama2c(MODEL, TOKENIZER), { dtype: "F16" });
    const { spec, weights, tokenizer } = await loadModel(folder);
    const { next } = greedy(spec, weights, tokenizer.encode("Once upon a time").ids, 40);
    expect(STORY.startsWith(tokenizer.decode(next).slice(0, STORY.length))).toBe(true);
  });

  it("goes on for 200 tokens in fixed point as in floats", async () => {
    const { spec, weights, tokenizer } = await loadLlama2c(MODEL, TOKENIZER);
    const prompt = tokenizer.encode("Once upon a time");
    const told = greedyTokens(spec, weights, prompt, 200);
    const other = tokenizer.encode("One day, a boy named Tim found a big box in the park. He was very happy.");
    const ids = [...prompt.ids, ...told];
    const plan = calibrate(spec, weights, [{ ids, types: ids.map(() => 0) }, other]);
    const program = compile(spec, plan, { ...oneTurn(8), turns: 200 });
    const ring = await Ring.create();
    const integers = await new IntegerWeights(ring).for(program, async () => weights);
    const said: number[] = [];
    const choose = (logits: readonly number[]) => {
      said.push(indexOfLargest(Float32Array.from(logits)));
      return said[said.length - 1];
    };
    runClear(ring, program, integers, new TextInput(ring, program, spec, prompt, null), { choose });
    expect(said).toEqual(told.slice(0, said.length));
    expect(said).toHaveLength(199);
  });

  it("encodes texts as llama2.c does", async () => {
    const { tokenizer } = await loadLlama2c(MODEL, TOKENIZER);
    const pieces = piecesOf(readFileSync(TOKENIZER));
    const letters = pieces.map(([piece]) => piece).filter((piece) => [...piece].length < 4);
    const texts = ["Once upon a time", "Lily's cat said: “Mew!”\n\nThe end.", "  two  spaces ", "東京 in 1998"];
    for (let i = 0; i < 300; i++) {
      texts.push(Array.from({ length: 12 }, (_, j) => letters[(i * 7919 + j * j * 104_729) % letters.length]).join(""));
    }
    for (const text of [...texts, "aaaaaaaaa", "ththththe", "hehehehehe", ".......", "lllllllll"]) {
      expect(tokenizer.encode(text).ids).toEqual(llama2cEncode(pieces, text));
    }
  });
});
