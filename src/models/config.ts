/**
 * A checkpoint's config.json as a `ModelSpec`, and back. Beside Hugging Face's own fields it may have
 * `"mpcformer": {"gelu": "quad", "softmax": "2quad:5", "embedding": "public" | "private"}`.
 */

import * as v from "valibot";
import { gelu, softmax } from "../approximations/registry.ts";
import type { ModelSpec } from "../program/spec.ts";
import { check, parseJson } from "./json.ts";

/** What a caller may choose instead of what the checkpoint says. */
export type SpecOverrides = Partial<Pick<ModelSpec, "gelu" | "softmax" | "embedding" | "answer">>;

/** Hugging Face's names of activations that are GELU, or within 0.001 of it. */
const GELU_NAMES = [
  "gelu",
  "gelu_python",
  "gelu_new",
  "gelu_fast",
  "gelu_accurate",
  "gelu_pytorch_tanh",
  "gelu_python_tanh",
];
const PROBLEMS = ["regression", "single_label_classification"] as const;
/** A label's name goes to terminals and web pages: printable, and short. */
const LABEL = /^[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}]{1,100}$/u;

const configSchema = v.looseObject({
  model_type: v.picklist(["bert", "roberta"], "this model type is not supported: use bert or roberta"),
  num_hidden_layers: whole(1, 128),
  hidden_size: whole(1, 16_384),
  num_attention_heads: whole(1, 256),
  intermediate_size: whole(1, 65_536),
  vocab_size: whole(1, 2_000_000),
  max_position_embeddings: whole(1, 65_536),
  type_vocab_size: v.optional(whole(1, 64), 2),
  layer_norm_eps: v.optional(
    v.pipe(v.number(), v.minValue(1e-15, tooSmall("1e-15")), v.maxValue(0.1, "must be 0.1 or less")),
    1e-12,
  ),
  pad_token_id: v.nullish(whole(0, 2_000_000)),
  hidden_act: v.optional(v.string(), "gelu"),
  softmax_act: v.nullish(v.string()),
  position_embedding_type: v.nullish(v.literal("absolute", "only absolute positions are supported")),
  is_decoder: v.nullish(v.literal(false, "decoders are not supported: use an encoder with a classifier")),
  num_labels: v.nullish(whole(1, 10_000)),
  id2label: v.nullish(
    v.record(v.string(), v.pipe(v.string(), v.regex(LABEL, "labels are 1 to 100 printable letters"))),
  ),
  problem_type: v.nullish(v.picklist(PROBLEMS, `must be ${PROBLEMS.join(" or ")}`)),
  mpcformer: v.optional(
    v.strictObject({
      gelu: v.optional(v.string()),
      softmax: v.optional(v.string()),
      embedding: v.optional(v.picklist(["public", "private"], "must be public or private")),
      answer: v.optional(v.picklist(["scores", "label"], "must be scores or label")),
    }),
    {},
  ),
});

type Config = v.InferOutput<typeof configSchema>;

/**
 * The spec of a config.json's text.
 * @throws an Error of one line that names the field and what is supported.
 */
export function specOf(configText: string, overrides: SpecOverrides = {}): ModelSpec {
  const config = check(configSchema, parseJson(configText, "config.json"), "config.json");
  if (config.hidden_size % config.num_attention_heads !== 0) {
    throw new Error("config.json: num_attention_heads must divide hidden_size");
  }
  const positionOffset = config.model_type === "roberta" ? (config.pad_token_id ?? 1) + 1 : 0;
  if (positionOffset >= config.max_position_embeddings) {
    throw new Error("config.json: max_position_embeddings must be larger than pad_token_id + 1");
  }
  const labelNames = labelsOf(config);
  const spec: ModelSpec = {
    architecture: config.model_type,
    layers: config.num_hidden_layers,
    hidden: config.hidden_size,
    heads: config.num_attention_heads,
    intermediate: config.intermediate_size,
    vocabulary: config.vocab_size,
    positions: config.max_position_embeddings,
    types: config.type_vocab_size,
    labels: labelNames.length,
    epsilon: config.layer_norm_eps,
    positionOffset,
    problem: config.problem_type === "regression" || labelNames.length === 1 ? "regression" : "classification",
    labelNames,
    gelu: config.mpcformer.gelu ?? activation(config.hidden_act),
    softmax: config.mpcformer.softmax ?? softmaxName(config.softmax_act),
    embedding: config.mpcformer.embedding ?? "private",
    answer: config.mpcformer.answer ?? "scores",
  };
  return withOverrides(spec, overrides);
}

/** The spec with the caller's choices, names of approximations in their canonical form. @throws on unknown names. */
export function withOverrides(spec: ModelSpec, overrides: SpecOverrides): ModelSpec {
  const answer = overrides.answer ?? spec.answer;
  if (answer === "label" && spec.problem === "regression")
    throw new Error("a regression has no label: answer with scores");
  return {
    ...spec,
    answer,
    embedding: overrides.embedding ?? spec.embedding,
    gelu: gelu(overrides.gelu ?? spec.gelu).name,
    softmax: softmax(overrides.softmax ?? spec.softmax).name,
  };
}

/** The text of a config.json that Hugging Face reads and that `specOf` turns back into this spec. */
export function configJson(spec: ModelSpec, encoderOnly = false): string {
  const roberta = spec.architecture === "roberta";
  const config = {
    architectures: [`${roberta ? "Roberta" : "Bert"}${encoderOnly ? "Model" : "ForSequenceClassification"}`],
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
    hidden_act: spec.gelu === "relu" ? "relu" : "gelu",
    position_embedding_type: "absolute",
    problem_type: spec.problem === "regression" ? "regression" : "single_label_classification",
    id2label: Object.fromEntries(spec.labelNames.map((name, i) => [String(i), name])),
    label2id: Object.fromEntries(spec.labelNames.map((name, i) => [name, i])),
    mpcformer: { gelu: spec.gelu, softmax: spec.softmax, embedding: spec.embedding, answer: spec.answer },
  };
  return `${JSON.stringify(config, null, 2)}\n`;
}

/** MPCFormer's own checkpoints name their stand-ins in `hidden_act` and `softmax_act`. */
function activation(hiddenAct: string): string {
  if (GELU_NAMES.includes(hiddenAct)) return "exact";
  try {
    return gelu(hiddenAct).name;
  } catch {
    throw new Error(
      'config.json: this hidden_act is not supported: use gelu, relu or a registered name, or "mpcformer"',
    );
  }
}

function softmaxName(softmaxAct: string | null | undefined): string {
  return softmaxAct === null || softmaxAct === undefined || softmaxAct === "softmax" ? "exact" : softmaxAct;
}

function labelsOf(config: Config): readonly string[] {
  const named = Object.keys(config.id2label ?? {}).length;
  const count = config.num_labels ?? (named > 0 ? named : 2);
  if (named > 0 && named !== count) throw new Error("config.json: num_labels and id2label must agree");
  return Array.from({ length: count }, (_, i) => {
    const name = named > 0 ? config.id2label?.[String(i)] : `LABEL_${i}`;
    if (name === undefined) throw new Error(`config.json: id2label must name the labels 0 to ${count - 1}`);
    return name;
  });
}

function whole(least: number, most: number) {
  const message = `must be a whole number from ${least} to ${most}`;
  return v.pipe(v.number(message), v.integer(message), v.minValue(least, message), v.maxValue(most, message));
}

function tooSmall(least: string): string {
  return `must be ${least} or more`;
}
