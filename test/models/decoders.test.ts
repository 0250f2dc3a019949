import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { loadEncoder, loadModel, saveModel } from "../../src/models/checkpoint.ts";
import { logitsOf } from "../../src/models/model.ts";
import {
  bytesSource,
  readHeader,
  readTensor,
  type TensorToWrite,
  writeSafetensors,
} from "../../src/models/safetensors.ts";
import { requiredWeights } from "../../src/models/weights.ts";
import type { ModelSpec, Weights } from "../../src/program/spec.ts";
import { FloatOps } from "../../src/reference/float.ts";
import { decoderGolden, decoderNames, fixture } from "./fixtures.ts";
import { greedy } from "./greedy.ts";

/** 32-bit storage against 64-bit floats over two layers of width 32, goldens of five places; logits are of the order of 1. */
const TOLERANCE = 1e-4;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "mpcformer-test-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

function scored(spec: ModelSpec, weights: Weights, ids: readonly number[]): readonly Float32Array[] {
  const text = { ids, types: ids.map(() => 0) };
  const { rows, columns, data } = logitsOf(new FloatOps(weights, text, ids.length, { scoring: true }), spec);
  expect([rows, columns]).toEqual([ids.length, spec.vocabulary]);
  return Array.from({ length: rows }, (_, row) => data.subarray(row * columns, (row + 1) * columns));
}

function expectClose(row: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number): void {
  expect(row.length).toBe(expected.length);
  const worst = Array.from(row, (x, i) => Math.abs(x - expected[i])).reduce((a, b) => Math.max(a, b), 0);
  expect(worst).toBeLessThan(tolerance);
}

describe.each(decoderNames)("%s", (name) => {
  const { texts, cases } = decoderGolden(name);

  it("gives PyTorch's logits of all positions", async () => {
    const { spec, weights } = await loadModel(fixture(name));
    for (const { ids, logits } of cases) {
      scored(spec, weights, ids).forEach((row, i) => {
        expectClose(row, logits[i], TOLERANCE);
      });
    }
  });

  it("goes on as PyTorch does, turn by turn as over the whole text", async () => {
    const { spec, weights } = await loadModel(fixture(name));
    for (const { ids, logits, next } of cases) {
      const turns = greedy(spec, weights, ids, next.length);
      expect(turns.next).toEqual(next);
      expectClose(turns.logits[0], logits[ids.length - 1], TOLERANCE);
      const whole = scored(spec, weights, [...ids, ...next]);
      turns.logits.forEach((row, i) => {
        expectClose(row, whole[ids.length - 1 + i], 1e-5);
      });
    }
  });

  it("tokenizes and decodes as its own tokenizer does", async () => {
    const { tokenizer } = await loadModel(fixture(name));
    for (const { text, ids, decoded } of texts) {
      expect(tokenizer.encode(text).ids).toEqual(ids);
      expect(tokenizer.decode(ids)).toBe(decoded);
    }
  });

  it("decodes the beginning of the ids to the beginning of the text", async () => {
    const { tokenizer } = await loadModel(fixture(name));
    for (const { ids, decoded } of texts) {
      for (let n = 0; n <= ids.length; n++) {
        expect(decoded.startsWith(tokenizer.decode(ids.slice(0, n), { unfinished: true }))).toBe(true);
      }
    }
  });

  it("a saved folder gives the same model, in tensors of the same names and shapes", async () => {
    const model = await loadModel(fixture(name), { softmax: "2quad:4", embedding: "public", answer: "label" });
    await saveModel(folder, model);
    const again = await loadModel(folder);
    expect(again.spec).toEqual(model.spec);
    for (const tensor of requiredWeights(model.spec).keys()) {
      expect(again.weights.get(tensor)).toEqual(model.weights.get(tensor));
    }
    expect(again.tokenizer.files).toEqual(model.tokenizer.files);
    const [mine, theirs] = await Promise.all([folder, fixture(name)].map(shapesOf));
    expect(mine).toEqual(theirs);
  });

  it("shares a tied head with the table of words", async () => {
    const { spec, weights } = await loadModel(fixture(name));
    expect(weights.get("head.weight").data === weights.get("embeddings.word").data).toBe(spec.tied);
    expect(spec.tied).toBe(name !== "llama");
  });

  it("is read without its prefix", async () => {
    cpSync(fixture(name), folder, { recursive: true });
    await rewrite((all) =>
      all.map((one) => ({ ...one, name: one.name.replace(/^(transformer|model(\.decoder)?)\./, "") })),
    );
    const [bare, usual] = [await loadModel(folder), await loadModel(fixture(name))];
    for (const tensor of requiredWeights(usual.spec).keys()) {
      expect(bare.weights.get(tensor)).toEqual(usual.weights.get(tensor));
    }
  });
});

describe("a decoder's folder", () => {
  it("says what its weights lack, by Hugging Face's name", async () => {
    cpSync(fixture("llama"), folder, { recursive: true });
    await rewrite((all) => all.filter((one) => one.name !== "lm_head.weight"));
    await expect(loadModel(folder)).rejects.toThrow("the weights lack lm_head.weight and 0 more tensors");
    cpSync(fixture("gpt2"), folder, { recursive: true });
    await rewrite((all) => all.filter((one) => one.name !== "transformer.h.1.attn.c_attn.weight"));
    await expect(loadModel(folder)).rejects.toThrow("the weights lack transformer.h.1.attn.c_attn.weight and 2 more");
  });

  it("is refused where its tensors are of another shape", async () => {
    cpSync(fixture("gpt2"), folder, { recursive: true });
    await rewrite((all) =>
      all.map((one) => (one.name.endsWith("h.0.attn.c_attn.weight") ? { ...one, shape: [96, 32] } : one)),
    );
    await expect(loadModel(folder)).rejects.toThrow(
      "tensor transformer.h.0.attn.c_attn.weight has shape [96,32], config.json asks for [32,96]: correct one",
    );
  });

  it("is no encoder to train", async () => {
    const head = { problem: "classification", labelNames: ["a", "b"] } as const;
    const fresh = () => expect.fail("not asked for");
    await expect(loadEncoder(fixture("opt"), head, fresh)).rejects.toThrow(/continues texts: give an encoder to train/);
  });
});

async function tensorsOf(path: string): Promise<TensorToWrite[]> {
  const source = bytesSource(readFileSync(join(path, "model.safetensors")));
  const entries = [...(await readHeader(source, "file")).values()];
  return Promise.all(
    entries.map(async (entry) => {
      const { shape, data } = await readTensor(source, entry);
      return { name: entry.name, shape, data: () => data };
    }),
  );
}

async function shapesOf(path: string): Promise<Record<string, readonly number[]>> {
  const shapes = (await tensorsOf(path)).map(({ name, shape }) => [name, shape] as const);
  return Object.fromEntries(shapes.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Writes the folder's tensors again, changed. */
async function rewrite(change: (all: TensorToWrite[]) => TensorToWrite[]): Promise<void> {
  const parts: Uint8Array[] = [];
  await writeSafetensors(change(await tensorsOf(folder)), "F32", async (bytes) => void parts.push(bytes));
  writeFileSync(join(folder, "model.safetensors"), Buffer.concat(parts));
}
