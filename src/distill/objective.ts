/**
 * What a student is trained for: MPCFormer's losses (Li et al., arXiv:2211.01452, section 4.2) and a few more, each with a
 * weight of its own.
 *
 * The last layer counts where it is served: in its first row. Layers of a shallower student follow the teacher's evenly.
 */

import { classifier } from "../models/bert.ts";
import { calibrate } from "../models/calibrate.ts";
import { generator, uniforms } from "../models/random.ts";
import type { Matmul } from "../program/float.ts";
import type { ModelSpec, NamedTensor, TokenizedText, Weights } from "../program/spec.ts";
import { LOGITS, TARGETS, type TrainingGraph, WORDS } from "./graph.ts";
import { batchSize, crossEntropy, type Entries, excess, meanSquaredError } from "./losses.ts";
import type { Value } from "./tape.ts";
import { type Site, TrainingOps } from "./training-ops.ts";

/** A model as training sees it. */
export interface TrainedModel {
  readonly spec: ModelSpec;
  readonly weights: Weights;
}

/** The weight of each loss; 0 leaves it out. */
export interface LossWeights {
  /** Mean squared error of every layer's hidden states and the embeddings' output. */
  readonly hidden: number;
  /** Mean squared error of every layer's attention scores. */
  readonly scores: number;
  /** The prediction layer: soft cross entropy, or mean squared error for regressions. */
  readonly prediction: number;
  /** The data's own labels. */
  readonly labels: number;
  /** Scores and dense layers beyond the teacher's ranges. */
  readonly ranges: number;
}

export const LOSSES = ["hidden", "scores", "prediction", "labels", "ranges"] as const satisfies (keyof LossWeights)[];

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
  const { weights, temperature } = options;
  const o = graph.batch.operators;
  const ops = new TrainingOps(graph.batch, graph.trainable(student.weights, frozenBy(options.freeze)), graph.dropout);
  const logits = classifier(ops, student.spec).value;
  const terms: Term[] = [];
  const regression = student.spec.problem === "regression";
  if (weights.labels > 0) {
    const targets = graph.perText(TARGETS, student.spec.labels);
    const value = regression ? predictionError(graph, logits, targets) : crossEntropy(o, logits, targets);
    terms.push({ name: "labels", weight: weights.labels, value });
  }
  if (weights.ranges > 0)
    terms.push({ name: "ranges", weight: weights.ranges, value: rangePenalty(graph, ops.sites, options) });
  if (weights.hidden > 0 || weights.scores > 0) {
    if (teacher === null) throw new Error("the losses of layers need a teacher: give one");
    terms.push(...layerTerms(graph, ops, student.spec, teacher, options));
  }
  if (weights.prediction > 0) {
    // The teacher's logits come with the batch: they are the same in every epoch.
    const theirs = graph.perText(LOGITS, student.spec.labels);
    const soft = o.e.with("Softmax", { axis: -1 }, o.e.op("Mul", theirs, 1 / temperature));
    const value = regression ? predictionError(graph, logits, theirs) : crossEntropy(o, logits, soft, temperature);
    terms.push({ name: "prediction", weight: weights.prediction, value });
  }
  if (terms.length === 0) throw new Error("every loss has weight 0: give at least one a weight");
  return terms;
}

/** The teacher runs in the graph, up to its last layer; its states and scores are the student's targets. */
function layerTerms(
  graph: TrainingGraph,
  ops: TrainingOps,
  student: ModelSpec,
  teacher: TrainedModel,
  { weights, seed }: ObjectiveOptions,
): Term[] {
  checkPair(student, teacher.spec, weights);
  const theirs = new TrainingOps(graph.batch, graph.constants("teacher/", teacher.weights));
  classifier(theirs, teacher.spec);
  const pairs = sitePairs(ops.sites, theirs.sites, student.layers, teacher.spec.layers);
  const terms: Term[] = [];
  if (weights.hidden > 0) {
    const values = pairs.hidden.map(([mine, other]) => hiddenError(graph, mine, other, seed));
    terms.push({ name: "hidden", weight: weights.hidden, value: sumOf(graph, values) });
  }
  if (weights.scores > 0) {
    const values = pairs.scores.map(([mine, { activation }]) =>
      meanSquaredError(graph.batch.operators, mine.activation.value, activation.value.name, entriesOf(graph, mine)),
    );
    terms.push({ name: "scores", weight: weights.scores, value: sumOf(graph, values) });
  }
  return terms;
}

/**
 * The teacher's largest magnitudes at the sites that the range penalty watches, over some texts.
 * @throws PlanError when there is no text.
 */
