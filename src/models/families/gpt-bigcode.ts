/** GPTBigCode (SantaCoder and StarCoder, arXiv:2305.06161): GPT-2 with one head of keys and values. */

import * as v from "valibot";
import type { Blocks } from "../../program/spec.ts";
import { decoderConfig, GPT2_NAMES } from "../config-decoder.ts";
import { only } from "../config-fields.ts";
import type { Family } from "./family.ts";
import { gpt2 } from "./gpt2.ts";
import { interleavedRows } from "./rows.ts";

const { blocks }: { readonly blocks: Blocks } = gpt2;

/** The definition of GPTBigCode's models. */
export const gptBigcode: Family = {
  name: "gpt_bigcode",
  className: "GPTBigCode",
  headName: "ForCausalLM",
  isDecoder: true,
  blocks,
  config: decoderConfig({
    name: "gpt_bigcode",
    className: "GPTBigCode",
    headName: "ForCausalLM",
    names: GPT2_NAMES,
    usual: { activation: "gelu_pytorch_tanh", tied: true },
    fields: {
      multi_query: v.nullish(v.boolean(), true),
      scale_attn_weights: only(true, "must be true: scores without a scale are not supported"),
      add_cross_attention: only(false, "must be false: cross-attention is not supported"),
      num_key_value_heads: v.nullish(v.number()),
      // How transformers computes, not what.
      attention_softmax_in_fp32: v.optional(v.unknown()),
      scale_attention_softmax_in_fp32: v.optional(v.unknown()),
      pad_key_length: v.optional(v.unknown()),
      pre_allocate_kv_cache: v.optional(v.unknown()),
      max_batch_size: v.optional(v.unknown()),
    },
    turned: null,
    blocks: () => blocks,
    keyHeads: ({ multi_query: one }, heads) => (one === false ? heads : 1),
    write: ({ keyHeads, heads }) => ({ multi_query: keyHeads < heads || heads === 1 }),
  }),
  names: {
    ...gpt2.names,
    transposed: [],
    ordered: {
      "~h.#.attn.c_attn": (spec) => (spec.keyHeads === spec.heads && spec.heads > 1 ? interleavedRows(spec) : null),
    },
  },
};
