/** Models as this package saves them: a small student, always the same bytes, and what a folder is when it is saved again. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "vitest";
import { randomWeights } from "../../src/models/catalog.ts";
import { loadModel, type Model, saveModel } from "../../src/models/checkpoint.ts";
import { requiredWeights } from "../../src/models/weights.ts";
import { decoderNames, fixture } from "./fixtures.ts";

export const savedNames = ["bert-topics", "roberta-mood"] as const;

/** Saves a model with the shape and tokenizer of a fixture, and weights of its own; an encoder with stand-ins. */
export async function saveStudent(name: string, folder: string): Promise<Model> {
  const decoder = (decoderNames as readonly string[]).includes(name);
  const { spec, tokenizer } = await loadModel(fixture(name), decoder ? {} : { gelu: "quad", softmax: "2quad:5" });
  const model = { spec, tokenizer, weights: randomWeights(spec, 11) };
  await saveModel(folder, model);
  return model;
}

/** Expects a folder that is loaded and saved to have the same spec and the same weights. */
export async function expectSavedAsItWas(folder: string): Promise<void> {
  const model = await loadModel(folder);
  const copy = mkdtempSync(join(tmpdir(), "saved-"));
  await saveModel(copy, model);
  const again = await loadModel(copy);
  rmSync(copy, { recursive: true });
  expect(again.spec).toEqual(model.spec);
  for (const name of requiredWeights(model.spec).keys())
    expect(again.weights.get(name)).toEqual(model.weights.get(name));
}
