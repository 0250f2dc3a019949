/** Which heads answer here: `architectures` of a config.json names the class that a model was saved from. */

import * as v from "valibot";
import type { Family } from "./families/family.ts";
import { check } from "./json.ts";

/** What classes of transformers do that this program does not, by the end of their names. */
const OTHER_TASKS: readonly (readonly [ending: string, what: string])[] = [
  ["ForTokenClassification", "labels tokens, not texts"],
  ["ForQuestionAnswering", "finds answers within a text"],
  ["ForMaskedLM", "fills masked words"],
  ["ForPreTraining", "is for pre-training"],
  ["ForNextSentencePrediction", "tells whether sentences follow each other"],
  ["ForMultipleChoice", "chooses between texts"],
  ["LMHeadModel", "continues texts with an encoder"],
  ["ForCausalLM", "continues texts with an encoder"],
  ["DoubleHeadsModel", "has two heads"],
  ["ForSequenceClassification", "classifies texts with a decoder"],
  ["Model", "has no head"],
];

const schema = v.looseObject({ architectures: v.nullish(v.array(v.string())) });

/**
 * Old files name no class: their weights decide. A decoder without a head may be tied to its words, which its weights decide
 * as well.
 * @throws an Error that names the class where it is another than the one whose function is computed here.
 */
export function checkHead(json: unknown, { className, headName, isDecoder }: Family): void {
  const [saved] = check(schema, json, "config.json").architectures ?? [];
  if (saved === undefined) return;
  const wanted = [className + headName, ...(isDecoder ? [`${className}Model`] : [])];
  if (wanted.includes(saved)) return;
  const task = OTHER_TASKS.find(([ending]) => saved === className + ending)?.[1] ?? "is not known";
  const shown = saved.replace(/[^\x21-\x7e]/g, "?").slice(0, 60);
  const advice =
    saved === `${className}Model`
      ? "there is no classifier yet, so fine-tune it for sequence classification first"
      : `give a ${wanted[0]}`;
  throw new Error(`config.json: architectures says ${shown}, which ${task}: ${advice}`);
}
