/** MPT (MosaicML, 2023): GPT-2 with slopes in place of positions, and no biases at all. */

import * as v from "valibot";
import type { Blocks } from "../../program/spec.ts";
import { whole } from "../bounds.ts";
import { decoderConfig } from "../config-decoder.ts";
import { only } from "../config-fields.ts";
import type { Family } from "./family.ts";
import { gpt2 } from "./gpt2.ts";
import { mptSlopes } from "./slopes.ts";

const blocks: Blocks = {
  ...gpt2.blocks,
  positionTable: false,
  normBias: false,
  biases: { query: false, output: false, feedForward: false, head: false },
};

const attention = v.nullish(
  v.looseObject({
    attn_type: v.nullish(v.literal("multihead_attention", "must be multihead_attention: others are not supported")),
    alibi: only(true, "must be true: positions of other kinds are not supported"),
    alibi_bias_max: v.nullish(whole(1, 64), 8),
    clip_qkv: v.nullish(v.null("must be null: clipped queries are not supported")),
    qk_ln: only(false, "must be false: norms of queries and keys are not supported"),
    prefix_lm: only(false, "must be false: attention to later tokens is not supported"),
    softmax_scale: v.nullish(v.pipe(v.number(), v.minValue(1e-4), v.maxValue(1e3))),
  }),
);

/** The definition of MPT's models. */
export const mpt: Family = {
  name: "mpt",
  className: "Mpt",
  headName: "ForCausalLM",
  isDecoder: true,
  blocks,
  config: decoderConfig({
    name: "mpt",
    className: "Mpt",
    headName: "ForCausalLM",
    names: {
      layers: "n_layers",
      hidden: "d_model",
      heads: "n_heads",
      intermediate: "ffn_hidden_size",
      vocabulary: "vocab_size",
      positions: "max_seq_len",
      epsilon: "layer_norm_epsilon",
      activation: null,
    },
    usual: { activation: "gelu", tied: true, positions: 2048 },
    fields: {
      attn_config: attention,
      expansion_ratio: v.nullish(whole(1, 64), 4),
      no_bias: only(true, "must be true: biases are not supported"),
      logit_scale: v.nullish(v.null("must be null: scaled logits are not supported")),
      // Of training, or of how transformers computes.
      ...{ embedding_fraction: v.optional(v.unknown()), norm_type: v.optional(v.unknown()) },
      ...{ learned_pos_emb: v.optional(v.unknown()), init_device: v.optional(v.unknown()) },
    },
    turned: null,
    blocks: ({ attn_config: own }, _rotary, { heads }) => ({
      ...blocks,
      slopes: mptSlopes(heads, own?.alibi_bias_max ?? 8),
      scoreScale: own?.softmax_scale ?? null,
    }),
    intermediate: ({ expansion_ratio: ratio }, hidden) => (ratio ?? 4) * hidden,
    write: ({ blocks: { slopes, scoreScale }, intermediate, hidden, heads }) => ({
      ffn_hidden_size: undefined,
      expansion_ratio: intermediate / hidden,
      attn_config: { alibi: true, alibi_bias_max: mostOf(slopes ?? [], heads), softmax_scale: scoreScale },
    }),
  }),
  names: {
    prefixes: ["transformer.", ""],
    layers: [
      ["~blocks.#.norm_1", "layer.#.attention.norm"],
      ["~blocks.#.attn.Wqkv", "layer.#.query", "layer.#.key", "layer.#.value"],
      ["~blocks.#.attn.out_proj", "layer.#.attention.output"],
      ["~blocks.#.norm_2", "layer.#.norm"],
      ["~blocks.#.ffn.up_proj", "layer.#.intermediate"],
      ["~blocks.#.ffn.down_proj", "layer.#.output"],
      ["~norm_f", "norm"],
      ["lm_head", "head"],
    ],
    tables: [["~wte.weight", "embeddings.word"]],
  },
};

/** The alibi_bias_max of these slopes: the least of all is 2 to its negative power. */
function mostOf(slopes: readonly number[], heads: number): number {
  const all = 2 ** Math.ceil(Math.log2(heads));
  const largest = Math.max(...slopes);
  return Math.round(-Math.log2(largest) * all);
}
