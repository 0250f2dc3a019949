/** A `ModelSpec` that another party sent, or that a config.json gave: bounded, and its parts fit together. */

import * as v from "valibot";
import { patchCount, patchWidth } from "../program/images.ts";
import { isDecoder, type ModelSpec, PROBLEMS } from "../program/spec.ts";
import { sizes, whole } from "./bounds.ts";
import { familyNames } from "./families/known.ts";
import { labelSchema } from "./labels.ts";

/** Values of one tensor, at most: 8 GiB as floats. A program for more would fail late, when memory is gone. */
const MOST_VALUES = 2 ** 31;
const name = v.pipe(v.string(), v.maxLength(100));

const least1 = v.pipe(v.number(), v.minValue(1), v.maxValue(1e6));
const layerList = v.pipe(v.array(whole(0, 127)), v.maxLength(128), v.readonly());
const cap = v.nullable(v.pipe(v.number(), v.minValue(1), v.maxValue(1e4)));
const rotary = v.object({
  theta: v.pipe(v.number(), v.minValue(1), v.maxValue(1e12)),
  width: v.nullable(whole(2, 16_384)),
  scaling: v.nullable(
    v.variant("kind", [
      v.object({ kind: v.literal("linear"), factor: least1 }),
      v.object({
        kind: v.literal("llama3"),
        ...{ factor: least1, low: least1, high: least1, original: whole(1, 2 ** 20) },
      }),
    ]),
  ),
  without: layerList,
});
const relative = v.variant("kind", [
  v.object({ kind: v.literal("bias"), buckets: whole(4, 512), most: whole(8, 2 ** 20) }),
  v.object({
    kind: v.literal("disentangled"),
    span: whole(4, 8192),
    most: v.union([v.literal(0), whole(8, 2 ** 20)]),
    ...{ ofQueries: v.boolean(), ofKeys: v.boolean(), shared: v.boolean(), normed: v.boolean() },
  }),
]);
const blocks = v.object({
  norm: v.picklist(["layer", "rms"]),
  normBias: v.boolean(),
  normPlace: v.picklist(["after", "before", "both", "branch"]),
  parallel: v.picklist(["no", "one norm", "two norms"]),
  patches: v.nullable(v.object({ image: whole(1, 4096), size: whole(1, 4096), channels: whole(1, 16) })),
  embeddingNorm: v.boolean(),
  positionTable: v.boolean(),
  typeTable: v.boolean(),
  skipsPadding: v.boolean(),
  queryNorm: v.picklist(["none", "heads", "row"]),
  rotary: v.nullable(rotary),
  relative: v.nullable(relative),
  window: v.nullable(v.object({ size: sizes.positions, layers: layerList })),
  windowRotary: v.nullable(rotary),
  slopes: v.nullable(
    v.pipe(v.array(v.pipe(v.number(), v.minValue(0), v.maxValue(16))), v.maxLength(256), v.readonly()),
  ),
  scoreScale: v.nullable(v.pipe(v.number(), v.minValue(1e-4), v.maxValue(1e3))),
  caps: v.object({ scores: cap, logits: cap }),
  activation: v.picklist(["gelu", "silu"]),
  gated: v.boolean(),
  biases: v.object({ query: v.boolean(), output: v.boolean(), feedForward: v.boolean(), head: v.boolean() }),
  finalNorm: v.boolean(),
  pooler: v.picklist(["tanh", "relu", "gelu", "none"]),
  embeddingWidth: v.nullable(sizes.hidden),
  layerGroups: v.nullable(sizes.layers),
});

