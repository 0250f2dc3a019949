import { join } from "node:path";
import type { LossWeights } from "../distill/objective.ts";
import { distillationStages, type Training, train } from "../distill/recipe.ts";
import { initialWeights, takeLayers } from "../distill/weights.ts";
import { loadEncoder, loadModel, type Model } from "../models/checkpoint.ts";
import { withOverrides } from "../models/config.ts";
import { isDecoder } from "../program/spec.ts";
import { shown } from "./finetune.ts";
import { floatMatmul } from "./float.ts";
import { languageData } from "./language.ts";
import { isQuiet, type ModelOptions, overridesOf, positive } from "./options.ts";
import { Progress, print, printJson } from "./terminal.ts";
import {
  devSetOf,
  examplesOf,
  finish,
  numberOf,
  readData,
  sessionOf,
  settingsOf,
  shortened,
  stageSummaries,
  TRAINING,
  type TrainingOptions,
  textsOf,
  trainingProgress,
} from "./training.ts";

interface DistillOptions extends TrainingOptions, Omit<ModelOptions, "calibrate"> {
  readonly teacher: string;
  readonly student: string;
  readonly layers?: string;
  readonly layersEpochs: string;
  readonly layersLr: string;
  readonly predictionEpochs: string;
  readonly predictionLr: string;
  readonly hidden: string;
  readonly scores: string;
  readonly prediction: string;
  readonly labels: string;
  readonly ranges: string;
  readonly sums: string;
  readonly temperature: string;
}

/** MPCFormer's distillation: a teacher's layers, then its predictions, into a student with stand-ins. */
export async function distill(options: DistillOptions): Promise<void> {
  const progress = new Progress(isQuiet(options));
  const settings = settingsOf(options, options.temperature);
  const teacher = await loadModel(options.teacher);
  const student = await studentOf(options, teacher, settings.seed);
  const { examples, teacherTexts, dev } = await dataOf(options, student, teacher);
  const matmul = await floatMatmul();
  const { weights, stages } = await train({
    model: student,
    teacher,
    examples,
    teacherTexts,
    dev,
    stages: distillationStages(
      {
        epochs: numberOf(options.layersEpochs, "--layers-epochs", 0, 1e4),
        learningRate: numberOf(options.layersLr, "--layers-lr", 1e-9, 1),
      },
      {
        epochs: numberOf(options.predictionEpochs, "--prediction-epochs", 0, 1e4),
        learningRate: numberOf(options.predictionLr, "--prediction-lr", 1e-9, 1),
      },
      lossesOf(options),
    ),
    settings,
    session: sessionOf(options),
    folder: join(options.out, TRAINING),
    matmul,
    progress: trainingProgress(progress),
    teacherProgress: progress.of("the teacher's answers"),
  });
  await finish(options.out, { ...student, weights }, examples, stages, matmul, settings.seed, progress);
  progress.stop();
  const result = {
    out: options.out,
    gelu: student.spec.gelu,
    softmax: student.spec.softmax,
    stages: stageSummaries(stages),
  };
  if (options.json) return printJson(result);
  for (const { stage, steps, seconds, before, after } of result.stages) {
    const course = before === null || after === null ? "" : `; dev before: ${shown(before)}; after: ${shown(after)}`;
    print(`${stage}: ${steps} steps in ${seconds} s${course}`);
  }
  print(`wrote ${options.out}: ${student.spec.gelu} and ${student.spec.softmax}`);
}

/** What the student learns from: labelled texts, or a decoder's plain ones. */
async function dataOf(
  options: DistillOptions,
  student: Model,
  teacher: Model,
): Promise<Pick<Training, "examples" | "teacherTexts" | "dev">> {
  const sameTokens = JSON.stringify(student.tokenizer.files) === JSON.stringify(teacher.tokenizer.files);
  if (isDecoder(student.spec)) {
    return { ...(await languageData(student, options)), ...(sameTokens ? {} : { teacherTexts: [] }) };
  }
  const tokenizer = shortened(student, options.length);
  const data = await readData(options.data, options.task, options.limit);
  const dev = options.dev === undefined ? undefined : await readData(options.dev, options.task, options.devLimit);
  return {
    examples: examplesOf(data, student.spec, tokenizer),
    teacherTexts: sameTokens ? undefined : textsOf(data, shortened(teacher, options.length)),
    dev: dev === undefined ? undefined : devSetOf(dev, student.spec, tokenizer, options),
  };
}

/** The student as it begins: the teacher's weights, random ones, or another folder's. */
async function studentOf(options: DistillOptions, teacher: Model, seed: number): Promise<Model> {
  const overrides = overridesOf(options);
  if (options.student !== "teacher" && options.student !== "scratch") {
    if (isDecoder(teacher.spec)) return loadModel(options.student, overrides);
    return loadEncoder(options.student, teacher.spec, (spec) => initialWeights(spec, seed), overrides, true);
  }
  const layers = options.layers === undefined ? teacher.spec.layers : positive(options.layers, "--layers");
  const taken = takeLayers(teacher, layers, "even");
  const spec = withOverrides(taken.spec, overrides);
  const weights = options.student === "scratch" ? initialWeights(spec, seed) : taken.weights;
  return { spec, weights, tokenizer: teacher.tokenizer };
}

function lossesOf(options: DistillOptions): LossWeights {
  const weight = (name: keyof LossWeights) => numberOf(options[name], `--${name}`, 0, 1e6);
  return {
    hidden: weight("hidden"),
    scores: weight("scores"),
    prediction: weight("prediction"),
    labels: weight("labels"),
    ranges: weight("ranges"),
    sums: weight("sums"),
  };
}
