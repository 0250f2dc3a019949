/** Gemma 2 (arXiv:2408.00118): Gemma with norms on both sides of a branch, capped scores and logits, and windows in turn. */

import * as v from "valibot";
import type { Blocks } from "../../program/spec.ts";
import { sizes } from "../bounds.ts";
import { activationName, activationOf, only } from "../config-fields.ts";
import { layerTypes, listedWindow, writtenTypes } from "../config-window.ts";
import type { Family, NameTable } from "./family.ts";
import { gain, scaledWords } from "./gemma.ts";
import { llamaBlocks, llamaConfig, llamaNames } from "./llama.ts";

const ACTIVATION = "gelu_pytorch_tanh";

/** What c a file may say of c·tanh(x/c). */
const cap = (usual: number | null) =>
  v.optional(v.nullable(v.pipe(v.number(), v.minValue(1, "must be 1 or more"), v.maxValue(1e4))), usual);

/** The fields of Gemma 2 that Gemma 3 has as well. */
export const gemma2Fields = (caps: { readonly scores: number | null; readonly logits: number | null }) =>
  ({
    hidden_act: v.optional(v.unknown()),
    hidden_activation: v.nullish(v.string(), ACTIVATION),
    attention_bias: only(false, "must be false: biases in attention are not supported"),
    tie_word_embeddings: only(true, "must be true: a head of its own is not supported"),
    use_bidirectional_attention: only(false, "must be false: attention to later tokens is not supported"),
    query_pre_attn_scalar: v.nullish(v.pipe(v.number(), v.minValue(1, "must be 1 or more")), 256),
    sliding_window: v.nullish(sizes.positions, 4096),
    layer_types: layerTypes,
    attn_logit_softcapping: cap(caps.scores),
    final_logit_softcapping: cap(caps.logits),
  }) as const;

type Config = v.InferOutput<v.LooseObjectSchema<ReturnType<typeof gemma2Fields>, undefined>>;

/** The blocks that these fields say; `usual`: the layers with a window where the file lists none. */
export function gemma2Blocks(
  blocks: Blocks,
  config: Config,
  layers: number,
  usual: (layer: number) => boolean,
): Blocks {
  return {
    ...blocks,
    activation: "gelu",
    normPlace: "both",
    scoreScale: (config.query_pre_attn_scalar ?? 256) ** -0.5,
    window: listedWindow(config.sliding_window, config.layer_types, layers, usual),
    caps: { scores: config.attn_logit_softcapping, logits: config.final_logit_softcapping },
  };
}

/** The stand-in that is their function. */
export const gemma2Activation = ({ hidden_activation: name }: Config) =>
  activationOf(name ?? ACTIVATION, "hidden_activation");

/** The fields that give the blocks back. */
export function writtenGemma2(spec: Parameters<Parameters<typeof llamaConfig>[0]["write"]>[0]) {
  const { scoreScale, window, caps } = spec.blocks;
  return {
    hidden_act: undefined,
    hidden_activation: activationName(spec.gelu, ACTIVATION),
    query_pre_attn_scalar: Math.round((scoreScale ?? spec.headWidth ** -0.5) ** -2 * 1e6) / 1e6,
    sliding_window: window?.size ?? null,
    layer_types: writtenTypes(spec),
    attn_logit_softcapping: caps.scores,
    final_logit_softcapping: caps.logits,
  };
}

/** Their names: two norms a branch, their gains stored less one. */
export const gemma2Names: NameTable = {
  ...llamaNames,
  layers: [
    ...llamaNames.layers.filter(([theirs]) => !theirs.endsWith("post_attention_layernorm")),
    ["~layers.#.post_attention_layernorm", "layer.#.attention.branch.norm"],
    ["~layers.#.pre_feedforward_layernorm", "layer.#.norm"],
    ["~layers.#.post_feedforward_layernorm", "layer.#.branch.norm"],
  ],
  changed: {
    "embeddings.word": scaledWords,
    "layer.#.attention.norm.weight": gain,
    "layer.#.attention.branch.norm.weight": gain,
    "layer.#.norm.weight": gain,
    "layer.#.branch.norm.weight": gain,
    "norm.weight": gain,
  },
};

/** The definition of Gemma 2's models. */
export const gemma2: Family = {
  name: "gemma2",
  className: "Gemma2",
  headName: "ForCausalLM",
  isDecoder: true,
  blocks: { ...llamaBlocks, activation: "gelu", normPlace: "both", caps: { scores: 50, logits: 30 } },
  config: llamaConfig({
    name: "gemma2",
    className: "Gemma2",
    fields: gemma2Fields({ scores: 50, logits: 30 }),
    tied: true,
    usualHead: 256,
    blocks: (own, config, { layers }) => gemma2Blocks(own, config, layers, (i) => i % 2 === 0),
    activation: gemma2Activation,
    write: writtenGemma2,
  }),
  names: gemma2Names,
};
