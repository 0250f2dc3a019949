/** `distill`: a student with stand-ins that computes what its teacher computes. */
import { join } from "node:path";
import type { Command } from "commander";
import type { LossWeights } from "../../distill/objective.ts";
import { distillationStages, type Training, train } from "../../distill/recipe.ts";
import { initialWeights, takeLayers } from "../../distill/weights.ts";
import { loadEncoder, loadModel, type Model } from "../../models/checkpoint.ts";
import { withOverrides } from "../../models/config.ts";
import { isDecoder } from "../../program/spec.ts";
import { UsageError } from "../failure.ts";
import { floatMatmul } from "../float.ts";
import { taughtData } from "../head-data.ts";
import { languageData } from "../language.ts";
import { disclosure, isQuiet, type ModelOptions, outputWithProgress, overridesOf, standIns } from "../options.ts";
import { Progress } from "../progress.ts";
import { print, printJson } from "../terminal.ts";
import {
  devSetOf,
  examplesOf,
  finish,
  judgesTexts,
  readTrainingData,
  sessionOf,
  settingsOf,
  shortened,
  shown,
  stageSummaries,
  TRAINING,
  textsOf,
  trainingProgress,
} from "../training.ts";
import { type TrainingOptions, trainingOptions } from "../training-options.ts";
import { decimal, whole } from "../values.ts";

interface DistillOptions extends TrainingOptions, Omit<ModelOptions, "calibrate"> {
  readonly teacher: string;
  readonly student: string;
  readonly layers?: number;
  readonly layersEpochs: number;
  readonly layersLr: number;
  readonly predictionEpochs: number;
  readonly predictionLr: number;
  readonly hidden: number;
  readonly scores: number;
  readonly prediction: number;
  readonly labels: number;
  readonly ranges: number;
  readonly sums: number;
  readonly temperature: number;
}

export function addDistill(program: Command): void {
  const weight = (flags: string, description: string) => decimal(flags, description, 0, 1e6);
  const epochs = (flags: string, description: string) => decimal(flags, description, 0, 1e4);
  const rate = (flags: string, description: string) => decimal(flags, description, 1e-9, 1);
  const command = program
    .command("distill")
    .description("train a student with approximations to compute what its teacher computes (MPCFormer's two stages)")
    .requiredOption("--teacher <dir>", "a fine-tuned Hugging Face folder")
    .option(
      "--student <from>",
      "begin with the teacher's weights (teacher), at random (scratch), or with a folder's",
      "teacher",
    )
    .addOption(whole("--layers <n>", "layers of the student, evenly of the teacher's (default: all)"));
  disclosure(standIns(command.optionsGroup("Model:"), { gelu: "quad", softmax: "2quad" }));
  trainingOptions(command)
    .addOption(epochs("--layers-epochs <n>", "first stage, all layers: passes over the data").default(10))
    .addOption(rate("--layers-lr <rate>", "first stage: largest learning rate").default(5e-5))
    .addOption(epochs("--prediction-epochs <n>", "second stage, predictions: passes over the data").default(5))
    .addOption(rate("--prediction-lr <rate>", "second stage: largest learning rate").default(1e-5))
    .addOption(weight("--hidden <weight>", "weight of the hidden states' loss (first stage)").default(1))
    .addOption(weight("--scores <weight>", "weight of the attention scores' loss (first stage)").default(1))
    .addOption(weight("--prediction <weight>", "weight of the soft predictions' loss (second stage)").default(1))
    .addOption(weight("--labels <weight>", "weight of the data's own labels (second stage)").default(0))
    .addOption(
      weight("--ranges <weight>", "weight of a penalty on values beyond the teacher's ranges (both stages)").default(0),
    )
    .addOption(
      weight(
        "--sums <weight>",
        "weight of a penalty on sums of attention's weights far from the usual (both stages)",
      ).default(0),
    )
    .addOption(decimal("--temperature <t>", "softens the predictions of both", 0.01, 100).default(1))
    .addOption(decimal("--dropout <rate>", "rate of dropout; 0: off", 0, 0.9).default(0));
  outputWithProgress(command).action(distill);
}

/** MPCFormer's distillation: a teacher's layers, then its predictions, into a student with stand-ins. */
async function distill(options: DistillOptions): Promise<void> {
  const progress = new Progress(isQuiet(options));
  const settings = settingsOf(options, options.temperature);
  const teacher = await loadModel(options.teacher);
  if (teacher.spec.problem === "mask")
    throw new UsageError("a model that fills masked words cannot be distilled: give one with another head");
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
        epochs: options.layersEpochs,
        learningRate: options.layersLr,
      },
      {
        epochs: options.predictionEpochs,
        learningRate: options.predictionLr,
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
  if (!judgesTexts(student.spec)) {
    if (!sameTokens) throw new UsageError("student and teacher have other vocabularies: begin with the teacher's");
    return taughtData(student, teacher, options, sessionOf(options));
  }
  const tokenizer = shortened(student, options.length);
  const { data, dev } = await readTrainingData(options);
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
  const layers = options.layers ?? teacher.spec.layers;
  const taken = takeLayers(teacher, layers, "even");
  const spec = withOverrides(taken.spec, overrides);
  const weights = options.student === "scratch" ? initialWeights(spec, seed) : taken.weights;
  return { spec, weights, tokenizer: teacher.tokenizer };
}

function lossesOf({ hidden, scores, prediction, labels, ranges, sums }: DistillOptions): LossWeights {
  return { hidden, scores, prediction, labels, ranges, sums };
}
