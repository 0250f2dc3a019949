/**
 * Which tensors a model has, found by running it over an interpreter that only writes down the names and shapes it is
 * asked for: there is no second list to keep in step with the model.
 */

import type { EmbeddingRef, Heads, Interpreter, LinearRef, NormRef, RelativeRef } from "../program/ops.ts";
import { bucketCount } from "../program/relative.ts";
import type { ModelSpec, NamedTensor, Weights } from "../program/spec.ts";
import { logitsOf } from "./model.ts";

/** Every tensor the model reads, by the program's own names, in the order of its use. */
export function requiredWeights(spec: ModelSpec): ReadonlyMap<string, readonly number[]> {
  const collector = new WeightCollector();
  logitsOf(collector, spec);
  return collector.shapes;
}

/** The tensors that a client needs to embed alone, where embeddings are public, in the order in which they are sent. */
export function publicTables(spec: ModelSpec): readonly (readonly [string, readonly number[]])[] {
  return [...requiredWeights(spec)].filter(([name]) => name.startsWith("embeddings."));
}

/** The names of a turn's operations, in their order. */
export function operationNames(spec: ModelSpec): readonly string[] {
  const collector = new WeightCollector();
  logitsOf(collector, spec);
  return collector.operations;
}

/** The number of values in a tensor of this shape. */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** Weights held in memory. */
export function weightsOf(tensors: ReadonlyMap<string, NamedTensor>): Weights {
  return {
    get(name) {
      const tensor = tensors.get(name);
      if (tensor === undefined) throw new Error(`the weights have no tensor ${name}: check the model's configuration`);
      return tensor;
    },
  };
}

class WeightCollector implements Interpreter<null> {
  readonly shapes = new Map<string, readonly number[]>();
  readonly operations: string[] = [];

  begin(operation: string): void {
    this.operations.push(operation);
  }

  embed(ref: EmbeddingRef): null {
    const { patches } = ref;
    if (patches) {
      this.linear(null, patches.layer);
      this.shapes.set(patches.first, [ref.width]);
    } else this.shapes.set(ref.word, [ref.vocabulary, ref.width]);
    if (ref.position !== null) this.shapes.set(ref.position, [ref.positions, ref.width]);
    if (ref.type !== null) this.shapes.set(ref.type, [ref.types, ref.width]);
    return ref.norm === null ? null : this.layerNorm(null, ref.norm);
  }

  linear(_x: null, ref: LinearRef): null {
    this.shapes.set(`${ref.name}.weight`, [ref.outputs, ref.inputs]);
    if (ref.bias) this.shapes.set(`${ref.name}.bias`, [ref.outputs]);
    return null;
  }

  layerNorm(_x: null, ref: NormRef): null {
    this.shapes.set(`${ref.name}.weight`, [ref.width]);
    if (ref.bias) this.shapes.set(`${ref.name}.bias`, [ref.width]);
    return null;
  }

  scores(_q: null, _k: null, { queries: heads }: Heads, relative: RelativeRef | null = null): null {
    if (relative === null) return null;
    const { spec, table, norm, keys, queries } = relative;
    const layer = keys ?? queries;
    this.shapes.set(table, [bucketCount(spec), layer?.inputs ?? heads]);
    if (norm !== null) this.layerNorm(null, norm);
    for (const dense of [keys, queries]) if (dense !== null) this.linear(null, dense);
    return null;
  }

  add = (): null => null;
  multiply = (): null => null;
  maskRows = (): null => null;
  firstRow = (): null => null;
  meanRow = (): null => null;
  pickedRow = (): null => null;
  unitRow = (): null => null;
  askedRows = (): null => null;
  rotate = (): null => null;
  remember = (): null => null;
  addOnKeys = (): null => null;
  subtractRowMax = (): null => null;
  polynomial = (): null => null;
  smooth = (): null => null;
  relu = (): null => null;
  weightedMean = (): null => null;
}
