/** Attention in floats: scores of each head, their weighted means, and rotary positions. */

import { cos, sin } from "../program/maths.ts";
import { type Heads, type RelativeRef, type Rotary, scoreDivisor } from "../program/ops.ts";
import { addDistances, distancesOf, rangeOf } from "./distances.ts";
import type { FloatRun } from "./run.ts";
import { countOf, countsIn, expectColumns, type FloatTensor, firstOf, headWidth, keysOf } from "./tensor.ts";

/** Scaled products of queries and keys, a block of rows for each head; 0 where they do not count. */
export function scoresOf(
  run: FloatRun,
  q: FloatTensor,
  k: FloatTensor,
  heads: Heads,
  relative: RelativeRef | null = null,
): FloatTensor {
  const width = headWidth(q, heads.queries);
  expectColumns(k, width * heads.keys, "scores");
  if (heads.causal && k.ownRows !== k.rows)
    throw new Error("a decoder's text is not padded in floats: give its own length");
  const group = heads.queries / heads.keys;
  const past = heads.causal ? k.rows - q.rows : undefined;
  const { window, slopes } = heads;
  const scale = 1 / scoreDivisor(width, relative, heads.scale);
  const shape = { rows: heads.queries * q.rows, columns: k.rows, ownRows: q.ownRows, ownColumns: k.ownRows };
  const data = new Float32Array(heads.queries * q.rows * k.rows);
  const s: FloatTensor = { ...shape, data, heads: heads.queries, past, window };
  const places = relative === null ? null : distancesOf(run.weights, relative, { q, k, heads, past });
  for (let head = 0; head < heads.queries; head++) {
    const qs = columnSlice(q, head * width, width);
    const ks = columnSlice(k, Math.floor(head / group) * width, width);
    const block = run.matmul(qs, ks, q.rows, width, k.rows);
    for (let i = 0; i < block.length; i++) {
      data[head * block.length + i] = countsIn(s, Math.floor(i / k.rows), i % k.rows) ? block[i] * scale : 0;
    }
    if (places === null) continue;
    const added = addDistances(data.subarray(head * block.length), places, head);
    run.observeRange("distances", added);
  }
  for (const [what, rows] of Object.entries({ keys: places?.keys, queries: places?.queries }))
    if (rows) run.observeRange(what, rangeOf(rows));
  if (slopes !== undefined) {
    run.observe("products", s);
    descend(s, slopes);
  }
  for (let head = 0; head < heads.queries; head++) run.observe(`head.${head}`, s, head, head + 1);
  return s;
}

/** Means of values under each head's weights; a row whose weights sum to 0 has mean 0. */
export function weightedMeans(run: FloatRun, e: FloatTensor, v: FloatTensor, heads: Heads): FloatTensor {
  const width = headWidth(v, heads.keys);
  const group = heads.queries / heads.keys;
  expectColumns(e, v.rows, "weightedMean");
  const rows = e.rows / heads.queries;
  const columns = width * heads.queries;
  const shape = { rows, columns, heads: 1, ownRows: e.ownRows, ownColumns: columns };
  const sums = rowSums(e);
  const [mixed, products, means] = [0, 0, 0].map(() => new Float32Array(rows * columns));
  for (let head = 0; head < heads.queries; head++) {
    const block = e.data.subarray(head * rows * e.columns, (head + 1) * rows * e.columns);
    const values = columnSliceTransposed(v, Math.floor(head / group) * width, width);
    const applied = run.matmul(block, values, rows, e.columns, width);
    for (let i = 0; i < applied.length; i++) {
      const row = Math.floor(i / width);
      const at = row * columns + head * width + (i % width);
      const sum = sums[head * rows + row];
      mixed[at] = applied[i];
      products[at] = applied[i] / countOf(e, row);
      means[at] = sum === 0 ? 0 : applied[i] / sum;
    }
  }
  const perRow = { ...e, columns: 1, ownColumns: 1, past: undefined, window: undefined };
  const keys = sums.map((_, row) => countOf(e, row));
  run.observe("keys", { ...perRow, data: keys });
  run.observe("total", { ...perRow, data: sums });
  run.observe("sum", { ...perRow, data: sums.map((sum, row) => sum / keys[row]) });
  run.observe("mixed", { ...shape, data: mixed });
  run.observe("mean", { ...shape, data: products });
  return { ...shape, data: means };
}

/** Rows turned by their positions' angles; the first row's position is `first`. */
export function rotated(x: FloatTensor, { heads, frequencies }: Rotary, first: number): FloatTensor {
  const width = headWidth(x, heads);
  const half = width / 2;
  const data = new Float32Array(x.data.length);
  for (let row = 0; row < x.rows; row++) {
    for (let j = 0; j < half; j++) {
      const angle = (first + row) * frequencies[j];
      const [cosine, sine] = [cos(angle), sin(angle)];
      for (let at = row * x.columns + j; at < (row + 1) * x.columns; at += width) {
        data[at] = x.data[at] * cosine - x.data[at + half] * sine;
        data[at + half] = x.data[at + half] * cosine + x.data[at] * sine;
      }
    }
  }
  return { ...x, data };
}

/** Scores less what each head's slope takes for every column between a row's own and the key's. */
function descend(s: FloatTensor, slopes: readonly number[]): void {
  const block = s.rows / s.heads;
  for (let row = 0; row < s.rows; row++) {
    const slope = slopes[Math.floor(row / block)];
    const own = keysOf(s, row);
    for (let c = firstOf(s, row); c < own; c++) s.data[row * s.columns + c] -= slope * (own - 1 - c);
  }
}

function rowSums(e: FloatTensor): Float32Array {
  const sums = new Float32Array(e.rows);
  for (let row = 0; row < e.rows; row++) {
    let sum = 0;
    for (let c = 0; c < e.columns; c++) sum += e.data[row * e.columns + c];
    sums[row] = sum;
  }
  return sums;
}

function columnSlice(x: FloatTensor, from: number, width: number): Float32Array {
  const out = new Float32Array(x.rows * width);
  for (let row = 0; row < x.rows; row++) {
    const start = row * x.columns + from;
    out.set(x.data.subarray(start, start + width), row * width);
  }
  return out;
}

function columnSliceTransposed(x: FloatTensor, from: number, width: number): Float32Array {
  const out = new Float32Array(width * x.rows);
  for (let row = 0; row < x.rows; row++) {
    for (let c = 0; c < width; c++) out[c * x.rows + row] = x.data[row * x.columns + from + c];
  }
  return out;
}
