/** RoBERTa (Liu et al., arXiv:1907.11692): BERT's layers, positions that begin behind the padding token's. */

import type { Blocks } from "../../program/spec.ts";
import { bert, bertConfig, bertLayers, bertTables, filling } from "./bert.ts";
import type { Family, NameTable } from "./family.ts";

const blocks: Blocks = { ...bert.blocks, skipsPadding: true };

const filled = filling({ dense: "lm_head.dense", norm: "lm_head.layer_norm" }, ["lm_head.decoder", "lm_head"]);

/** RoBERTa's names, as its relatives have them. */
const robertaNames: NameTable = {
  prefixes: ["roberta.", ""],
  layers: [...bertLayers, ["classifier.dense", "pooler"], ["classifier.out_proj", "classifier"], ...filled.layers],
  tables: [...bertTables, ...filled.tables],
};

/** The definition of RoBERTa's models. */
export const roberta: Family = {
  name: "roberta",
  className: "Roberta",
  headName: "ForSequenceClassification",
  isDecoder: false,
  fillsWithGelu: true,
  blocks,
  config: bertConfig("roberta", "Roberta", blocks),
  names: robertaNames,
};
