/** Small decoders of every kind, with weights large enough that every part of them shows. */

import { baseOf } from "../../src/models/families/all.ts";
import { generator, uniforms } from "../../src/models/random.ts";
import { elementCount, requiredWeights } from "../../src/models/weights.ts";
import type { ModelSpec, NamedTensor, TokenizedText, Weights } from "../../src/program/spec.ts";

const base: ModelSpec = {
  ...baseOf("gpt2"),
  layers: 2,
  hidden: 32,
  heads: 4,
  keyHeads: 4,
  headWidth: 8,
  intermediate: 48,
  vocabulary: 60,
  positions: 40,
  types: 0,
  labels: 60,
  epsilon: 1e-5,
  positionOffset: 0,
  tied: true,
  problem: "generation",
  labelNames: [],
  gelu: "tanh",
  softmax: "exact",
  embedding: "private",
  answer: "scores",
};

/** By what they are called in tests. */
export const decoders: Readonly<Record<string, ModelSpec>> = {
  gpt2: base,
  opt: { ...base, ...baseOf("opt"), positions: 42, positionOffset: 2, gelu: "relu" },
  "opt, post-norm": {
    ...base,
    ...baseOf("opt"),
    positions: 42,
    positionOffset: 2,
    gelu: "relu",
    blocks: { ...baseOf("opt").blocks, normPlace: "after", finalNorm: false },
  },
  llama: { ...base, ...baseOf("llama"), keyHeads: 2, gelu: "exact", tied: false, epsilon: 1e-6 },
  qwen3: { ...base, ...baseOf("qwen3"), keyHeads: 2, gelu: "exact", epsilon: 1e-6 },
  "gemma2, windows, caps": {
    ...base,
    ...baseOf("gemma2"),
    keyHeads: 2,
    gelu: "tanh",
    epsilon: 1e-6,
    blocks: {
      ...baseOf("gemma2").blocks,
      scoreScale: 0.3,
      window: { size: 4, layers: [0] },
      caps: { scores: 20, logits: 30 },
    },
  },
  bloom: { ...base, ...baseOf("bloom"), blocks: { ...baseOf("bloom").blocks, slopes: [0.5, 0.25, 0.1, 0] } },
  olmo2: { ...base, ...baseOf("olmo2"), gelu: "exact", epsilon: 1e-6 },
  "llama, tied, one key head": { ...base, ...baseOf("llama"), keyHeads: 1, gelu: "exact" },
};

/** Uniform weights of deviation 1 / sqrt(inputs), gains about 1; of a tied model the head is the word table. */
export function decoderWeights(spec: ModelSpec, seed: number): Weights {
  const tensors = new Map<string, NamedTensor>();
  for (const [name, shape] of requiredWeights(spec)) {
    const uniform = uniforms(generator(name, seed));
    const size = Math.sqrt(3 / (shape[1] ?? 30));
    const middle = name.endsWith("norm.weight") ? 1 : 0;
    const data = Float32Array.from({ length: elementCount(shape) }, () => middle + size * (2 * uniform() - 1));
    tensors.set(name, { shape, data });
  }
  return {
    get(name) {
      const tensor = tensors.get(spec.tied && name === "head.weight" ? "embeddings.word" : name);
      if (tensor === undefined) throw new Error(`no tensor ${name}`);
      return tensor;
    },
  };
}

/** Texts of these many tokens. */
export function tokenTexts(spec: ModelSpec, lengths: readonly number[]): TokenizedText[] {
  const next = generator("texts", 1);
  return lengths.map((length) => {
    const ids = Array.from({ length }, () => (next() >>> 0) % spec.vocabulary);
    return { ids, types: ids.map(() => 0) };
  });
}
