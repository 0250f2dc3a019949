/** The whole training of a model: one stage after another, each with its losses, from examples to weights. */

import { createHash } from "node:crypto";
import { join } from "node:path";
import { requiredWeights } from "../models/weights.ts";
import { answersEachToken, type TokenizedText, type Weights } from "../program/spec.ts";
import type { Matmul } from "../reference/matmul.ts";
import type { Example } from "./batches.ts";
import type { RunState } from "./checkpoint.ts";
import { TrainingGraph } from "./graph.ts";
import { boundsOf } from "./layer-losses.ts";
import { type Freeze, type LossWeights, writeObjective } from "./objective.ts";
import { ADAM } from "./optimiser.ts";
import { Predictor } from "./predictor.ts";
import { type DevSet, type RunStatus, run, SAVE_SECONDS } from "./run.ts";
import type { SessionOptions } from "./session.ts";
import type { TrainedModel } from "./trained-model.ts";

export interface Stage {
  readonly name: "labels" | "layers" | "prediction";
  readonly epochs: number;
  readonly learningRate: number;
  readonly losses: LossWeights;
}

export interface Settings {
  readonly batch: number;
  readonly accumulate: number;
  readonly warmup: number;
  readonly dropout: number;
  readonly decay: number;
  readonly clip: number;
  readonly temperature: number;
  readonly freeze: Freeze;
  readonly seed: number;
  /** Of every stage but that of predictions; see `Schedule`. */
  readonly curriculum?: readonly number[];
}

export interface Training {
  readonly model: TrainedModel;
  readonly teacher: TrainedModel | null;
  readonly examples: readonly Example[];
  /** The examples' texts in the teacher's own tokens, where those are not the student's. */
  readonly teacherTexts?: readonly TokenizedText[];
  readonly dev?: DevSet;
  readonly stages: readonly Stage[];
  readonly settings: Settings;
  readonly session: SessionOptions;
  /** Each stage keeps its state in a folder of its name in here. */
  readonly folder: string;
  readonly matmul?: Matmul;
  readonly progress?: (what: string) => (status: RunStatus) => void;
  /** Of the texts that the teacher has judged, before the first stage that needs its logits. */
  readonly teacherProgress?: (done: number, total: number) => void;
  /** See `RunOptions`. */
  readonly saveSeconds?: number;
  readonly stopAfter?: number;
}

export interface StageResult {
  readonly name: string;
  readonly steps: number;
  readonly state: RunState;
  /** The dev set's metrics of the weights that the stage ended with. */
  readonly after: Readonly<Record<string, number>> | null;
}

const NONE: LossWeights = { hidden: 0, scores: 0, prediction: 0, labels: 0, ranges: 0, sums: 0 };

/** Fine-tuning on the data's own labels; a language model's on the texts' next tokens. */
export function labelStages(epochs: number, learningRate: number): Stage[] {
  return [{ name: "labels", epochs, learningRate, losses: { ...NONE, labels: 1 } }];
}

/** MPCFormer's two stages (arXiv:2211.01452, section 4.2): all layers, then the prediction. */
export function distillationStages(
  layers: Pick<Stage, "epochs" | "learningRate">,
  prediction: Pick<Stage, "epochs" | "learningRate">,
  weights: LossWeights,
): Stage[] {
  const { hidden, scores, prediction: soft, labels, ranges, sums } = weights;
  return [
    { name: "layers", ...layers, losses: { ...NONE, hidden, scores, ranges, sums } },
    { name: "prediction", ...prediction, losses: { ...NONE, prediction: soft, labels, ranges, sums } },
  ];
}

/** Texts from which the teacher's ranges are taken. */
const BOUND_TEXTS = 200;

/**
 * Trains through the stages; one that is done already is not repeated.
 * @throws an Error of one line when models, losses and folder do not fit together, or the loss is not finite.
 */
