/** GPT-Neo (Black et al., 2021): GPT-2 whose scores have no scale, and whose layers see all or a window in turn. */

import * as v from "valibot";
import type { Blocks } from "../../program/spec.ts";
import { sizes, whole } from "../bounds.ts";
import { decoderConfig } from "../config-decoder.ts";
import { windowOf } from "../config-window.ts";
import type { Family } from "./family.ts";
import { gpt2 } from "./gpt2.ts";

const blocks: Blocks = {
  ...gpt2.blocks,
  biases: { query: false, output: true, feedForward: true, head: false },
  scoreScale: 1,
};

const kind = v.picklist(["global", "local"], "must be global or local: other attention is not supported");

interface Config {
  readonly attention_layers?: readonly string[] | null | undefined;
  readonly attention_types?: readonly (readonly [readonly string[], number])[] | null | undefined;
}

/** Each layer's kind. @throws an Error for a list of another length */
function kindsOf({ attention_layers: list, attention_types: types }: Config, layers: number): readonly string[] {
  const repeated = (types ?? [[["global", "local"], layers / 2]]) as NonNullable<Config["attention_types"]>;
  const kinds = list ?? repeated.flatMap(([kinds, times]) => Array.from({ length: times }, () => kinds).flat());
  if (kinds.length !== layers) throw new Error("config.json: attention_types must tell one kind a layer");
  return kinds;
}

/** The definition of GPT-Neo's models. */
export const gptNeo: Family = {
  name: "gpt_neo",
  className: "GPTNeo",
  headName: "ForCausalLM",
  isDecoder: true,
  blocks,
  config: decoderConfig({
    name: "gpt_neo",
    className: "GPTNeo",
    headName: "ForCausalLM",
    names: {
      layers: "num_layers",
      hidden: "hidden_size",
      heads: "num_heads",
      intermediate: "intermediate_size",
      vocabulary: "vocab_size",
      positions: "max_position_embeddings",
      epsilon: "layer_norm_epsilon",
      activation: "activation_function",
    },
    aliases: { num_attention_heads: "num_heads", num_hidden_layers: "num_layers" },
    usual: { activation: "gelu_new", tied: true },
    fields: {
      window_size: v.nullish(sizes.positions, 256),
      attention_layers: v.nullish(v.array(kind)),
      attention_types: v.nullish(v.array(v.tuple([v.array(kind), whole(1, 128)]))),
    },
    turned: null,
    blocks(config, _rotary, { layers }) {
      const kinds = kindsOf(config, layers);
      return { ...blocks, window: windowOf(config.window_size, layers, (i) => kinds[i] === "local") };
    },
    write({ blocks: { window }, layers }) {
      const kinds = Array.from({ length: layers }, (_, i) => (window?.layers.includes(i) ? "local" : "global"));
      return { window_size: window?.size ?? 256, attention_types: kinds.map((one) => [[one], 1]) };
    },
  }),
  names: {
    prefixes: ["transformer.", ""],
    layers: [
      ["~h.#.ln_1", "layer.#.attention.norm"],
      ["~h.#.attn.attention.q_proj", "layer.#.query"],
      ["~h.#.attn.attention.k_proj", "layer.#.key"],
      ["~h.#.attn.attention.v_proj", "layer.#.value"],
      ["~h.#.attn.attention.out_proj", "layer.#.attention.output"],
      ["~h.#.ln_2", "layer.#.norm"],
      ["~h.#.mlp.c_fc", "layer.#.intermediate"],
      ["~h.#.mlp.c_proj", "layer.#.output"],
      ["~ln_f", "norm"],
      ["lm_head", "head"],
    ],
    tables: [
      ["~wte.weight", "embeddings.word"],
      ["~wpe.weight", "embeddings.position"],
    ],
  },
};
