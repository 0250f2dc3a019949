/**
 * Relative positions: what attention's scores take from the distance of a key from its query. Distances are public; which
 * weights belong to them is the model's, so that the server alone looks them up.
 */

import { log } from "./maths.ts";

/**
 * bias: a number for each head and bucket is added to the scores (T5, Raffel et al., arXiv:1910.10683; MPNet). Half of the
 * buckets are for keys behind their query; a quarter has a distance each, the others grow with its logarithm up to `most`.
 *
 * disentangled: an embedding for each bucket, seen as a key by the queries and as a query by the keys (DeBERTa, He et al.,
 * arXiv:2006.03654). Distances up to half of the span have a bucket each way, longer ones grow with their logarithm up to
 * `most`; where `most` is 0 all distances up to the span have one.
 */
export type RelativeSpec =
  | { readonly kind: "bias"; readonly buckets: number; readonly most: number }
  | {
      readonly kind: "disentangled";
      readonly span: number;
      readonly most: number;
      /** Whether queries meet the distances' keys, and keys the distances' queries. */
      readonly ofQueries: boolean;
      readonly ofKeys: boolean;
      /** Whether a layer's own dense layers make keys and queries of the embeddings, rather than two more. */
      readonly shared: boolean;
      /** Whether the embeddings are normalised first. */
      readonly normed: boolean;
    };

/** How many buckets there are. */
export function bucketCount(spec: RelativeSpec): number {
  return spec.kind === "bias" ? spec.buckets : 2 * spec.span;
}

/** The bucket of a key that stands `distance` positions behind its query (before it, if negative). */
export function bucketOf(spec: RelativeSpec, distance: number): number {
  switch (spec.kind) {
    case "bias": {
      const half = spec.buckets / 2;
      return (distance > 0 ? half : 0) + growing(Math.abs(distance), half, spec.most);
    }
    case "disentangled":
      return Math.max(0, Math.min(2 * spec.span - 1, spec.span - signed(distance, spec.span, spec.most)));
    default:
      return spec satisfies never;
  }
}

/** T5's bucket of a distance without its sign: PyTorch's 32-bit arithmetic, which decides where the logarithm is a whole number. */
function growing(distance: number, buckets: number, most: number): number {
  const exact = buckets / 2;
  if (distance < exact) return distance;
  const { fround } = Math;
  const share = fround(fround(log(fround(distance / exact))) / fround(log(most / exact)));
  return Math.min(buckets - 1, exact + Math.floor(fround(share * (buckets - exact))));
}

/** DeBERTa's step of a distance: itself up to half of the span, then by its logarithm. */
function signed(distance: number, span: number, most: number): number {
  const middle = Math.floor(span / 2);
  const size = Math.abs(distance);
  if (most === 0 || size <= middle) return distance;
  const { fround } = Math;
  const share = fround(fround(log(fround(size / middle))) / fround(log(fround((most - 1) / middle))));
  return Math.sign(distance) * (Math.ceil(fround(share * (middle - 1))) + middle);
}

/** The buckets of `queries` rows, the first of which stands at position `from`, and `keys` columns: [queries, keys]. */
export function bucketsOf(spec: RelativeSpec, queries: number, keys: number, from: number): Int32Array {
  const byDistance = Int32Array.from({ length: queries + keys }, (_, i) => bucketOf(spec, i - (from + queries - 1)));
  return Int32Array.from({ length: queries * keys }, (_, i) => {
    const [row, column] = [Math.floor(i / keys), i % keys];
    return byDistance[column - row + queries - 1];
  });
}

/** The embeddings of all distances and the dense layer that makes keys or queries of them, by name. */
export interface RelativeLayer {
  /** [buckets, width] */
  readonly table: string;
  readonly norm: { readonly name: string; readonly epsilon: number } | null;
  readonly layer: string;
}
