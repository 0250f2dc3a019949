/** Where a model's training begins: at random, or with some of another's layers. */

import { sharedWith } from "../models/names.ts";
import { generator, uniforms } from "../models/random.ts";
import { elementCount, requiredWeights } from "../models/weights.ts";
import type { ModelSpec, NamedTensor, Weights } from "../program/spec.ts";
import type { TrainedModel } from "./trained-model.ts";
import type { Parameters } from "./training-ops.ts";

/** BERT's deviation of weights and tables (Devlin et al., arXiv:1810.04805). */
const DEVIATION = 0.02;

/** BERT's and GPT-2's initial weights: N(0, 0.02²), biases 0, gains 1; made when asked for, the same for the same seed. */
export function initialWeights(spec: ModelSpec, seed: number): Weights {
  const shapes = requiredWeights(spec);
  return tied(spec, {
    get(name) {
      const shape = shapes.get(name);
      if (shape === undefined) throw new Error(`the model has no tensor ${name}: check its configuration`);
      return initialTensor(name, shape, seed);
    },
  });
}

/** One tensor at its initial value. */
export function initialTensor(name: string, shape: readonly number[], seed: number): NamedTensor {
  const data = new Float32Array(elementCount(shape));
  if (shape.length === 1) return { shape, data: data.fill(name.endsWith("norm.weight") ? 1 : 0) };
  const uniform = uniforms(generator(`initial ${name}`, seed));
  // Box and Muller: two normal numbers of two uniform ones.
  for (let i = 0; i < data.length; i += 2) {
    const radius = DEVIATION * Math.sqrt(-2 * Math.log(1 - uniform()));
    const angle = 2 * Math.PI * uniform();
    data[i] = radius * Math.cos(angle);
    if (i + 1 < data.length) data[i + 1] = radius * Math.sin(angle);
  }
  return { shape, data };
}

/** The first layers of a model, or as many evenly from all of them, the last included. @throws an Error when it has fewer. */
export function takeLayers({ spec, weights }: TrainedModel, layers: number, which: "first" | "even"): TrainedModel {
  if (layers > spec.layers) throw new Error(`the model has ${spec.layers} layers: take as many or fewer`);
  if (layers < spec.layers && (spec.blocks.layerGroups ?? 1) > 1)
    throw new Error("the model's layers share weights in groups: take all of its layers");
  if (spec.blocks.layerGroups === 1) return { spec: { ...spec, layers }, weights };
  const source = (i: number) => (which === "first" ? i : Math.floor(((i + 1) * spec.layers) / layers) - 1);
  return {
    spec: { ...spec, layers },
    weights: { get: (name) => weights.get(name.replace(/^layer\.(\d+)\./, (_, i) => `layer.${source(Number(i))}.`)) },
  };
}

/** Weights under all names of a model, where those given may lack the head of a tied one. */
export function tied(spec: ModelSpec, weights: Weights): Weights {
  return { get: (name) => weights.get(sharedWith(name, spec) ?? name) };
}

/** Parameters under all names of a model; a tied head and the word table are one. */
export function tiedParameters(spec: ModelSpec, parameters: Parameters): Parameters {
  return (name, shape) => parameters(sharedWith(name, spec) ?? name, shape);
}

/** Every tensor in memory, once. */
export function resident(spec: ModelSpec, weights: Weights): Weights {
  const own = [...requiredWeights(spec).keys()].filter((name) => sharedWith(name, spec) === undefined);
  const tensors = new Map(own.map((name) => [name, weights.get(name)]));
  return tied(spec, { get: (name) => tensors.get(name) ?? weights.get(name) });
}
