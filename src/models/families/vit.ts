/** ViT (Dosovitskiy et al., arXiv:2010.11929): norms first, over the patches of an image and a row before them. */

import * as v from "valibot";
import { patchCount } from "../../program/images.ts";
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
  writtenChoices,
} from "../config-fields.ts";
import { HEADLESS, labelFields, labelling, writtenLabels } from "../config-labels.ts";
import { check } from "../json.ts";
import { bert } from "./bert.ts";
import type { Family } from "./family.ts";

const usual = { image: 224, size: 16, channels: 3 };
const blocks: Blocks = {
  ...bert.blocks,
  normPlace: "before",
  embeddingNorm: false,
  typeTable: false,
  finalNorm: true,
  patches: usual,
  pooler: "none",
};

const schema = v.looseObject({
  num_hidden_layers: sizes.layers,
  hidden_size: sizes.hidden,
  num_attention_heads: sizes.heads,
  intermediate_size: sizes.intermediate,
  image_size: v.optional(whole(1, 4096), usual.image),
  patch_size: v.optional(whole(1, 4096), usual.size),
  num_channels: v.optional(whole(1, 16), usual.channels),
  layer_norm_eps: epsilon(1e-12),
  hidden_act: v.optional(v.string(), "gelu"),
  qkv_bias: v.optional(v.boolean(), true),
  // Of other heads: pixels that are filled in, and states without labels.
  encoder_stride: v.nullish(v.number()),
  pooler_output_size: v.nullish(v.number()),
  pooler_act: v.nullish(v.string()),
  is_decoder: only(false, "must be false: decoders of this type are not supported"),
  ...labelFields,
  mpcformer: ownBlock,
});

const config: ConfigFormat = {
  fields: Object.keys(schema.entries),

  read(json, headless) {
    const config = check(schema, headless ? { ...(json as object), ...HEADLESS } : json, "config.json");
    checkHeads(config.hidden_size, config.num_attention_heads, ["hidden_size", "num_attention_heads"]);
    const patches = { image: config.image_size, size: config.patch_size, channels: config.num_channels };
    if (patches.image % patches.size !== 0) throw new Error("config.json: patch_size must divide image_size");
    return {
      architecture: "vit",
      isDecoder: false,
      blocks: { ...blocks, patches, biases: { ...blocks.biases, query: config.qkv_bias } },
      layers: config.num_hidden_layers,
      hidden: config.hidden_size,
      heads: config.num_attention_heads,
      keyHeads: config.num_attention_heads,
      headWidth: config.hidden_size / config.num_attention_heads,
      intermediate: config.intermediate_size,
      vocabulary: 1,
      positions: patchCount(patches) + 1,
      types: 1,
      epsilon: config.layer_norm_eps,
      positionOffset: 0,
      tied: false,
      ...labelling(config),
      ...choicesOf(config.mpcformer, () => activationOf(config.hidden_act, "hidden_act")),
    };
  },

  write: (spec, base) => {
    const { image, size, channels } = spec.blocks.patches ?? usual;
    return {
      architectures: [`ViT${base ? "Model" : "ForImageClassification"}`],
      model_type: "vit",
      num_hidden_layers: spec.layers,
      hidden_size: spec.hidden,
      num_attention_heads: spec.heads,
      intermediate_size: spec.intermediate,
      image_size: image,
      patch_size: size,
      num_channels: channels,
      layer_norm_eps: spec.epsilon,
      hidden_act: activationName(spec.gelu, "gelu"),
      qkv_bias: spec.blocks.biases.query,
      ...writtenLabels(spec),
      mpcformer: writtenChoices(spec),
    };
  },
};

/** The shape of a patch's filter. */
function filter({ hidden, blocks: { patches } }: ModelSpec): readonly number[] {
  const { size, channels } = patches ?? usual;
  return [hidden, channels, size, size];
}

/** The definition of ViT's models. */
export const vit: Family = {
  name: "vit",
  className: "ViT",
  headName: "ForImageClassification",
  isDecoder: false,
  blocks,
  config,
  names: {
    prefixes: ["vit.", ""],
    layers: [
      ["~embeddings.patch_embeddings.projection", "embeddings.patch"],
      ["~encoder.layer.#.attention.attention.query", "layer.#.query"],
      ["~encoder.layer.#.attention.attention.key", "layer.#.key"],
      ["~encoder.layer.#.attention.attention.value", "layer.#.value"],
      ["~encoder.layer.#.attention.output.dense", "layer.#.attention.output"],
      ["~encoder.layer.#.layernorm_before", "layer.#.attention.norm"],
      ["~encoder.layer.#.intermediate.dense", "layer.#.intermediate"],
      ["~encoder.layer.#.output.dense", "layer.#.output"],
      ["~encoder.layer.#.layernorm_after", "layer.#.norm"],
      ["~layernorm", "norm"],
      ["classifier", "classifier"],
    ],
    tables: [
      ["~embeddings.cls_token", "embeddings.first"],
      ["~embeddings.position_embeddings", "embeddings.position"],
    ],
    shapes: {
      "~embeddings.patch_embeddings.projection.weight": filter,
      "~embeddings.cls_token": ({ hidden }) => [1, 1, hidden],
      "~embeddings.position_embeddings": ({ hidden, positions }) => [1, positions, hidden],
    },
  },
};