const fields = v.object({
  architecture: v.picklist(familyNames),
  isDecoder: v.boolean(),
  blocks,
  ...sizes,
  keyHeads: sizes.heads,
  headWidth: whole(1, 16_384),
  positions: whole(1, 2 ** 20 + 2), // OPT's table has two rows more than its config.json says
  types: whole(1, 64),
  labels: sizes.vocabulary,
  epsilon: v.pipe(v.number(), v.minValue(1e-15), v.maxValue(0.1)),
  positionOffset: whole(0, 65_535),
  tied: v.boolean(),
  problem: v.picklist(PROBLEMS),
  pooling: v.optional(
    v.object({ of: v.picklist(["first", "mean"]), unit: v.boolean(), tokens: v.optional(whole(1, 2 ** 20)) }),
  ),
  labelNames: v.pipe(v.array(labelSchema), v.maxLength(10_000), v.readonly()),
  gelu: name,
  softmax: name,
  embedding: v.picklist(["public", "private"]),
  answer: v.picklist(["scores", "label"]),
});

/** What a party may say of a model. */
export const specSchema = v.pipe(
  fields,
  v.check((spec) => spec.heads % spec.keyHeads === 0, "groups of queries share keys evenly"),
  v.check((spec) => spec.positionOffset < spec.positions, "there are positions"),
  v.check(rotatesWholePairs, "heads that are rotated have an even width"),
  v.check(
    ({ blocks: { parallel, normPlace } }) => parallel === "no" || normPlace === "before",
    "norms stand before parallel branches",
  ),
  v.check(
    ({ blocks, heads, keyHeads }) => blocks.relative?.kind !== "disentangled" || heads === keyHeads,
    "each query head has keys of its own where these have distances",
  ),
  v.check(({ blocks: { relative } }) => relative?.kind !== "bias" || relative.buckets % 4 === 0, "buckets are parted"),
  v.check(
    ({ blocks: { patches }, positions, isDecoder: continues }) =>
      patches === null || (!continues && positions === patchCount(patches) + 1),
    "an image has a position for each patch",
  ),
  v.check(({ blocks, heads }) => blocks.slopes === null || blocks.slopes.length === heads, "heads have a slope each"),
  v.check(
    ({ blocks, isDecoder: causal }) => causal || (blocks.slopes === null && blocks.window === null),
    "windows and slopes are of causal attention",
  ),
  v.check(({ blocks: { layerGroups }, layers }) => layers % (layerGroups ?? 1) === 0, "layers share weights evenly"),
  v.check(labelsFit, "the labels are the problem's"),
  v.check((spec) => largestTensor(spec) <= MOST_VALUES, `a tensor has at most ${MOST_VALUES} values`),
);

/** @throws an Error when a tensor of this shape is too large for any machine; `label` names where the shape is from. */
export function checkSize(spec: ModelSpec, label: string): void {
  if (largestTensor(spec) <= MOST_VALUES) return;
  throw new Error(`${label}: a tensor would have more than ${MOST_VALUES} values: check the width and the vocabulary`);
}

function largestTensor({ hidden, heads, headWidth, intermediate, vocabulary, positions, blocks }: ModelSpec): number {
  const rows = blocks.positionTable ? positions : 0;
  const pixels = blocks.patches === null ? 0 : patchWidth(blocks.patches);
  return hidden * Math.max(hidden, heads * headWidth, intermediate, vocabulary, rows, pixels);
}

function rotatesWholePairs({ blocks, headWidth }: ModelSpec): boolean {
  return [blocks.rotary, blocks.windowRotary].every((one) => {
    const width = one?.width ?? headWidth;
    return one === null || (headWidth % 2 === 0 && width % 2 === 0 && width <= headWidth);
  });
}

function labelsFit(spec: ModelSpec): boolean {
  const { problem, labels, labelNames, vocabulary, answer, pooling, hidden } = spec;
  if ((pooling !== undefined) !== (problem === "vector")) return false;
  if (isDecoder(spec)) return problem === "generation" && labels === vocabulary && labelNames.length === 0;
  if (problem !== "classification" && answer === "label") return false;
  if (problem === "vector") return labels === hidden && labelNames.length === 0;
  if (problem === "mask") return labels === vocabulary && labelNames.length === 0;
  if (problem === "spans" && labels !== 2) return false;
  return problem !== "generation" && labels === labelNames.length;
}
