/** Phi-1 to Phi-2 (Li et al., arXiv:2309.05463): branches in parallel behind one norm, half of the heads turned. */

import * as v from "valibot";
import type { Blocks } from "../../program/spec.ts";
import { sizes } from "../bounds.ts";
import { decoderConfig, USUAL_NAMES } from "../config-decoder.ts";
import { only } from "../config-fields.ts";
import type { Family } from "./family.ts";
import { gpt2 } from "./gpt2.ts";
import { llamaBlocks } from "./llama.ts";
import { turnedRows } from "./rows.ts";

const blocks: Blocks = {
  ...gpt2.blocks,
  positionTable: false,
  rotary: llamaBlocks.rotary,
  parallel: "one norm",
  biases: { query: true, output: true, feedForward: true, head: true },
};

/** The definition of Phi's models. */
export const phi: Family = {
  name: "phi",
  className: "Phi",
  headName: "ForCausalLM",
  isDecoder: true,
  blocks,
  config: decoderConfig({
    name: "phi",
    className: "Phi",
    headName: "ForCausalLM",
    names: USUAL_NAMES,
    usual: { activation: "gelu_new", tied: false },
    fields: {
      num_key_value_heads: v.nullish(sizes.heads),
      qk_layernorm: only(false, "must be false: norms of queries and keys are not supported"),
    },
    turned: () => 0.5,
    blocks: (_, rotary) => ({ ...blocks, rotary }),
    keyHeads: ({ num_key_value_heads: keys }, heads) => keys ?? heads,
    write: ({ keyHeads, blocks: { rotary }, headWidth }) => ({
      num_key_value_heads: keyHeads,
      ...(rotary?.scaling === null ? { partial_rotary_factor: (rotary.width ?? headWidth) / headWidth } : {}),
    }),
  }),
  names: {
    prefixes: ["model.", ""],
    layers: [
      ["~layers.#.self_attn.q_proj", "layer.#.query"],
      ["~layers.#.self_attn.k_proj", "layer.#.key"],
      ["~layers.#.self_attn.v_proj", "layer.#.value"],
      ["~layers.#.self_attn.dense", "layer.#.attention.output"],
      ["~layers.#.input_layernorm", "layer.#.attention.norm"],
      ["~layers.#.mlp.fc1", "layer.#.intermediate"],
      ["~layers.#.mlp.fc2", "layer.#.output"],
      ["~final_layernorm", "norm"],
      ["lm_head", "head"],
    ],
    tables: [["~embed_tokens.weight", "embeddings.word"]],
    ordered: {
      "~layers.#.self_attn.q_proj": (spec) => turnedRows(spec, spec.heads),
      "~layers.#.self_attn.k_proj": (spec) => turnedRows(spec, spec.keyHeads),
    },
  },
};
