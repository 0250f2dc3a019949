/** BLOOM (arXiv:2211.05100): GPT-2 with slopes in place of positions, and a norm of the embeddings. */

import type { Blocks } from "../../program/spec.ts";
import { decoderConfig } from "../config-decoder.ts";
import { only } from "../config-fields.ts";
import type { Family, NameRow } from "./family.ts";
import { gpt2 } from "./gpt2.ts";
import { interleavedRows } from "./rows.ts";
import { bloomSlopes } from "./slopes.ts";

/** Names of a decoder whose queries, keys and values are one tensor, as Falcon has them too. */
export const FUSED_NAMES: readonly NameRow[] = [
  ["~h.#.input_layernorm", "layer.#.attention.norm"],
  ["~h.#.self_attention.query_key_value", "layer.#.query", "layer.#.key", "layer.#.value"],
  ["~h.#.self_attention.dense", "layer.#.attention.output"],
  ["~h.#.post_attention_layernorm", "layer.#.norm"],
  ["~h.#.mlp.dense_h_to_4h", "layer.#.intermediate"],
  ["~h.#.mlp.dense_4h_to_h", "layer.#.output"],
  ["~ln_f", "norm"],
  ["lm_head", "head"],
];

const blocks: Blocks = { ...gpt2.blocks, positionTable: false, embeddingNorm: true };

/** The definition of BLOOM's models. */
export const bloom: Family = {
  name: "bloom",
  className: "Bloom",
  headName: "ForCausalLM",
  isDecoder: true,
  blocks,
  config: decoderConfig({
    name: "bloom",
    className: "Bloom",
    headName: "ForCausalLM",
    names: {
      layers: "n_layer",
      hidden: "hidden_size",
      heads: "n_head",
      intermediate: "n_inner",
      vocabulary: "vocab_size",
      positions: "seq_length",
      epsilon: "layer_norm_epsilon",
      activation: null,
    },
    aliases: { n_embed: "hidden_size", num_attention_heads: "n_head", num_hidden_layers: "n_layer" },
    usual: { activation: "gelu_new", tied: true, positions: 2048 },
    fields: {
      apply_residual_connection_post_layernorm: only(false, "must be false: a stream of norms is not supported"),
    },
    turned: null,
    blocks: (_config, _rotary, { heads }) => ({ ...blocks, slopes: bloomSlopes(heads) }),
    intermediate: (_config, hidden) => 4 * hidden,
    write: () => ({ n_inner: null }),
  }),
  names: {
    prefixes: ["transformer.", ""],
    layers: [["~word_embeddings_layernorm", "embeddings.norm"], ...FUSED_NAMES],
    tables: [["~word_embeddings.weight", "embeddings.word"]],
    ordered: { "~h.#.self_attention.query_key_value": interleavedRows },
  },
};
