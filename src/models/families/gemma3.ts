/** Gemma 3's texts (arXiv:2503.19786): Gemma 2 with norms of queries and keys, and other rotary positions where windows are. */

import * as v from "valibot";
import type { Blocks } from "../../program/spec.ts";
import { whole } from "../bounds.ts";
import { rope, rotaryIn, theta, writtenRotary } from "../config-rotary.ts";
import type { Family } from "./family.ts";
import { gain } from "./gemma.ts";
import { gemma2Activation, gemma2Blocks, gemma2Fields, gemma2Names, writtenGemma2 } from "./gemma2.ts";
import { llamaBlocks, llamaConfig } from "./llama.ts";
import { turnedRows } from "./rows.ts";

const fields = {
  ...gemma2Fields({ scores: null, logits: null }),
  // transformers has the field and caps no scores.
  attn_logit_softcapping: v.optional(v.null("must be null: capped scores are not supported"), null),
  sliding_window_pattern: v.nullish(whole(1, 128)),
  _sliding_window_pattern: v.nullish(whole(1, 128)),
  rope_theta: theta,
  rope_local_base_freq: theta,
  rope_scaling: rope,
  rope_parameters: v.nullish(
    v.strictObject({ full_attention: rope, sliding_attention: rope }, "must tell full_attention and sliding_attention"),
  ),
} as const;
type Config = v.InferOutput<v.LooseObjectSchema<typeof fields, undefined>>;

/** The rotary positions of layers with and without a window. Older files scale those without alone. */
function rotaryOf(config: Config, headWidth: number): Pick<Blocks, "rotary" | "windowRotary"> {
  const { full_attention: full, sliding_attention: sliding } = config.rope_parameters ?? {};
  const bases = { full: config.rope_theta ?? 1e6, sliding: config.rope_local_base_freq ?? 1e4 };
  return {
    rotary: rotaryIn({ rope_parameters: { rope_theta: bases.full, ...(full ?? config.rope_scaling) } }, headWidth),
    windowRotary: rotaryIn({ rope_parameters: { rope_theta: bases.sliding, ...sliding } }, headWidth),
  };
}

/** The definition of Gemma 3's models of texts. */
export const gemma3: Family = {
  name: "gemma3_text",
  className: "Gemma3",
  headName: "ForCausalLM",
  isDecoder: true,
  blocks: { ...llamaBlocks, activation: "gelu", normPlace: "both", queryNorm: "heads" },
  config: llamaConfig({
    name: "gemma3_text",
    className: "Gemma3",
    fields,
    tied: true,
    usualHead: 256,
    blocks(own, config, { layers, headWidth }) {
      const pattern = config.sliding_window_pattern ?? config._sliding_window_pattern ?? 6;
      const blocks = gemma2Blocks(own, config, layers, (i) => (i + 1) % pattern !== 0);
      return { ...blocks, queryNorm: "heads", ...rotaryOf(config, headWidth) };
    },
    activation: gemma2Activation,
    write(spec) {
      const { rotary, windowRotary } = spec.blocks;
      const written = (one: Blocks["rotary"]) => {
        if (one === null) return undefined;
        const { rope_parameters: scaled, ...plain } = writtenRotary(one, spec.headWidth);
        return scaled ?? { rope_type: "default", ...plain };
      };
      return {
        ...writtenGemma2(spec),
        rope_theta: undefined,
        partial_rotary_factor: undefined,
        rope_parameters: { full_attention: written(rotary), sliding_attention: written(windowRotary) },
      };
    },
  }),
  names: {
    ...gemma2Names,
    layers: [
      ...gemma2Names.layers,
      ["~layers.#.self_attn.q_norm", "layer.#.query.norm"],
      ["~layers.#.self_attn.k_norm", "layer.#.key.norm"],
    ],
    ordered: {
      ...gemma2Names.ordered,
      "~layers.#.self_attn.q_norm": (spec) => turnedRows(spec, 1),
      "~layers.#.self_attn.k_norm": (spec) => turnedRows(spec, 1),
    },
    changed: { ...gemma2Names.changed, "layer.#.query.norm.weight": gain, "layer.#.key.norm.weight": gain },
  },
};
