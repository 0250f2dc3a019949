/** `finetune`: a teacher from labelled texts. */
import { join } from "node:path";
import { type Command, Option } from "commander";
import type { Example } from "../../distill/batches.ts";
import { labelStages, train } from "../../distill/recipe.ts";
import type { DevSet } from "../../distill/run.ts";
import { initialWeights, takeLayers } from "../../distill/weights.ts";
import { loadEncoder, loadModel, loadSpec, type Model } from "../../models/checkpoint.ts";
import { isDecoder } from "../../program/spec.ts";
import { UsageError } from "../failure.ts";
import { floatMatmul } from "../float.ts";
import { taggedData, taggedHead } from "../head-data.ts";
import { languageData } from "../language.ts";
import { isQuiet, outputWithProgress, standIns } from "../options.ts";
import { Progress } from "../progress.ts";
import { print, printJson } from "../terminal.ts";
import {
  devSetOf,
  examplesOf,
  finish,
  headOf,
  readTrainingData,
  sessionOf,
  settingsOf,
  shortened,
  shown,
  stageSummaries,
  TRAINING,
  trainingProgress,
} from "../training.ts";
import { type TrainingOptions, trainingOptions } from "../training-options.ts";
import { decimal, whole } from "../values.ts";

interface FinetuneOptions extends TrainingOptions {
  readonly from: string;
  readonly layers?: number;
  readonly epochs: number;
  readonly lr: number;
  readonly regression?: boolean;
  readonly tokens?: boolean;
  readonly gelu?: string;
  readonly softmax?: string;
}

export function addFinetune(program: Command): void {
  const command = program
    .command("finetune")
    .description("make a teacher: train an encoder on labelled texts, or a decoder on plain ones")
    .requiredOption("--from <model>", "a Hugging Face folder, with a classifier or without")
    .addOption(whole("--layers <n>", "keep the first so many layers"))
    .addOption(new Option("--regression", "the labels are values").conflicts(["tokens"]))
    .option(
      "--tokens",
      "the data are words with tags (CoNLL's layout, or JSONL with tokens and tags): learn to mark them",
    );
  standIns(command.optionsGroup("Model:"));
  trainingOptions(command)
    .addOption(decimal("--epochs <n>", "passes over the data", 0.001, 1e4).default(3))
    .addOption(decimal("--lr <rate>", "largest learning rate", 1e-9, 1).default(5e-5))
    .addOption(decimal("--dropout <rate>", "rate of dropout; 0: off", 0, 0.9).default(0.1));
  outputWithProgress(command).action(finetune);
}

/** Makes a teacher: an encoder with a fresh classifier, trained on labelled texts; or a decoder, on plain ones. */
async function finetune(options: FinetuneOptions): Promise<void> {
  const progress = new Progress(isQuiet(options));
  const settings = settingsOf(options);
  const { model, examples, dev } = await startOf(options, settings.seed);
  const matmul = await floatMatmul();
  const { weights, stages } = await train({
    model,
    teacher: null,
    examples,
    dev,
    stages: labelStages(options.epochs, options.lr),
    settings,
    session: sessionOf(options),
    folder: join(options.out, TRAINING),
    matmul,
    progress: trainingProgress(progress),
  });
  await finish(options.out, { ...model, weights }, examples, stages, matmul, settings.seed, progress);
  progress.stop();
  const result = { out: options.out, stages: stageSummaries(stages) };
  if (options.json) return printJson(result);
  for (const { steps, seconds, after } of result.stages) {
    print(`${steps} steps in ${seconds} s${after === null ? "" : `; dev: ${shown(after)}`}`);
  }
  print(`wrote ${options.out}`);
}

/** The model as it begins, and what it learns from. */
async function startOf(
  options: FinetuneOptions,
  seed: number,
): Promise<{ readonly model: Model; readonly examples: readonly Example[]; readonly dev?: DevSet }> {
  const { gelu, softmax } = options;
  const overrides = { ...(gelu === undefined ? {} : { gelu }), ...(softmax === undefined ? {} : { softmax }) };
  const taken = (loaded: Model): Model => {
    const layers = options.layers ?? loaded.spec.layers;
    return { ...loaded, ...takeLayers(loaded, layers, "first") };
  };
  if (isDecoder(await loadSpec(options.from, {}, "replaced"))) {
    const model = taken(await loadModel(options.from, overrides));
    return { model, ...(await languageData(model, options)) };
  }
  if (options.tokens) {
    if (options.task !== undefined) throw new UsageError("words with tags are no task's labels: leave --task out");
    const head = await taggedHead(options.data);
    const model = taken(await loadEncoder(options.from, head, (spec) => initialWeights(spec, seed), overrides));
    return { model, ...(await taggedData(model, options)) };
  }
  const { data, dev } = await readTrainingData(options);
  const head = headOf(data, options.regression ?? false);
  const model = taken(await loadEncoder(options.from, head, (spec) => initialWeights(spec, seed), overrides));
  const tokenizer = shortened(model, options.length);
  return {
    model,
    examples: examplesOf(data, model.spec, tokenizer),
    dev: dev === undefined ? undefined : devSetOf(dev, model.spec, tokenizer, options),
  };
}
