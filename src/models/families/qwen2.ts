/** Qwen2 and Qwen2.5 (Yang et al., arXiv:2407.10671): Llama with biases of queries, keys and values. */

import { switchedWindow, windowFields, writtenSwitch } from "../config-window.ts";
import type { Family } from "./family.ts";
import { llamaBlocks, llamaConfig, llamaNames } from "./llama.ts";

/** The definition of Qwen2's models. */
export const qwen2: Family = {
  name: "qwen2",
  className: "Qwen2",
  headName: "ForCausalLM",
  isDecoder: true,
  blocks: llamaBlocks,
  config: llamaConfig({
    name: "qwen2",
    className: "Qwen2",
    fields: windowFields,
    tied: false,
    blocks: (blocks, config, { layers }) => ({
      ...blocks,
      biases: { query: true, output: false, feedForward: false, head: false },
      window: switchedWindow(config, layers),
    }),
    write: writtenSwitch,
  }),
  names: llamaNames,
};
