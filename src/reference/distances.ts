/** What attention's scores take from the distances of keys, in floats. */

import { type Heads, type LinearRef, type RelativeRef, scoreDivisor } from "../program/ops.ts";
import { bucketsOf } from "../program/relative.ts";
import { relativeRows } from "../program/relative-rows.ts";
import type { Weights } from "../program/spec.ts";
import type { FloatTensor } from "./tensor.ts";

/** Queries and keys whose scores are computed; `past`: the first query's position, where it sees none behind its own. */
interface Scored {
  readonly q: FloatTensor;
  readonly k: FloatTensor;
  readonly heads: Heads;
  readonly past: number | undefined;
}

/** Relative positions, looked up for queries and keys. */
export interface Distances extends Scored {
  readonly ref: RelativeRef;
  /** Each row's bucket of each key. */
  readonly at: Int32Array;
  /** A number of each bucket and head. */
  readonly numbers: Float32Array | null;
  /** What the queries meet, and what the keys meet: a row for each bucket. */
  readonly keys: Float32Array | null;
  readonly queries: Float32Array | null;
}

/** Looks up what relative positions need. */
export function distancesOf(weights: Weights, ref: RelativeRef, scored: Scored): Distances {
  const { spec, table, norm, keys, queries } = ref;
  const { q, k, past } = scored;
  const rows = (layer: LinearRef | null) =>
    layer === null ? null : relativeRows(weights, { table, norm, layer: layer.name });
  return {
    ...scored,
    ref,
    at: bucketsOf(spec, q.rows, k.rows, past ?? 0),
    numbers: spec.kind === "bias" ? weights.get(table).data : null,
    keys: rows(keys),
    queries: rows(queries),
  };
}

/** Adds one head's part of the distances to its scores, and tells the range of what was added; keys beyond the text keep 0. */
export function addDistances(
  scores: Float32Array,
  { ref, q, k, heads, past, at, numbers, keys, queries }: Distances,
  head: number,
): [lo: number, hi: number] {
  const width = q.columns / heads.queries;
  const scale = 1 / scoreDivisor(width, ref);
  let [lo, hi] = [0, 0];
  for (let i = 0; i < at.length; i++) {
    const [row, column] = [Math.floor(i / k.rows), i % k.rows];
    if (column >= k.ownRows || (past !== undefined && column > past + row)) continue;
    let sum = 0;
    for (let c = 0, j = head * width; c < width; c++, j++) {
      if (keys !== null) sum += q.data[row * q.columns + j] * keys[at[i] * q.columns + j];
      if (queries !== null) sum += k.data[column * k.columns + j] * queries[at[i] * k.columns + j];
    }
    const added = numbers === null ? sum * scale : numbers[at[i] * heads.queries + head];
    scores[i] += added;
    [lo, hi] = [Math.min(lo, added), Math.max(hi, added)];
  }
  return [lo, hi];
}

/** The smallest and the largest value, 0 among them. */
export function rangeOf(values: Float32Array): [number, number] {
  return values.reduce<[number, number]>(([lo, hi], x) => [Math.min(lo, x), Math.max(hi, x)], [0, 0]);
}
