/** The well-known shapes with random weights: for benchmarks and tests, where the numbers matter but the answers do not. */

import { InternalError } from "../errors.ts";
import { isDecoder, type ModelSpec, type NamedTensor, type TokenizedText, type Weights } from "../program/spec.ts";
import { type SpecOverrides, withOverrides } from "./config.ts";
import { baseOf } from "./families/all.ts";
import { sharedWith } from "./names.ts";
import { generator } from "./random.ts";
import { elementCount, requiredWeights } from "./weights.ts";

type Shape = Omit<ModelSpec, "layers" | "hidden" | "heads" | "keyHeads" | "headWidth" | "intermediate" | "labels">;

/** Two labels and MPCFormer's stand-ins. */
const BERT: Shape = {
  ...baseOf("bert"),
  vocabulary: 30_522,
  positions: 512,
  types: 2,
  epsilon: 1e-12,
  positionOffset: 0,
  tied: false,
  problem: "classification",
  labelNames: ["LABEL_0", "LABEL_1"],
  gelu: "quad",
  softmax: "2quad:5",
  embedding: "public",
  answer: "scores",
};
const ROBERTA: Shape = {
  ...BERT,
  ...baseOf("roberta"),
  vocabulary: 50_265,
  positions: 514,
  types: 1,
  epsilon: 1e-5,
  positionOffset: 2,
};
/** Their own functions: few stand-ins for decoders are known to work. */
const GPT2: Shape = {
  ...BERT,
  ...baseOf("gpt2"),
  vocabulary: 50_257,
  positions: 1024,
  types: 1,
  epsilon: 1e-5,
  tied: true,
  problem: "generation",
  labelNames: [],
  gelu: "tanh",
  softmax: "exact",
};
const OPT: Shape = {
  ...GPT2,
  ...baseOf("opt"),
  vocabulary: 50_272,
  positions: 2050,
  positionOffset: 2,
  gelu: "relu",
};
const LLAMA: Shape = {
  ...GPT2,
  ...baseOf("llama"),
  vocabulary: 32_000,
  positions: 2048,
  tied: false,
  gelu: "exact",
};

/** [family, layers, hidden, heads, key heads, intermediate] of each. */
const SHAPES = {
  "bert-tiny": [BERT, 2, 128, 2, 2, 512],
  "bert-mini": [BERT, 4, 256, 4, 4, 1024],
  "bert-base": [BERT, 12, 768, 12, 12, 3072],
  "bert-large": [BERT, 24, 1024, 16, 16, 4096],
  "roberta-base": [ROBERTA, 12, 768, 12, 12, 3072],
  "gpt2-tiny": [{ ...GPT2, vocabulary: 512, positions: 256 }, 2, 64, 4, 4, 256],
  "opt-tiny": [{ ...OPT, vocabulary: 512, positions: 258 }, 2, 64, 4, 4, 256],
  "llama-tiny": [{ ...LLAMA, vocabulary: 512, positions: 256 }, 2, 64, 4, 2, 128],
  gpt2: [GPT2, 12, 768, 12, 12, 3072],
  "opt-125m": [OPT, 12, 768, 12, 12, 3072],
  tinyllama: [LLAMA, 22, 2048, 32, 4, 5632],
} as const;

/** A shape's name. */
export type CatalogName = keyof typeof SHAPES;

/** The names of all shapes, encoders first, smallest first. */
export const catalogNames = Object.keys(SHAPES) as readonly CatalogName[];

/** The spec of a named shape, its embedding public. @throws an Error that lists the known names. */
export function catalogSpec(name: string, overrides: SpecOverrides = {}): ModelSpec {
  if (!Object.hasOwn(SHAPES, name)) throw new Error(`unknown shape: use one of ${catalogNames.join(", ")}`);
  const [family, layers, hidden, heads, keyHeads, intermediate] = SHAPES[name as CatalogName];
  const labels = isDecoder(family) ? family.vocabulary : family.labelNames.length;
  return withOverrides(
    { ...family, layers, hidden, heads, keyHeads, headWidth: hidden / heads, intermediate, labels },
    overrides,
  );
}

/** A named shape with random weights, the same for the same seed; each tensor is made when it is first asked for. */
export function randomModel(
  name: string,
  seed: number,
  overrides: SpecOverrides = {},
): { readonly spec: ModelSpec; readonly weights: Weights } {
  const spec = catalogSpec(name, overrides);
  return { spec, weights: randomWeights(spec, seed) };
}

