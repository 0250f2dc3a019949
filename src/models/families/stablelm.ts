/** StableLM 2 and 3B (arXiv:2402.17834): Llama with layer norms, a quarter of the heads turned, and perhaps parallel branches. */

import * as v from "valibot";
import type { Blocks } from "../../program/spec.ts";
import { epsilon, only } from "../config-fields.ts";
import type { Family } from "./family.ts";
import { llamaBlocks, llamaConfig, llamaNames } from "./llama.ts";

const own = { norm: "layer", normBias: true } as const satisfies Partial<Blocks>;

/** The definition of StableLM's models. */
export const stablelm: Family = {
  name: "stablelm",
  className: "StableLm",
  headName: "ForCausalLM",
  isDecoder: true,
  blocks: { ...llamaBlocks, ...own },
  config: llamaConfig({
    name: "stablelm",
    className: "StableLm",
    fields: {
      layer_norm_eps: epsilon(1e-5),
      use_qkv_bias: v.nullish(v.boolean(), false),
      use_parallel_residual: v.nullish(v.boolean(), false),
      qk_layernorm: only(false, "must be false: layer norms of queries and keys are not supported"),
    },
    tied: false,
    turned: 0.25,
    blocks: (blocks, { use_qkv_bias: query, use_parallel_residual: parallel }) => ({
      ...blocks,
      ...own,
      parallel: parallel === true ? "one norm" : "no",
      biases: { query: query ?? false, output: false, feedForward: false, head: false },
    }),
    epsilon: ({ layer_norm_eps }) => layer_norm_eps,
    write: ({ blocks: { parallel, biases, rotary }, epsilon: added, headWidth }) => ({
      rms_norm_eps: undefined,
      layer_norm_eps: added,
      use_qkv_bias: biases.query,
      use_parallel_residual: parallel !== "no",
      ...(rotary?.scaling === null ? { partial_rotary_factor: (rotary.width ?? headWidth) / headWidth } : {}),
    }),
  }),
  names: llamaNames,
};
