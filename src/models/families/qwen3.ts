/** Qwen3 (Yang et al., arXiv:2505.09388): Llama with norms of each head's queries and keys. */

import * as v from "valibot";
import type { Blocks } from "../../program/spec.ts";
import { switchedWindow, windowFields, writtenSwitch } from "../config-window.ts";
import type { Family } from "./family.ts";
import { biasesOf, llamaBlocks, llamaConfig, llamaNames } from "./llama.ts";
import { turnedRows } from "./rows.ts";

const blocks: Blocks = { ...llamaBlocks, queryNorm: "heads" };

/** The definition of Qwen3's models. */
export const qwen3: Family = {
  name: "qwen3",
  className: "Qwen3",
  headName: "ForCausalLM",
  isDecoder: true,
  blocks,
  config: llamaConfig({
    name: "qwen3",
    className: "Qwen3",
    fields: { ...windowFields, attention_bias: v.nullish(v.boolean(), false) },
    usualHead: 128,
    tied: false,
    blocks: (own, config, { layers }) => ({
      ...own,
      queryNorm: "heads",
      biases: biasesOf({ attention_bias: config.attention_bias, mlp_bias: false }),
      window: switchedWindow(config, layers),
    }),
    write: (spec) => ({ ...writtenSwitch(spec), attention_bias: spec.blocks.biases.query }),
  }),
  names: {
    ...llamaNames,
    layers: [
      ...llamaNames.layers,
      ["~layers.#.self_attn.q_norm", "layer.#.query.norm"],
      ["~layers.#.self_attn.k_norm", "layer.#.key.norm"],
    ],
    ordered: {
      ...llamaNames.ordered,
      "~layers.#.self_attn.q_norm": (spec) => turnedRows(spec, 1),
      "~layers.#.self_attn.k_norm": (spec) => turnedRows(spec, 1),
    },
  },
};
