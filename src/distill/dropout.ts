/** Dropout in the graph: which factors fall where is the host's to say. */

import type { Operators } from "./operators.ts";
import type { Value } from "./tape.ts";

/** Dropout masks: slices of one pool of factors 0 and 1/(1 - rate), at offsets that the host draws for every step. */
export class Dropout {
  /** The places where it falls: an offset each. */
  sites = 0;
  readonly #operators: Operators;
  readonly #pool: string;
  readonly #offsets: string;
  #width = 0;
  #heads = 0;

  constructor(operators: Operators) {
    this.#operators = operators;
    this.#pool = operators.e.graph.input(DROPOUT_POOL, "float32", ["pool"]);
    this.#offsets = operators.e.graph.input(DROPOUT_OFFSETS, "int64", ["sites"]);
  }

  /** On rows of activations. */
  onRows(x: Value, width: number): Value {
    this.#width = Math.max(this.#width, width);
    return this.#apply(x);
  }

  /** On the attention's weights. */
  onWeights(x: Value, heads: number): Value {
    this.#heads = Math.max(this.#heads, heads);
    return this.#apply(x);
  }

  /** The most factors that a site of a batch takes. */
  most(texts: number, positions: number): number {
    return texts * positions * Math.max(this.#width, this.#heads * positions);
  }

  #apply(x: Value): Value {
    const { e } = this.#operators;
    const site = this.sites++;
    const start = e.op("Slice", this.#offsets, e.graph.ints([site]), e.graph.ints([site + 1]));
    const size = e.op("Reshape", e.op("Size", x.name), e.graph.ints([1]));
    const factors = e.op("Slice", this.#pool, start, e.op("Add", start, size));
    return this.#operators.scale(x, e.op("Reshape", factors, e.op("Shape", x.name)));
  }
}

/** The inputs of dropout: the factors [pool], and where each site's begin [sites]. */
export const DROPOUT_POOL = "dropout.pool";
export const DROPOUT_OFFSETS = "dropout.offsets";