/** Random weights for any spec, scaled so that activations stay as large as a trained model's. */
export function randomWeights(spec: ModelSpec, seed: number): Weights {
  const shapes = requiredWeights(spec);
  const made = new Map<string, NamedTensor>();
  const get = (asked: string): NamedTensor => {
    const name = sharedWith(asked, spec) ?? asked;
    const shape = shapes.get(name);
    if (shape === undefined) throw new InternalError(`the random model has no tensor ${name}: ask for one of its own`);
    const tensor = made.get(name) ?? { shape, data: randomTensor(name, shape, seed, spec) };
    made.set(name, tensor);
    return tensor;
  };
  return { get };
}

/** Random token ids of a text of this length, for a benchmark; of a model that fills a masked word, with its place. */
export function randomText(spec: ModelSpec, length: number, seed: number): TokenizedText {
  const next = generator("text", seed);
  const ids = Array.from({ length }, () => (next() >>> 0) % spec.vocabulary);
  const types = ids.map(() => 0);
  return spec.problem === "mask" ? { ids, types, place: length >> 1 } : { ids, types };
}

/**
 * Dense layers: Xavier, N(0, 2 / (inputs + outputs)). Tables and biases: N(0, 0.02²), words twice that. Gains: 1 ± 0.05.
 * Where norms stand first, what the layers add to the stream is made smaller by the root of their number, as GPT-2 does it,
 * and words are ten times larger: the stream stays of the order of 1.
 */
function randomTensor(name: string, shape: readonly number[], seed: number, spec: ModelSpec): Float32Array {
  const gain = shape.length === 1 && name.endsWith("norm.weight");
  const table = name.startsWith("embeddings.") && shape.length === 2;
  if (gain) return normals(name, shape, seed, 1, 0.05);
  if (table) return normals(name, shape, seed, 0, tableDeviation(name, spec));
  if (shape.length === 1) return normals(name, shape, seed, 0, 0.02);
  const residual = spec.blocks.normPlace !== "after" && name.endsWith("output.weight");
  const deviation = Math.sqrt(2 / (shape[0] + shape[1]));
  return normals(name, shape, seed, 0, residual ? deviation / Math.sqrt(2 * spec.layers) : deviation);
}

function tableDeviation(name: string, spec: ModelSpec): number {
  if (!name.endsWith("word")) return 0.02;
  return spec.blocks.normPlace === "after" ? 0.04 : 0.2;
}

function normals(name: string, shape: readonly number[], seed: number, mean: number, deviation: number): Float32Array {
  const next = generator(name, seed);
  const scaled = quantiles().map((value) => mean + deviation * value);
  const out = new Float32Array(elementCount(shape));
  for (let i = 0; i + 1 < out.length; i += 2) {
    const bits = next();
    out[i] = scaled[bits & 0xffff];
    out[i + 1] = scaled[bits >>> 16];
  }
  if (out.length % 2 === 1) out[out.length - 1] = scaled[next() & 0xffff];
  return out;
}

let table: Float32Array | undefined;

/** The normal distribution's quantiles at (i + 1/2) / 65,536: a random 16-bit index gives a normal number, fast. */
function quantiles(): Float32Array {
  if (table !== undefined) return table;
  table = new Float32Array(65_536);
  let x = 0;
  for (let i = 0; i < 32_768; i++) {
    const p = (i + 0.5) / 65_536; // the upper half's probability beyond 1/2: ∫_0^x φ = p
    x = solveQuantile(p, x);
    table[32_768 + i] = x;
    table[32_767 - i] = -x;
  }
  return table;
}

/** Newton's method for ∫_0^x φ = p from a start just below. */
function solveQuantile(p: number, start: number): number {
  let x = start;
  for (let i = 0; i < 50; i++) {
    const step = (p - halfNormal(x)) * Math.sqrt(2 * Math.PI) * Math.exp((x * x) / 2);
    x += step;
    if (Math.abs(step) < 1e-9) break;
  }
  return x;
}

/** ∫_0^x φ by its series in odd powers, all terms positive. */
function halfNormal(x: number): number {
  let term = x;
  let sum = x;
  for (let n = 1; term > 1e-14 * sum; n++) {
    term *= (x * x) / (2 * n + 1);
    sum += term;
  }
  return (sum * Math.exp(-(x * x) / 2)) / Math.sqrt(2 * Math.PI);
}
