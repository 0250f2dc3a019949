/** Falcon (arXiv:2311.16867): branches in parallel, one head of keys or groups of them, rotary positions or slopes. */

import * as v from "valibot";
import type { Blocks, ModelSpec } from "../../program/spec.ts";
import { sizes } from "../bounds.ts";
import { decoderConfig } from "../config-decoder.ts";
import { FUSED_NAMES } from "./bloom.ts";
import type { Family, NameRow } from "./family.ts";
import { gpt2 } from "./gpt2.ts";
import { llamaBlocks } from "./llama.ts";
import { interleavedRows } from "./rows.ts";
import { bloomSlopes } from "./slopes.ts";

const blocks: Blocks = {
  ...gpt2.blocks,
  positionTable: false,
  rotary: llamaBlocks.rotary,
  parallel: "one norm",
  biases: { query: false, output: false, feedForward: false, head: false },
};

const fields = {
  alibi: v.nullish(v.boolean(), false),
  new_decoder_architecture: v.nullish(v.boolean(), false),
  multi_query: v.nullish(v.boolean(), true),
  parallel_attn: v.nullish(v.boolean(), true),
  bias: v.nullish(v.boolean(), false),
  num_kv_heads: v.nullish(sizes.heads),
  num_ln_in_parallel_attn: v.nullish(v.picklist([1, 2])),
} as const;
type Config = v.InferOutput<v.LooseObjectSchema<typeof fields, undefined>>;

function branches(config: Config): Blocks["parallel"] {
  if (config.new_decoder_architecture === true) return config.num_ln_in_parallel_attn === 1 ? "one norm" : "two norms";
  return config.parallel_attn === false ? "no" : "one norm";
}

/**
 * Slopes of scores before they are scaled.
 * @throws an Error where transformers rounds what is subtracted to bfloat16: of 16 heads or more, and of numbers that are no power of 2.
 */
function slopesOf(heads: number, headWidth: number): readonly number[] {
  if (![1, 2, 4, 8].includes(heads))
    throw new Error("config.json: alibi of so many heads is rounded to bfloat16 in Falcon, which is not supported");
  return bloomSlopes(heads).map((slope) => slope / Math.sqrt(headWidth));
}

/** Groups of queries, each with its key and its value behind it: the stored row of each row of queries, keys, values. */
function groupedRows({ heads, keyHeads, headWidth }: ModelSpec): readonly number[] {
  const group = heads / keyHeads;
  const rows = (head: number) => Array.from({ length: headWidth }, (_, i) => head * headWidth + i);
  const queries = Array.from({ length: heads }, (_, h) => Math.floor(h / group) * (group + 2) + (h % group));
  const others = [0, 1].flatMap((part) => Array.from({ length: keyHeads }, (_, k) => k * (group + 2) + group + part));
  return [...queries, ...others].flatMap(rows);
}

/** As many keys as queries lie head after head where branches follow each other, in groups else. */
function fusedRows(spec: ModelSpec): readonly number[] | null {
  if (spec.blocks.parallel === "two norms") return groupedRows(spec);
  return spec.keyHeads === 1 ? null : interleavedRows(spec);
}

const TWO_NORMS: readonly NameRow[] = [
  ["~h.#.ln_attn", "layer.#.attention.norm"],
  ["~h.#.ln_mlp", "layer.#.norm"],
];

/** The definition of Falcon's models. */
export const falcon: Family = {
  name: "falcon",
  className: "Falcon",
  headName: "ForCausalLM",
  isDecoder: true,
  blocks,
  config: decoderConfig({
    name: "falcon",
    className: "Falcon",
    headName: "ForCausalLM",
    names: {
      layers: "num_hidden_layers",
      hidden: "hidden_size",
      heads: "num_attention_heads",
      intermediate: "ffn_hidden_size",
      vocabulary: "vocab_size",
      positions: "max_position_embeddings",
      epsilon: "layer_norm_epsilon",
      activation: "activation",
    },
    aliases: { n_embed: "hidden_size", n_layer: "num_hidden_layers", n_head: "num_attention_heads" },
    usual: { activation: "gelu", tied: true, positions: 2048 },
    fields,
    turned: ({ alibi }) => (alibi === true ? 0 : 1),
    blocks(config, rotary, { heads, hidden }) {
      const [bias, alibi] = [config.bias === true, config.alibi === true];
      if (config.new_decoder_architecture === true && config.num_ln_in_parallel_attn === 1)
        throw new Error(
          "config.json: num_ln_in_parallel_attn must be 2: groups of keys behind one norm are not supported",
        );
      return {
        ...blocks,
        rotary,
        parallel: branches(config),
        slopes: alibi ? slopesOf(heads, hidden / heads) : null,
        biases: { query: bias, output: bias, feedForward: bias, head: false },
      };
    },
    keyHeads: ({ new_decoder_architecture: grouped, multi_query: one, num_kv_heads: said }, heads) =>
      grouped === true ? (said ?? heads) : one === false ? heads : 1,
    write: ({ blocks: { parallel, slopes, biases }, keyHeads }) => ({
      alibi: slopes !== null,
      new_decoder_architecture: parallel === "two norms",
      multi_query: keyHeads === 1,
      parallel_attn: parallel !== "no",
      bias: biases.query,
      num_kv_heads: keyHeads,
    }),
  }),
  names: {
    prefixes: ["transformer.", ""],
    variants: ({ blocks: { parallel } }) => (parallel === "two norms" ? TWO_NORMS : []),
    layers: FUSED_NAMES,
    tables: [["~word_embeddings.weight", "embeddings.word"]],
    ordered: { "~h.#.self_attention.query_key_value": fusedRows },
  },
};