export function boundsOf(
  teacher: TrainedModel,
  texts: readonly TokenizedText[],
  graph: TrainingGraph,
  matmul?: Matmul,
): Map<string, number> {
  const { ranges } = calibrate(teacher.spec, teacher.weights, texts, { matmul });
  const ops = new TrainingOps(graph.batch, graph.constants("bounds/", teacher.weights));
  classifier(ops, teacher.spec);
  return new Map(
    ops.sites
      .filter(({ kind }) => kind !== "hidden")
      .map(({ name, op }) => [name, Math.max(...ranges[`${op}.out`].map(Math.abs))]),
  );
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

/** For layer i of the student the teacher's layer that ends where it ends, proportionally; the last meets the last. */
function sitePairs(mine: readonly Site[], theirs: readonly Site[], layers: number, theirLayers: number) {
  const teacherLayer = (i: number) => Math.floor(((i + 1) * theirLayers) / layers) - 1;
  const site = (sites: readonly Site[], name: string): Site => {
    const found = sites.find((one) => one.name === name);
    if (found === undefined) throw new Error(`the program has no ${name}: name the sites of its layers`);
    return found;
  };
  const pair = (mineName: string, theirName: string) => [site(mine, mineName), site(theirs, theirName)] as const;
  const indices = Array.from({ length: layers }, (_, i) => i);
  return {
    hidden: [pair("embeddings", "embeddings"), ...indices.map((i) => pair(`layer.${i}`, `layer.${teacherLayer(i)}`))],
    scores: indices.map((i) => pair(`scores.${i}`, `scores.${teacherLayer(i)}`)),
  };
}

/** Between different widths the student's states pass a trained projection (Jiao et al., TinyBERT, arXiv:1909.10351). */
function hiddenError(graph: TrainingGraph, mine: Site, theirs: Site, seed: number): Value {
  const o = graph.batch.operators;
  let x = mine.activation.value;
  if (mine.width !== theirs.width) {
    const projection = graph.train("projection.weight", randomMatrix(theirs.width, mine.width, seed));
    const bias = graph.train("projection.bias", { shape: [theirs.width], data: new Float32Array(theirs.width) });
    x = o.linear(x, projection, bias);
  }
  return meanSquaredError(o, x, theirs.activation.value.name, entriesOf(graph, { ...mine, width: theirs.width }));
}

function rangePenalty(graph: TrainingGraph, sites: readonly Site[], { bounds }: ObjectiveOptions): Value {
  if (bounds === undefined) throw new Error("a range penalty needs the teacher's ranges: give a teacher");
  const o = graph.batch.operators;
  const values = sites.flatMap((site) => {
    const bound = bounds.get(site.name);
    return bound === undefined ? [] : [excess(o, site.activation.value, bound, rowsOf(graph, site))];
  });
  return sumOf(graph, values);
}

/**
 * The rows of a site that belong to texts, each with all its entries. Values far out are few: in a mean over entries they
 * would hardly count.
 */
function rowsOf(graph: TrainingGraph, site: Site): Entries {
  const { batch } = graph;
  const { e } = batch.operators;
  const { mask } = entriesOf(graph, site);
  const texts = e.graph.node("Cast", [batchSize(batch.operators, batch.mask)], { to: 1 });
  const rows = site.activation.rows === "first" ? texts : e.total(batch.mask);
  return { mask, count: site.kind === "scores" ? e.op("Mul", rows, site.width) : rows };
}

function predictionError(graph: TrainingGraph, logits: Value, target: string): Value {
  const { e } = graph.batch.operators;
  return meanSquaredError(graph.batch.operators, logits, target, {
    count: e.graph.node("Cast", [e.op("Size", logits.name)], { to: 1 }),
  });
}

function sumOf(graph: TrainingGraph, values: readonly Value[]): Value {
  return graph.batch.operators.combine(values.map((value) => [1, value]));
}

/** The entries of a site that belong to texts: own rows, and of scores own keys. */
function entriesOf(
  graph: TrainingGraph,
  { kind, activation, width }: Pick<Site, "kind" | "activation" | "width">,
): Entries {
  const { batch } = graph;
  const { e } = batch.operators;
  const first = activation.rows === "first";
  const lengths = e.sum(batch.mask, 1); // [B, 1]
  if (kind === "scores") {
    const count = e.op("Mul", e.total(first ? lengths : e.op("Mul", lengths, lengths)), width);
    const keys = batch.maskOf("keys");
    return { mask: first ? keys : e.op("Mul", keys, batch.maskOf("queries")), count };
  }
  if (!first) return { mask: batch.maskOf("rows"), count: e.op("Mul", e.total(lengths), width) };
  return { count: e.op("Mul", e.graph.node("Cast", [batchSize(batch.operators, batch.mask)], { to: 1 }), width) };
}

function randomMatrix(rows: number, columns: number, seed: number): NamedTensor {
  const uniform = uniforms(generator("projection", seed));
  const size = Math.sqrt(6 / (rows + columns)); // Xavier
  return {
    shape: [rows, columns],
    data: Float32Array.from({ length: rows * columns }, () => (2 * uniform() - 1) * size),
  };
}
