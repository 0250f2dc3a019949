/** StarCoder2 (Lozhkov et al., arXiv:2402.19173): GPT-2 with rotary positions and grouped keys. */

import * as v from "valibot";
import type { Blocks } from "../../program/spec.ts";
import { sizes } from "../bounds.ts";
import { decoderConfig, USUAL_NAMES } from "../config-decoder.ts";
import { windowOf } from "../config-window.ts";
import type { Family } from "./family.ts";
import { gpt2 } from "./gpt2.ts";
import { llamaBlocks } from "./llama.ts";
import { turnedRows } from "./rows.ts";

const blocks: Blocks = {
  ...gpt2.blocks,
  positionTable: false,
  rotary: llamaBlocks.rotary,
};

/** The definition of Starcoder2's models. */
export const starcoder2: Family = {
  name: "starcoder2",
  className: "Starcoder2",
  headName: "ForCausalLM",
  isDecoder: true,
  blocks,
  config: decoderConfig({
    name: "starcoder2",
    className: "Starcoder2",
    headName: "ForCausalLM",
    names: { ...USUAL_NAMES, epsilon: "norm_epsilon" },
    usual: { activation: "gelu_pytorch_tanh", tied: true },
    fields: {
      num_key_value_heads: v.nullish(sizes.heads, 2),
      use_bias: v.nullish(v.boolean(), true),
      sliding_window: v.nullish(sizes.positions),
    },
    turned: () => 1,
    blocks({ use_bias: biased, sliding_window }, rotary, { layers }) {
      const bias = biased ?? true;
      const biases = { query: bias, output: bias, feedForward: bias, head: false };
      return { ...blocks, rotary, biases, window: windowOf(sliding_window, layers) };
    },
    keyHeads: ({ num_key_value_heads: heads }) => heads ?? 2,
    write: ({ keyHeads, blocks: { biases, window } }) => ({
      num_key_value_heads: keyHeads,
      use_bias: biases.query,
      sliding_window: window?.size ?? null,
    }),
  }),
  names: {
    prefixes: ["model.", ""],
    layers: [
      ["~layers.#.self_attn.q_proj", "layer.#.query"],
      ["~layers.#.self_attn.k_proj", "layer.#.key"],
      ["~layers.#.self_attn.v_proj", "layer.#.value"],
      ["~layers.#.self_attn.o_proj", "layer.#.attention.output"],
      ["~layers.#.input_layernorm", "layer.#.attention.norm"],
      ["~layers.#.mlp.c_fc", "layer.#.intermediate"],
      ["~layers.#.mlp.c_proj", "layer.#.output"],
      ["~layers.#.post_attention_layernorm", "layer.#.norm"],
      ["~norm", "norm"],
      ["lm_head", "head"],
    ],
    tables: [["~embed_tokens.weight", "embeddings.word"]],
    ordered: {
      "~layers.#.self_attn.q_proj": (spec) => turnedRows(spec, spec.heads),
      "~layers.#.self_attn.k_proj": (spec) => turnedRows(spec, spec.keyHeads),
    },
  },
};
