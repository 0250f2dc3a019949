import { join } from "node:path";
import type { Example } from "../distill/batches.ts";
import { labelStages, train } from "../distill/recipe.ts";
import type { DevSet } from "../distill/run.ts";
import { initialWeights, takeLayers } from "../distill/weights.ts";
import { loadEncoder, loadModel, loadSpec, type Model } from "../models/checkpoint.ts";
import { isDecoder } from "../program/spec.ts";
import { floatMatmul } from "./float.ts";
import { languageData } from "./language.ts";
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

/** Makes a teacher: an encoder with a fresh classifier, trained on labelled texts; or a decoder, on plain ones. */
export async function finetune(options: FinetuneOptions): Promise<void> {
  const progress = new Progress(isQuiet(options));
  const settings = settingsOf(options);
  const { model, examples, dev } = await startOf(options, settings.seed);
  const matmul = await floatMatmul();
  const { weights, stages } = await train({
    model,
    teacher: null,
    examples,
    dev,
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

/** The model as it begins, and what it learns from. */
async function startOf(
  options: FinetuneOptions,
  seed: number,
): Promise<{ readonly model: Model; readonly examples: readonly Example[]; readonly dev?: DevSet }> {
  const { gelu, softmax } = options;
  const overrides = { ...(gelu === undefined ? {} : { gelu }), ...(softmax === undefined ? {} : { softmax }) };
  const taken = (loaded: Model): Model => {
    const layers = options.layers === undefined ? loaded.spec.layers : positive(options.layers, "--layers");
    return { ...loaded, ...takeLayers(loaded, layers, "first") };
  };
  if (isDecoder(await loadSpec(options.from))) {
    const model = taken(await loadModel(options.from, overrides));
    return { model, ...(await languageData(model, options)) };
  }
  const data = await readData(options.data, options.task, options.limit);
  const head = headOf(data, options.regression ?? false);
  const model = taken(await loadEncoder(options.from, head, (spec) => initialWeights(spec, seed), overrides));
  const tokenizer = shortened(model, options.length);
  const dev = options.dev === undefined ? undefined : await readData(options.dev, options.task, options.devLimit);
  return {
    model,
    examples: examplesOf(data, model.spec, tokenizer),
    dev: dev === undefined ? undefined : devSetOf(dev, model.spec, tokenizer, options),
  };
}

/** Metrics in a line. */
export function shown(values: Readonly<Record<string, number>>): string {
  return Object.entries(values)
    .map(([name, value]) => `${name} ${value.toFixed(4)}`)
    .join(", ");
}
