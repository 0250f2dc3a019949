/** The tasks that are known by name: where their files keep texts and labels, and by what they are measured. */

import type { MetricName } from "./metrics.ts";
import type { TableFormat } from "./tables.ts";

/** Where a file keeps a field: under one of these names in its header (lower case), or else in this column, from 0. */
export interface Column {
  readonly names: readonly string[];
  readonly at?: number;
}

export interface Task {
  readonly name: string;
  readonly description: string;
  /** Absent: as the file's name says. */
  readonly format?: TableFormat;
  readonly text: Column;
  /** The second text; absent or not found: there is none. */
  readonly pair?: Column;
  readonly label: Column;
  /** The classes' names in the order of their numbers; null: a regression. Absent: the model's, or the data's own. */
  readonly labels?: readonly string[] | null;
  /** What it is measured by, the one that counts first. */
  readonly metrics: readonly MetricName[];
}

/** Files without a task: columns found by the usual names, or a text and a label without a header. */
export const PLAIN: Task = {
  name: "plain",
  description: "any file with a text (and a second one) and a label",
  text: { names: ["sentence", "text", "sentence1", "question1", "premise", "question"], at: 0 },
  pair: { names: ["sentence2", "pair", "question2", "hypothesis"] },
  label: { names: ["label", "score", "gold_label", "category"], at: 1 },
  metrics: ["accuracy"],
};

const sentence: Column = { names: ["sentence", "text"], at: 0 };
const [first, second]: [Column, Column] = [{ names: ["sentence1"] }, { names: ["sentence2"] }];
const label: Column = { names: ["label"] };
const ENTAILMENT = ["entailment", "not_entailment"];

/** GLUE's (Wang et al., arXiv:1804.07461), in the layouts in which they are distributed, and IMDb. */
export const TASKS: readonly Task[] = [
  {
    name: "cola",
    description: "is a sentence acceptable English?",
    format: "tsv",
    text: { names: ["sentence"], at: 3 },
    label: { names: ["label"], at: 1 },
    labels: ["unacceptable", "acceptable"],
    metrics: ["matthews", "accuracy"],
  },
  {
    name: "sst2",
    description: "is a sentence of a review positive?",
    text: sentence,
    label: { names: ["label"], at: 1 },
    labels: ["negative", "positive"],
    metrics: ["accuracy"],
  },
  {
    name: "mrpc",
    description: "do two sentences mean the same?",
    format: "tsv",
    text: { names: ["#1 string", "sentence1"] },
    pair: { names: ["#2 string", "sentence2"] },
    label: { names: ["quality", "label"] },
    labels: ["not_equivalent", "equivalent"],
    metrics: ["f1", "accuracy"],
  },
  {
    name: "stsb",
    description: "how alike are two sentences, from 0 to 5?",
    format: "tsv",
    text: { names: ["sentence1"], at: 5 },
    pair: { names: ["sentence2"], at: 6 },
    label: { names: ["score", "label"], at: 4 },
    labels: null,
    metrics: ["pearson", "spearman"],
  },
  {
    name: "qqp",
    description: "do two questions ask the same?",
    text: { names: ["question1"] },
    pair: { names: ["question2"] },
    label: { names: ["is_duplicate", "label"] },
    labels: ["not_duplicate", "duplicate"],
    metrics: ["f1", "accuracy"],
  },
  {
    name: "mnli",
    description: "does the second sentence follow from the first?",
    text: { names: ["sentence1", "premise"] },
    pair: { names: ["sentence2", "hypothesis"] },
    label: { names: ["gold_label", "label"] },
    labels: ["entailment", "neutral", "contradiction"],
    metrics: ["accuracy"],
  },
  {
    name: "qnli",
    description: "does a sentence answer the question?",
    text: { names: ["question"] },
    pair: { names: ["sentence"] },
    label,
    labels: ENTAILMENT,
    metrics: ["accuracy"],
  },
  {
    name: "rte",
    description: "does the second sentence follow from the first?",
    text: first,
    pair: second,
    label,
    labels: ENTAILMENT,
    metrics: ["accuracy"],
  },
  {
    name: "wnli",
    description: "does a sentence with its pronoun resolved follow?",
    text: first,
    pair: second,
    label,
    labels: ["not_entailment", "entailment"],
    metrics: ["accuracy"],
  },
  {
    name: "imdb",
    description: "is a review positive?",
    text: { names: ["text", "review"], at: 0 },
    label: { names: ["label", "sentiment"], at: 1 },
    labels: ["negative", "positive"],
    metrics: ["accuracy"],
  },
];

/** @throws an Error that lists the known names. */
export function taskOf(name: string): Task {
  const found = TASKS.find((task) => task.name === name);
  if (found === undefined) throw new Error(`unknown task: use one of ${TASKS.map((task) => task.name).join(", ")}`);
  return found;
}
