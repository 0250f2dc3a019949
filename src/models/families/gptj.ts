/** GPT-J (Wang and Komatsuzaki, 2021): branches in parallel behind one norm, pairs of neighbouring columns turned. */

import * as v from "valibot";
import type { Blocks } from "../../program/spec.ts";
import { whole } from "../bounds.ts";
import { decoderConfig, GPT2_NAMES } from "../config-decoder.ts";
import type { Family } from "./family.ts";
import { gpt2 } from "./gpt2.ts";
import { llamaBlocks } from "./llama.ts";
import { turnedRows } from "./rows.ts";

/** What GPT-J and CodeGen compute. */
export const gptjBlocks: Blocks = {
  ...gpt2.blocks,
  positionTable: false,
  rotary: llamaBlocks.rotary,
  parallel: "one norm",
  biases: { query: false, output: false, feedForward: true, head: true },
};

/** The config.json of GPT-J and of models with its blocks. */
export function gptjConfig(name: string, className: string) {
  return decoderConfig({
    name,
    className,
    headName: "ForCausalLM",
    names: GPT2_NAMES,
    usual: { activation: "gelu_new", tied: false },
    fields: { rotary_dim: v.nullish(whole(2, 16_384), 64) },
    turned: ({ rotary_dim: width }, headWidth) => (width ?? headWidth) / headWidth,
    blocks: (_, rotary) => ({ ...gptjBlocks, rotary }),
    write: ({ blocks: { rotary }, headWidth }) => ({
      rotary_dim: rotary?.width ?? headWidth,
      partial_rotary_factor: null,
    }),
  });
}

/** The definition of GPTJ's models. */
export const gptj: Family = {
  name: "gptj",
  className: "GPTJ",
  headName: "ForCausalLM",
  isDecoder: true,
  blocks: gptjBlocks,
  config: gptjConfig("gptj", "GPTJ"),
  names: {
    prefixes: ["transformer.", ""],
    layers: [
      ["~h.#.ln_1", "layer.#.attention.norm"],
      ["~h.#.attn.q_proj", "layer.#.query"],
      ["~h.#.attn.k_proj", "layer.#.key"],
      ["~h.#.attn.v_proj", "layer.#.value"],
      ["~h.#.attn.out_proj", "layer.#.attention.output"],
      ["~h.#.mlp.fc_in", "layer.#.intermediate"],
      ["~h.#.mlp.fc_out", "layer.#.output"],
      ["~ln_f", "norm"],
      ["lm_head", "head"],
    ],
    tables: [["~wte.weight", "embeddings.word"]],
    ordered: {
      "~h.#.attn.q_proj": (spec) => turnedRows(spec, spec.heads, "neighbours"),
      "~h.#.attn.k_proj": (spec) => turnedRows(spec, spec.heads, "neighbours"),
    },
  },
};
