/** A small student as this package makes it: always the same bytes. */

import { randomWeights } from "../../src/models/catalog.ts";
import { loadModel, type Model, saveModel } from "../../src/models/checkpoint.ts";
import { fixture } from "./fixtures.ts";

export const savedNames = ["bert-topics", "roberta-mood"] as const;

/** Saves a student with the shape and tokenizer of a fixture, and weights of its own. */
export async function saveStudent(name: string, folder: string): Promise<Model> {
  const { spec, tokenizer } = await loadModel(fixture(name), { gelu: "quad", softmax: "2quad:5" });
  const model = { spec, tokenizer, weights: randomWeights(spec, 11) };
  await saveModel(folder, model);
  return model;
}
