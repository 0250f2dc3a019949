/**
 * Hugging Face's tensor names and the program's, as data read in both directions. `#` is a layer's number; a pair without a
 * suffix stands for its `.weight` and `.bias`.
 */

import type { ModelSpec } from "../program/spec.ts";

type Architecture = ModelSpec["architecture"];

/** [Hugging Face, program]. `~` is the encoder's prefix: `bert.`, `roberta.`, or none in a bare encoder. */
const ENCODER: readonly (readonly [string, string])[] = [
  ["~embeddings.LayerNorm", "embeddings.norm"],
  ["~encoder.layer.#.attention.self.query", "layer.#.query"],
  ["~encoder.layer.#.attention.self.key", "layer.#.key"],
  ["~encoder.layer.#.attention.self.value", "layer.#.value"],
  ["~encoder.layer.#.attention.output.dense", "layer.#.attention.output"],
  ["~encoder.layer.#.attention.output.LayerNorm", "layer.#.attention.norm"],
  ["~encoder.layer.#.intermediate.dense", "layer.#.intermediate"],
  ["~encoder.layer.#.output.dense", "layer.#.output"],
  ["~encoder.layer.#.output.LayerNorm", "layer.#.norm"],
];
const TABLES: readonly (readonly [string, string])[] = [
  ["~embeddings.word_embeddings.weight", "embeddings.word"],
  ["~embeddings.position_embeddings.weight", "embeddings.position"],
  ["~embeddings.token_type_embeddings.weight", "embeddings.type"],
];
const HEADS: Readonly<Record<Architecture, readonly (readonly [string, string])[]>> = {
  bert: [
    ["~pooler.dense", "pooler"],
    ["classifier", "classifier"],
  ],
  roberta: [
    ["classifier.dense", "pooler"],
    ["classifier.out_proj", "classifier"],
  ],
};

/** Whether a name of the program belongs to the classifier's head, which a bare encoder lacks. */
export function isHead(name: string): boolean {
  return /^(pooler|classifier)\./.test(name);
}

/**
 * The names under which Hugging Face files may hold a tensor of the program, the usual one first. Old BERT files call a
 * layer norm's weight and bias gamma and beta.
 */
export function checkpointNames(name: string, architecture: Architecture): readonly string[] {
  const usual = usualName(name);
  const table = [...ENCODER.flatMap(withSuffixes), ...TABLES, ...HEADS[architecture].flatMap(withSuffixes)];
  const pattern = table.find(([, ours]) => ours === usual.pattern)?.[0];
  if (pattern === undefined) throw new Error(`the checkpoint has no place for ${name}: add it to the table of names`);
  const theirs = pattern.replace("#", usual.layer);
  const prefixed = theirs.startsWith("~") ? [`${architecture}.${theirs.slice(1)}`, theirs.slice(1)] : [theirs];
  return prefixed.flatMap((one) => [one, ...oldName(one)]);
}

function usualName(name: string): { pattern: string; layer: string } {
  const layer = /^layer\.(\d+)\./.exec(name)?.[1] ?? "";
  return { pattern: layer === "" ? name : name.replace(`layer.${layer}.`, "layer.#."), layer };
}

function withSuffixes([theirs, ours]: readonly [string, string]): (readonly [string, string])[] {
  return [".weight", ".bias"].map((suffix) => [theirs + suffix, ours + suffix]);
}

function oldName(name: string): string[] {
  if (name.endsWith("LayerNorm.weight")) return [name.replace(/weight$/, "gamma")];
  return name.endsWith("LayerNorm.bias") ? [name.replace(/bias$/, "beta")] : [];
}
