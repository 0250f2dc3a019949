/**
 * The float reference: `Ops` over 32-bit floats, for one text padded to a length. What every other interpreter is compared
 * with, and what calibration watches. Padded positions are computed as real rows of token 0, as the parties compute them.
 */

import type { EmbeddingRef, LinearRef, NormRef, Ops, SmoothName } from "./ops.ts";
import { smoothFunctions } from "./smooth.ts";
import type { NamedTensor, TokenizedText, Weights } from "./spec.ts";

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
}

/** a [m, k] times the transpose of w [n, k]: [m, n]. */
export type Matmul = (a: Float32Array, w: Float32Array, m: number, k: number, n: number) => Float32Array;

/** Watches the ranges of values. `opIndex` counts the calls of `Ops` methods from 0, as the tracer does. */
export interface FloatObserver {
  /**
   * `what` is "out" for every call; for embed also "word" (the summed embeddings); for embed and layerNorm "centred" (x
   * minus its row's mean) and "variance" (epsilon included); for scores "head.0", "head.1", ...; for weightedMean "sum" (a
   * row's sum of weights) and "mean" (e·v), both divided by the number of the text's keys. The text's own part only.
   */
  observe(opIndex: number, what: string, lo: number, hi: number): void;
}

export interface FloatOptions {
  readonly matmul?: Matmul;
  readonly observer?: FloatObserver;
}

