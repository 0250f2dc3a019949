/**
 * The float reference: `Ops` over 32-bit floats, for one text padded to a length. What every other interpreter is compared
 * with, and what calibration watches. Padded positions are computed as real rows of token 0, as the parties compute them.
 */

import type {
  EmbeddingRef,
  Heads,
  Interpreter,
  LinearRef,
  NormRef,
  RelativeRef,
  Rotary,
  SmoothName,
} from "../program/ops.ts";
import { smoothFunction } from "../program/smooth.ts";
import type { TokenizedText, Weights } from "../program/spec.ts";
import { rotated, scoresOf, weightedMeans } from "./attention.ts";
import { embedded, normalised } from "./layers.ts";
import { type Matmul, plainMatmul } from "./matmul.ts";
import { type FloatObserver, FloatRun } from "./run.ts";
import { countsIn, expectColumns, type FloatTensor } from "./tensor.ts";

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
  readonly #run: FloatRun;
  readonly #text: TokenizedText;
  readonly #length: number;
  readonly #options: FloatOptions;
  /** Positions before this turn's. */
  #before = 0;
  #rows = 0;

  /** @throws an Error when the text is empty or longer than `length`. */
  constructor(weights: Weights, text: TokenizedText, length: number, options: FloatOptions = {}) {
    const own = text.ids.length;
    if (own === 0 || text.types.length !== own) throw new Error("a text needs one or more ids and a type for each");
    if (own > length)
      throw new Error(`the text has ${own} tokens, the padded length is ${length}: pad to ${own} or more`);
    this.#run = new FloatRun(weights, options.matmul ?? plainMatmul, options.observer);
    this.#text = text;
    this.#length = length;
    this.#options = options;
    this.#before = options.before ?? 0;
  }

  begin(operation: string): void {
    this.#run.operation = operation;
  }

  embed(ref: EmbeddingRef, after?: FloatTensor): FloatTensor {
    this.#before += this.#rows;
    const text = after === undefined ? this.#text : { ids: [this.#chosen(after)], types: [0] };
    this.#rows = after === undefined ? this.#length : 1;
    return this.#run.seen(embedded(this.#run, ref, text, { rows: this.#rows, before: this.#before }));
  }

  linear(x: FloatTensor, ref: LinearRef): FloatTensor {
    expectColumns(x, ref.inputs, ref.name);
    const weight = this.#run.tensor(`${ref.name}.weight`, [ref.outputs, ref.inputs]);
    const data = this.#run.matmul(x.data, weight, x.rows, ref.inputs, ref.outputs);
    if (ref.bias) {
      const bias = this.#run.tensor(`${ref.name}.bias`, [ref.outputs]);
      for (let i = 0; i < data.length; i += ref.outputs) {
        for (let c = 0; c < ref.outputs; c++) data[i + c] += bias[c];
      }
    }
    return this.#run.seen({ ...x, columns: ref.outputs, data, ownColumns: ref.outputs });
  }

  add(x: FloatTensor, y: FloatTensor): FloatTensor {
    if (x.rows !== y.rows || x.columns !== y.columns) {
      throw new Error(`cannot add [${x.rows}, ${x.columns}] and [${y.rows}, ${y.columns}]: give equal shapes`);
    }
    const sum = { ...x, data: x.data.map((value, i) => value + y.data[i]) };
    this.#run.observeCentred(sum);
    return this.#run.seen(sum);
  }

  multiply(x: FloatTensor, y: FloatTensor): FloatTensor {
    if (x.rows !== y.rows || x.columns !== y.columns) {
      throw new Error(`cannot multiply [${x.rows}, ${x.columns}] and [${y.rows}, ${y.columns}]: give equal shapes`);
    }
    return this.#run.seen({ ...x, data: x.data.map((value, i) => value * y.data[i]) });
  }

  layerNorm(x: FloatTensor, ref: NormRef): FloatTensor {
    return this.#run.seen(normalised(this.#run, x, ref));
  }

  maskRows(x: FloatTensor): FloatTensor {
    return this.#run.seen({ ...x, data: x.data.slice().fill(0, x.ownRows * x.columns) });
  }

  firstRow(x: FloatTensor): FloatTensor {
    return this.#run.seen({ ...x, rows: 1, ownRows: 1, data: x.data.slice(0, x.columns) });
  }

  /** Of a text that names no token, the middle one: calibration asks of any. */
  pickedRow(x: FloatTensor): FloatTensor {
    const at = (this.#text.place ?? Math.floor(x.ownRows / 2)) * x.columns;
    return this.#run.seen({ ...x, rows: 1, ownRows: 1, data: x.data.slice(at, at + x.columns) });
  }

  meanRow(x: FloatTensor): FloatTensor {
    const data = Float32Array.from({ length: x.columns }, (_, c) => {
      let sum = 0;
      for (let row = 0; row < x.ownRows; row++) sum += x.data[row * x.columns + c];
      return sum / x.ownRows;
    });
    return this.#run.seen({ ...x, rows: 1, ownRows: 1, data });
  }

  /** A row of zeros stays one. */
  unitRow(x: FloatTensor): FloatTensor {
    const square = x.data.reduce((sum, value) => sum + value * value, 0);
    this.#run.observe("square", { ...x, columns: 1, ownColumns: 1, data: Float32Array.of(square) });
    const length = Math.sqrt(square) || 1;
    return this.#run.seen({ ...x, data: x.data.map((value) => value / length) });
  }

  askedRows(x: FloatTensor): FloatTensor {
    if (this.#options.scoring === true) return this.#run.seen(x);
    return this.#run.seen({
      ...x,
      rows: 1,
      ownRows: 1,
      data: x.data.slice((x.ownRows - 1) * x.columns, x.ownRows * x.columns),
    });
  }

  rotate(x: FloatTensor, rotary: Rotary): FloatTensor {
    // The rows asked for are the turn's last.
    return this.#run.seen(rotated(x, rotary, this.#before + this.#rows - x.rows));
  }

  remember(before: FloatTensor | null, x: FloatTensor): FloatTensor {
    if (before === null) return this.#run.seen(x);
    expectColumns(x, before.columns, "remember");
    const data = new Float32Array(before.data.length + x.data.length);
    data.set(before.data);
    data.set(x.data, before.data.length);
    const rows = before.rows + x.rows;
    return this.#run.seen({ ...x, rows, ownRows: rows, data });
  }

  scores(q: FloatTensor, k: FloatTensor, heads: Heads, relative: RelativeRef | null = null): FloatTensor {
    return this.#run.seen(scoresOf(this.#run, q, k, heads, relative));
  }

  addOnKeys(s: FloatTensor, kept: number, padded: number): FloatTensor {
    const data = s.data.map(
      (value, i) => value + (countsIn(s, Math.floor(i / s.columns), i % s.columns) ? kept : padded),
    );
    return this.#run.seen({ ...s, data });
  }

  subtractRowMax(s: FloatTensor): FloatTensor {
    const data = new Float32Array(s.data.length);
    for (let start = 0; start < data.length; start += s.columns) {
      let max = Number.NEGATIVE_INFINITY;
      for (let c = 0; c < s.columns; c++) max = Math.max(max, s.data[start + c]);
      for (let c = 0; c < s.columns; c++) data[start + c] = s.data[start + c] - max;
    }
    return this.#run.seen({ ...s, data });
  }

  polynomial(x: FloatTensor, coefficients: readonly number[]): FloatTensor {
    const data = x.data.map((value) => {
      let sum = 0;
      for (let j = coefficients.length - 1; j >= 0; j--) sum = sum * value + coefficients[j];
      return sum;
    });
    return this.#run.seen({ ...x, data });
  }

  smooth(x: FloatTensor, name: SmoothName): FloatTensor {
    return this.#run.seen({ ...x, data: x.data.map(smoothFunction(name)) });
  }

  relu(x: FloatTensor): FloatTensor {
    return this.#run.seen({ ...x, data: x.data.map((value) => Math.max(value, 0)) });
  }

  weightedMean(e: FloatTensor, v: FloatTensor, heads: Heads): FloatTensor {
    return this.#run.seen(weightedMeans(this.#run, e, v, heads));
  }

  #chosen(logits: FloatTensor): number {
    const { choose } = this.#options;
    if (choose === undefined) throw new Error("a second turn needs a choice of token: give `choose`");
    return choose(logits.data.subarray(logits.data.length - logits.columns));
  }
}
