/** ALBERT (Lan et al., arXiv:1909.11942): groups of layers with the same weights, embeddings of their own width. */

import * as v from "valibot";
import type { Blocks } from "../../program/spec.ts";
import { whole } from "../bounds.ts";
import { bert, bertConfig, bertTables, embeddingSize, filling } from "./bert.ts";
import type { Family } from "./family.ts";

const blocks: Blocks = { ...bert.blocks, layerGroups: 1 };

const filled = filling({ dense: "predictions.dense", norm: "predictions.LayerNorm" }, [
  ...["predictions.decoder", "predictions"],
]);

/** The definition of ALBERT's models. */
export const albert: Family = {
  name: "albert",
  className: "Albert",
  headName: "ForSequenceClassification",
  isDecoder: false,
  blocks,
  config: bertConfig("albert", "Albert", blocks, {
    activation: "gelu_new",
    fields: {
      ...embeddingSize,
      num_hidden_groups: v.optional(whole(1, 128), 1),
      inner_group_num: v.nullish(v.literal(1, "must be 1: groups of several different layers are not supported")),
    },
    blocks(config, sizes) {
      const { num_hidden_groups: layerGroups } = config;
      if (sizes.layers % layerGroups !== 0)
        throw new Error("config.json: num_hidden_groups must divide num_hidden_layers");
      // Its tables are widened whatever their width.
      return { ...blocks, layerGroups, embeddingWidth: config.embedding_size };
    },
    write: ({ blocks: { embeddingWidth, layerGroups }, hidden }) => ({
      embedding_size: embeddingWidth ?? hidden,
      num_hidden_groups: layerGroups,
      inner_group_num: 1,
    }),
  }),
  names: {
    prefixes: ["albert.", ""],
    layers: [
      ["~embeddings.LayerNorm", "embeddings.norm"],
      ["~encoder.embedding_hidden_mapping_in", "widened"],
      ["~encoder.albert_layer_groups.#.albert_layers.0.attention.query", "layer.#.query"],
      ["~encoder.albert_layer_groups.#.albert_layers.0.attention.key", "layer.#.key"],
      ["~encoder.albert_layer_groups.#.albert_layers.0.attention.value", "layer.#.value"],
      ["~encoder.albert_layer_groups.#.albert_layers.0.attention.dense", "layer.#.attention.output"],
      ["~encoder.albert_layer_groups.#.albert_layers.0.attention.LayerNorm", "layer.#.attention.norm"],
      ["~encoder.albert_layer_groups.#.albert_layers.0.ffn", "layer.#.intermediate"],
      ["~encoder.albert_layer_groups.#.albert_layers.0.ffn_output", "layer.#.output"],
      ["~encoder.albert_layer_groups.#.albert_layers.0.full_layer_layer_norm", "layer.#.norm"],
      ["~pooler", "pooler"],
      ["classifier", "classifier"],
      ...filled.layers,
    ],
    tables: [...bertTables, ...filled.tables],
  },
};
