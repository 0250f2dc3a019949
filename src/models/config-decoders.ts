/** config.json of GPT-2, OPT and Llama, each in its own fields: models that continue texts. */

import * as v from "valibot";
import type { ModelSpec } from "../program/spec.ts";
import {
  activationName,
  activationOf,
  type ConfigFormat,
  checkHeads,
  choicesOf,
  epsilon,
  only,
  ownBlock,
  sizes,
  whole,
  writtenChoices,
} from "./config-fields.ts";
import { check } from "./json.ts";

/** What a decoder's spec has beyond what its config.json says. */
function generation(vocabulary: number): Pick<ModelSpec, "types" | "labels" | "problem" | "labelNames"> {
  return { types: 1, labels: vocabulary, problem: "generation", labelNames: [] };
}

/** What any decoder's file may have: causal it is, and it has no labels. */
const decoderFields = {
  is_decoder: v.nullish(v.boolean()),
  is_encoder_decoder: only(false, "must be false: models of two stacks are not supported"),
  layer_types: v.nullish(
    v.array(v.literal("full_attention", "must be full_attention: other layers are not supported")),
  ),
  id2label: v.optional(v.unknown()),
} as const;

const gpt2Schema = v.looseObject({
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

/** GPT-2 (Radford et al., 2019). */
export const gpt2Config: ConfigFormat = {
  fields: Object.keys(gpt2Schema.entries),

  read(json) {
    const config = check(gpt2Schema, json, "config.json");
    checkHeads(config.n_embd, config.n_head, ["n_embd", "n_head"]);
    checkAliases(config);
    return {
      architecture: "gpt2",
      layers: config.n_layer,
      hidden: config.n_embd,
      heads: config.n_head,
      keyHeads: config.n_head,
      intermediate: config.n_inner ?? 4 * config.n_embd,
      vocabulary: config.vocab_size,
      positions: config.n_positions,
      epsilon: config.layer_norm_epsilon,
      positionOffset: 0,
      rotary: null,
      normFirst: true,
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
function checkAliases(config: v.InferOutput<typeof gpt2Schema>): void {
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

/** OPT's table of positions begins with two rows that texts don't use. */
const OPT_OFFSET = 2;

const optSchema = v.looseObject({
  num_hidden_layers: sizes.layers,
  hidden_size: sizes.hidden,
  num_attention_heads: sizes.heads,
  ffn_dim: sizes.intermediate,
  max_position_embeddings: sizes.positions,
  vocab_size: sizes.vocabulary,
  word_embed_proj_dim: v.nullish(sizes.hidden),
  do_layer_norm_before: v.nullish(v.boolean(), true),
  activation_function: v.optional(v.string(), "relu"),
  tie_word_embeddings: v.nullish(v.boolean(), true),
  enable_bias: only(true, "must be true: layers without biases are not supported"),
  layer_norm_elementwise_affine: only(true, "must be true: norms without weights are not supported"),
  _remove_final_layer_norm: only(false, "must be false: save the model again with a current transformers"),
  ...decoderFields,
  mpcformer: ownBlock,
});

/** OPT (Zhang et al., arXiv:2205.01068). */
export const optConfig: ConfigFormat = {
  fields: Object.keys(optSchema.entries),

  read(json) {
    const config = check(optSchema, json, "config.json");
    checkHeads(config.hidden_size, config.num_attention_heads, ["hidden_size", "num_attention_heads"]);
    if ((config.word_embed_proj_dim ?? config.hidden_size) !== config.hidden_size) {
      throw new Error("config.json: word_embed_proj_dim must equal hidden_size: use an OPT without projections");
    }
    return {
      architecture: "opt",
      layers: config.num_hidden_layers,
      hidden: config.hidden_size,
      heads: config.num_attention_heads,
      keyHeads: config.num_attention_heads,
      intermediate: config.ffn_dim,
      vocabulary: config.vocab_size,
      positions: config.max_position_embeddings + OPT_OFFSET,
      epsilon: 1e-5,
      positionOffset: OPT_OFFSET,
      rotary: null,
      normFirst: config.do_layer_norm_before ?? true,
      tied: config.tie_word_embeddings ?? true,
      ...generation(config.vocab_size),
      ...choicesOf(config.mpcformer, () => activationOf(config.activation_function, "activation_function")),
    };
  },

  write: (spec, base) => ({
    architectures: [base ? "OPTModel" : "OPTForCausalLM"],
    model_type: "opt",
    num_hidden_layers: spec.layers,
    hidden_size: spec.hidden,
    word_embed_proj_dim: spec.hidden,
    num_attention_heads: spec.heads,
    ffn_dim: spec.intermediate,
    max_position_embeddings: spec.positions - OPT_OFFSET,
    vocab_size: spec.vocabulary,
    do_layer_norm_before: spec.normFirst,
    activation_function: activationName(spec.gelu, "relu"),
    tie_word_embeddings: spec.tied,
    enable_bias: true,
    layer_norm_elementwise_affine: true,
    mpcformer: writtenChoices(spec),
  }),
};

const THETA = 10_000;
const theta = v.nullish(
  v.pipe(v.number(), v.minValue(1, "must be 1 or more"), v.maxValue(1e12, "must be 1e12 or less")),
);
const plainRope = v.nullish(v.literal("default", "is not supported: only rotary positions without scaling are"));
const wholeHeads = v.nullish(v.literal(1, "must be 1: heads are rotated whole"));
const ropeSchema = v.nullish(
  v.strictObject({
    rope_type: plainRope,
    type: plainRope,
    rope_theta: theta,
    factor: v.nullish(v.literal(1, "must be 1: only rotary positions without scaling are supported")),
    partial_rotary_factor: wholeHeads,
  }),
);

const llamaSchema = v.looseObject({
  num_hidden_layers: sizes.layers,
  hidden_size: sizes.hidden,
  num_attention_heads: sizes.heads,
  num_key_value_heads: v.nullish(sizes.heads),
  head_dim: v.nullish(whole(2, 16_384)),
  intermediate_size: sizes.intermediate,
  vocab_size: sizes.vocabulary,
  max_position_embeddings: sizes.positions,
  rms_norm_eps: epsilon(1e-6),
  rope_theta: theta,
  rope_scaling: ropeSchema,
  rope_parameters: ropeSchema,
  partial_rotary_factor: wholeHeads,
  hidden_act: v.nullish(v.picklist(["silu", "swish"], "must be silu: other gates are not supported")),
  attention_bias: only(false, "must be false: biases in attention are not supported"),
  mlp_bias: only(false, "must be false: biases in feed-forward layers are not supported"),
  tie_word_embeddings: v.nullish(v.boolean(), false),
  ...decoderFields,
  mpcformer: ownBlock,
});

/** Llama (Touvron et al., arXiv:2302.13971 and arXiv:2307.09288). */
export const llamaConfig: ConfigFormat = {
  fields: Object.keys(llamaSchema.entries),

  read(json) {
    const config = check(llamaSchema, json, "config.json");
    checkLlamaHeads(config);
    return {
      architecture: "llama",
      layers: config.num_hidden_layers,
      hidden: config.hidden_size,
      heads: config.num_attention_heads,
      keyHeads: config.num_key_value_heads ?? config.num_attention_heads,
      intermediate: config.intermediate_size,
      vocabulary: config.vocab_size,
      positions: config.max_position_embeddings,
      epsilon: config.rms_norm_eps,
      positionOffset: 0,
      rotary: thetaOf(config),
      normFirst: true,
      tied: config.tie_word_embeddings ?? false,
      ...generation(config.vocab_size),
      ...choicesOf(config.mpcformer, () => "exact"),
    };
  },

  write: (spec, base) => ({
    architectures: [base ? "LlamaModel" : "LlamaForCausalLM"],
    model_type: "llama",
    num_hidden_layers: spec.layers,
    hidden_size: spec.hidden,
    num_attention_heads: spec.heads,
    num_key_value_heads: spec.keyHeads,
    intermediate_size: spec.intermediate,
    vocab_size: spec.vocabulary,
    max_position_embeddings: spec.positions,
    rms_norm_eps: spec.epsilon,
    rope_theta: spec.rotary,
    hidden_act: "silu",
    attention_bias: false,
    mlp_bias: false,
    tie_word_embeddings: spec.tied,
    mpcformer: writtenChoices(spec),
  }),
};

/** @throws an Error when the places that may say it say different things. */
function thetaOf({ rope_parameters, rope_scaling, rope_theta }: v.InferOutput<typeof llamaSchema>): number {
  const said = [rope_parameters?.rope_theta, rope_scaling?.rope_theta, rope_theta].filter(
    (one) => typeof one === "number",
  );
  if (said.some((one) => one !== said[0]))
    throw new Error("config.json: rope_theta is told twice and not the same: remove one");
  return said[0] ?? THETA;
}

function checkLlamaHeads(config: v.InferOutput<typeof llamaSchema>): void {
  const { hidden_size: hidden, num_attention_heads: heads } = config;
  checkHeads(hidden, heads, ["hidden_size", "num_attention_heads"]);
  if (heads % (config.num_key_value_heads ?? heads) !== 0) {
    throw new Error("config.json: num_key_value_heads must divide num_attention_heads");
  }
  if ((config.head_dim ?? hidden / heads) !== hidden / heads) {
    throw new Error("config.json: head_dim must be hidden_size / num_attention_heads: other widths are not supported");
  }
  if ((hidden / heads) % 2 !== 0) throw new Error("config.json: rotary positions need heads of an even width");
}
