/** ELECTRA's discriminators (Clark et al., arXiv:2003.10555): BERT's layers, embeddings of their own width, a GELU in the head. */

import type { Blocks } from "../../program/spec.ts";
import { bert, bertConfig, bertLayers, bertTables, embeddingSize, embeddingWidthOf, filling } from "./bert.ts";
import type { Family } from "./family.ts";

const blocks: Blocks = { ...bert.blocks, pooler: "gelu" };

const filled = filling({ dense: "generator_predictions.dense", norm: "generator_predictions.LayerNorm" }, [
  ...["generator_lm_head", "generator_lm_head"],
]);

/** The definition of ELECTRA's models. */
export const electra: Family = {
  name: "electra",
  className: "Electra",
  headName: "ForSequenceClassification",
  isDecoder: false,
  fillsWithGelu: true,
  blocks,
  config: bertConfig("electra", "Electra", blocks, {
    fields: embeddingSize,
    blocks: (config, sizes) => ({ ...blocks, embeddingWidth: embeddingWidthOf(config, sizes) }),
    write: ({ blocks: { embeddingWidth }, hidden }) => ({ embedding_size: embeddingWidth ?? hidden }),
  }),
  names: {
    prefixes: ["electra.", ""],
    layers: [
      ...bertLayers,
      ["~embeddings_project", "widened"],
      ["classifier.dense", "pooler"],
      ["classifier.out_proj", "classifier"],
      ...filled.layers,
    ],
    tables: [...bertTables, ...filled.tables],
  },
};
