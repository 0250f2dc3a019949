/** DeBERTa-v2 and v3 (He et al., arXiv:2006.03654 and arXiv:2111.09543): BERT's layers, whose queries and keys also meet distances. */

import * as v from "valibot";
import type { RelativeSpec } from "../../program/relative.ts";
import type { Blocks } from "../../program/spec.ts";
import { whole } from "../bounds.ts";
import { only } from "../config-fields.ts";
import { type BertSizes, bert, bertConfig, bertTables } from "./bert.ts";
import type { Family } from "./family.ts";

const usual: RelativeSpec = {
  ...{ kind: "disentangled", span: 256, most: 512 },
  ...{ ofQueries: true, ofKeys: true, shared: true, normed: true },
};
const blocks: Blocks = { ...bert.blocks, positionTable: false, typeTable: false, relative: usual, pooler: "gelu" };

const fields = {
  max_position_embeddings: whole(1, 65_536),
  type_vocab_size: v.optional(whole(0, 64), 0),
  relative_attention: only(true, "must be true: attention without distances is not supported"),
  pos_att_type: v.optional(v.union([v.string(), v.array(v.string())], "must list c2p, p2c or both"), []),
  position_buckets: v.optional(v.union([v.literal(-1), whole(4, 8192)], "must be -1, or 4 to 8192"), -1),
  max_relative_positions: v.optional(v.union([v.literal(-1), whole(0, 65_536)], "must be -1 or more"), -1),
  norm_rel_ebd: v.optional(v.picklist(["none", "layer_norm"], "must be none or layer_norm"), "none"),
  share_att_key: v.optional(v.boolean(), false),
  position_biased_input: v.optional(v.boolean(), true),
  conv_kernel_size: v.nullish(v.literal(0, "must be 0: convolutions are not supported")),
  embedding_size: v.nullish(v.number()),
  attention_head_size: v.nullish(v.number()),
  num_attention_heads: whole(1, 256),
  pooler_hidden_size: v.nullish(v.number()),
  pooler_hidden_act: v.optional(v.picklist(["gelu", "tanh", "relu"], "must be gelu, tanh or relu"), "gelu"),
  // Of the head for masked words alone.
  legacy: v.nullish(v.boolean()),
};
const schema = v.looseObject(fields);
type Config = v.InferOutput<typeof schema>;

function blocksOf(config: Config, { hidden }: BertSizes): Blocks {
  for (const name of ["embedding_size", "pooler_hidden_size"] as const)
    if ((config[name] ?? hidden) !== hidden) throw new Error(`config.json: ${name} must equal hidden_size`);
  if ((config.attention_head_size ?? 0) > 0 && config.attention_head_size !== hidden / config.num_attention_heads)
    throw new Error("config.json: attention_head_size must be hidden_size / num_attention_heads");
  if (config.relative_attention !== true)
    throw new Error("config.json: relative_attention must be true: attention without distances is not supported");
  return {
    ...blocks,
    positionTable: config.position_biased_input,
    typeTable: config.type_vocab_size > 0,
    relative: relativeOf(config),
    pooler: config.pooler_hidden_act,
  };
}

function relativeOf(config: Config): RelativeSpec {
  const { position_buckets: buckets, max_relative_positions: said, max_position_embeddings: positions } = config;
  const list = typeof config.pos_att_type === "string" ? config.pos_att_type.split("|") : config.pos_att_type;
  const kinds = list.map((kind) => kind.trim().toLowerCase());
  if (kinds.length === 0 || kinds.some((kind) => kind !== "c2p" && kind !== "p2c"))
    throw new Error("config.json: pos_att_type must list c2p, p2c or both");
  const most = said < 1 ? positions : said;
  const isLogarithmic = buckets > 0;
  if (isLogarithmic && most < buckets) throw new Error("config.json: position_buckets must be at most the positions");
  return {
    kind: "disentangled",
    span: isLogarithmic ? buckets : most,
    most: isLogarithmic ? most : 0,
    ofQueries: kinds.includes("c2p"),
    ofKeys: kinds.includes("p2c"),
    shared: config.share_att_key,
    normed: config.norm_rel_ebd === "layer_norm",
  };
}

/** The definition of DeBERTa's models from version 2 on. */
export const debertaV2: Family = {
  name: "deberta-v2",
  className: "DebertaV2",
  headName: "ForSequenceClassification",
  isDecoder: false,
  blocks,
  config: bertConfig("deberta-v2", "DebertaV2", blocks, {
    fields,
    epsilon: 1e-7,
    types: 0,
    blocks: blocksOf,
    write: ({ blocks: own }) => {
      const relative = own.relative?.kind === "disentangled" ? own.relative : usual;
      return {
        relative_attention: true,
        pos_att_type: [...(relative.ofKeys ? ["p2c"] : []), ...(relative.ofQueries ? ["c2p"] : [])],
        position_buckets: relative.most > 0 ? relative.span : -1,
        max_relative_positions: relative.most > 0 ? relative.most : relative.span,
        norm_rel_ebd: relative.normed ? "layer_norm" : "none",
        share_att_key: relative.shared,
        position_biased_input: own.positionTable,
        pooler_hidden_act: own.pooler,
      };
    },
  }),
  names: {
    prefixes: ["deberta.", ""],
    layers: [
      ["~embeddings.LayerNorm", "embeddings.norm"],
      ["~encoder.LayerNorm", "relative.norm"],
      ["~encoder.layer.#.attention.self.query_proj", "layer.#.query"],
      ["~encoder.layer.#.attention.self.key_proj", "layer.#.key"],
      ["~encoder.layer.#.attention.self.value_proj", "layer.#.value"],
      ["~encoder.layer.#.attention.self.pos_key_proj", "layer.#.relative.key"],
      ["~encoder.layer.#.attention.self.pos_query_proj", "layer.#.relative.query"],
      ["~encoder.layer.#.attention.output.dense", "layer.#.attention.output"],
      ["~encoder.layer.#.attention.output.LayerNorm", "layer.#.attention.norm"],
      ["~encoder.layer.#.intermediate.dense", "layer.#.intermediate"],
      ["~encoder.layer.#.output.dense", "layer.#.output"],
      ["~encoder.layer.#.output.LayerNorm", "layer.#.norm"],
      ["pooler.dense", "pooler"],
      ["classifier", "classifier"],
    ],
    tables: [...bertTables, ["~encoder.rel_embeddings.weight", "relative"]],
  },
};
