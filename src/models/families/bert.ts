/** BERT (Devlin et al., arXiv:1810.04805), and the fields that RoBERTa and others have in common with it. */

import * as v from "valibot";
import type { Blocks, ModelSpec } from "../../program/spec.ts";
import { sizes, whole } from "../bounds.ts";
import {
  activationName,
  activationOf,
  type ConfigFormat,
  checkHeads,
  choicesOf,
  epsilon,
  only,
  ownBlock,
  softmaxName,
  writtenChoices,
} from "../config-fields.ts";
import { HEADLESS, labelFields, labelling, writtenLabels } from "../config-labels.ts";
import { check } from "../json.ts";
import type { Family, NameRow } from "./family.ts";

/** Norms last, tables of positions and types, biases everywhere. */
const blocks: Blocks = {
  norm: "layer",
  normBias: true,
  normPlace: "after",
  parallel: "no",
  patches: null,
  embeddingNorm: true,
  positionTable: true,
  typeTable: true,
  skipsPadding: false,
  queryNorm: "none",
  rotary: null,
  relative: null,
  window: null,
  windowRotary: null,
  slopes: null,
  scoreScale: null,
  caps: { scores: null, logits: null },
  activation: "gelu",
  gated: false,
  biases: { query: true, output: true, feedForward: true, head: false },
  finalNorm: false,
  pooler: "tanh",
  embeddingWidth: null,
  layerGroups: null,
};

/** The fields of BERT's config.json. */
const bertFields = {
  num_hidden_layers: sizes.layers,
  hidden_size: sizes.hidden,
  num_attention_heads: sizes.heads,
  intermediate_size: sizes.intermediate,
  vocab_size: sizes.vocabulary,
  max_position_embeddings: whole(1, 65_536),
  type_vocab_size: v.optional(whole(0, 64)),
  layer_norm_eps: epsilon(undefined),
  pad_token_id: v.nullish(whole(0, 2_000_000)),
  hidden_act: v.optional(v.string()),
  softmax_act: v.nullish(v.string()),
  position_embedding_type: v.nullish(v.literal("absolute", "only absolute positions are supported")),
  is_decoder: only(false, "decoders of this type are not supported: use an encoder with a classifier"),
  add_cross_attention: only(false, "must be false: cross-attention is not supported"),
  is_encoder_decoder: only(false, "must be false: models of two stacks are not supported"),
  tie_word_embeddings: v.nullish(v.boolean()),
  ...labelFields,
  mpcformer: ownBlock,
} as const;

const schema = v.looseObject(bertFields);

/** What a relative of BERT's has of its own. */
export interface BertRelative<Own extends v.ObjectEntries> {
  /** Its own fields, checked beside BERT's. */
  readonly fields: Own;
  /** What its class of transformers has where the file says nothing: its layers' function; what norms add; token types. */
  readonly activation?: string;
  readonly epsilon?: number;
  readonly types?: number;
  /** Its blocks, by its own fields. */
  blocks(config: v.InferOutput<v.LooseObjectSchema<Own, undefined>>, sizes: BertSizes): Blocks;
  /** The fields of its own that give the spec's blocks back. */
  write(spec: ModelSpec): Readonly<Record<string, unknown>>;
}

/** Sizes of a file with BERT's fields. */
export interface BertSizes {
  readonly layers: number;
  readonly hidden: number;
}

/**
 * Of families whose config.json has BERT's fields, and some of their own; where `skipsPadding`, positions begin behind the padding
 * token's number.
 */
