/** config.json of BERT and RoBERTa: sequence classification and regression. */

import * as v from "valibot";
import type { ModelSpec } from "../program/spec.ts";
import {
  activationName,
  activationOf,
  type ConfigFormat,
  checkHeads,
  choicesOf,
  epsilon,
  only,
  ownBlock,
  sizes,
  whole,
  writtenChoices,
} from "./config-fields.ts";
import { check } from "./json.ts";
import { labelSchema } from "./labels.ts";

const PROBLEMS = ["regression", "single_label_classification"] as const;

const schema = v.looseObject({
  model_type: v.picklist(["bert", "roberta"]),
  num_hidden_layers: sizes.layers,
  hidden_size: sizes.hidden,
  num_attention_heads: sizes.heads,
  intermediate_size: sizes.intermediate,
  vocab_size: sizes.vocabulary,
  max_position_embeddings: whole(1, 65_536),
  type_vocab_size: v.optional(whole(1, 64), 2),
  layer_norm_eps: epsilon(1e-12),
  pad_token_id: v.nullish(whole(0, 2_000_000)),
  hidden_act: v.optional(v.string(), "gelu"),
  softmax_act: v.nullish(v.string()),
  position_embedding_type: v.nullish(v.literal("absolute", "only absolute positions are supported")),
  is_decoder: only(false, "decoders of this type are not supported: use an encoder with a classifier"),
  add_cross_attention: only(false, "must be false: cross-attention is not supported"),
  is_encoder_decoder: only(false, "must be false: models of two stacks are not supported"),
  tie_word_embeddings: v.nullish(v.boolean()),
  num_labels: v.nullish(whole(1, 10_000)),
  id2label: v.nullish(
    v.record(v.string(), v.pipe(v.union([v.string(), v.number()]), v.transform(String), labelSchema)),
  ),
  label2id: v.nullish(v.record(v.string(), v.unknown())),
  problem_type: v.nullish(
    v.picklist(PROBLEMS, `must be ${PROBLEMS.join(" or ")}: several labels of one text are not supported`),
  ),
  mpcformer: ownBlock,
});

/** The fields of a head, unsaid. */
const HEADLESS = { num_labels: null, id2label: null, label2id: null, problem_type: null };

type Config = v.InferOutput<typeof schema>;

/** BERT and RoBERTa. */
export const encoderConfig: ConfigFormat = {
  fields: Object.keys(schema.entries),

  read(json, headless) {
    const whole = headless ? { ...(json as object), ...HEADLESS } : json;
    const config = check(schema, whole, "config.json");
    checkHeads(config.hidden_size, config.num_attention_heads, ["hidden_size", "num_attention_heads"]);
    const positionOffset = config.model_type === "roberta" ? (config.pad_token_id ?? 1) + 1 : 0;
    if (positionOffset >= config.max_position_embeddings) {
      throw new Error("config.json: max_position_embeddings must be larger than pad_token_id + 1");
    }
    const labelNames = labelsOf(config);
    checkProblem(config, labelNames.length);
    return {
      architecture: config.model_type,
      layers: config.num_hidden_layers,
      hidden: config.hidden_size,
      heads: config.num_attention_heads,
      keyHeads: config.num_attention_heads,
      intermediate: config.intermediate_size,
      vocabulary: config.vocab_size,
      positions: config.max_position_embeddings,
      types: config.type_vocab_size,
      labels: labelNames.length,
      epsilon: config.layer_norm_eps,
      positionOffset,
      rotary: null,
      normFirst: false,
      tied: false,
      problem: config.problem_type === "regression" || labelNames.length === 1 ? "regression" : "classification",
      labelNames,
      ...choicesOf(
        config.mpcformer,
        () => activationOf(config.hidden_act, "hidden_act"),
        softmaxName(config.softmax_act),
      ),
    };
  },

  write(spec, base) {
    const roberta = spec.architecture === "roberta";
    return {
      architectures: [`${roberta ? "Roberta" : "Bert"}${base ? "Model" : "ForSequenceClassification"}`],
      model_type: spec.architecture,
      num_hidden_layers: spec.layers,
      hidden_size: spec.hidden,
      num_attention_heads: spec.heads,
      intermediate_size: spec.intermediate,
      vocab_size: spec.vocabulary,
      max_position_embeddings: spec.positions,
      type_vocab_size: spec.types,
      layer_norm_eps: spec.epsilon,
      pad_token_id: roberta ? spec.positionOffset - 1 : 0,
      hidden_act: activationName(spec.gelu, "gelu"),
      position_embedding_type: "absolute",
      ...writtenLabels(spec),
      mpcformer: writtenChoices(spec),
    };
  },
};

function writtenLabels({ problem, labelNames }: ModelSpec): Record<string, unknown> {
  return {
    problem_type: problem === "regression" ? "regression" : "single_label_classification",
    id2label: Object.fromEntries(labelNames.map((name, i) => [String(i), name])),
    label2id: Object.fromEntries(labelNames.map((name, i) => [name, i])),
  };
}

/** MPCFormer's own checkpoints name their stand-in in `softmax_act`. */
function softmaxName(softmaxAct: string | null | undefined): string {
  return softmaxAct === null || softmaxAct === undefined || softmaxAct === "softmax" ? "exact" : softmaxAct;
}

/** @throws an Error when the answers are no label and no single value. */
function checkProblem({ problem_type }: Config, labels: number): void {
  if (problem_type === "regression" && labels !== 1)
    throw new Error("config.json: problem_type is regression with several outputs: only a single value is supported");
  if (problem_type === "single_label_classification" && labels === 1)
    throw new Error("config.json: problem_type is single_label_classification with one label: name two, or regression");
}

function labelsOf(config: Config): readonly string[] {
  const named = Object.keys(config.id2label ?? {}).length;
  const count = config.num_labels ?? (named > 0 ? named : 2);
  if (named > 0 && named !== count) throw new Error("config.json: num_labels and id2label must agree");
  return Array.from({ length: count }, (_, i) => {
    const name = named > 0 ? config.id2label?.[String(i)] : `LABEL_${i}`;
    if (name === undefined) throw new Error(`config.json: id2label must name the labels 0 to ${count - 1}`);
    checkOtherWay(config, name, i);
    return name;
  });
}

/** Old names may stay in label2id; one that both have must be the same label. */
function checkOtherWay({ label2id }: Config, name: string, label: number): void {
  if (label2id === null || label2id === undefined || !Object.hasOwn(label2id, name)) return;
  if (Number(label2id[name]) !== label) throw new Error("config.json: id2label and label2id contradict: correct one");
}
