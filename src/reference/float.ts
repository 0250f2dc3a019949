/**
 * The float reference: `Ops` over 32-bit floats, for one text padded to a length. What every other interpreter is compared
 * with, and what calibration watches. Padded positions are computed as real rows of token 0, as the parties compute them.
 */

import { cos, sin } from "../program/maths.ts";
import {
  type EmbeddingRef,
  type Heads,
  type Interpreter,
  type LinearRef,
  type NormRef,
  positionRows,
  type RelativeRef,
  type Rotary,
  type SmoothName,
  scoreDivisor,
} from "../program/ops.ts";
import { smoothFunction } from "../program/smooth.ts";
import { longestText, type NamedTensor, type TokenizedText, type Weights } from "../program/spec.ts";
import { addDistances, distancesOf, rangeOf } from "./distances.ts";

/** A matrix, row-major. Attention scores stack one block of rows per head; the text's own part of a block is its corner. */
export interface FloatTensor {
  readonly rows: number;
  readonly columns: number;
  readonly data: Float32Array;
  /** Blocks of rows: 1, or the number of heads. */
  readonly heads: number;
  /** Rows of each block that belong to the text, not to its padding. */
  readonly ownRows: number;
  /** Columns that belong to the text: all, but for scores. */
  readonly ownColumns: number;
  /** Causal scores: the first row of a block counts up to this column, each later row one column more. */
  readonly past?: number;
  /** Causal scores: the most columns that count in a row. */
  readonly window?: number;
}

/** a [m, k] times the transpose of w [n, k]: [m, n]. */
export type Matmul = (a: Float32Array, w: Float32Array, m: number, k: number, n: number) => Float32Array;

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

export interface FloatOptions {
  readonly matmul?: Matmul;
  readonly observer?: FloatObserver;
  /** Asks for the logits of all rows, not of the last alone. */
  readonly scoring?: boolean;
  /** The token that the client takes after a turn's logits; needed where a model goes on to a second turn. */
  readonly choose?: (logits: Float32Array) => number;
  /** Positions before the text's first. */
  readonly before?: number;
}

/** Interprets a program in floats for one text; an encoder's is padded with token 0 up to `length` positions. */
export class FloatOps implements Interpreter<FloatTensor> {
  readonly #weights: Weights;
  readonly #text: TokenizedText;
  readonly #length: number;
  readonly #matmul: Matmul;
  readonly #observer: FloatObserver | undefined;
  readonly #options: FloatOptions;
  #operation = "";
  /** Positions before this turn's. */
  #before = 0;
  #rows = 0;

  /** @throws an Error when the text is empty or longer than `length`. */
  constructor(weights: Weights, text: TokenizedText, length: number, options: FloatOptions = {}) {
    const own = text.ids.length;
    if (own === 0 || text.types.length !== own) throw new Error("a text needs one or more ids and a type for each");
    if (own > length)
      throw new Error(`the text has ${own} tokens, the padded length is ${length}: pad to ${own} or more`);
    this.#weights = weights;
    this.#text = text;
    this.#length = length;
    this.#matmul = options.matmul ?? plainMatmul;
    this.#observer = options.observer;
    this.#options = options;
    this.#before = options.before ?? 0;
  }

  begin(operation: string): void {
    this.#operation = operation;
  }

