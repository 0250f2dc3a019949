/** Names for a model's operations: given here once, so that all interpreters agree on them. */

import type {
  EmbeddingRef,
  Heads,
  Interpreter,
  LinearRef,
  NormRef,
  Ops,
  RelativeRef,
  Rotary,
  SmoothName,
} from "./ops.ts";

/**
 * Tells an interpreter the name of each operation before it is called. An operation with weights has their name
 * ("layer.0.query"); any other the layer of the weights used last and its own word ("layer.0.scores"). What comes again in a
 * turn has a number behind it: "layer.0.sum", "layer.0.sum.2".
 */
export class NamedOps<T> implements Ops<T> {
  readonly #inner: Interpreter<T>;
  readonly #counts = new Map<string, number>();
  #layer = "";

  constructor(inner: Interpreter<T>) {
    this.#inner = inner;
  }

  embed(ref: EmbeddingRef, after?: T): T {
    this.#counts.clear();
    this.#layer = "";
    return this.#named("embeddings").embed(ref, after);
  }

  linear(x: T, ref: LinearRef): T {
    return this.#weighted(ref.name).linear(x, ref);
  }

  layerNorm(x: T, ref: NormRef): T {
    return this.#weighted(ref.name).layerNorm(x, ref);
  }

  add(x: T, y: T): T {
    return this.#plain("sum").add(x, y);
  }

  multiply(x: T, y: T): T {
    return this.#plain("product").multiply(x, y);
  }

  maskRows(x: T): T {
    return this.#plain("masked").maskRows(x);
  }

  firstRow(x: T): T {
    return this.#plain("first").firstRow(x);
  }

  pickedRow(x: T): T {
    return this.#plain("picked").pickedRow(x);
  }

  meanRow(x: T): T {
    return this.#plain("pooled").meanRow(x);
  }

  unitRow(x: T): T {
    return this.#plain("unit").unitRow(x);
  }

  askedRows(x: T): T {
    return this.#plain("asked").askedRows(x);
  }

  rotate(x: T, rotary: Rotary): T {
    return this.#plain("rotated").rotate(x, rotary);
  }

  remember(before: T | null, x: T): T {
    return this.#plain("remembered").remember(before, x);
  }

  scores(q: T, k: T, heads: Heads, relative: RelativeRef | null = null): T {
    return this.#plain("scores").scores(q, k, heads, relative);
  }

  addOnKeys(s: T, kept: number, padded: number): T {
    return this.#plain("shifted").addOnKeys(s, kept, padded);
  }

  subtractRowMax(s: T): T {
    return this.#plain("lowered").subtractRowMax(s);
  }

  polynomial(x: T, coefficients: readonly number[]): T {
    return this.#plain("polynomial").polynomial(x, coefficients);
  }

  smooth(x: T, name: SmoothName): T {
    return this.#plain("smooth").smooth(x, name);
  }

  relu(x: T): T {
    return this.#plain("rectified").relu(x);
  }

  weightedMean(e: T, v: T, heads: Heads): T {
    return this.#plain("mean").weightedMean(e, v, heads);
  }

  #weighted(name: string): Interpreter<T> {
    this.#layer = /^layer\.\d+\./.exec(name)?.[0] ?? "";
    return this.#named(name);
  }

  #plain(word: string): Interpreter<T> {
    return this.#named(this.#layer + word);
  }

  #named(name: string): Interpreter<T> {
    const count = (this.#counts.get(name) ?? 0) + 1;
    this.#counts.set(name, count);
    this.#inner.begin(count === 1 ? name : `${name}.${count}`);
    return this.#inner;
  }
}