export async function train(
  training: Training,
): Promise<{ readonly weights: Weights; readonly stages: readonly StageResult[] }> {
  const { settings, session, folder, dev, teacher } = training;
  const stages = training.stages.filter((stage) => stage.epochs > 0);
  check(training, stages);
  const data = digestOf(training);
  let examples = training.examples;
  let model = training.model;
  const results: StageResult[] = [];
  for (const stage of stages) {
    if (needsLogits(stage, training) && examples[0].logits === undefined) examples = await taught(training, examples);
    const objective = {
      weights: stage.losses,
      temperature: settings.temperature,
      freeze: settings.freeze,
      seed: settings.seed,
      bounds: stage.losses.ranges > 0 ? bounds(training) : undefined,
    };
    const { spec } = model;
    const result = await run({
      folder: join(folder, stage.name),
      request: JSON.stringify({ data, stage, settings, dev: dev === undefined ? null : [dev.patience, dev.perEpoch] }),
      model,
      examples,
      dev,
      keep: keepOf(stage),
      write: (graph) => writeObjective(graph, model, teacher, objective),
      schedule: {
        epochs: stage.epochs,
        batch: settings.batch,
        learningRate: stage.learningRate,
        warmup: settings.warmup,
        curriculum: stage.name === "prediction" ? undefined : settings.curriculum,
      },
      trainer: {
        ...session,
        adam: { ...ADAM, decay: settings.decay, clip: settings.clip },
        dropout: settings.dropout,
        accumulate: settings.accumulate,
        seed: settings.seed,
        vocabulary: spec.vocabulary,
        wholeTables: spec.tied || (teacher?.spec.tied ?? false),
      },
      progress: training.progress?.(stage.name),
      saveSeconds: training.saveSeconds ?? SAVE_SECONDS,
      stopAfter: training.stopAfter,
    });
    model = { spec, weights: result.weights };
    const { best, evaluations, step } = result.state;
    const kept = keepOf(stage) === "best" && best !== null ? best.step : step;
    const after = evaluations.findLast((one) => one.step === kept)?.values ?? null;
    results.push({ name: stage.name, steps: result.steps, state: result.state, after });
  }
  return { weights: model.weights, stages: results };
}

/** A teacher that judges tokens is in the graph. */
function needsLogits(stage: Stage, { model }: Training): boolean {
  return stage.losses.prediction > 0 && !answersEachToken(model.spec);
}

/** The layers' losses do not aim at the dev set's metric: their last weights are their best. */
function keepOf(stage: Stage): "best" | "last" {
  return stage.name === "layers" ? "last" : "best";
}

function check({ model, teacher, teacherTexts }: Training, stages: readonly Stage[]): void {
  const uses = (name: keyof LossWeights) => stages.some(({ losses }) => losses[name] > 0);
  if (teacherTexts !== undefined && answersEachToken(model.spec)) {
    throw new Error("student and teacher have other vocabularies, their tokens do not compare: use the teacher's");
  }
  if (teacherTexts !== undefined && (uses("hidden") || uses("scores"))) {
    throw new Error(
      "student and teacher have other vocabularies, their layers do not compare: leave the first stage out",
    );
  }
  const { labels, problem } = model.spec;
  if (uses("prediction") && teacher !== null && (labels !== teacher.spec.labels || problem !== teacher.spec.problem)) {
    throw new Error("student and teacher must have the same labels: fine-tune the teacher for them first");
  }
}

/** The examples with their teacher's logits. */
async function taught(
  { teacher, session, teacherTexts, teacherProgress }: Training,
  examples: readonly Example[],
): Promise<Example[]> {
  if (teacher === null) throw new Error("the prediction's loss needs a teacher, or its logits with the data: give one");
  const predictor = await Predictor.open(teacher.spec, teacher.weights, session);
  const logits = await predictor.logits(teacherTexts ?? examples.map(({ text }) => text), teacherProgress);
  await predictor.close();
  return examples.map((example, i) => ({ ...example, logits: logits[i] }));
}

function bounds({ teacher, examples, matmul }: Training): Map<string, number> {
  if (teacher === null) throw new Error("a range penalty needs the teacher's ranges: give a teacher");
  const texts = examples.slice(0, BOUND_TEXTS).map(({ text }) => text);
  return boundsOf(teacher, texts, new TrainingGraph(false), matmul);
}

/** Of everything that decides the result beside the settings: examples, the dev set, both models. */
function digestOf({ model, teacher, examples, teacherTexts, dev }: Training): string {
  const hash = createHash("sha256");
  for (const { text, label, tokenLabels, logits } of examples) {
    if (tokenLabels !== undefined) hash.update(tokenLabels);
    hash.update(Int32Array.of(text.ids.length, ...text.ids, ...text.types)).update(Float64Array.of(label));
    if (logits !== undefined) hash.update(logits);
  }
  for (const { ids, types } of [...(teacherTexts ?? []), ...(dev?.texts ?? [])])
    hash.update(Int32Array.of(ids.length, ...ids, ...types));
  for (const one of teacher === null ? [model] : [model, teacher]) {
    hash.update(JSON.stringify(one.spec));
    for (const name of requiredWeights(one.spec).keys()) hash.update(one.weights.get(name).data);
  }
  return hash.digest("hex");
}