  embed(ref: EmbeddingRef, after?: FloatTensor): FloatTensor {
    const operation = this.#operation;
    this.#before += this.#rows;
    const { ids, types } = after === undefined ? this.#text : { ids: [this.#chosen(after)], types: [0] };
    const rows = after === undefined ? this.#length : 1;
    this.#rows = rows;
    const { width } = ref;
    const sum = new Float32Array(rows * width);
    const add = (name: string | null, size: number, what: string, rowAt: (i: number) => number) => {
      if (name === null) return;
      const table = this.#table(name, width, size);
      for (let i = 0; i < rows; i++) {
        const from = rowOf(rowAt(i), size, what) * width;
        for (let c = 0; c < width; c++) sum[i * width + c] += table[from + c];
      }
    };
    if (ref.patches) this.#addPatches(operation, sum, ref.patches, rows);
    else add(ref.word, ref.vocabulary, "token id", (i) => ids[i] ?? 0);
    if (ref.position !== null && this.#before + rows + ref.positionOffset > ref.positions)
      throw new Error(`the text is beyond the model's ${longestText(ref)} positions: shorten it`);
    const own = Array.from({ length: rows }, (_, i) => ids[i] ?? 0);
    const positions = positionRows(ref, own, this.#before);
    add(ref.position, ref.positions, "position", (i) => positions[i]);
    add(ref.type, ref.types, "token type", (i) => types[i] ?? 0);
    const x = { rows, columns: width, data: sum, heads: 1, ownRows: ids.length, ownColumns: width };
    this.#observe(operation, "word", x);
    if (ref.norm !== null) {
      const normed = this.#normalise(operation, x, ref.norm);
      if (ref.readers === "centred stream")
        this.#observe(operation, "stream", { ...normed, data: centredRows(normed) });
      return this.#seen(operation, normed);
    }
    this.#observeCentred(operation, x);
    return this.#seen(operation, x);
  }

  linear(x: FloatTensor, ref: LinearRef): FloatTensor {
    const operation = this.#operation;
    expectColumns(x, ref.inputs, ref.name);
    const weight = this.#tensor(`${ref.name}.weight`, [ref.outputs, ref.inputs]);
    const data = this.#matmul(x.data, weight, x.rows, ref.inputs, ref.outputs);
    if (ref.bias) {
      const bias = this.#tensor(`${ref.name}.bias`, [ref.outputs]);
      for (let i = 0; i < data.length; i += ref.outputs) {
        for (let c = 0; c < ref.outputs; c++) data[i + c] += bias[c];
      }
    }
    return this.#seen(operation, { ...x, columns: ref.outputs, data, ownColumns: ref.outputs });
  }

  add(x: FloatTensor, y: FloatTensor): FloatTensor {
    const operation = this.#operation;
    if (x.rows !== y.rows || x.columns !== y.columns) {
      throw new Error(`cannot add [${x.rows}, ${x.columns}] and [${y.rows}, ${y.columns}]: give equal shapes`);
    }
    const sum = { ...x, data: x.data.map((value, i) => value + y.data[i]) };
    this.#observeCentred(operation, sum);
    return this.#seen(operation, sum);
  }

  multiply(x: FloatTensor, y: FloatTensor): FloatTensor {
    const operation = this.#operation;
    if (x.rows !== y.rows || x.columns !== y.columns) {
      throw new Error(`cannot multiply [${x.rows}, ${x.columns}] and [${y.rows}, ${y.columns}]: give equal shapes`);
    }
    return this.#seen(operation, { ...x, data: x.data.map((value, i) => value * y.data[i]) });
  }

  layerNorm(x: FloatTensor, ref: NormRef): FloatTensor {
    const operation = this.#operation;
    return this.#seen(operation, this.#normalise(operation, x, ref));
  }

  maskRows(x: FloatTensor): FloatTensor {
    const operation = this.#operation;
    return this.#seen(operation, { ...x, data: x.data.slice().fill(0, x.ownRows * x.columns) });
  }

  firstRow(x: FloatTensor): FloatTensor {
    const operation = this.#operation;
    return this.#seen(operation, { ...x, rows: 1, ownRows: 1, data: x.data.slice(0, x.columns) });
  }

  /** Of a text that names no token, the middle one: calibration asks of any. */
  pickedRow(x: FloatTensor): FloatTensor {
    const operation = this.#operation;
    const at = (this.#text.place ?? Math.floor(x.ownRows / 2)) * x.columns;
    return this.#seen(operation, { ...x, rows: 1, ownRows: 1, data: x.data.slice(at, at + x.columns) });
  }

  meanRow(x: FloatTensor): FloatTensor {
    const operation = this.#operation;
    const data = Float32Array.from({ length: x.columns }, (_, c) => {
      let sum = 0;
      for (let row = 0; row < x.ownRows; row++) sum += x.data[row * x.columns + c];
      return sum / x.ownRows;
    });
    return this.#seen(operation, { ...x, rows: 1, ownRows: 1, data });
  }

  /** A row of zeros stays one. */
  unitRow(x: FloatTensor): FloatTensor {
    const operation = this.#operation;
    const square = x.data.reduce((sum, value) => sum + value * value, 0);
    this.#observe(operation, "square", { ...x, columns: 1, ownColumns: 1, data: Float32Array.of(square) });
    const length = Math.sqrt(square) || 1;
    return this.#seen(operation, { ...x, data: x.data.map((value) => value / length) });
  }

  askedRows(x: FloatTensor): FloatTensor {
    const operation = this.#operation;
    if (this.#options.scoring === true) return this.#seen(operation, x);
    return this.#seen(operation, {
      ...x,
      rows: 1,
      ownRows: 1,
      data: x.data.slice((x.ownRows - 1) * x.columns, x.ownRows * x.columns),
    });
  }

  rotate(x: FloatTensor, { heads, frequencies }: Rotary): FloatTensor {
    const operation = this.#operation;
    const width = headWidth(x, heads);
    const half = width / 2;
    // The rows asked for are the turn's last.
    const first = this.#before + this.#rows - x.rows;
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
    return this.#seen(operation, { ...x, data });
  }

  remember(before: FloatTensor | null, x: FloatTensor): FloatTensor {
    const operation = this.#operation;
    if (before === null) return this.#seen(operation, x);
    expectColumns(x, before.columns, "remember");
    const data = new Float32Array(before.data.length + x.data.length);
    data.set(before.data);
    data.set(x.data, before.data.length);
    const rows = before.rows + x.rows;
    return this.#seen(operation, { ...x, rows, ownRows: rows, data });
  }

  scores(q: FloatTensor, k: FloatTensor, heads: Heads, relative: RelativeRef | null = null): FloatTensor {
    const operation = this.#operation;
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
    const places = relative === null ? null : distancesOf(this.#weights, relative, { q, k, heads, past });
    for (let head = 0; head < heads.queries; head++) {
      const qs = columnSlice(q, head * width, width);
      const ks = columnSlice(k, Math.floor(head / group) * width, width);
      const block = this.#matmul(qs, ks, q.rows, width, k.rows);
      for (let i = 0; i < block.length; i++) {
        data[head * block.length + i] = countsIn(s, Math.floor(i / k.rows), i % k.rows) ? block[i] * scale : 0;
      }
      if (places === null) continue;
      const added = addDistances(data.subarray(head * block.length), places, head);
      this.#observer?.observe(operation, "distances", ...added);
    }
    for (const [what, rows] of Object.entries({ keys: places?.keys, queries: places?.queries }))
      if (rows) this.#observer?.observe(operation, what, ...rangeOf(rows));
    if (slopes !== undefined) {
      this.#observe(operation, "products", s);
      descend(s, slopes);
    }
    for (let head = 0; head < heads.queries; head++) this.#observe(operation, `head.${head}`, s, head, head + 1);
    return this.#seen(operation, s);
  }

  addOnKeys(s: FloatTensor, kept: number, padded: number): FloatTensor {
    const operation = this.#operation;
    const data = s.data.map(
      (value, i) => value + (countsIn(s, Math.floor(i / s.columns), i % s.columns) ? kept : padded),
    );
    return this.#seen(operation, { ...s, data });
  }

  subtractRowMax(s: FloatTensor): FloatTensor {
    const operation = this.#operation;
    const data = new Float32Array(s.data.length);
    for (let start = 0; start < data.length; start += s.columns) {
      let max = Number.NEGATIVE_INFINITY;
      for (let c = 0; c < s.columns; c++) max = Math.max(max, s.data[start + c]);
      for (let c = 0; c < s.columns; c++) data[start + c] = s.data[start + c] - max;
    }
    return this.#seen(operation, { ...s, data });
  }

  polynomial(x: FloatTensor, coefficients: readonly number[]): FloatTensor {
    const operation = this.#operation;
    const data = x.data.map((value) => {
      let sum = 0;
      for (let j = coefficients.length - 1; j >= 0; j--) sum = sum * value + coefficients[j];
      return sum;
    });
    return this.#seen(operation, { ...x, data });
  }

  smooth(x: FloatTensor, name: SmoothName): FloatTensor {
    const operation = this.#operation;
    return this.#seen(operation, { ...x, data: x.data.map(smoothFunction(name)) });
  }

  relu(x: FloatTensor): FloatTensor {
    const operation = this.#operation;
    return this.#seen(operation, { ...x, data: x.data.map((value) => Math.max(value, 0)) });
  }

  /** A row whose weights sum to 0 has mean 0. */
  weightedMean(e: FloatTensor, v: FloatTensor, heads: Heads): FloatTensor {
    const operation = this.#operation;
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
      const applied = this.#matmul(block, values, rows, e.columns, width);
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
    this.#observe(operation, "keys", { ...perRow, data: keys });
    this.#observe(operation, "total", { ...perRow, data: sums });
    this.#observe(operation, "sum", { ...perRow, data: sums.map((sum, row) => sum / keys[row]) });
    this.#observe(operation, "mixed", { ...shape, data: mixed });
    this.#observe(operation, "mean", { ...shape, data: products });
    return this.#seen(operation, { ...shape, data: means });
  }

  /** Adds an image's embedded patches, and the row before them. */
  #addPatches(
    operation: string,
    sum: Float32Array,
    { layer, first }: NonNullable<EmbeddingRef["patches"]>,
    rows: number,
  ): void {
    const { patches } = this.#text;
    const { inputs, outputs } = layer;
    if (patches?.length !== rows * inputs) throw new Error("this model reads images: give one of its size");
    this.#observer?.observe(operation, "patches", ...rangeOf(patches));
    const weight = this.#tensor(`${layer.name}.weight`, [outputs, inputs]);
    const bias = this.#tensor(`${layer.name}.bias`, [outputs]);
    const start = this.#tensor(first, [outputs]);
    const embedded = this.#matmul(patches, weight, rows, inputs, outputs);
    for (let i = 0; i < sum.length; i++) sum[i] += i < outputs ? start[i] : embedded[i] + bias[i % outputs];
  }

  #chosen(logits: FloatTensor): number {
    const { choose } = this.#options;
    if (choose === undefined) throw new Error("a second turn needs a choice of token: give `choose`");
    return choose(logits.data.subarray(logits.data.length - logits.columns));
  }

  #observeCentred(operation: string, x: FloatTensor): void {
    if (this.#observer !== undefined) this.#observe(operation, "centred", { ...x, data: centredRows(x) });
  }

  #normalise(operation: string, x: FloatTensor, ref: NormRef): FloatTensor {
    const { width, groups = 1 } = ref;
    expectColumns(x, width * groups, ref.name);
    const gain = this.#tensor(`${ref.name}.weight`, [width]);
    const bias = ref.bias ? this.#tensor(`${ref.name}.bias`, [width]) : new Float32Array(width);
    const centred = ref.kind === "rms" ? x.data : centredRows({ data: x.data, columns: width });
    const variances = new Float32Array(x.rows * groups);
    const data = new Float32Array(x.data.length);
    for (let row = 0; row < variances.length; row++) {
      const start = row * width;
      let squares = 0;
      for (let c = 0; c < width; c++) squares += centred[start + c] * centred[start + c];
      variances[row] = squares / width + ref.epsilon;
      const factor = 1 / Math.sqrt(squares / width + ref.epsilon);
      for (let c = 0; c < width; c++) data[start + c] = centred[start + c] * factor * gain[c] + bias[c];
    }
    this.#observe(operation, "centred", { ...x, data: centred });
    this.#observe(operation, "variance", { ...x, columns: groups, ownColumns: groups, data: variances });
    return { ...x, data };
  }

