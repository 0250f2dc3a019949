/** Gemma (arXiv:2403.08295): Llama with GELU gates, gains stored less one, and words larger by the root of the width. */

import * as v from "valibot";
import type { ModelSpec } from "../../program/spec.ts";
import { activationName, activationOf, only } from "../config-fields.ts";
import type { Family } from "./family.ts";
import { llamaBlocks, llamaConfig, llamaNames } from "./llama.ts";

/** Gains are stored less one. */
export const gain = () => ({ times: 1, add: 1 });
/** Words are stored before their factor, the root of the width. */
export const scaledWords = ({ hidden }: ModelSpec) => ({ times: Math.sqrt(hidden), add: 0 });
const ACTIVATION = "gelu_pytorch_tanh";
const blocks = { ...llamaBlocks, activation: "gelu" } as const;

/** The definition of Gemma's models. */
export const gemma: Family = {
  name: "gemma",
  className: "Gemma",
  headName: "ForCausalLM",
  isDecoder: true,
  blocks,
  config: llamaConfig({
    name: "gemma",
    className: "Gemma",
    fields: {
      // Releases of transformers differ in which they read: both must say one function. The older name's GELU is its tanh form.
      hidden_act: v.nullish(v.string()),
      hidden_activation: v.nullish(v.string()),
      attention_bias: only(false, "must be false: biases in attention are not supported"),
      tie_word_embeddings: only(true, "must be true: a head of its own is not supported"),
      use_bidirectional_attention: only(false, "must be false: attention to later tokens is not supported"),
    },
    usualHead: 256,
    tied: true,
    blocks: (own) => ({ ...own, activation: "gelu" }),
    activation({ hidden_activation: name, hidden_act: before }) {
      const older = before === "gelu" ? ACTIVATION : before;
      const own = activationOf(name ?? older ?? ACTIVATION, "hidden_activation");
      if (name && older && activationOf(older, "hidden_act") !== own)
        throw new Error("config.json: hidden_act and hidden_activation name two functions: remove the wrong one");
      return own;
    },
    write({ gelu }) {
      const name = activationName(gelu, ACTIVATION);
      return { hidden_act: name, hidden_activation: name };
    },
  }),
  names: {
    ...llamaNames,
    changed: {
      "embeddings.word": scaledWords,
      "layer.#.attention.norm.weight": gain,
      "layer.#.norm.weight": gain,
      "norm.weight": gain,
    },
  },
};
