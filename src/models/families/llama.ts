/** Llama (Touvron et al., arXiv:2302.13971 and arXiv:2307.09288), and the fields that its many relatives have in common. */

import * as v from "valibot";
import type { RotarySpec } from "../../program/rotary.ts";
import type { Blocks, ModelSpec } from "../../program/spec.ts";
import { sizes, whole } from "../bounds.ts";
import {
  type ConfigFormat,
  choicesOf,
  decoderFields,
  epsilon,
  generation,
  ownBlock,
  writtenChoices,
} from "../config-fields.ts";
import { rotaryFields, rotaryIn, writtenRotary } from "../config-rotary.ts";
import { check } from "../json.ts";
import type { Family, NameTable } from "./family.ts";
import { turnedRows } from "./rows.ts";

/** Root mean squares first, rotary positions, a gate, no biases. */
export const llamaBlocks: Blocks = {
  norm: "rms",
  normBias: false,
  normPlace: "before",
  parallel: "no",
  patches: null,
  embeddingNorm: false,
  positionTable: false,
  typeTable: false,
  skipsPadding: false,
  queryNorm: "none",
  rotary: { theta: 10_000, width: null, scaling: null, without: [] },
  relative: null,
  window: null,
  windowRotary: null,
  slopes: null,
  scoreScale: null,
  caps: { scores: null, logits: null },
  activation: "silu",
  gated: true,
  biases: { query: false, output: false, feedForward: false, head: false },
  finalNorm: true,
  pooler: "tanh",
  embeddingWidth: null,
  layerGroups: null,
};

const fields = {
  num_hidden_layers: sizes.layers,
  hidden_size: sizes.hidden,
  num_attention_heads: sizes.heads,
  num_key_value_heads: v.nullish(sizes.heads),
  head_dim: v.nullish(whole(2, 16_384)),
  intermediate_size: sizes.intermediate,
  vocab_size: sizes.vocabulary,
  max_position_embeddings: sizes.positions,
  rms_norm_eps: epsilon(1e-6),
  ...rotaryFields,
  hidden_act: v.nullish(v.picklist(["silu", "swish"], "must be silu: other gates are not supported")),
  tie_word_embeddings: v.nullish(v.boolean()),
  ...decoderFields,
  mpcformer: ownBlock,
} as const;
const schema = v.looseObject(fields);
type Config = v.InferOutput<typeof schema>;

/** What a relative of Llama's has of its own. */
export interface Relative<Own extends v.ObjectEntries> {
  readonly name: string;
  readonly className: string;
  /** Columns of a head where the file does not say; the model's width over the heads' number unless told. */
  readonly usualHead?: number;
  /** Its own fields, checked beside the common ones. */
  readonly fields: Own;
  /** Whether its head is tied to its words unless the file says so. */
  readonly tied: boolean;
  /** Its blocks, from those with the file's rotary positions. */
  blocks(
    blocks: Blocks & { readonly rotary: RotarySpec },
    config: v.InferOutput<v.LooseObjectSchema<Own, undefined>>,
    sizes: Pick<ModelSpec, "layers" | "headWidth">,
  ): Blocks;
  /** The part of a head that is turned where the file does not say; all unless told. */
  readonly turned?: number;
  /** What its norms add; rms_norm_eps unless told. */
  epsilon?(config: v.InferOutput<v.LooseObjectSchema<Own, undefined>>): number;
  /** The stand-in that is its function; SiLU itself unless told. */
  activation?(config: v.InferOutput<v.LooseObjectSchema<Own, undefined>>): string;
  /** The fields of its own that give the spec back. */
  write(spec: ModelSpec): Readonly<Record<string, unknown>>;
}

/** How a relative of Llama's writes its config.json. */
export function llamaConfig<Own extends v.ObjectEntries>(relative: Relative<Own>): ConfigFormat {
  const own = v.looseObject(relative.fields);
  return {
    fields: [...Object.keys(fields), ...Object.keys(relative.fields)],

    read(json) {
      const config = check(schema, withoutOwn(json, relative.fields), "config.json");
      const more = check(own, json, "config.json");
      const headWidth = headWidthOf(config, relative.usualHead);
      const rotary = rotaryIn(config, headWidth, relative.turned);
      const layers = config.num_hidden_layers;
      return {
        architecture: relative.name,
        isDecoder: true,
        blocks: relative.blocks({ ...llamaBlocks, rotary }, more, { layers, headWidth }),
        layers,
        hidden: config.hidden_size,
        heads: config.num_attention_heads,
        keyHeads: config.num_key_value_heads ?? config.num_attention_heads,
        headWidth,
        intermediate: config.intermediate_size,
        vocabulary: config.vocab_size,
        positions: config.max_position_embeddings,
        epsilon: relative.epsilon?.(more) ?? config.rms_norm_eps,
        positionOffset: 0,
        tied: config.tie_word_embeddings ?? relative.tied,
        ...generation(config.vocab_size),
        ...choicesOf(config.mpcformer, () => relative.activation?.(more) ?? "exact"),
      };
    },

    write: (spec, base) => ({
      architectures: [`${relative.className}${base ? "Model" : "ForCausalLM"}`],
      model_type: relative.name,
      ...writtenLlama(spec),
      ...relative.write(spec),
      mpcformer: writtenChoices(spec),
    }),
  };
}

