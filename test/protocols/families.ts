/** Small models that together have every kind of step. */
import { baseOf } from "../../src/models/families/all.ts";
import type { ModelSpec } from "../../src/program/spec.ts";
import { oneTurn, type Shape } from "../../src/program/steps.ts";
import { TINY_VECTOR } from "../parties/harness.ts";

export interface Family {
  readonly name: string;
  readonly spec: Partial<ModelSpec>;
  readonly shape: Shape;
}

const DECODER = {
  types: 1,
  labels: 60,
  labelNames: [],
  problem: "generation",
} satisfies Partial<ModelSpec>;

export const FAMILIES: readonly Family[] = [
  {
    name: "quad, 2quad, private embedding",
    spec: { gelu: "quad", softmax: "2quad:5", embedding: "private" },
    shape: oneTurn(16),
  },
  {
    name: "exact, public embedding",
    spec: { gelu: "exact", softmax: "exact", embedding: "public" },
    shape: oneTurn(16),
  },
  {
    name: "relu, 2relu, the label alone",
    spec: { gelu: "relu", softmax: "2relu", embedding: "public", answer: "label" },
    shape: oneTurn(16),
  },
  {
    name: "quad, 2quad, checked",
    spec: { gelu: "quad", softmax: "2quad:5", embedding: "private" },
    shape: { ...oneTurn(16), verified: true },
  },
  {
    name: "exact, checked",
    spec: { layers: 1, gelu: "exact", softmax: "exact", embedding: "public" },
    shape: { ...oneTurn(8), verified: true },
  },
  {
    name: "a text's vector",
    spec: { ...TINY_VECTOR, gelu: "quad", softmax: "2quad:5", embedding: "public" },
    shape: oneTurn(16),
  },
  {
    name: "a masked word",
    spec: { problem: "mask", labels: 60, labelNames: [], tied: true, gelu: "quad", softmax: "2quad:5" },
    shape: oneTurn(16),
  },
  {
    name: "disentangled attention",
    spec: { ...baseOf("deberta-v2"), gelu: "exact", softmax: "exact", embedding: "private" },
    shape: oneTurn(16),
  },
  {
    name: "numbers of distances, 2quad",
    spec: { ...baseOf("mpnet"), positionOffset: 2, gelu: "quad", softmax: "2quad:5", embedding: "public" },
    shape: oneTurn(16),
  },
  {
    name: "a text that a helper carries",
    spec: { gelu: "quad", softmax: "2quad:5", embedding: "private" },
    shape: { ...oneTurn(16), carried: true },
  },
  {
    name: "qwen3 with a window, slopes and caps, three turns",
    spec: {
      ...DECODER,
      ...baseOf("qwen3"),
      blocks: {
        ...baseOf("qwen3").blocks,
        window: { size: 5, layers: [1] },
        slopes: [0.5, 0.25, 0.125, 0],
        caps: { scores: 20, logits: 30 },
      },
      gelu: "exact",
      softmax: "exact",
      embedding: "private",
      keyHeads: 2,
    },
    shape: { ...oneTurn(16), turns: 3 },
  },
  {
    name: "gpt2, two turns, checked",
    spec: {
      ...DECODER,
      ...baseOf("gpt2"),
      layers: 1,
      gelu: "tanh",
      softmax: "2quad:5",
      embedding: "public",
      answer: "label",
    },
    shape: { ...oneTurn(8), turns: 2, verified: true },
  },
  {
    name: "gpt2, three sampled turns, tokens alone",
    spec: {
      ...DECODER,
      ...baseOf("gpt2"),
      gelu: "tanh",
      softmax: "2quad:5",
      embedding: "public",
      answer: "label",
    },
    shape: { ...oneTurn(16), turns: 3, temperature: 0.7 },
  },
];
