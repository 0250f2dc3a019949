/** Losses between a student's layers and its teacher's, and the penalty on values beyond the teacher's ranges. */

import { softmax } from "../approximations/registry.ts";
import { InternalError } from "../errors.ts";
import { logitsOf } from "../models/model.ts";
import { generator, uniforms } from "../models/random.ts";
import { weightsOf } from "../models/weights.ts";
import type { ModelSpec, NamedTensor, TokenizedText } from "../program/spec.ts";
import { FloatOps } from "../reference/float.ts";
import type { Matmul } from "../reference/matmul.ts";
import type { FloatTensor } from "../reference/tensor.ts";
import { scoresError } from "./attention.ts";
import type { TrainingGraph } from "./graph.ts";
import { batchSize, type Entries, excess, meanSquaredError, sumExcess } from "./losses.ts";
import type { Value } from "./tape.ts";
import type { TrainedModel } from "./trained-model.ts";
import { type Activation, type Site, TrainingOps } from "./training-ops.ts";
import { tiedParameters } from "./weights.ts";

/** A model's layers beside another's. */
export interface LayerPairs {
  readonly hidden: readonly (readonly [Site, Site])[];
  readonly scores: readonly (readonly [Site, Site])[];
}

/** Mean squared error of hidden states, summed over layers; `seed` draws a projection between different widths. */
export function hiddenLoss(graph: TrainingGraph, pairs: LayerPairs, seed: number): Value {
  return sumOf(
    graph,
    pairs.hidden.map(([mine, theirs]) => hiddenError(graph, mine, theirs, seed)),
  );
}

/** Mean squared error of attention scores, summed over layers. */
export function scoresLoss(graph: TrainingGraph, pairs: LayerPairs): Value {
  return sumOf(
    graph,
    pairs.scores.map(([mine, theirs]) => scoresErrorOf(graph, mine, theirs.activation)),
  );
}

/** By the scores' factors, where heads have one width and every key counts in every row; else by the scores themselves. */
function scoresErrorOf(graph: TrainingGraph, mine: Site, theirs: Activation): Value {
  const { batch } = graph;
  const entries = entriesOf(graph, mine);
  const { factors, rows } = mine.activation;
  if (factors === undefined || theirs.factors === undefined || factors.width !== theirs.factors.width) {
    return meanSquaredError(batch.operators, mine.activation.value, theirs.value.name, entries);
  }
  const masks = { keys: batch.maskOf("queries"), ...(rows === "all" ? { rows: batch.maskOf("queries") } : {}) };
  return scoresError(batch.operators, factors, theirs.factors, { ...masks, count: entries.count });
}

/**
 * The teacher's largest magnitudes at the sites that the range penalty watches, over some texts.
 * @throws an Error when a value is not finite.
 */
export function boundsOf(
  teacher: TrainedModel,
  texts: readonly TokenizedText[],
  graph: TrainingGraph,
  matmul?: Matmul,
): Map<string, number> {
  const { spec, weights } = teacher;
  const largest: Record<string, number> = {};
  const observer = {
    observe(op: string, what: string, lo: number, hi: number) {
      if (what === "out") largest[op] = Math.max(largest[op] ?? 0, Math.abs(lo), Math.abs(hi));
    },
  };
  for (const text of texts)
    logitsOf(new FloatOps(weights, text, text.ids.length, { matmul, observer, scoring: true }), spec);
  const ops = new TrainingOps(graph.batch, tiedParameters(spec, graph.constants("bounds/", weights)));
  logitsOf(ops, spec);
  const isBounded = ({ kind }: Site) => kind === "scores" || kind === "linear";
  const bounds = ops.sites.filter(isBounded).map(({ name, op }) => [name, largest[op]] as const);
  if (!bounds.every(([, bound]) => Number.isFinite(bound))) {
    throw new Error("the teacher has values that are not finite: check its weights");
  }
  return new Map(bounds);
}

/** Scores and dense layers beyond their bounds. */
export function rangePenalty(
  graph: TrainingGraph,
  sites: readonly Site[],
  bounds: ReadonlyMap<string, number> | undefined,
): Value {
  if (bounds === undefined) throw new Error("a range penalty needs the teacher's ranges: give a teacher");
  const o = graph.batch.operators;
  const values = sites.flatMap((site) => {
    const bound = bounds.get(site.name);
    return bound === undefined ? [] : [excess(o, site.activation.value, bound, rowsOf(graph, site))];
  });
  return sumOf(graph, values);
}

/**
 * Sums of attention's weights beyond a factor `SPREAD` of what keys that are all alike would have. A private run divides by
 * these sums: the wider their range, the less precise it is.
 * @throws an Error when keys that are all alike have no weight.
 */
