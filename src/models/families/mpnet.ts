/** MPNet (Song et al., arXiv:2004.09297): BERT's layers with a number for each distance added to the scores. */

import * as v from "valibot";
import type { Blocks } from "../../program/spec.ts";
import { bert, bertConfig } from "./bert.ts";
import type { Family } from "./family.ts";

/** transformers takes no other number of buckets, and no other padding. */
const BUCKETS = 32;
const PADDING = 1;

const blocks: Blocks = {
  ...bert.blocks,
  typeTable: false,
  skipsPadding: true,
  relative: { kind: "bias", buckets: BUCKETS, most: 128 },
};

/** The definition of MPNet's models. */
export const mpnet: Family = {
  name: "mpnet",
  className: "MPNet",
  headName: "ForSequenceClassification",
  isDecoder: false,
  blocks,
  config: bertConfig("mpnet", "MPNet", blocks, {
    fields: {
      relative_attention_num_buckets: v.optional(
        v.literal(BUCKETS, "must be 32: transformers computes with no other number"),
        BUCKETS,
      ),
      pad_token_id: v.optional(v.literal(PADDING, "must be 1: transformers counts positions by no other"), PADDING),
    },
    blocks: () => blocks,
    write: () => ({ relative_attention_num_buckets: BUCKETS, pad_token_id: PADDING }),
  }),
  names: {
    prefixes: ["mpnet.", ""],
    layers: [
      ["~embeddings.LayerNorm", "embeddings.norm"],
      ["~encoder.layer.#.attention.attn.q", "layer.#.query"],
      ["~encoder.layer.#.attention.attn.k", "layer.#.key"],
      ["~encoder.layer.#.attention.attn.v", "layer.#.value"],
      ["~encoder.layer.#.attention.attn.o", "layer.#.attention.output"],
      ["~encoder.layer.#.attention.LayerNorm", "layer.#.attention.norm"],
      ["~encoder.layer.#.intermediate.dense", "layer.#.intermediate"],
      ["~encoder.layer.#.output.dense", "layer.#.output"],
      ["~encoder.layer.#.output.LayerNorm", "layer.#.norm"],
      ["classifier.dense", "pooler"],
      ["classifier.out_proj", "classifier"],
    ],
    tables: [
      ["~embeddings.word_embeddings.weight", "embeddings.word"],
      ["~embeddings.position_embeddings.weight", "embeddings.position"],
      ["~encoder.relative_attention_bias.weight", "relative"],
    ],
  },
};
