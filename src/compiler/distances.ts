/** Scores with what keys' distances add to them, as a step. */

import { log2 } from "../program/maths.ts";
import { type LinearRef, type RelativeRef, scoreDivisor } from "../program/ops.ts";
import { magnitude, type PlannedRanges } from "../program/plan.ts";
import { bucketCount } from "../program/relative.ts";
import type { Value, WeightRef } from "../program/steps.ts";
import type { Builder } from "./builder.ts";

/** The largest weight of a narrow kernel. */
const NARROW = 32_767;

/** Queries and keys as they were opened for their products, and the first query's position. */
interface Places {
  readonly relative: RelativeRef;
  readonly heads: number;
  readonly from: number;
  readonly q: Value;
  readonly k: Value;
}

/** Scores, a share, plus what the distances add, at the same scale. No flight; products are dealt as a linear layer's are. */
export function withDistances(b: Builder, ranges: PlannedRanges, op: string, scores: Value, places: Places): Value {
  const { relative, heads, from, q, k } = places;
  const { spec, table } = relative;
  const products = [
    { of: "queries", x: q, layer: relative.keys, what: "keys" },
    { of: "keys", x: k, layer: relative.queries, what: "queries" },
  ] as const;
  const used = products.filter((one): one is typeof one & { readonly layer: LinearRef } => one.layer !== null);
  // Weights are as fine as their kernel takes: the scores are finer.
  const unit = scores.scale / scoreDivisor(q.columns / heads, relative);
  const finest = used.map(({ x, what }) => (magnitude(ranges.seen(op, what)) * unit) / x.scale / NARROW);
  const shift = Math.max(0, ...finest.map((size) => Math.ceil(log2(size))));
  const norm = relative.norm === null ? null : { name: relative.norm.name, epsilon: relative.norm.epsilon };
  const terms = used.map(({ of, x, layer }) => {
    const scale = unit / 2 ** shift / x.scale;
    const weight: WeightRef = { kind: "relative", table, norm, layer: layer.name, heads, scale };
    return { ...b.term(x, weight, x.columns, bucketCount(spec)), of };
  });
  const bias = spec.kind === "bias" ? { name: table, scale: scores.scale } : null;
  const { rows, columns, scale, bound } = scores;
  const out = b.value("scores", rows, columns, scale, bound / scale, "share");
  return b.add({ kind: "relative", x: scores.id, heads, distances: spec, from, terms, shift, bias }, out);
}
