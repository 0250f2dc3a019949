/** Phi-3 (Abdin et al., arXiv:2404.14219): Llama with queries, keys and values, and both feed-forward inputs, stored as one. */

import * as v from "valibot";
import { sizes } from "../bounds.ts";
import { windowOf } from "../config-window.ts";
import type { Family } from "./family.ts";
import { llamaBlocks, llamaConfig, llamaNames } from "./llama.ts";
import { turnedRows } from "./rows.ts";

const FUSED = ["q_proj", "k_proj", "v_proj", "gate_proj", "up_proj"];

/** The definition of Phi-3's models. */
export const phi3: Family = {
  name: "phi3",
  className: "Phi3",
  headName: "ForCausalLM",
  isDecoder: true,
  blocks: llamaBlocks,
  config: llamaConfig({
    name: "phi3",
    className: "Phi3",
    fields: {
      sliding_window: v.nullish(sizes.positions),
      original_max_position_embeddings: v.nullish(sizes.positions),
    },
    tied: false,
    blocks: (blocks, { sliding_window }, { layers }) => ({ ...blocks, window: windowOf(sliding_window, layers) }),
    write: ({ blocks: { window } }) => ({ sliding_window: window?.size ?? null }),
  }),
  names: {
    ...llamaNames,
    layers: [
      ...llamaNames.layers.filter(([theirs]) => !FUSED.some((name) => theirs.endsWith(name))),
      ["~layers.#.self_attn.qkv_proj", "layer.#.query", "layer.#.key", "layer.#.value"],
      ["~layers.#.mlp.gate_up_proj", "layer.#.gate", "layer.#.intermediate"],
    ],
    ordered: {
      "~layers.#.self_attn.qkv_proj": (spec) => {
        const { heads, keyHeads, headWidth } = spec;
        const queries = turnedRows(spec, heads);
        const keys = turnedRows(spec, keyHeads);
        if (queries === null || keys === null) return null;
        const [first, second] = [heads * headWidth, (heads + keyHeads) * headWidth];
        const values = Array.from({ length: keyHeads * headWidth }, (_, i) => second + i);
        return [...queries, ...keys.map((row) => first + row), ...values];
      },
    },
  },
};
