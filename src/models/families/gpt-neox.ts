/** GPT-NeoX and Pythia (Black et al., arXiv:2204.06745): branches in parallel, a part of the heads turned. */

import * as v from "valibot";
import type { Blocks } from "../../program/spec.ts";
import { decoderConfig, USUAL_NAMES } from "../config-decoder.ts";
import { only } from "../config-fields.ts";
import type { Family } from "./family.ts";
import { gpt2 } from "./gpt2.ts";
import { llamaBlocks } from "./llama.ts";
import { interleavedRows } from "./rows.ts";

const blocks: Blocks = {
  ...gpt2.blocks,
  positionTable: false,
  rotary: llamaBlocks.rotary,
  parallel: "two norms",
};

/** The definition of GPTNeoX's models. */
export const gptNeox: Family = {
  name: "gpt_neox",
  className: "GPTNeoX",
  headName: "ForCausalLM",
  isDecoder: true,
  blocks,
  config: decoderConfig({
    name: "gpt_neox",
    className: "GPTNeoX",
    headName: "ForCausalLM",
    names: USUAL_NAMES,
    usual: { activation: "gelu", tied: false },
    fields: {
      rotary_pct: v.nullish(v.pipe(v.number(), v.minValue(0.01), v.maxValue(1)), 0.25),
      rotary_emb_base: v.nullish(v.literal(10_000, "must be 10000: say another base in rope_theta")),
      use_parallel_residual: v.nullish(v.boolean(), true),
      attention_bias: only(true, "must be true: attention without biases is not supported"),
    },
    turned: ({ rotary_pct: part }) => part ?? 0.25,
    blocks: ({ use_parallel_residual: parallel }, rotary) => ({
      ...blocks,
      rotary,
      parallel: parallel === false ? "no" : "two norms",
    }),
    write: ({ blocks: { parallel, rotary }, headWidth }) => ({
      use_parallel_residual: parallel !== "no",
      rotary_pct: (rotary?.width ?? headWidth) / headWidth,
    }),
  }),
  names: {
    prefixes: ["gpt_neox.", ""],
    layers: [
      ["~layers.#.attention.query_key_value", "layer.#.query", "layer.#.key", "layer.#.value"],
      ["~layers.#.attention.dense", "layer.#.attention.output"],
      ["~layers.#.input_layernorm", "layer.#.attention.norm"],
      ["~layers.#.post_attention_layernorm", "layer.#.norm"],
      ["~layers.#.mlp.dense_h_to_4h", "layer.#.intermediate"],
      ["~layers.#.mlp.dense_4h_to_h", "layer.#.output"],
      ["~final_layer_norm", "norm"],
      ["embed_out", "head"],
    ],
    tables: [["~embed_in.weight", "embeddings.word"]],
    ordered: { "~layers.#.attention.query_key_value": interleavedRows },
  },
};
