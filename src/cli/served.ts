/** A model from the command line, ready to be served. */
import type { ServedModel } from "../parties/held-model.ts";
import { publicModel } from "../parties/model-identity.ts";
import type { MaterialStore } from "../stores/store.ts";
import { floatMatmul } from "./float.ts";
import { type ModelOptions, overridesOf } from "./options.ts";
import type { Progress } from "./progress.ts";
import { identity, openModel, openSource } from "./source.ts";

/** One opening in so many is checked unless told: docs/verification.md, "The default". */
export const DEFAULT_VERIFY = 16;

interface Served extends ModelOptions {
  readonly plan?: string;
  readonly warm?: number;
}

/** The model as it is served; what waits for a service's end does not keep its floats. */
export async function servedModel(
  name: string,
  options: Served,
  progress: Progress,
  store?: MaterialStore,
): Promise<ServedModel> {
  // The hidden option is bench's, which measures shapes too.
  const open = options.plan === undefined ? openModel : openSource;
  const source = await open(name, {
    overrides: overridesOf(options),
    calibration: options.calibrate,
    planPath: options.plan,
    length: options.warm,
    matmul: await floatMatmul(),
    progress: progress.of("calibrating"),
  });
  const { spec, plan, tokenizerFiles: tokenizer, weights, readWeights } = source;
  const { id: commitment, key } = await identity(source, store);
  const model = await publicModel({ spec, plan, tokenizer, commitment }, weights);
  return { model, modelKey: key, weights: onceThen(weights, readWeights), tokenizer };
}

/** Hands `first` out once and lets it go; after that it is read again. */
function onceThen<T>(first: T, again: () => Promise<T>): () => Promise<T> {
  let held: T | null = first;
  return async () => {
    const one = held ?? (await again());
    held = null;
    return one;
  };
}
