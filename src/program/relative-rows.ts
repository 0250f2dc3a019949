/** What a model's weights make of relative positions: keys and queries of distances. */

import type { RelativeLayer } from "./relative.ts";
import type { Weights } from "./spec.ts";

const made = new WeakMap<Weights, Map<string, Float32Array>>();

/** Keys or queries of all distances: [buckets, columns of the layer]. Kept for as long as the weights are. */
export function relativeRows(weights: Weights, ref: RelativeLayer): Float32Array {
  const known = made.get(weights) ?? new Map<string, Float32Array>();
  made.set(weights, known);
  const key = JSON.stringify(ref);
  const rows = known.get(key) ?? madeRows(weights, ref);
  known.set(key, rows);
  return rows;
}

function madeRows(weights: Weights, { table, norm, layer }: RelativeLayer): Float32Array {
  const { data: embedded, shape } = weights.get(table);
  const [buckets, width] = shape;
  const x = norm === null ? embedded : normed(weights, norm, embedded, width);
  const { data: w, shape: ofLayer } = weights.get(`${layer}.weight`);
  const { data: bias } = weights.get(`${layer}.bias`);
  const out = new Float32Array(buckets * ofLayer[0]);
  for (let row = 0; row < buckets; row++) {
    for (let o = 0; o < ofLayer[0]; o++) {
      let sum = bias[o];
      for (let c = 0; c < width; c++) sum += x[row * width + c] * w[o * width + c];
      out[row * ofLayer[0] + o] = sum;
    }
  }
  return out;
}

function normed(
  weights: Weights,
  { name, epsilon }: { readonly name: string; readonly epsilon: number },
  x: Float32Array,
  width: number,
): Float32Array {
  const [gain, bias] = [weights.get(`${name}.weight`).data, weights.get(`${name}.bias`).data];
  const out = new Float32Array(x.length);
  for (let start = 0; start < x.length; start += width) {
    const row = x.subarray(start, start + width);
    const mean = row.reduce((sum, value) => sum + value, 0) / width;
    const variance = row.reduce((sum, value) => sum + (value - mean) * (value - mean), 0) / width;
    const factor = 1 / Math.sqrt(variance + epsilon);
    for (let c = 0; c < width; c++) out[start + c] = (row[c] - mean) * factor * gain[c] + bias[c];
  }
  return out;
}
