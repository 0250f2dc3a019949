import { join } from "node:path";
import { labelStages, train } from "../distill/recipe.ts";
import { initialWeights, takeLayers } from "../distill/weights.ts";
import { loadEncoder, type Model } from "../models/checkpoint.ts";
import { floatMatmul } from "./float.ts";
import { isQuiet, positive } from "./options.ts";
import { Progress, print, printJson } from "./terminal.ts";
import {
  devSetOf,
  examplesOf,
  finish,
  headOf,
  numberOf,
  readData,
  sessionOf,
  settingsOf,
  shortened,
  stageSummaries,
  TRAINING,
  type TrainingOptions,
  trainingProgress,
} from "./training.ts";

interface FinetuneOptions extends TrainingOptions {
  readonly from: string;
  readonly layers?: string;
  readonly epochs: string;
  readonly lr: string;
  readonly regression?: boolean;
  readonly gelu?: string;
  readonly softmax?: string;
}

/** Makes a teacher: an encoder with a fresh classifier, trained on labelled texts. */
export async function finetune(options: FinetuneOptions): Promise<void> {
  const progress = new Progress(isQuiet(options));
  const settings = settingsOf(options);
  const data = await readData(options.data, options.task, options.limit);
  const { gelu, softmax } = options;
  const loaded = await loadEncoder(
    options.from,
    headOf(data, options.regression ?? false),
    (spec) => initialWeights(spec, settings.seed),
    { ...(gelu === undefined ? {} : { gelu }), ...(softmax === undefined ? {} : { softmax }) },
  );
  const layers = options.layers === undefined ? loaded.spec.layers : positive(options.layers, "--layers");
  const model: Model = { ...loaded, ...takeLayers(loaded, layers, "first") };
  const tokenizer = shortened(model, options.length);
  const examples = examplesOf(data, model.spec, tokenizer);
  const dev = options.dev === undefined ? undefined : await readData(options.dev, options.task, options.devLimit);
  const matmul = await floatMatmul();
  const { weights, stages } = await train({
    model,
    teacher: null,
    examples,
    dev: dev === undefined ? undefined : devSetOf(dev, model.spec, tokenizer, options),
    stages: labelStages(numberOf(options.epochs, "--epochs", 0.001, 1e4), numberOf(options.lr, "--lr", 1e-9, 1)),
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

/** Metrics in a line. */
export function shown(values: Readonly<Record<string, number>>): string {
  return Object.entries(values)
    .map(([name, value]) => `${name} ${value.toFixed(4)}`)
    .join(", ");
}
