/** OLMo 2 (arXiv:2501.00656): Llama with norms behind the branches alone, and of queries and keys. */

import * as v from "valibot";
import type { Blocks } from "../../program/spec.ts";
import { epsilon } from "../config-fields.ts";
import type { Family } from "./family.ts";
import { biasesOf, llamaBlocks, llamaConfig, llamaNames } from "./llama.ts";

const own = { normPlace: "branch", queryNorm: "row" } as const satisfies Partial<Blocks>;

/** The definition of OLMo 2's models. */
export const olmo2: Family = {
  name: "olmo2",
  className: "Olmo2",
  headName: "ForCausalLM",
  isDecoder: true,
  blocks: { ...llamaBlocks, ...own },
  config: llamaConfig({
    name: "olmo2",
    className: "Olmo2",
    fields: { attention_bias: v.nullish(v.boolean(), false), rms_norm_eps: epsilon(1e-5) },
    tied: false,
    blocks: (blocks, { attention_bias }) => ({
      ...blocks,
      ...own,
      biases: biasesOf({ attention_bias, mlp_bias: false }),
    }),
    epsilon: ({ rms_norm_eps }) => rms_norm_eps,
    write: ({ blocks: { biases } }) => ({ attention_bias: biases.query }),
  }),
  names: {
    ...llamaNames,
    layers: [
      ...llamaNames.layers.filter(([theirs]) => !theirs.endsWith("layernorm")),
      ["~layers.#.post_attention_layernorm", "layer.#.attention.branch.norm"],
      ["~layers.#.post_feedforward_layernorm", "layer.#.branch.norm"],
      ["~layers.#.self_attn.q_norm", "layer.#.query.norm"],
      ["~layers.#.self_attn.k_norm", "layer.#.key.norm"],
    ],
  },
};
