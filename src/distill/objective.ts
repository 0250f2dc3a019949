/**
 * What a student is trained for: MPCFormer's losses (Li et al., arXiv:2211.01452, section 4.2) and a few more, each with a
 * weight of its own.
 *
 * The last layer counts where it is served: an encoder's in its first row, a decoder's in all. Layers of a shallower student
 * follow the teacher's evenly.
 */

import { InternalError } from "../errors.ts";
import { logitsOf } from "../models/model.ts";
import type { ModelSpec } from "../program/spec.ts";
import type { Dropout } from "./dropout.ts";
import { LOGITS, TARGETS, type TrainingGraph, WORDS } from "./graph.ts";
import { hiddenLoss, layerPairs, rangePenalty, scoresLoss, sumsPenalty } from "./layer-losses.ts";
import { batchSize, crossEntropy, meanSquaredError, tokenEntropy } from "./losses.ts";
import type { Value } from "./tape.ts";
import type { TrainedModel } from "./trained-model.ts";
import { type Parameters, TrainingOps } from "./training-ops.ts";
import { tiedParameters } from "./weights.ts";

/** The weight of each loss; 0 leaves it out. */
export interface LossWeights {
  /** Mean squared error of every layer's hidden states and the embeddings' output. */
  readonly hidden: number;
  /** Mean squared error of every layer's attention scores. */
  readonly scores: number;
  /** The prediction layer: soft cross entropy (of a decoder: of every token's), or mean squared error for regressions. */
  readonly prediction: number;
  /** The data's own labels; a decoder's are the texts' next tokens. */
  readonly labels: number;
  /** Scores and dense layers beyond the teacher's ranges. */
  readonly ranges: number;
  /** Sums of attention's weights far from those of keys that are all alike. */
  readonly sums: number;
}

/** One summand of the loss; an unweighted value of it is reported. */
export interface Term {
  readonly name: keyof LossWeights | "tokens";
  readonly weight: number;
  readonly value: Value;
}

/** What stays as the student's first weights have it. */
export type Freeze = "nothing" | "words" | "embeddings";
export const FREEZES = ["nothing", "words", "embeddings"] as const satisfies Freeze[];

export interface ObjectiveOptions {
  readonly weights: LossWeights;
  /** Softens both distributions of the prediction loss. */
  readonly temperature: number;
  readonly freeze: Freeze;
  /** The largest magnitudes of the teacher's values, by site; needed where `weights.ranges` is not 0. */
  readonly bounds?: ReadonlyMap<string, number>;
  /** Projections between different widths begin at random. */
  readonly seed: number;
}

/**
 * Writes student and (where a loss asks for it) teacher into the graph and gives the loss's terms.
 * @throws an Error when the two models do not fit together for the losses asked for.
 */
export function writeObjective(
  graph: TrainingGraph,
  student: TrainedModel,
  teacher: TrainedModel | null,
  options: ObjectiveOptions,
): Term[] {
  const { weights } = options;
  const { spec } = student;
  const mine = written(graph, spec, graph.trainable(student.weights, frozenBy(options.freeze)), graph.dropout);
  const theirs = once(() => {
    if (teacher === null) throw new Error("the losses of layers and of tokens need a teacher: give one");
    checkPair(spec, teacher.spec, weights);
    return written(graph, teacher.spec, graph.constants("teacher/", teacher.weights), null);
  });
  const pairs = once(() => layerPairs(mine.sites, theirs().sites, spec.layers, teacher?.spec.layers ?? 0));
  const values: Readonly<Record<keyof LossWeights, () => Value>> = {
    labels: () => labelsLoss(graph, spec, mine.logits),
    ranges: () => rangePenalty(graph, mine.sites, options.bounds),
    sums: () => sumsPenalty(graph, mine.sites, spec),
    hidden: () => hiddenLoss(graph, pairs(), options.seed),
    scores: () => scoresLoss(graph, pairs()),
    prediction: () => predictionLoss(graph, spec, mine.logits, () => theirs().logits, options.temperature),
  };
  const order = ["labels", "ranges", "sums", "hidden", "scores", "prediction"] as const;
  const terms = order
    .filter((name) => weights[name] > 0)
    .map((name): Term => ({ name, weight: weights[name], value: values[name]() }));
  if (terms.length === 0) throw new Error("every loss has weight 0: give at least one a weight");
  return terms;
}