/** A file without the fields that a relative checks itself. */
function withoutOwn(json: unknown, own: v.ObjectEntries): unknown {
  if (typeof json !== "object" || json === null) return json;
  return Object.fromEntries(Object.entries(json).filter(([name]) => !Object.hasOwn(own, name)));
}

function writtenLlama(spec: ModelSpec): Record<string, unknown> {
  return {
    num_hidden_layers: spec.layers,
    hidden_size: spec.hidden,
    num_attention_heads: spec.heads,
    num_key_value_heads: spec.keyHeads,
    head_dim: spec.headWidth,
    intermediate_size: spec.intermediate,
    vocab_size: spec.vocabulary,
    max_position_embeddings: spec.positions,
    rms_norm_eps: spec.epsilon,
    ...(spec.blocks.rotary === null ? {} : writtenRotary(spec.blocks.rotary, spec.headWidth)),
    hidden_act: "silu",
    tie_word_embeddings: spec.tied,
  };
}

/** @throws an Error when heads do not divide the width, or groups the heads. */
function headWidthOf(config: Config, usual: number | undefined): number {
  const { hidden_size: hidden, num_attention_heads: heads, head_dim: said } = config;
  const width = said ?? usual;
  if (width === undefined && hidden % heads !== 0)
    throw new Error("config.json: num_attention_heads must divide hidden_size");
  if (heads % (config.num_key_value_heads ?? heads) !== 0) {
    throw new Error("config.json: num_key_value_heads must divide num_attention_heads");
  }
  return width ?? hidden / heads;
}

/** Biases that a file switches on, of attention and of feed-forward layers. */
export const llamaBiases = { attention_bias: v.nullish(v.boolean(), false), mlp_bias: v.nullish(v.boolean(), false) };

/** The biases of a file with these switches. */
export function biasesOf(config: {
  readonly attention_bias: boolean | null;
  readonly mlp_bias: boolean | null;
}): Blocks["biases"] {
  const [attention, feedForward] = [config.attention_bias ?? false, config.mlp_bias ?? false];
  return { query: attention, output: attention, feedForward, head: false };
}

/** The switches of `llamaBiases`. */
export function writtenBiases({ blocks: { biases } }: ModelSpec): Readonly<Record<string, unknown>> {
  return { attention_bias: biases.query, mlp_bias: biases.feedForward };
}

/** Llama's names, as its relatives have them. */
export const llamaNames: NameTable = {
  prefixes: ["model.", ""],
  layers: [
    ["~layers.#.self_attn.q_proj", "layer.#.query"],
    ["~layers.#.self_attn.k_proj", "layer.#.key"],
    ["~layers.#.self_attn.v_proj", "layer.#.value"],
    ["~layers.#.self_attn.o_proj", "layer.#.attention.output"],
    ["~layers.#.input_layernorm", "layer.#.attention.norm"],
    ["~layers.#.mlp.gate_proj", "layer.#.gate"],
    ["~layers.#.mlp.up_proj", "layer.#.intermediate"],
    ["~layers.#.mlp.down_proj", "layer.#.output"],
    ["~layers.#.post_attention_layernorm", "layer.#.norm"],
    ["~norm", "norm"],
    ["lm_head", "head"],
  ],
  tables: [["~embed_tokens.weight", "embeddings.word"]],
  ordered: {
    "~layers.#.self_attn.q_proj": (spec) => turnedRows(spec, spec.heads),
    "~layers.#.self_attn.k_proj": (spec) => turnedRows(spec, spec.keyHeads),
  },
};

/** The definition of Llama's models. */
export const llama: Family = {
  name: "llama",
  className: "Llama",
  headName: "ForCausalLM",
  isDecoder: true,
  blocks: llamaBlocks,
  config: llamaConfig({
    name: "llama",
    className: "Llama",
    fields: llamaBiases,
    tied: false,
    blocks: (blocks, config) => ({ ...blocks, biases: biasesOf(config) }),
    write: writtenBiases,
  }),
  names: llamaNames,
};