export function sumsPenalty(graph: TrainingGraph, sites: readonly Site[], spec: ModelSpec): Value {
  const { batch } = graph;
  const { e } = batch.operators;
  const alike = weightAtZero(spec);
  if (!(alike > 0)) throw new Error("the weights of this softmax may sum to 0 anyhow: give the sums' penalty weight 0");
  const values = sites
    .filter(({ kind }) => kind === "weights")
    .map(({ activation, width }) => {
      const usual = e.op("Mul", batch.keyCounts(activation.causal ?? false, activation.window), alike);
      const all = activation.rows === "all";
      const rows = all ? e.total(batch.mask) : e.floats(batchSize(batch.operators, batch.mask));
      const entries = { ...(all ? { mask: batch.maskOf("queries") } : {}), count: e.op("Mul", rows, width) };
      return sumExcess(batch.operators, activation.value, usual, SPREAD, entries);
    });
  return sumOf(graph, values);
}

const SPREAD = 4;

/** The weight that a stand-in for softmax gives to a score of 0. */
function weightAtZero(spec: ModelSpec): number {
  const one = { rows: 1, columns: 1, data: Float32Array.of(0), heads: 1, ownRows: 1, ownColumns: 1 };
  const ops = new FloatOps(weightsOf(new Map()), { ids: [0], types: [0] }, 1);
  return softmax(spec.softmax).apply<FloatTensor>(ops, one).data[0];
}

/** For layer i of the student the teacher's layer that ends where it ends, proportionally; the last meets the last. */
export function layerPairs(
  mine: readonly Site[],
  theirs: readonly Site[],
  layers: number,
  theirLayers: number,
): LayerPairs {
  const teacherLayer = (i: number) => Math.floor(((i + 1) * theirLayers) / layers) - 1;
  const site = (sites: readonly Site[], name: string): Site => {
    const found = sites.find((one) => one.name === name);
    if (found === undefined) throw new InternalError(`the program has no ${name}: name the sites of its layers`);
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

/**
 * The rows of a site that belong to texts, each with all its entries. Values far out are few: in a mean over entries they
 * would hardly count.
 */
function rowsOf(graph: TrainingGraph, site: Site): Entries {
  const { batch } = graph;
  const { e } = batch.operators;
  const { mask } = entriesOf(graph, site);
  const texts = e.floats(batchSize(batch.operators, batch.mask));
  const rows = site.activation.rows === "first" ? texts : e.total(batch.mask);
  return { mask, count: site.kind === "scores" ? e.op("Mul", rows, site.width) : rows };
}

function sumOf(graph: TrainingGraph, values: readonly Value[]): Value {
  return graph.batch.operators.combine(values.map((value) => [1, value]));
}

/** The entries of a site that belong to texts: own rows, and of scores the keys that count. */
function entriesOf(
  graph: TrainingGraph,
  { kind, activation, width }: Pick<Site, "kind" | "activation" | "width">,
): Entries {
  const { batch } = graph;
  const { e } = batch.operators;
  const first = activation.rows === "first";
  const lengths = e.sum(batch.mask, 1); // [B, 1]
  if (kind === "scores") {
    const causal = activation.causal ?? false;
    const square = causal ? pairsWithin(graph, lengths, activation.window) : e.op("Mul", lengths, lengths);
    const count = e.op("Mul", e.total(first ? lengths : square), width);
    const keys = batch.countingKeys(causal, activation.window);
    return { mask: first ? keys : e.op("Mul", keys, batch.maskOf("queries")), count };
  }
  if (!first) return { mask: batch.maskOf("rows"), count: e.op("Mul", e.total(lengths), width) };
  return { count: e.op("Mul", e.floats(batchSize(batch.operators, batch.mask)), width) };
}

/** The keys that count in all rows of a text: n·(n + 1) / 2, less those before its rows' windows. */
function pairsWithin(graph: TrainingGraph, lengths: string, window?: number): string {
  const { e } = graph.batch.operators;
  const triangle = (n: string) => e.op("Mul", e.op("Mul", n, e.op("Add", n, 1)), 0.5);
  if (window === undefined) return triangle(lengths);
  return e.op("Sub", triangle(lengths), triangle(e.op("Relu", e.op("Sub", lengths, window))));
}

function randomMatrix(rows: number, columns: number, seed: number): NamedTensor {
  const uniform = uniforms(generator("projection", seed));
  const size = Math.sqrt(6 / (rows + columns)); // Xavier
  return {
    shape: [rows, columns],
    data: Float32Array.from({ length: rows * columns }, () => (2 * uniform() - 1) * size),
  };
}