  #tensor(name: string, shape: readonly number[]): Float32Array {
    return expectShape(this.#weights.get(name), name, shape);
  }

  /** An embedding table of at least so many rows. */
  #table(name: string, width: number, rows: number): Float32Array {
    const tensor = this.#weights.get(name);
    if (tensor.shape.length !== 2 || tensor.shape[1] !== width || tensor.shape[0] < rows) {
      throw new Error(
        `${name} has shape [${tensor.shape}], this text needs [${rows} or more, ${width}]: shorten the text`,
      );
    }
    return tensor.data;
  }

  #seen(operation: string, x: FloatTensor): FloatTensor {
    this.#observe(operation, "out", x);
    return x;
  }

  #observe(operation: string, what: string, x: FloatTensor, fromHead = 0, toHead = x.heads): void {
    if (this.#observer === undefined) return;
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
    this.#observer.observe(operation, what, lo, hi);
  }
}

/** The readable matrix product: four rows of w stay in the cache while all of a passes. */
export function plainMatmul(a: Float32Array, w: Float32Array, m: number, k: number, n: number): Float32Array {
  const out = new Float32Array(m * n);
  const blocks = n - (n % 4);
  for (let j = 0; j < blocks; j += 4) {
    const [w0, w1, w2, w3] = [j * k, (j + 1) * k, (j + 2) * k, (j + 3) * k];
    for (let i = 0; i < m; i++) {
      let [s0, s1, s2, s3] = [0, 0, 0, 0];
      for (let c = 0, at = i * k; c < k; c++, at++) {
        const x = a[at];
        s0 += x * w[w0 + c];
        s1 += x * w[w1 + c];
        s2 += x * w[w2 + c];
        s3 += x * w[w3 + c];
      }
      const to = i * n + j;
      out[to] = s0;
      out[to + 1] = s1;
      out[to + 2] = s2;
      out[to + 3] = s3;
    }
  }
  for (let j = blocks; j < n; j++) {
    for (let i = 0; i < m; i++) {
      let sum = 0;
      for (let c = 0; c < k; c++) sum += a[i * k + c] * w[j * k + c];
      out[i * n + j] = sum;
    }
  }
  return out;
}

