/** OPT (Zhang et al., arXiv:2205.01068). */

import * as v from "valibot";
import type { Blocks, NamedTensor } from "../../program/spec.ts";
import { sizes } from "../bounds.ts";
import {
  activationName,
  activationOf,
  type ConfigFormat,
  checkHeads,
  choicesOf,
  decoderFields,
  generation,
  only,
  ownBlock,
  writtenChoices,
} from "../config-fields.ts";
import { check } from "../json.ts";
import type { StoredWeight } from "../stored-weight.ts";
import type { Family } from "./family.ts";
import { gpt2 } from "./gpt2.ts";

/** OPT's table of positions begins with two rows that texts don't use. */
const OPT_OFFSET = 2;

const schema = v.looseObject({
  num_hidden_layers: sizes.layers,
  hidden_size: sizes.hidden,
  num_attention_heads: sizes.heads,
  ffn_dim: sizes.intermediate,
  max_position_embeddings: sizes.positions,
  vocab_size: sizes.vocabulary,
  word_embed_proj_dim: v.nullish(sizes.hidden),
  do_layer_norm_before: v.nullish(v.boolean(), true),
  activation_function: v.optional(v.string(), "relu"),
  tie_word_embeddings: v.nullish(v.boolean(), true),
  enable_bias: only(true, "must be true: layers without biases are not supported"),
  layer_norm_elementwise_affine: only(true, "must be true: norms without weights are not supported"),
  _remove_final_layer_norm: only(false, "must be false: save the model again with a current transformers"),
  ...decoderFields,
  mpcformer: ownBlock,
});

/** GPT-2's; of OPT-350m with norms last and none behind the layers. */
function blocksOf(normFirst: boolean): Blocks {
  return { ...gpt2.blocks, normPlace: normFirst ? "before" : "after", finalNorm: normFirst };
}

const config: ConfigFormat = {
  fields: Object.keys(schema.entries),

  read(json) {
    const config = check(schema, json, "config.json");
    checkHeads(config.hidden_size, config.num_attention_heads, ["hidden_size", "num_attention_heads"]);
    const isProjected = (config.word_embed_proj_dim ?? config.hidden_size) !== config.hidden_size;
    return {
      architecture: "opt",
      isDecoder: true,
      blocks: blocksOf(config.do_layer_norm_before ?? true),
      layers: config.num_hidden_layers,
      hidden: config.hidden_size,
      heads: config.num_attention_heads,
      keyHeads: config.num_attention_heads,
      headWidth: config.hidden_size / config.num_attention_heads,
      intermediate: config.ffn_dim,
      vocabulary: config.vocab_size,
      positions: config.max_position_embeddings + OPT_OFFSET,
      epsilon: 1e-5,
      positionOffset: OPT_OFFSET,
      // Words and head are products with projections of their own then.
      tied: !isProjected && (config.tie_word_embeddings ?? true),
      ...generation(config.vocab_size),
      ...choicesOf(config.mpcformer, () => activationOf(config.activation_function, "activation_function")),
    };
  },

  write: (spec, base) => ({
    architectures: [base ? "OPTModel" : "OPTForCausalLM"],
    model_type: "opt",
    num_hidden_layers: spec.layers,
    hidden_size: spec.hidden,
    word_embed_proj_dim: spec.hidden,
    num_attention_heads: spec.heads,
    ffn_dim: spec.intermediate,
    max_position_embeddings: spec.positions - OPT_OFFSET,
    vocab_size: spec.vocabulary,
    do_layer_norm_before: spec.blocks.normPlace === "before",
    activation_function: activationName(spec.gelu, "relu"),
    tie_word_embeddings: spec.tied,
    enable_bias: true,
    layer_norm_elementwise_affine: true,
    mpcformer: writtenChoices(spec),
  }),
};

/** a [rows, inner] times b, [inner, columns] or its transpose: [rows, columns]. */
function product(a: NamedTensor, b: NamedTensor, isTransposed: boolean): NamedTensor {
  const [rows, inner] = a.shape;
  const columns = b.shape[isTransposed ? 0 : 1];
  const data = new Float32Array(rows * columns);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) {
      let sum = 0;
      for (let c = 0; c < inner; c++)
        sum += a.data[i * inner + c] * b.data[isTransposed ? j * inner + c : c * columns + j];
      data[i * columns + j] = sum;
    }
  }
  return { shape: [rows, columns], data };
}

/**
 * OPT-350m's words are narrower than its layers: what its dense layer makes of the words is the program's table, and the head is the
 * words behind the layer that narrows the states.
 */
function withoutProjections(entries: ReadonlyMap<string, StoredWeight>): ReadonlyMap<string, StoredWeight> {
  const find = (name: string) => [...entries.keys()].find((one) => one.endsWith(name));
  const [into, out] = ["project_in.weight", "project_out.weight"].map(find);
  if (into === undefined && out === undefined) return entries;
  const words = find("embed_tokens.weight");
  if (into === undefined || out === undefined || words === undefined)
    throw new Error("project_in, project_out and embed_tokens are in several files: save the model as one");
  const head = find("lm_head.weight") ?? words;
  const at = (name: string) => entries.get(name) as StoredWeight;
  const made = (table: string, layer: string, isTransposed: boolean): StoredWeight => ({
    ...at(table),
    place: at(layer).place,
    shape: [at(table).shape[0], at(layer).shape[isTransposed ? 0 : 1]],
    read: async () => product(await at(table).read(), await at(layer).read(), isTransposed),
  });
  const all = new Map([...entries].filter(([name]) => name !== into && name !== out));
  return all.set(words, made(words, into, true)).set("lm_head.weight", made(head, out, false));
}

/** The definition of OPT's models. */
export const opt: Family = {
  name: "opt",
  className: "OPT",
  headName: "ForCausalLM",
  isDecoder: true,
  blocks: blocksOf(true),
  config,
  read: withoutProjections,
  names: {
    prefixes: ["model.decoder.", "decoder.", ""],
    layers: [
      ["~layers.#.self_attn.q_proj", "layer.#.query"],
      ["~layers.#.self_attn.k_proj", "layer.#.key"],
      ["~layers.#.self_attn.v_proj", "layer.#.value"],
      ["~layers.#.self_attn.out_proj", "layer.#.attention.output"],
      ["~layers.#.self_attn_layer_norm", "layer.#.attention.norm"],
      ["~layers.#.fc1", "layer.#.intermediate"],
      ["~layers.#.fc2", "layer.#.output"],
      ["~layers.#.final_layer_norm", "layer.#.norm"],
      ["~final_layer_norm", "norm"],
      ["lm_head", "head"],
    ],
    tables: [
      ["~embed_tokens.weight", "embeddings.word"],
      ["~embed_positions.weight", "embeddings.position"],
    ],
  },
};