/** A model in the graph: its logits, and the values that losses refer to. */
function written(graph: TrainingGraph, spec: ModelSpec, parameters: Parameters, dropout: Dropout | null) {
  const ops = new TrainingOps(graph.batch, tiedParameters(spec, parameters), dropout);
  return { logits: logitsOf(ops, spec).value, sites: ops.sites };
}

function labelsLoss(graph: TrainingGraph, spec: ModelSpec, logits: Value): Value {
  const o = graph.batch.operators;
  if (spec.problem === "generation" || spec.problem === "tokens") {
    const told = graph.told();
    const mask = o.e.floats(o.e.op("GreaterOrEqual", told, o.e.graph.ints(0)));
    const classes = spec.problem === "tokens" ? spec.labels : spec.vocabulary;
    return tokenEntropy(o, logits, told, classes, { mask, count: o.e.total(mask) });
  }
  if (!LABELLED.has(spec.problem))
    throw new Error("the data's labels do not fit this model's answers: give their loss weight 0");
  const targets = graph.perText(TARGETS, spec.labels);
  return spec.problem === "regression" ? predictionError(graph, logits, targets) : crossEntropy(o, logits, targets);
}

/** Answers of which the data's own labels are one for each text. */
const LABELLED: ReadonlySet<ModelSpec["problem"]> = new Set(["classification", "regression"]);

/**
 * The teacher's distribution, where labels exclude each other; else the numbers themselves: values, vectors, what places of a text
 * have. A teacher that judges texts gives its logits with the batch: they are the same in every epoch. Logits of every token are too
 * many to keep: that teacher runs in the graph.
 */
function predictionLoss(
  graph: TrainingGraph,
  spec: ModelSpec,
  logits: Value,
  theirs: () => Value,
  temperature: number,
): Value {
  const o = graph.batch.operators;
  const softened = (x: string) => o.e.with("Softmax", { axis: -1 }, o.e.op("Mul", x, 1 / temperature));
  const rows = { mask: graph.batch.maskOf("rows"), count: o.e.total(graph.batch.mask) };
  switch (spec.problem) {
    case "generation":
    case "tokens":
      return crossEntropy(o, logits, softened(theirs().name), temperature, rows);
    case "spans":
      return meanSquaredError(o, logits, theirs().name, rows);
    case "classification":
      return crossEntropy(o, logits, softened(graph.perText(LOGITS, spec.labels)), temperature);
    case "vector":
      // Of vectors of length 1 half of this is one less their cosine.
      return meanSquaredError(o, logits, graph.perText(LOGITS, spec.labels), {
        count: o.e.floats(batchSize(o, logits.name)),
      });
    case "regression":
    case "labels":
      return predictionError(graph, logits, graph.perText(LOGITS, spec.labels));
    case "mask":
      throw new Error("models that fill masked words cannot be distilled yet: take another head");
    default:
      throw new InternalError(`no loss for ${spec.problem satisfies never}`);
  }
}

function frozenBy(freeze: Freeze): (name: string) => boolean {
  if (freeze === "words") return (name) => name === WORDS;
  return (name) => freeze === "embeddings" && name.startsWith("embeddings.");
}

function checkPair(student: ModelSpec, teacher: ModelSpec, weights: LossWeights): void {
  if (student.vocabulary !== teacher.vocabulary || student.types > teacher.types) {
    throw new Error("student and teacher must share a vocabulary: start the student from the teacher");
  }
  if (weights.scores > 0 && student.heads !== teacher.heads) {
    throw new Error("attention scores compare only between equal numbers of heads: give the scores' loss weight 0");
  }
  if (student.layers > teacher.layers) {
    throw new Error("a student has at most its teacher's layers: take fewer, or the prediction's loss alone");
  }
}

function predictionError(graph: TrainingGraph, logits: Value, target: string): Value {
  const { e } = graph.batch.operators;
  return meanSquaredError(graph.batch.operators, logits, target, {
    count: e.floats(e.op("Size", logits.name)),
  });
}

/** What is made once, when it is first asked for. */
function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}
