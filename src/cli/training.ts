/** What `finetune`, `distill` and `study` share: data as examples, settings, progress, and a finished model's folder. */

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { calibrate } from "../compiler/calibrate.ts";
import type { Example } from "../distill/batches.ts";
import { readCurves } from "../distill/curves.ts";
import type { Settings, StageResult } from "../distill/recipe.ts";
import type { DevSet, RunStatus } from "../distill/run.ts";
import type { SessionOptions } from "../distill/session.ts";
import { resident } from "../distill/weights.ts";
import { anyTokenizer } from "../models/any-tokenizer.ts";
import { type Model, saveModel } from "../models/checkpoint.ts";
import { generator, shuffled } from "../models/random.ts";
import type { TextTokenizer } from "../models/tokenizer.ts";
import { longestText, type ModelSpec, type TokenizedText } from "../program/spec.ts";
import type { Matmul } from "../reference/matmul.ts";
import { type LabelledText, labelsIn, labelValues, readLabelled } from "../tasks/labelled.ts";
import { type MetricName, measure } from "../tasks/metrics.ts";
import { eachRow } from "../tasks/tables.ts";
import { PLAIN, type Task, taskOf } from "../tasks/tasks.ts";
import { writeChart } from "./charts.ts";
import { UsageError } from "./failure.ts";
import type { Progress } from "./progress.ts";
import { PLAN_FILE, planJson } from "./source.ts";
import type { TrainingOptions } from "./training-options.ts";

/** Labelled texts of a file, with the task they were read as. */
export interface Data {
  readonly path: string;
  readonly task: Task;
  readonly rows: readonly LabelledText[];
}

/** The folder, in a model's, of a training's states and curves. */
export const TRAINING = "training";
const CALIBRATION_TEXTS = 256;

export function settingsOf(o: TrainingOptions, temperature = 1): Settings {
  const { batch, accumulate, warmup, dropout, decay, clip, freeze, seed, curriculum } = o;
  const lengths = curriculum === undefined ? {} : { curriculum };
  return { batch, accumulate, warmup, dropout, decay, clip, temperature, freeze, seed, ...lengths };
}

export function sessionOf({ threads, provider }: Pick<TrainingOptions, "threads" | "provider">): SessionOptions {
  return { ...(threads === undefined ? {} : { threads }), provider };
}

async function readData(path: string, taskName: string | undefined, limit?: number): Promise<Data> {
  const task = taskName === undefined ? PLAIN : taskOf(taskName);
  return {
    path,
    task,
    rows: await readLabelled(path, task, limit),
  };
}

/**
 * What a model learns from, and what it is measured by: `--dev`, or texts held out of `--data`. Which those are follows from the
 * two numbers of texts alone, so that models trained with other seeds are measured by the same.
 * @throws UsageError when nothing is left to learn from.
 */
export async function readTrainingData(
  o: Pick<TrainingOptions, "data" | "dev" | "task" | "limit" | "devLimit" | "holdOut">,
): Promise<{ readonly data: Data; readonly dev?: Data }> {
  const data = await readData(o.data, o.task, o.limit);
  if (o.holdOut === undefined) {
    return { data, ...(o.dev === undefined ? {} : { dev: await readData(o.dev, o.task, o.devLimit) }) };
  }
  const { left, held } = heldOut(data.rows, o.holdOut);
  return { data: { ...data, rows: left }, dev: { ...data, rows: held } };
}

/** Rows without those that are held out, and these. @throws UsageError when nothing is left to learn from. */
export function heldOut<T>(rows: readonly T[], count: number): { readonly left: T[]; readonly held: T[] } {
  if (count >= rows.length) throw new UsageError(`--hold-out takes fewer texts than the ${rows.length} of --data`);
  const out = new Set(shuffled(rows.length, generator("texts held out", 1)).slice(0, count));
  return { left: rows.filter((_, i) => !out.has(i)), held: rows.filter((_, i) => out.has(i)) };
}

/** How often a dev set is asked, and when a training ends for it. */
export function paceOf(o: Pick<TrainingOptions, "patience" | "evaluations">): Pick<DevSet, "patience" | "perEpoch"> {
  return { patience: o.patience, perEpoch: o.evaluations };
}

