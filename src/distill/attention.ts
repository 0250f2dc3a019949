/**
 * Attention without what nobody asks for: tensors of n² numbers per head are what a step over long texts waits for, so they are
 * read and written as few times as can be. Heads are [B, a, r, w]; weights [B, a, r, n].
 */

import type { Entries } from "./losses.ts";
import type { Operators } from "./operators.ts";
import type { Value } from "./tape.ts";

/** What scores are made of: queries and keys of heads, [B, a, r, w] and [B, a, n, w]. */
export interface Factors {
  readonly q: Value;
  readonly k: Value;
  /** w. */
  readonly width: number;
}

/**
 * The means of v's rows by rows of weights, e·v / Σe; a row whose weights sum to 0 is not divided. The division comes last, where
 * numbers are few.
 */
export function weightedMeans(o: Operators, weights: Value, v: Value): Value {
  const { e } = o;
  const sum = e.sum(weights.name, -1);
  const divisor = e.op("Add", sum, e.indicator("Equal", sum, 0));
  const y = e.op("Div", e.op("MatMul", weights.name, v.name), divisor);
  return o.tape.record(y, [
    [weights, (g) => byWeights(o, e.op("Div", g, divisor), y, v.name)],
    [v, (g) => e.op("MatMul", turned(o, weights.name), e.op("Div", g, divisor))],
  ]);
}

/** The means of v's rows by the softmax of rows of scores. */
export function softmaxMeans(o: Operators, scores: Value, v: Value): Value {
  const { e } = o;
  const weights = e.with("Softmax", { axis: -1 }, scores.name);
  const y = e.op("MatMul", weights, v.name);
  return o.tape.record(y, [
    [scores, (g) => e.op("Mul", weights, byWeights(o, g, y, v.name))],
    [v, (g) => e.op("MatMul", turned(o, weights), g)],
  ]);
}

/** q·kᵀ plus a constant for every key, [B, 1, 1, n]: the constant is one more column of k, met by ones in q. */
export function shiftedScores(o: Operators, { q, k }: Factors, shift: string): Value {
  const { e } = o;
  const column = e.op("Add", turned(o, shift), zeroColumn(o, k.name));
  const right = e.with("Concat", { axis: -1 }, k.name, column);
  const left = e.with("Concat", { axis: -1 }, q.name, oneColumn(o, q.name));
  return o.tape.record(e.op("MatMul", left, turned(o, right)), [
    [q, (g) => e.op("MatMul", g, k.name)],
    [k, (g) => e.op("MatMul", turned(o, g), q.name)],
  ]);
}

/**
 * Mean over the entries of (q·kᵀ - q'·k'ᵀ)², for heads of one width; `rows` and `keys` are masks of q and of k that broadcast.
 *
 * No score is computed. With a = q - q' and b = k - k' the difference is a·kᵀ + q'·bᵀ, and the sum of its squares follows from
 * products of w columns with w columns:
 *   Σ (aᵀa ∘ kᵀk) + 2·Σ (aᵀq' ∘ kᵀb) + Σ (q'ᵀq' ∘ bᵀb),
 * where each term is small when a and b are, so that nothing cancels as a student comes near its teacher.
 */
export function scoresError(
  o: Operators,
  mine: Factors,
  theirs: Factors,
  { rows, keys, count }: { readonly rows?: string; readonly keys: string } & Pick<Entries, "count">,
): Value {
  const { e } = o;
  const masked = (x: string, mask?: string) => (mask === undefined ? x : e.op("Mul", x, mask));
  const [k, target] = [masked(mine.k.name, keys), masked(theirs.q.name, rows)];
  const a = masked(e.op("Sub", mine.q.name, theirs.q.name), rows);
  const b = masked(e.op("Sub", mine.k.name, theirs.k.name), keys);
  const gram = (x: string, y: string) => e.op("MatMul", turned(o, x), y);
  const [aa, at, tt] = [gram(a, a), gram(a, target), gram(target, target)];
  const [kk, kb, bb] = [gram(k, k), gram(k, b), gram(b, b)];
  const total = (x: string, y: string) => e.total(e.op("Mul", x, y));
  const sum = e.op("Add", e.op("Add", total(aa, kk), e.op("Mul", total(at, kb), 2)), total(tt, bb));
  const factor = (g: string) => e.op("Div", e.op("Mul", g, 2), count);
  return o.tape.record(e.op("Div", sum, count), [
    [
      mine.q,
      (g) => {
        const byQ = e.op("Add", e.op("MatMul", a, kk), e.op("MatMul", target, turned(o, kb)));
        return e.op("Mul", byQ, factor(g));
      },
    ],
    [
      mine.k,
      (g) => {
        const byKeys = e.op("MatMul", k, e.op("Add", aa, at));
        const byDifference = e.op("MatMul", b, e.op("Add", turned(o, at), tt));
        return e.op("Mul", e.op("Add", byKeys, byDifference), factor(g));
      },
    ],
  ]);
}

/**
 * g·vᵀ - Σ(g∘y): the gradient by weights of means y, before it is divided by their sum. The subtrahend is one more column of g,
 * met by ones in v.
 */
function byWeights(o: Operators, g: string, y: string, v: string): string {
  const { e } = o;
  const along = e.op("Neg", e.sum(e.op("Mul", g, y), -1));
  const left = e.with("Concat", { axis: -1 }, g, along);
  const right = e.with("Concat", { axis: -1 }, v, oneColumn(o, v));
  return e.op("MatMul", left, turned(o, right));
}

/** The last two of four axes exchanged; onnxruntime makes a flag of the product that reads it of this. */
function turned(o: Operators, x: string): string {
  return o.e.transpose(x, 0, 1, 3, 2);
}

/** For x [B, a, r, w] zeros or ones [B, a, r, 1]. */
function zeroColumn(o: Operators, x: string): string {
  const { e } = o;
  const rows = e.op("Slice", e.op("Shape", x), e.graph.ints([0]), e.graph.ints([3]));
  return e.op("Expand", e.graph.floats(0), e.shape(rows, 1));
}

function oneColumn(o: Operators, x: string): string {
  return o.e.op("Add", zeroColumn(o, x), 1);
}
