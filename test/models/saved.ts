/** A small student as this package makes it: always the same bytes. */

import { randomWeights } from "../../src/models/catalog.ts";
import { loadModel, type Model, saveModel } from "../../src/models/checkpoint.ts";
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