/** The problem and the labels that data pose: the task's, or what the rows themselves name. */
export function headOf({ task, rows }: Data, regression: boolean): Pick<ModelSpec, "problem" | "labelNames"> {
  if (regression || task.labels === null) return { problem: "regression", labelNames: ["score"] };
  return { problem: "classification", labelNames: task.labels ?? labelsIn(rows) };
}

/** A tokenizer that cuts texts at so many tokens; at the model's positions unless told. */
export function shortened(model: Pick<Model, "spec" | "tokenizer">, length: number | undefined): TextTokenizer {
  const { spec, tokenizer } = model;
  if (length === undefined) return tokenizer;
  const most = longestText(spec);
  if (length < 4 || length > most) throw new UsageError(`--length takes 4 to ${most} tokens for this model`);
  return anyTokenizer(tokenizer.files, { ...spec, positions: length + spec.positionOffset });
}

/** Whether a model gives a text one label or one value: what labelled texts can teach. */
export function judgesTexts({ problem, labels }: ModelSpec): boolean {
  return problem === "classification" || (problem === "regression" && labels === 1);
}

/** @throws DataError with file and line where a label is none of the model's. */
export function examplesOf(data: Data, spec: ModelSpec, tokenizer: TextTokenizer): Example[] {
  if (spec.problem === "generation")
    throw new UsageError("a model that continues texts has no labels: give plain texts");
  const labels = labelValues(data.rows, spec, data.path, data.task);
  return textsOf(data, tokenizer).map((text, i) => ({ text, label: labels[i] }));
}

/** @throws DataError with file and line of a text that the tokenizer refuses. */
export function textsOf({ rows, path }: Data, tokenizer: TextTokenizer): TokenizedText[] {
  return eachRow(rows, path, ({ text, pair }) => tokenizer.encode(text, pair, { truncate: true }));
}

export function devSetOf(data: Data, spec: ModelSpec, tokenizer: TextTokenizer, o: TrainingOptions): DevSet {
  const examples = examplesOf(data, spec, tokenizer);
  const labels = examples.map(({ label }) => label);
  const metrics = data.task === PLAIN ? defaultMetrics(spec) : data.task.metrics;
  return {
    texts: examples.map(({ text }) => text),
    measure: (logits) => measure(metrics, logits, labels),
    ...paceOf(o),
  };
}

/** A bar for every stage, with the loss and the best value so far. */
export function trainingProgress(progress: Progress): (what: string) => (status: RunStatus) => void {
  return (what) => {
    const step = progress.of(what, "steps");
    return ({ step: done, steps, loss, value }) => {
      step(done, steps, `loss ${loss.toPrecision(4)}${value === null ? "" : `, dev ${value.toFixed(4)}`}`);
    };
  };
}

/** Writes the model, its plan from texts of its own training, and the curves. */
export async function finish(
  folder: string,
  model: Model,
  examples: readonly Example[],
  stages: readonly StageResult[],
  matmul: Matmul,
  seed: number,
  progress: Progress,
): Promise<void> {
  const order = shuffled(examples.length, generator("calibration", seed)).slice(0, CALIBRATION_TEXTS);
  const texts = order.map((i) => examples[i].text);
  const weights = resident(model.spec, model.weights);
  const plan = calibrate(model.spec, weights, texts, { matmul, progress: progress.of("calibrating") });
  await saveModel(folder, { ...model, weights });
  await writeFile(join(folder, PLAN_FILE), planJson(model.spec, plan));
  const curves = await readCurves(join(folder, TRAINING), stages);
  await writeChart(join(folder, TRAINING, "curves.svg"), ({ stageCurves }) => stageCurves(curves));
}

/** What a command says of its stages. */
export function stageSummaries(stages: readonly StageResult[]) {
  return stages.map(({ name, steps, after, state: { evaluations, seconds } }) => ({
    stage: name,
    steps,
    seconds: Math.round(seconds),
    before: evaluations[0]?.values ?? null,
    after,
  }));
}

/** Metrics in a line. */
export function shown(values: Readonly<Record<string, number>>): string {
  return Object.entries(values)
    .map(([name, value]) => `${name} ${value.toFixed(4)}`)
    .join(", ");
}

/** What a model is measured by where no task says it. */
export function defaultMetrics(spec: Pick<ModelSpec, "problem">): readonly MetricName[] {
  return spec.problem === "regression" ? ["pearson", "spearman"] : ["accuracy"];
}
