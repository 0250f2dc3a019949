/** What the operations of one text in floats share: weights of the expected shapes, the matrix product, and who watches ranges. */

import type { NamedTensor, Weights } from "../program/spec.ts";
import type { Matmul } from "./matmul.ts";
import { centredRows, type FloatTensor, firstOf, keysOf } from "./tensor.ts";

/** Watches the ranges of values, by the names of operations (program/named.ts). */
export interface FloatObserver {
  /**
   * `what` is "out" for every call; for embed also "word" (the summed embeddings); for embed and layerNorm "centred" (x
   * minus its row's mean) and "variance" (epsilon included), for add "centred" too; for embed with a norm "stream" (its result, centred);
   * for scores "head.0", "head.1", ..., with slopes "products" (before they are subtracted), with relative positions "distances" (what
   * they add), "keys" and "queries" (the distances' own); for
   * unitRow "square" (the row's sum of squares); for
   * weightedMean "sum" (a row's sum of weights) and "mean" (e·v), both divided by the number of the row's keys, "total" and
   * "mixed" (the same, not divided), and "keys" (that number). The text's own part only.
   */
  observe(operation: string, what: string, lo: number, hi: number): void;
}

/** One text's run. */
export class FloatRun {
  readonly weights: Weights;
  readonly matmul: Matmul;
  readonly observer: FloatObserver | undefined;
  /** The operation that runs now, as plans name it. */
  operation = "";

  constructor(weights: Weights, matmul: Matmul, observer: FloatObserver | undefined) {
    this.weights = weights;
    this.matmul = matmul;
    this.observer = observer;
  }

  /** @throws an Error when the weight has another shape. */
  tensor(name: string, shape: readonly number[]): Float32Array {
    return expectShape(this.weights.get(name), name, shape);
  }

  /** An embedding table of at least so many rows. @throws an Error when it has fewer. */
  table(name: string, width: number, rows: number): Float32Array {
    const tensor = this.weights.get(name);
    if (tensor.shape.length !== 2 || tensor.shape[1] !== width || tensor.shape[0] < rows) {
      throw new Error(
        `${name} has shape [${tensor.shape}], this text needs [${rows} or more, ${width}]: shorten the text`,
      );
    }
    return tensor.data;
  }

  /** An operation's result, observed. */
  seen(x: FloatTensor): FloatTensor {
    this.observe("out", x);
    return x;
  }

  /** Tells the observer the range of the text's own entries, of some heads or of all. */
  observe(what: string, x: FloatTensor, fromHead = 0, toHead = x.heads): void {
    if (this.observer === undefined) return;
    const block = x.rows / x.heads;
    let lo = Number.POSITIVE_INFINITY;
    let hi = Number.NEGATIVE_INFINITY;
    for (let head = fromHead; head < toHead; head++) {
      for (let row = head * block; row < head * block + x.ownRows; row++) {
        const own = Math.min(x.ownColumns, keysOf(x, row));
        for (let at = row * x.columns + firstOf(x, row); at < row * x.columns + own; at++) {
          if (x.data[at] < lo) lo = x.data[at];
          if (x.data[at] > hi) hi = x.data[at];
        }
      }
    }
    this.observeRange(what, [lo, hi]);
  }

  /** The same of each row less its mean, which nobody computes unobserved. */
  observeCentred(x: FloatTensor): void {
    if (this.observer !== undefined) this.observe("centred", { ...x, data: centredRows(x) });
  }

  observeRange(what: string, [lo, hi]: readonly [lo: number, hi: number]): void {
    this.observer?.observe(this.operation, what, lo, hi);
  }
}

function expectShape(tensor: NamedTensor, name: string, shape: readonly number[]): Float32Array {
  if (tensor.shape.length !== shape.length || tensor.shape.some((size, i) => size !== shape[i])) {
    throw new Error(`${name} has shape [${tensor.shape}], expected [${shape}]: check the model's configuration`);
  }
  return tensor.data;
}
