import type { ModelSpec, Weights } from "../program/spec.ts";

/** A model as training sees it. */
export interface TrainedModel {
  readonly spec: ModelSpec;
  readonly weights: Weights;
}
