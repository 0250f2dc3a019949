/** Llama (Touvron et al., arXiv:2302.13971 and arXiv:2307.09288). */

import * as v from "valibot";
import type { Blocks } from "../../program/spec.ts";
import {
  type ConfigFormat,
  checkHeads,
  choicesOf,
  decoderFields,
  epsilon,
  generation,
  only,
  ownBlock,
  sizes,
  whole,
  writtenChoices,
} from "../config-fields.ts";
import { check } from "../json.ts";
import type { Family } from "./family.ts";

const THETA = 10_000;
/** Root mean squares first, rotary positions, a gate, no biases. */
const blocks: Blocks = {
  norm: "rms",
  normBias: false,
  normPlace: "before",
  embeddingNorm: false,
  positionTable: false,
  typeTable: false,
  skipsPadding: false,
  rotary: { theta: THETA },
  activation: "silu",
  gated: true,
  biases: { query: false, output: false, feedForward: false, head: false },
  finalNorm: true,
  pooler: "tanh",
};

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

const schema = v.looseObject({
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

const config: ConfigFormat = {
  fields: Object.keys(schema.entries),

  read(json) {
    const config = check(schema, json, "config.json");
    checkLlamaHeads(config);
    return {
      architecture: "llama",
      isDecoder: true,
      blocks: { ...blocks, rotary: { theta: thetaOf(config) } },
      layers: config.num_hidden_layers,
      hidden: config.hidden_size,
      heads: config.num_attention_heads,
      keyHeads: config.num_key_value_heads ?? config.num_attention_heads,
      headWidth: config.hidden_size / config.num_attention_heads,
      intermediate: config.intermediate_size,
      vocabulary: config.vocab_size,
      positions: config.max_position_embeddings,
      epsilon: config.rms_norm_eps,
      positionOffset: 0,
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
    rope_theta: spec.blocks.rotary?.theta,
    hidden_act: "silu",
    attention_bias: false,
    mlp_bias: false,
    tie_word_embeddings: spec.tied,
    mpcformer: writtenChoices(spec),
  }),
};

/** @throws an Error when the places that may say it say different things. */
function thetaOf({ rope_parameters, rope_scaling, rope_theta }: v.InferOutput<typeof schema>): number {
  const said = [rope_parameters?.rope_theta, rope_scaling?.rope_theta, rope_theta].filter(
    (one) => typeof one === "number",
  );
  if (said.some((one) => one !== said[0]))
    throw new Error("config.json: rope_theta is told twice and not the same: remove one");
  return said[0] ?? THETA;
}

function checkLlamaHeads(config: v.InferOutput<typeof schema>): void {
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

/** The definition of Llama's models. */
export const llama: Family = {
  name: "llama",
  className: "Llama",
  headName: "ForCausalLM",
  isDecoder: true,
  tokenizerClass: null,
  blocks,
  config,
  names: {
    prefixes: ["model.", ""],
    layers: [
      ["~layers.#.self_attn.q_proj", "layer.#.query"],
      ["~layers.#.self_attn.k_proj", "layer.#.key"],
      ["~layers.#.self_attn.v_proj", "layer.#.value"],
      ["~layers.#.self_attn.o_proj", "layer.#.attention.output"],
      ["~layers.#.input_layernorm", "layer.#.attention.norm"],
      ["~layers.#.mlp.gate_proj", "layer.#.gate"],
      ["~layers.#.mlp.up_proj", "layer.#.intermediate"],
      ["~layers.#.mlp.down_proj", "layer.#.output"],
      ["~layers.#.post_attention_layernorm", "layer.#.norm"],
      ["~norm", "norm"],
      ["lm_head", "head"],
    ],
    tables: [["~embed_tokens.weight", "embeddings.word"]],
  },
};
