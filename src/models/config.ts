/**
 * A checkpoint's config.json as a `ModelSpec`, and back. Each architecture has Hugging Face's own fields; beside them may be
 * `"mpcformer": {"gelu": "quad", "softmax": "2quad:5", "embedding": "public" | "private", "answer": "scores" | "label"}`.
 */

import * as v from "valibot";
import { gelu, silu, softmax } from "../approximations/registry.ts";
import type { ModelSpec, Pooling } from "../program/spec.ts";
import type { Choices } from "./config-fields.ts";
import { className, withHead } from "./config-head.ts";
import { checkUnread } from "./config-unread.ts";
import { familyOf } from "./families/all.ts";
import { familyNames } from "./families/known.ts";
import { check, parseJson } from "./json.ts";
import { checkSize } from "./spec-schema.ts";

/** What a caller may choose instead of what the checkpoint says. */
export type SpecOverrides = Partial<Choices>;

/** Kinds of models that people ask for, and why there are none. */
const REFUSED: Readonly<Record<string, string>> = {
  mixtral: "mixtures of experts are not supported: which experts a token takes would have to stay secret",
  gemma3: "images are not supported: give its text model, gemma3_text",
  ...Object.fromEntries(
    ["t5", "mt5", "bart", "mbart", "marian", "pegasus"].map((name) => [
      name,
      "models of an encoder and a decoder are not supported",
    ]),
  ),
};

const typeSchema = v.looseObject({
  model_type: v.picklist(familyNames, ({ input }) => {
    if (typeof input === "string" && Object.hasOwn(REFUSED, input))
      return `"${input}" is not supported: ${REFUSED[input]}`;
    const named = typeof input === "string" && /^[a-z0-9_-]{1,40}$/.test(input) ? `"${input}"` : "this model type";
    return `${named} is not supported: use ${familyNames.slice(0, -1).join(", ")} or ${familyNames.at(-1)}`;
  }),
});

/**
 * The spec of a config.json's text; `pooling` is what the folder has behind its model. With `head` "replaced" the model gets another head, so what the file says of its own does
 * not matter.
 * @throws an Error of one line that names the field and what is supported.
 */
export function specOf(
  configText: string,
  overrides: SpecOverrides = {},
  head: "kept" | "replaced" = "kept",
  pooling?: Pooling,
): ModelSpec {
  const json = parseJson(configText, "config.json");
  const { model_type } = check(typeSchema, json, "config.json");
  const family = familyOf(model_type);
  const read = family.config.read(json, head === "replaced");
  checkUnread(json as object, family.config.fields);
  const spec = head === "kept" ? withHead(json, family, read, pooling) : read;
  checkSize(spec, "config.json");
  return withOverrides(spec, overrides);
}

/** The spec with the caller's choices, names of approximations in their canonical form. @throws on unknown names. */
export function withOverrides(spec: ModelSpec, overrides: SpecOverrides): ModelSpec {
  const answer = overrides.answer ?? spec.answer;
  if (answer === "label" && spec.problem !== "classification" && spec.problem !== "generation")
    throw new Error(
      spec.problem === "regression"
        ? "a regression has no label: answer with scores"
        : "only where one label of a text wins can it be told alone: answer with scores",
    );
  const activation = spec.blocks.activation === "silu" ? silu : gelu;
  return {
    ...spec,
    answer,
    embedding: overrides.embedding ?? spec.embedding,
    gelu: activation(overrides.gelu ?? spec.gelu).name,
    softmax: softmax(overrides.softmax ?? spec.softmax).name,
  };
}

/** The text of a config.json that Hugging Face reads and that `specOf` turns back into this spec. */
export function configJson(spec: ModelSpec, encoderOnly = false): string {
  const family = familyOf(spec.architecture);
  const fields = family.config.write(spec, encoderOnly);
  const own = encoderOnly ? undefined : className(family, spec);
  const tie = spec.problem === "mask" ? { tie_word_embeddings: spec.tied } : {};
  return `${JSON.stringify({ ...fields, ...tie, ...(own === undefined ? {} : { architectures: [own] }) }, null, 2)}\n`;
}
