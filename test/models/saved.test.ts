/**
 * PyTorch reads what this package writes. test/models/fixtures/saved.json has the logits that transformers computes with
 * these very folders (scripts/make-saved-goldens.py); here the folders are made again, byte for byte.
 */
import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { loadModel } from "../../src/models/checkpoint.ts";
import { logitsOf } from "../../src/models/model.ts";
import { FloatOps } from "../../src/reference/float.ts";
import { decoderGolden, decoderNames, golden } from "./fixtures.ts";
import { greedy } from "./greedy.ts";
import { savedNames, saveStudent } from "./saved.ts";

let dir: string;
beforeAll(async () => {
  dir = process.env.SAVED ?? (await mkdtemp(join(tmpdir(), "saved-")));
});
afterAll(async () => {
  if (process.env.SAVED === undefined) await rm(dir, { recursive: true, force: true });
});

/** Saves a fixture's model again, and gives what PyTorch computes with the very same bytes. */
async function torchLogits(name: string): Promise<readonly (readonly number[])[]> {
  await saveStudent(name, join(dir, name));
  const torch: Record<string, { sha256: string; logits: number[][] }> = JSON.parse(
    await readFile(new URL("fixtures/saved.json", import.meta.url), "utf8"),
  );
  const bytes = await readFile(join(dir, name, "model.safetensors"));
  expect(createHash("sha256").update(bytes).digest("hex")).toBe(torch[name].sha256);
  return torch[name].logits;
}

function expectClose(logits: Float32Array, expected: readonly number[]): void {
  expect(logits.length).toBe(expected.length);
  logits.forEach((x, j) => {
    expect(Math.abs(x - expected[j])).toBeLessThan(1e-5);
  });
}

it.each(savedNames)("%s", async (name) => {
  const torch = await torchLogits(name);
  const { spec, weights } = await loadModel(join(dir, name));
  expect([spec.gelu, spec.softmax]).toEqual(["quad", "2quad:5"]);
  golden(name).cases.forEach(({ ids, types }, i) => {
    expectClose(logitsOf(new FloatOps(weights, { ids, types }, ids.length), spec).data, torch[i]);
  });
});

it.each(decoderNames)("%s", async (name) => {
  const torch = await torchLogits(name);
  const { spec, weights } = await loadModel(join(dir, name));
  decoderGolden(name).cases.forEach(({ ids }, i) => {
    expectClose(greedy(spec, weights, ids, 1).logits[0], torch[i]);
  });
});
