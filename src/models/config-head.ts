/** Which heads answer here: `architectures` of a config.json names the class that a model was saved from. */

import * as v from "valibot";
import type { ModelSpec, Pooling } from "../program/spec.ts";
import type { Family } from "./families/family.ts";
import { check, printable } from "./json.ts";

/** What classes of transformers do that this program does not, by the end of their names. */
const OTHER_TASKS: readonly (readonly [ending: string, what: string])[] = [
  ["ForTokenClassification", "labels tokens with a decoder"],
  ["ForQuestionAnswering", "finds answers with a decoder"],
  ["ForMaskedLM", "fills masked words"],
  ["ForPreTraining", "is for pre-training"],
  ["ForNextSentencePrediction", "tells whether sentences follow each other"],
  ["ForMultipleChoice", "chooses between texts"],
  ["LMHeadModel", "continues texts with an encoder"],
  ["ForCausalLM", "continues texts with an encoder"],
  ["DoubleHeadsModel", "has two heads"],
  ["ForSequenceClassification", "classifies texts with a decoder"],
];

/** Encoders' heads that judge tokens, by the end of their classes' names. */
const TOKEN_HEADS = [
  ["ForTokenClassification", "tokens"],
  ["ForQuestionAnswering", "spans"],
] as const;

const schema = v.looseObject({ architectures: v.nullish(v.array(v.string())) });

/**
 * The spec with the head that `architectures` names, or with the pooling that a folder of sentence-transformers has. Old files name no class: their weights decide. A decoder without a head may
 * be tied to its words, which its weights decide as well.
 * @throws an Error that names the class where it is another than those whose function is computed here.
 */
export function withHead(json: unknown, family: Family, spec: ModelSpec, pooling?: Pooling): ModelSpec {
  const { className: name, headName, isDecoder } = family;
  if (pooling !== undefined) return ofVectors(spec, pooling);
  const [saved] = check(schema, json, "config.json").architectures ?? [];
  const wanted = [name + headName, ...(isDecoder ? [`${name}Model`] : [])];
  if (saved === undefined || wanted.includes(saved)) return spec;
  // As sentence-transformers takes a model that comes without its files.
  if (saved === `${name}Model` && headName !== "ForImageClassification")
    return ofVectors(spec, { of: "mean", unit: false });
  if (saved === `${name}ForMaskedLM` && isFilled(family)) return filling(json, family, spec);
  const head =
    isDecoder || headName === "ForImageClassification"
      ? undefined
      : TOKEN_HEADS.find(([ending]) => saved === name + ending);
  if (head === undefined) throw otherHead(saved, name, wanted[0]);
  // Where an answer begins and ends has no names in a config.json.
  const [, problem] = head;
  return problem === "tokens" ? { ...spec, problem } : { ...spec, problem, labels: 2, labelNames: ["start", "end"] };
}

/** Whether the family's table names the tensors of a head that fills masked words. */
function isFilled({ names }: Family): boolean {
  return names.layers.some(([, ours]) => ours === "mask.dense");
}

const fillingSchema = v.looseObject({
  tie_word_embeddings: v.nullish(
    v.literal(true, "must be true where masked words are filled: the head is the word table"),
  ),
  hidden_act: v.nullish(v.string()),
});

/** An encoder that fills masked words. @throws an Error where its head has another function than its layers. */
function filling(json: unknown, { fillsWithGelu = false }: Family, spec: ModelSpec): ModelSpec {
  const { hidden_act: act } = check(fillingSchema, json, "config.json");
  if (fillsWithGelu && (act ?? "gelu") !== "gelu")
    throw new Error("config.json: hidden_act must be gelu where masked words are filled: the head has no other");
  return { ...spec, problem: "mask", labels: spec.vocabulary, labelNames: [], tied: true };
}

/** An encoder whose answer is a vector. @throws an Error for a decoder. */
function ofVectors(spec: ModelSpec, pooling: Pooling): ModelSpec {
  if (spec.isDecoder) throw new Error("modules.json: embeddings are computed with encoders alone: use such a model");
  return { ...spec, problem: "vector", pooling, labels: spec.hidden, labelNames: [] };
}

/** The class of a head that judges tokens or of none; undefined for the family's own. */
export function className(family: Family, { problem }: ModelSpec): string | undefined {
  if (problem === "vector") return `${family.className}Model`;
  if (problem === "mask") return `${family.className}ForMaskedLM`;
  const head = TOKEN_HEADS.find(([, own]) => own === problem);
  return head === undefined ? undefined : family.className + head[0];
}

function otherHead(saved: string, name: string, wanted: string): Error {
  const task = OTHER_TASKS.find(([ending]) => saved === name + ending)?.[1] ?? "is not known";
  return new Error(`config.json: architectures says ${printable(saved, 60)}, which ${task}: give a ${wanted}`);
}