/** Interprets a program in floats for one text, padded with token 0 up to `length` positions. */
export class FloatOps implements Ops<FloatTensor> {
  readonly #weights: Weights;
  readonly #text: TokenizedText;
  readonly #length: number;
  readonly #matmul: Matmul;
  readonly #observer: FloatObserver | undefined;
  #calls = 0;

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
  }

  embed(ref: EmbeddingRef): FloatTensor {
    const index = this.#calls++;
    const { ids, types } = this.#text;
    const { width } = ref;
    const word = this.#table(ref.word, width, ref.vocabulary);
    const position = this.#table(ref.position, width, ref.positionOffset + this.#length);
    const type = this.#table(ref.type, width, ref.types);
    const sum = new Float32Array(this.#length * width);
    for (let i = 0; i < this.#length; i++) {
      const w = rowOf(ids[i] ?? 0, ref.vocabulary, "token id") * width;
      const t = rowOf(types[i] ?? 0, ref.types, "token type") * width;
      const p = (i + ref.positionOffset) * width;
      for (let c = 0; c < width; c++) sum[i * width + c] = word[w + c] + position[p + c] + type[t + c];
    }
    const x = { rows: this.#length, columns: width, data: sum, heads: 1, ownRows: ids.length, ownColumns: width };
    this.#observe(index, "word", x);
    return this.#seen(index, this.#normalise(index, x, ref.norm));
  }

  linear(x: FloatTensor, ref: LinearRef): FloatTensor {
    const index = this.#calls++;
    expectColumns(x, ref.inputs, ref.name);
    const weight = this.#tensor(`${ref.name}.weight`, [ref.outputs, ref.inputs]);
    const bias = this.#tensor(`${ref.name}.bias`, [ref.outputs]);
    const data = this.#matmul(x.data, weight, x.rows, ref.inputs, ref.outputs);
    for (let i = 0; i < data.length; i += ref.outputs) {
      for (let c = 0; c < ref.outputs; c++) data[i + c] += bias[c];
    }
    return this.#seen(index, { ...x, columns: ref.outputs, data, ownColumns: ref.outputs });
  }

  add(x: FloatTensor, y: FloatTensor): FloatTensor {
    const index = this.#calls++;
    if (x.rows !== y.rows || x.columns !== y.columns) {
      throw new Error(`cannot add [${x.rows}, ${x.columns}] and [${y.rows}, ${y.columns}]: give equal shapes`);
    }
    return this.#seen(index, { ...x, data: x.data.map((value, i) => value + y.data[i]) });
  }

  layerNorm(x: FloatTensor, ref: NormRef): FloatTensor {
    const index = this.#calls++;
    return this.#seen(index, this.#normalise(index, x, ref));
  }

  maskRows(x: FloatTensor): FloatTensor {
    const index = this.#calls++;
    return this.#seen(index, { ...x, data: x.data.slice().fill(0, x.ownRows * x.columns) });
  }

  firstRow(x: FloatTensor): FloatTensor {
    const index = this.#calls++;
    return this.#seen(index, { ...x, rows: 1, ownRows: 1, data: x.data.slice(0, x.columns) });
  }

  scores(q: FloatTensor, k: FloatTensor, heads: number): FloatTensor {
    const index = this.#calls++;
    const width = headWidth(q, heads);
    expectColumns(k, q.columns, "scores");
    const data = new Float32Array(heads * q.rows * k.rows);
    const scale = 1 / Math.sqrt(width);
    for (let head = 0; head < heads; head++) {
      const qs = columnSlice(q, head * width, width);
      const ks = columnSlice(k, head * width, width);
      const block = this.#matmul(qs, ks, q.rows, width, k.rows);
      for (let i = 0; i < block.length; i++) data[head * block.length + i] = block[i] * scale;
    }
    const s = { rows: heads * q.rows, columns: k.rows, data, heads, ownRows: q.ownRows, ownColumns: k.ownRows };
    for (let head = 0; head < heads; head++) this.#observe(index, `head.${head}`, s, head, head + 1);
    return this.#seen(index, s);
  }

  addOnKeys(s: FloatTensor, kept: number, padded: number): FloatTensor {
    const index = this.#calls++;
    const data = s.data.map((value, i) => value + (i % s.columns < s.ownColumns ? kept : padded));
    return this.#seen(index, { ...s, data });
  }

  subtractRowMax(s: FloatTensor): FloatTensor {
    const index = this.#calls++;
    const data = new Float32Array(s.data.length);
    for (let start = 0; start < data.length; start += s.columns) {
      let max = Number.NEGATIVE_INFINITY;
      for (let c = 0; c < s.columns; c++) max = Math.max(max, s.data[start + c]);
      for (let c = 0; c < s.columns; c++) data[start + c] = s.data[start + c] - max;
    }
    return this.#seen(index, { ...s, data });
  }

  polynomial(x: FloatTensor, coefficients: readonly number[]): FloatTensor {
    const index = this.#calls++;
    const data = x.data.map((value) => {
      let sum = 0;
      for (let j = coefficients.length - 1; j >= 0; j--) sum = sum * value + coefficients[j];
      return sum;
    });
    return this.#seen(index, { ...x, data });
  }

  smooth(x: FloatTensor, name: SmoothName): FloatTensor {
    const index = this.#calls++;
    return this.#seen(index, { ...x, data: x.data.map(smoothFunctions[name]) });
  }

  relu(x: FloatTensor): FloatTensor {
    const index = this.#calls++;
    return this.#seen(index, { ...x, data: x.data.map((value) => Math.max(value, 0)) });
  }

  /** A row whose weights sum to 0 has mean 0. */
  weightedMean(e: FloatTensor, v: FloatTensor, heads: number): FloatTensor {
    const index = this.#calls++;
    const width = headWidth(v, heads);
    expectColumns(e, v.rows, "weightedMean");
    const rows = e.rows / heads;
    const shape = { rows, columns: v.columns, heads: 1, ownRows: e.ownRows, ownColumns: v.columns };
    const sums = rowSums(e);
    const products = new Float32Array(rows * v.columns);
    const means = new Float32Array(rows * v.columns);
    for (let head = 0; head < heads; head++) {
      const block = e.data.subarray(head * rows * e.columns, (head + 1) * rows * e.columns);
      const applied = this.#matmul(block, columnSliceTransposed(v, head * width, width), rows, e.columns, width);
      for (let i = 0; i < applied.length; i++) {
        const row = Math.floor(i / width);
        const at = row * v.columns + head * width + (i % width);
        const sum = sums[head * rows + row];
        products[at] = applied[i] / e.ownColumns;
        means[at] = sum === 0 ? 0 : applied[i] / sum;
      }
    }
    const perKey = sums.map((sum) => sum / e.ownColumns);
    this.#observe(index, "sum", { ...e, columns: 1, ownColumns: 1, data: perKey });
    this.#observe(index, "mean", { ...shape, data: products });
    return this.#seen(index, { ...shape, data: means });
  }

  #normalise(index: number, x: FloatTensor, ref: NormRef): FloatTensor {
    const { width } = ref;
    expectColumns(x, width, ref.name);
    const gain = this.#tensor(`${ref.name}.weight`, [width]);
    const bias = this.#tensor(`${ref.name}.bias`, [width]);
    const centred = new Float32Array(x.data.length);
    const variances = new Float32Array(x.rows);
    const data = new Float32Array(x.data.length);
    for (let row = 0; row < x.rows; row++) {
      const start = row * width;
      let sum = 0;
      for (let c = 0; c < width; c++) sum += x.data[start + c];
      let squares = 0;
      for (let c = 0; c < width; c++) {
        const difference = x.data[start + c] - sum / width;
        centred[start + c] = difference;
        squares += difference * difference;
      }
      variances[row] = squares / width + ref.epsilon;
      const factor = 1 / Math.sqrt(squares / width + ref.epsilon);
      for (let c = 0; c < width; c++) data[start + c] = centred[start + c] * factor * gain[c] + bias[c];
    }
    this.#observe(index, "centred", { ...x, data: centred });
    this.#observe(index, "variance", { ...x, columns: 1, ownColumns: 1, data: variances });
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

  #seen(index: number, x: FloatTensor): FloatTensor {
    this.#observe(index, "out", x);
    return x;
  }

  #observe(index: number, what: string, x: FloatTensor, fromHead = 0, toHead = x.heads): void {
    if (this.#observer === undefined) return;
    const block = x.rows / x.heads;
    let lo = Number.POSITIVE_INFINITY;
    let hi = Number.NEGATIVE_INFINITY;
    for (let head = fromHead; head < toHead; head++) {
      for (let row = head * block; row < head * block + x.ownRows; row++) {
        for (let at = row * x.columns; at < row * x.columns + x.ownColumns; at++) {
          if (x.data[at] < lo) lo = x.data[at];
          if (x.data[at] > hi) hi = x.data[at];
        }
      }
    }
    this.#observer.observe(index, what, lo, hi);
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
