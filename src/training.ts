/**
 * mpcformer/training: distillation and fine-tuning as a library, for Node.js with onnxruntime-node installed. The commands
 * `pretrain`, `finetune`, `distill` and `study` are written on these.
 */
export type { Example } from "./distill/batches.ts";
export { documentsOf, perplexityDev, windowsOf } from "./distill/language.ts";
export type { LossWeights } from "./distill/objective.ts";
export { type Perplexity, perplexity } from "./distill/perplexity.ts";
export { Predictor, TokenScorer } from "./distill/predictor.ts";
export {
  distillationStages,
  labelStages,
  type Settings,
  type Stage,
  type StageResult,
  type Training,
  train,
} from "./distill/recipe.ts";
export type { DevSet, RunStatus } from "./distill/run.ts";
export type { TrainedModel } from "./distill/trained-model.ts";
export { initialWeights, takeLayers } from "./distill/weights.ts";
