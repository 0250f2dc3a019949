/** GPT-2 (Radford et al., 2019). */

import * as v from "valibot";
import type { Blocks } from "../../program/spec.ts";
import { sizes } from "../bounds.ts";
import {
  activationName,
  activationOf,
  type ConfigFormat,
  checkHeads,
  choicesOf,
  decoderFields,
  epsilon,
  generation,
  only,
  ownBlock,
  writtenChoices,
} from "../config-fields.ts";
import { check } from "../json.ts";
import type { Family } from "./family.ts";

/** Norms first, positions from a table, biases everywhere but in the head. */
const blocks: Blocks = {
  norm: "layer",
  normBias: true,
  normPlace: "before",
  parallel: "no",
  patches: null,
  embeddingNorm: false,
  positionTable: true,
  typeTable: false,
  skipsPadding: false,
  queryNorm: "none",
  rotary: null,
  relative: null,
  window: null,
  windowRotary: null,
  slopes: null,
  scoreScale: null,
  caps: { scores: null, logits: null },
  activation: "gelu",
  gated: false,
  biases: { query: true, output: true, feedForward: true, head: false },
  finalNorm: true,
  pooler: "tanh",
  embeddingWidth: null,
  layerGroups: null,
};

const schema = v.looseObject({
  n_layer: sizes.layers,
  n_embd: sizes.hidden,
  n_head: sizes.heads,
  n_inner: v.nullish(sizes.intermediate),
  n_positions: sizes.positions,
  vocab_size: sizes.vocabulary,
  layer_norm_epsilon: epsilon(1e-5),
  activation_function: v.optional(v.string(), "gelu_new"),
  tie_word_embeddings: v.nullish(v.boolean(), true),
  scale_attn_weights: only(true, "must be true: scores without a scale are not supported"),
  scale_attn_by_inverse_layer_idx: only(false, "must be false: scores scaled by layer are not supported"),
  reorder_and_upcast_attn: only(false, "must be false: reordered attention is not supported"),
  add_cross_attention: only(false, "must be false: cross-attention is not supported"),
  ...decoderFields,
  // transformers takes these names as well.
  num_hidden_layers: v.nullish(v.number()),
  hidden_size: v.nullish(v.number()),
  num_attention_heads: v.nullish(v.number()),
  max_position_embeddings: v.nullish(v.number()),
  mpcformer: ownBlock,
});

const config: ConfigFormat = {
  fields: Object.keys(schema.entries),

  read(json) {
    const config = check(schema, json, "config.json");
    checkHeads(config.n_embd, config.n_head, ["n_embd", "n_head"]);
    checkAliases(config);
    return {
      architecture: "gpt2",
      isDecoder: true,
      blocks,
      layers: config.n_layer,
      hidden: config.n_embd,
      heads: config.n_head,
      keyHeads: config.n_head,
      headWidth: config.n_embd / config.n_head,
      intermediate: config.n_inner ?? 4 * config.n_embd,
      vocabulary: config.vocab_size,
      positions: config.n_positions,
      epsilon: config.layer_norm_epsilon,
      positionOffset: 0,
      tied: config.tie_word_embeddings ?? true,
      ...generation(config.vocab_size),
      ...choicesOf(config.mpcformer, () => activationOf(config.activation_function, "activation_function")),
    };
  },

  write: (spec, base) => ({
    architectures: [base ? "GPT2Model" : "GPT2LMHeadModel"],
    model_type: "gpt2",
    n_layer: spec.layers,
    n_embd: spec.hidden,
    n_head: spec.heads,
    n_inner: spec.intermediate,
    n_positions: spec.positions,
    vocab_size: spec.vocabulary,
    layer_norm_epsilon: spec.epsilon,
    activation_function: activationName(spec.gelu, "gelu_new"),
    tie_word_embeddings: spec.tied,
    mpcformer: writtenChoices(spec),
  }),
};

/** @throws an Error when one thing is told twice, and not the same. */
function checkAliases(config: v.InferOutput<typeof schema>): void {
  const aliases = [
    ["num_hidden_layers", "n_layer"],
    ["hidden_size", "n_embd"],
    ["num_attention_heads", "n_head"],
    ["max_position_embeddings", "n_positions"],
  ] as const;
  for (const [alias, name] of aliases)
    if ((config[alias] ?? config[name]) !== config[name])
      throw new Error(`config.json: ${alias} and ${name} must agree: remove one`);
}

/** The definition of GPT-2's models. */
export const gpt2: Family = {
  name: "gpt2",
  className: "GPT2",
  headName: "LMHeadModel",
  isDecoder: true,
  blocks,
  config,
  names: {
    prefixes: ["transformer.", ""],
    layers: [
      ["~h.#.ln_1", "layer.#.attention.norm"],
      ["~h.#.attn.c_attn", "layer.#.query", "layer.#.key", "layer.#.value"],
      ["~h.#.attn.c_proj", "layer.#.attention.output"],
      ["~h.#.ln_2", "layer.#.norm"],
      ["~h.#.mlp.c_fc", "layer.#.intermediate"],
      ["~h.#.mlp.c_proj", "layer.#.output"],
      ["~ln_f", "norm"],
      ["lm_head", "head"],
    ],
    tables: [
      ["~wte.weight", "embeddings.word"],
      ["~wpe.weight", "embeddings.position"],
    ],
    transposed: ["~h.#.attn.c_attn", "~h.#.attn.c_proj", "~h.#.mlp.c_fc", "~h.#.mlp.c_proj"],
  },
};
