/** DistilBERT (Sanh et al., arXiv:1910.01108): BERT's layers without token types, a rectifier in its head. */

import * as v from "valibot";
import type { Blocks } from "../../program/spec.ts";
import { sizes } from "../bounds.ts";
import {
  activationName,
  activationOf,
  type ConfigFormat,
  checkHeads,
  choicesOf,
  only,
  ownBlock,
  writtenChoices,
} from "../config-fields.ts";
import { HEADLESS, labelFields, labelling, writtenLabels } from "../config-labels.ts";
import { check } from "../json.ts";
import { bert, filling } from "./bert.ts";
import type { Family } from "./family.ts";

const blocks: Blocks = { ...bert.blocks, typeTable: false, pooler: "relu" };

const schema = v.looseObject({
  n_layers: sizes.layers,
  dim: sizes.hidden,
  n_heads: sizes.heads,
  hidden_dim: sizes.intermediate,
  vocab_size: sizes.vocabulary,
  max_position_embeddings: sizes.positions,
  activation: v.optional(v.string(), "gelu"),
  // Their table is stored like a learnt one.
  sinusoidal_pos_embds: v.nullish(v.boolean()),
  is_decoder: only(false, "must be false: decoders of this type are not supported"),
  tie_word_embeddings: v.nullish(v.boolean()),
  ...labelFields,
  mpcformer: ownBlock,
});

const config: ConfigFormat = {
  fields: Object.keys(schema.entries),

  read(json, headless) {
    const config = check(schema, headless ? { ...(json as object), ...HEADLESS } : json, "config.json");
    checkHeads(config.dim, config.n_heads, ["dim", "n_heads"]);
    return {
      architecture: "distilbert",
      isDecoder: false,
      blocks,
      layers: config.n_layers,
      hidden: config.dim,
      heads: config.n_heads,
      keyHeads: config.n_heads,
      headWidth: config.dim / config.n_heads,
      intermediate: config.hidden_dim,
      vocabulary: config.vocab_size,
      positions: config.max_position_embeddings,
      types: 1,
      epsilon: 1e-12,
      positionOffset: 0,
      tied: false,
      ...labelling(config),
      ...choicesOf(config.mpcformer, () => activationOf(config.activation, "activation")),
    };
  },

  write: (spec, base) => ({
    architectures: [`DistilBert${base ? "Model" : "ForSequenceClassification"}`],
    model_type: "distilbert",
    n_layers: spec.layers,
    dim: spec.hidden,
    n_heads: spec.heads,
    hidden_dim: spec.intermediate,
    vocab_size: spec.vocabulary,
    max_position_embeddings: spec.positions,
    activation: activationName(spec.gelu, "gelu"),
    ...writtenLabels(spec),
    mpcformer: writtenChoices(spec),
  }),
};

const filled = filling({ dense: "vocab_transform", norm: "vocab_layer_norm" }, ["vocab_projector", "vocab_projector"]);

/** The definition of DistilBERT's models. */
export const distilbert: Family = {
  name: "distilbert",
  className: "DistilBert",
  headName: "ForSequenceClassification",
  isDecoder: false,
  blocks,
  config,
  names: {
    prefixes: ["distilbert.", ""],
    layers: [
      ["~embeddings.LayerNorm", "embeddings.norm"],
      ["~transformer.layer.#.attention.q_lin", "layer.#.query"],
      ["~transformer.layer.#.attention.k_lin", "layer.#.key"],
      ["~transformer.layer.#.attention.v_lin", "layer.#.value"],
      ["~transformer.layer.#.attention.out_lin", "layer.#.attention.output"],
      ["~transformer.layer.#.sa_layer_norm", "layer.#.attention.norm"],
      ["~transformer.layer.#.ffn.lin1", "layer.#.intermediate"],
      ["~transformer.layer.#.ffn.lin2", "layer.#.output"],
      ["~transformer.layer.#.output_layer_norm", "layer.#.norm"],
      ["pre_classifier", "pooler"],
      ["classifier", "classifier"],
      ...filled.layers,
    ],
    tables: [
      ["~embeddings.word_embeddings.weight", "embeddings.word"],
      ["~embeddings.position_embeddings.weight", "embeddings.position"],
      ...filled.tables,
    ],
  },
};
