/** Mistral (Jiang et al., arXiv:2310.06825): Llama with a window of attention. */

import * as v from "valibot";
import { sizes } from "../bounds.ts";
import { windowOf } from "../config-window.ts";
import type { Family } from "./family.ts";
import { llamaBlocks, llamaConfig, llamaNames } from "./llama.ts";

/** The definition of Mistral's models. */
export const mistral: Family = {
  name: "mistral",
  className: "Mistral",
  headName: "ForCausalLM",
  isDecoder: true,
  blocks: llamaBlocks,
  config: llamaConfig({
    name: "mistral",
    className: "Mistral",
    fields: { sliding_window: v.optional(v.nullable(sizes.positions), 4096) },
    tied: false,
    blocks: (blocks, { sliding_window }, { layers }) => ({ ...blocks, window: windowOf(sliding_window, layers) }),
    write: ({ blocks: { window } }) => ({ sliding_window: window?.size ?? null }),
  }),
  names: llamaNames,
};