export function bertConfig<Own extends v.ObjectEntries>(
  name: string,
  className: string,
  own: Blocks,
  relative?: BertRelative<Own>,
): ConfigFormat {
  const ownFields = v.looseObject(relative?.fields ?? ({} as Own));
  return {
    fields: ["model_type", ...Object.keys(schema.entries), ...Object.keys(ownFields.entries)],

    read(json, headless) {
      const whole = headless ? { ...(json as object), ...HEADLESS } : json;
      const config = check(schema, whole, "config.json");
      const ownSizes = { layers: config.num_hidden_layers, hidden: config.hidden_size };
      const blocks = relative?.blocks(check(ownFields, json, "config.json"), ownSizes) ?? own;
      checkHeads(config.hidden_size, config.num_attention_heads, ["hidden_size", "num_attention_heads"]);
      const positionOffset = own.skipsPadding ? (config.pad_token_id ?? 1) + 1 : 0;
      const types = config.type_vocab_size ?? relative?.types ?? 2;
      if (blocks.typeTable && types === 0) throw new Error("config.json: type_vocab_size must be 1 or more");
      if (positionOffset >= config.max_position_embeddings) {
        throw new Error("config.json: max_position_embeddings must be larger than pad_token_id + 1");
      }
      return {
        architecture: name,
        isDecoder: false,
        blocks,
        layers: config.num_hidden_layers,
        hidden: config.hidden_size,
        heads: config.num_attention_heads,
        keyHeads: config.num_attention_heads,
        headWidth: config.hidden_size / config.num_attention_heads,
        intermediate: config.intermediate_size,
        vocabulary: config.vocab_size,
        positions: config.max_position_embeddings,
        types: blocks.typeTable ? types : 1,
        epsilon: config.layer_norm_eps ?? relative?.epsilon ?? 1e-12,
        positionOffset,
        tied: false,
        ...labelling(config),
        ...choicesOf(
          config.mpcformer,
          () => activationOf(config.hidden_act ?? relative?.activation ?? "gelu", "hidden_act"),
          softmaxName(config.softmax_act),
        ),
      };
    },

    write: (spec, base) => ({
      architectures: [`${className}${base ? "Model" : "ForSequenceClassification"}`],
      model_type: name,
      num_hidden_layers: spec.layers,
      hidden_size: spec.hidden,
      num_attention_heads: spec.heads,
      intermediate_size: spec.intermediate,
      vocab_size: spec.vocabulary,
      max_position_embeddings: spec.positions,
      type_vocab_size: spec.blocks.typeTable ? spec.types : 0,
      layer_norm_eps: spec.epsilon,
      pad_token_id: own.skipsPadding ? spec.positionOffset - 1 : 0,
      hidden_act: activationName(spec.gelu, "gelu"),
      position_embedding_type: "absolute",
      ...relative?.write(spec),
      ...writtenLabels(spec),
      mpcformer: writtenChoices(spec),
    }),
  };
}

/** BERT's layers, as others have them under their own prefix. */
export const bertLayers: readonly NameRow[] = [
  ["~embeddings.LayerNorm", "embeddings.norm"],
  ["~encoder.layer.#.attention.self.query", "layer.#.query"],
  ["~encoder.layer.#.attention.self.key", "layer.#.key"],
  ["~encoder.layer.#.attention.self.value", "layer.#.value"],
  ["~encoder.layer.#.attention.output.dense", "layer.#.attention.output"],
  ["~encoder.layer.#.attention.output.LayerNorm", "layer.#.attention.norm"],
  ["~encoder.layer.#.intermediate.dense", "layer.#.intermediate"],
  ["~encoder.layer.#.output.dense", "layer.#.output"],
  ["~encoder.layer.#.output.LayerNorm", "layer.#.norm"],
];

/** The field of tables whose width is their own; ELECTRA and ALBERT have it. */
export const embeddingSize = { embedding_size: v.optional(sizes.hidden, 128) };

/** The tables' own width; null: the layers'. */
export function embeddingWidthOf(config: { readonly embedding_size: number }, { hidden }: BertSizes): number | null {
  return config.embedding_size === hidden ? null : config.embedding_size;
}

/** The names of a head for masked words: its dense layer and norm, and those of the words' weight and bias. */
export function filling(
  { dense, norm }: { readonly dense: string; readonly norm: string },
  [weight, bias]: readonly string[],
): { readonly layers: readonly NameRow[]; readonly tables: readonly NameRow[] } {
  return {
    layers: [
      [dense, "mask.dense"],
      [norm, "mask.norm"],
    ],
    tables: [
      [`${weight}.weight`, "head.weight"],
      [`${bias}.bias`, "head.bias"],
    ],
  };
}

/** BERT's tables. */
export const bertTables: readonly NameRow[] = [
  ["~embeddings.word_embeddings.weight", "embeddings.word"],
  ["~embeddings.position_embeddings.weight", "embeddings.position"],
  ["~embeddings.token_type_embeddings.weight", "embeddings.type"],
];

const filled = filling({ dense: "cls.predictions.transform.dense", norm: "cls.predictions.transform.LayerNorm" }, [
  ...["cls.predictions.decoder", "cls.predictions"],
]);

/** The definition of BERT's models. */
export const bert: Family = {
  name: "bert",
  className: "Bert",
  headName: "ForSequenceClassification",
  isDecoder: false,
  blocks,
  config: bertConfig("bert", "Bert", blocks),
  names: {
    prefixes: ["bert.", ""],
    layers: [...bertLayers, ["~pooler.dense", "pooler"], ["classifier", "classifier"], ...filled.layers],
    tables: [...bertTables, ...filled.tables],
  },
};
