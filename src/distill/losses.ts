/** Losses: scalars over the graph, each with its gradient. Masks are 0 or 1 and broadcast; counts are scalars of the graph. */

import type { Operators } from "./operators.ts";
import type { Value } from "./tape.ts";

/** Which entries count: `mask` (absent: all of them), and how many they are. */
export interface Entries {
  readonly mask?: string;
  readonly count: string;
}

/** Mean over the entries of (x - target)². */
export function meanSquaredError(o: Operators, x: Value, target: string, entries: Entries): Value {
  const { e } = o;
  const difference = masked(o, e.op("Sub", x.name, target), entries);
  const loss = e.op("Div", e.graph.node("ReduceSumSquare", [difference], { keepdims: 0 }), entries.count);
  return o.tape.record(loss, [[x, (g) => e.op("Mul", difference, e.op("Div", e.op("Mul", g, 2), entries.count))]]);
}

/**
 * Mean over rows (all, unless told) of the cross entropy between target distributions and softmax(x / temperature), both
 * [N, labels]. With a teacher's distribution it is the soft cross entropy of distillation (Hinton et al., arXiv:1503.02531),
 * with one-hot rows the usual one.
 */
export function crossEntropy(o: Operators, x: Value, target: string, temperature = 1, rows?: Entries): Value {
  const { e } = o;
  const scaled = e.op("Mul", x.name, 1 / temperature);
  const entries = rows ?? { count: e.floats(batchSize(o, x.name)) };
  const logs = e.with("LogSoftmax", { axis: -1 }, scaled);
  const products = masked(o, e.op("Mul", target, logs), entries);
  const loss = e.op("Neg", e.op("Div", e.total(products), entries.count));
  const backward = (g: string) => {
    const difference = masked(o, e.op("Sub", e.with("Softmax", { axis: -1 }, scaled), target), entries);
    return e.op("Mul", difference, e.op("Div", e.op("Mul", g, 1 / temperature), entries.count));
  };
  return o.tape.record(loss, [[x, backward]]);
}

/** Mean over rows of the cross entropy of logits [N, vocabulary] with tokens' numbers [N, 1] (any, where a row is masked). */
export function tokenEntropy(o: Operators, x: Value, tokens: string, vocabulary: number, rows: Entries): Value {
  const { e } = o;
  const loss = e.op("Neg", e.op("Div", e.total(masked(o, logLikelihoods(o, x.name, tokens), rows)), rows.count));
  const backward = (g: string) => {
    const size = e.graph.ints(vocabulary);
    const numbers = e.op("Squeeze", tokens, e.graph.ints([1]));
    const hot = e.with("OneHot", { axis: -1 }, numbers, size, e.graph.floats([0, 1]));
    const difference = masked(o, e.op("Sub", e.with("Softmax", { axis: -1 }, x.name), hot), rows);
    return e.op("Mul", difference, e.op("Div", g, rows.count));
  };
  return o.tape.record(loss, [[x, backward]]);
}

/** The logarithm of the probability that logits [N, vocabulary] give to tokens [N, 1]: [N, 1]. */
export function logLikelihoods(o: Operators, logits: string, tokens: string): string {
  const logs = o.e.with("LogSoftmax", { axis: -1 }, logits);
  return o.e.with("GatherElements", { axis: 1 }, logs, tokens);
}

/** Mean over the entries of max(|x| / bound - 1, 0)²: nothing within the bound, growing beyond it. */
export function excess(o: Operators, x: Value, bound: number, entries: Entries): Value {
  const { e } = o;
  const beyond = masked(o, e.op("Relu", e.op("Sub", e.op("Mul", e.op("Abs", x.name), 1 / bound), 1)), entries);
  const loss = e.op("Div", e.graph.node("ReduceSumSquare", [beyond], { keepdims: 0 }), entries.count);
  const backward = (g: string) => {
    const factor = e.op("Div", e.op("Mul", g, 2 / bound), entries.count);
    return e.op("Mul", e.op("Mul", beyond, e.op("Sign", x.name)), factor);
  };
  return o.tape.record(loss, [[x, backward]]);
}

/**
 * Mean over the entries of max(|log(Σx / usual)| / log(factor) - 1, 0)², for sums over the last axis: nothing while a sum is
 * within this factor of the usual one, growing beyond. Sums far too small, or negative, count as `usual` / 1000.
 */
export function sumExcess(o: Operators, x: Value, usual: string, factor: number, entries: Entries): Value {
  const { e } = o;
  const scale = 1 / Math.log(factor);
  const share = e.op("Max", e.op("Div", e.sum(x.name, -1), usual), 1e-3);
  const z = e.op("Mul", e.op("Log", share), scale);
  const beyond = masked(o, e.op("Relu", e.op("Sub", e.op("Abs", z), 1)), entries);
  const loss = e.op("Div", e.graph.node("ReduceSumSquare", [beyond], { keepdims: 0 }), entries.count);
  const backward = (g: string) => {
    const factors = e.op("Div", e.op("Mul", g, 2 * scale), entries.count);
    const bySum = e.op("Div", e.op("Mul", e.op("Mul", beyond, e.op("Sign", z)), factors), e.op("Mul", share, usual));
    return e.op("Expand", bySum, e.op("Shape", x.name));
  };
  return o.tape.record(loss, [[x, backward]]);
}

/** The first dimension as a scalar integer. */
export function batchSize(o: Operators, x: string): string {
  return o.e.op("Squeeze", o.e.op("Slice", o.e.op("Shape", x), o.e.graph.ints([0]), o.e.graph.ints([1])));
}

function masked(o: Operators, x: string, entries: Entries): string {
  return entries.mask === undefined ? x : o.e.op("Mul", x, entries.mask);
}
