/** What the config.json files of all architectures share: bounds, this project's own block, names of activations. */

import * as v from "valibot";
import { gelu } from "../approximations/registry.ts";
import type { ModelSpec } from "../program/spec.ts";

/** The functions, the embedding and the answer that a spec may choose. */
export type Choices = Pick<ModelSpec, "gelu" | "softmax" | "embedding" | "answer">;

/** How one family of architectures writes its config.json. */
export interface ConfigFormat {
  /**
   * The spec of a parsed file, names of approximations not yet checked; `headless`: whatever it says of labels.
   * @throws an Error of one line.
   */
  read(json: unknown, headless: boolean): ModelSpec;
  /** The names of the fields that `read` reads. */
  readonly fields: readonly string[];
  /** The fields that `read` turns back into this spec; `base` leaves the head out of the architecture's name. */
  write(spec: ModelSpec, base: boolean): Record<string, unknown>;
}

/** The number that a norm adds to a variance or mean square. */
export function epsilon<const Usual extends number | undefined>(usual: Usual) {
  const least = v.minValue<number, 1e-15, string>(1e-15, "must be 1e-15 or more");
  return v.optional(v.pipe(v.number(), least, v.maxValue(0.1, "must be 0.1 or less")), usual);
}

/** A switch that only one position of is supported, which is also its default. */
export function only<const T extends boolean>(value: T, instead: string) {
  return v.nullish(v.literal(value, instead));
}

/** `"mpcformer": {"gelu": "quad", "softmax": "2quad:5", "embedding": "public" | "private", "answer": "scores" | "label"}`. */
export const ownBlock = v.optional(
  v.strictObject({
    gelu: v.optional(v.string()),
    softmax: v.optional(v.string()),
    embedding: v.optional(v.picklist(["public", "private"], "must be public or private")),
    answer: v.optional(v.picklist(["scores", "label"], "must be scores or label")),
  }),
  {},
);

/** The choices of a file; what it doesn't say is as the model was made, its tables private and all scores told. */
export function choicesOf(block: v.InferOutput<typeof ownBlock>, activation: () => string, softmax = "exact"): Choices {
  return {
    gelu: block.gelu ?? activation(),
    softmax: block.softmax ?? softmax,
    embedding: block.embedding ?? "private",
    answer: block.answer ?? "scores",
  };
}

/** The block that `ownBlock` reads. */
export function writtenChoices({ gelu, softmax, embedding, answer }: ModelSpec): Choices {
  return { gelu, softmax, embedding, answer };
}

/** Names of transformers' activations: GELU (the erf form), its tanh form, and the rectifier; what else it has is refused. */
const ACTIVATIONS: Readonly<Record<string, string>> = {
  gelu: "exact",
  gelu_python: "exact",
  gelu_new: "tanh",
  gelu_fast: "tanh",
  gelu_accurate: "tanh",
  gelu_pytorch_tanh: "tanh",
  gelu_python_tanh: "tanh",
  relu: "relu",
};
/** Names that transformers gives to other functions, whatever the registry here calls so. */
const OTHERS =
  "gelu_10 hardswish laplace leaky_relu linear mish quick_gelu relu2 relu6 sigmoid silu sqrtsoftplus swish tanh prelu xielu".split(
    " ",
  );

/** The stand-in that is Hugging Face's activation. MPCFormer's own checkpoints name theirs here. */
export function activationOf(name: string, field: string): string {
  if (Object.hasOwn(ACTIVATIONS, name)) return ACTIVATIONS[name];
  try {
    if (!OTHERS.includes(name)) return gelu(name).name;
  } catch {
    // Not one of the registry's names either.
  }
  const shown = OTHERS.includes(name) ? `${field} "${name}"` : `this ${field}`;
  throw new Error(
    `config.json: ${shown} is not supported: use gelu, gelu_new, relu or a registered name, or "mpcformer"`,
  );
}

/** Hugging Face's name of a stand-in's activation; of one that it doesn't know, the `usual` name. */
export function activationName(stand: string, usual: string): string {
  if (stand === "exact") return "gelu";
  if (stand === "tanh") return "gelu_new";
  return stand === "relu" ? "relu" : usual;
}

/** @throws an Error when the heads don't divide the width. */
export function checkHeads(hidden: number, heads: number, fields: readonly [hidden: string, heads: string]): void {
  if (hidden % heads !== 0) throw new Error(`config.json: ${fields[1]} must divide ${fields[0]}`);
}

/** What a decoder's spec has beyond what its config.json says. */
export function generation(vocabulary: number): Pick<ModelSpec, "types" | "labels" | "problem" | "labelNames"> {
  return { types: 1, labels: vocabulary, problem: "generation", labelNames: [] };
}

/** What any decoder's file may have: causal it is, and it has no labels. */
export const decoderFields = {
  is_decoder: v.nullish(v.boolean()),
  is_encoder_decoder: only(false, "must be false: models of two stacks are not supported"),
  layer_types: v.nullish(
    v.array(v.literal("full_attention", "must be full_attention: other layers are not supported")),
  ),
  id2label: v.optional(v.unknown()),
} as const;

/** MPCFormer's own checkpoints name their stand-in in `softmax_act`. */
export function softmaxName(softmaxAct: string | null | undefined): string {
  return softmaxAct === null || softmaxAct === undefined || softmaxAct === "softmax" ? "exact" : softmaxAct;
}
