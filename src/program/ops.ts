/**
 * The operations a model is written in, once. Traced, they give the program that every party runs; over floats they are
 * the reference; over integers the fixed-point reference. A model or an approximation never sees which of them it meets.
 *
 * Shapes are [rows, columns]. A text of n positions is n rows; attention scores of h heads are [h·rows, n], head-major.
 * Positions beyond the text (padding up to the length bucket) are real rows whose number only the client knows.
 */

/** A dense layer's weights by name: `${name}.weight` is [outputs, inputs] as Hugging Face stores it, `${name}.bias` [outputs]. */
export interface LinearRef {
  readonly name: string;
  readonly inputs: number;
  readonly outputs: number;
}

/** A layer norm's weights by name: `${name}.weight` and `${name}.bias`, both [width]. */
export interface NormRef {
  readonly name: string;
  readonly width: number;
  readonly epsilon: number;
}

/** The three embedding tables, by name: [vocabulary, width], [positions, width], [types, width]; and the norm after their sum. */
export interface EmbeddingRef {
  readonly word: string;
  readonly position: string;
  readonly type: string;
  readonly vocabulary: number;
  readonly types: number;
  readonly width: number;
  /** The first position's row in the position table (RoBERTa starts at 2). */
  readonly positionOffset: number;
  readonly norm: NormRef;
}

/** Smooth functions of one variable that the engine evaluates by a Fourier series on a calibrated range. */
export type SmoothName = "gelu" | "tanh" | "exp/4";

export interface Ops<T> {
  /** Word + position + type embedding, layer-normalised: [n, width]. */
  embed(ref: EmbeddingRef): T;
  /** x·Wᵀ + b. */
  linear(x: T, ref: LinearRef): T;
  /** Elementwise sum of two values of one shape. */
  add(x: T, y: T): T;
  /** Rows to mean 0 and variance 1 (plus epsilon), times the gain, plus the bias. */
  layerNorm(x: T, ref: NormRef): T;
  /** Rows beyond the text become zero. */
  maskRows(x: T): T;
  /** The first row alone: [1, columns]. */
  firstRow(x: T): T;
  /** Per head, q·kᵀ / sqrt(head width): [heads·rows(q), rows(k)]. */
  scores(q: T, k: T, heads: number): T;
  /** Adds `kept` to the scores of the text's own keys, `padded` to those beyond it (-Infinity: as low as the plan's range allows). */
  addOnKeys(s: T, kept: number, padded: number): T;
  /** Each row minus its own largest entry: in [-range, 0]. */
  subtractRowMax(s: T): T;
  /** sum_j coefficients[j]·x^j, elementwise. */
  polynomial(x: T, coefficients: readonly number[]): T;
  /** gelu(x) (the erf form), tanh(x), or exp(x/4), elementwise. */
  smooth(x: T, name: SmoothName): T;
  /** max(x, 0), elementwise. */
  relu(x: T): T;
  /** Per head, rows of weights e applied to v and divided by their sum: (e·v) / Σ_j e_j, heads side by side: [rows, columns(v)]. */
  weightedMean(e: T, v: T, heads: number): T;
}
