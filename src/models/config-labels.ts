/** What a config.json says of labels: how many, what they are called, and what kind of answer they are. */

import * as v from "valibot";
import type { ModelSpec } from "../program/spec.ts";
import { whole } from "./bounds.ts";
import { labelSchema } from "./labels.ts";

const PROBLEMS = ["regression", "single_label_classification", "multi_label_classification"] as const;

/** The fields of a classifier's labels. */
export const labelFields = {
  num_labels: v.nullish(whole(1, 10_000)),
  id2label: v.nullish(
    v.record(v.string(), v.pipe(v.union([v.string(), v.number()]), v.transform(String), labelSchema)),
  ),
  label2id: v.nullish(v.record(v.string(), v.unknown())),
  problem_type: v.nullish(v.picklist(PROBLEMS, `must be one of ${PROBLEMS.join(", ")}: correct it, or remove it`)),
} as const;

/** The fields of a head, unsaid. */
export const HEADLESS = { num_labels: null, id2label: null, label2id: null, problem_type: null };

interface Config {
  readonly num_labels?: number | null | undefined;
  readonly id2label?: Readonly<Record<string, string>> | null | undefined;
  readonly label2id?: Readonly<Record<string, unknown>> | null | undefined;
  readonly problem_type?: (typeof PROBLEMS)[number] | null | undefined;
}

/** The labels of a checked config.json. @throws an Error of one line when its fields contradict each other. */
export function labelling(config: Config): Pick<ModelSpec, "labels" | "labelNames" | "problem"> {
  const labelNames = labelsOf(config);
  const labels = labelNames.length;
  checkProblem(config, labels);
  const { problem_type } = config;
  if (problem_type === "multi_label_classification") return { labels, labelNames, problem: "labels" };
  return {
    labels,
    labelNames,
    problem: problem_type === "regression" || labels === 1 ? "regression" : "classification",
  };
}

/** The fields that `labelling` reads. */
export function writtenLabels({ problem, labelNames }: ModelSpec): Record<string, unknown> {
  return {
    ...problemType(problem),
    id2label: Object.fromEntries(labelNames.map((name, i) => [String(i), name])),
    label2id: Object.fromEntries(labelNames.map((name, i) => [name, i])),
  };
}

/** transformers' word for the problem; heads of tokens have none. */
function problemType(problem: ModelSpec["problem"]): { readonly problem_type?: (typeof PROBLEMS)[number] } {
  if (problem === "regression") return { problem_type: "regression" };
  if (problem === "labels") return { problem_type: "multi_label_classification" };
  return problem === "classification" ? { problem_type: "single_label_classification" } : {};
}

/** @throws an Error when one label is to be chosen of one. */
function checkProblem({ problem_type }: Config, labels: number): void {
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