/** How many of its columns count in a row: of causal scores, those up to its own position. */
function keysOf(s: FloatTensor, row: number): number {
  return s.past === undefined ? s.ownColumns : s.past + 1 + (row % (s.rows / s.heads));
}

/** The first of its columns that counts in a row. */
function firstOf(s: FloatTensor, row: number): number {
  return s.window === undefined ? 0 : Math.max(0, keysOf(s, row) - s.window);
}

function countOf(s: FloatTensor, row: number): number {
  return keysOf(s, row) - firstOf(s, row);
}

function countsIn(s: FloatTensor, row: number, column: number): boolean {
  return column < keysOf(s, row) && column >= firstOf(s, row);
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

/** Each row minus its own mean. */
export function centredRows(x: Pick<FloatTensor, "data" | "columns">): Float32Array {
  const out = new Float32Array(x.data.length);
  for (let start = 0; start < out.length; start += x.columns) {
    let sum = 0;
    for (let c = 0; c < x.columns; c++) sum += x.data[start + c];
    for (let c = 0; c < x.columns; c++) out[start + c] = x.data[start + c] - sum / x.columns;
  }
  return out;
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

function headWidth(x: FloatTensor, heads: number): number {
  if (x.columns % heads !== 0) throw new Error(`${heads} heads do not divide a width of ${x.columns}: check the model`);
  return x.columns / heads;
}

function rowOf(id: number, rows: number, what: string): number {
  if (!Number.isInteger(id) || id < 0 || id >= rows) {
    throw new Error(`a ${what} is outside the table of ${rows}: use the model's own tokenizer`);
  }
  return id;
}

function expectColumns(x: FloatTensor, columns: number, name: string): void {
  if (x.columns !== columns) throw new Error(`${name} needs ${columns} columns, got ${x.columns}: check the model`);
}

function expectShape(tensor: NamedTensor, name: string, shape: readonly number[]): Float32Array {
  if (tensor.shape.length !== shape.length || tensor.shape.some((size, i) => size !== shape[i])) {
    throw new Error(`${name} has shape [${tensor.shape}], expected [${shape}]: check the model's configuration`);
  }
  return tensor.data;
}
