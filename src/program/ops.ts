/**
 * The operations a model is written in, once. Traced, they give the program that every party runs; over floats they are
 * the reference; over integers the fixed-point reference. A model or an approximation never sees which of them it meets.
 *
 * Shapes are [rows, columns]. A text of n positions is n rows; attention scores of h heads are [h·rows, n], head-major.
 * Positions beyond the text (padding up to the length bucket) are real rows whose number only the client knows: behind the
 * text of an encoder, before that of a decoder, so that its last row is the last token's.
 */

import type { RelativeSpec } from "./relative.ts";

/**
 * A dense layer's weights by name: `${name}.weight` is [outputs, inputs] as Hugging Face stores it, `${name}.bias` [outputs]
 * where it has one.
 */
export interface LinearRef {
  readonly name: string;
  readonly inputs: number;
  readonly outputs: number;
  readonly bias: boolean;
}

/** A norm's weights by name: `${name}.weight`, [width], and `${name}.bias`, [width], where it has one. */
export interface NormRef {
  readonly name: string;
  readonly width: number;
  /** Norms side by side in a row, one for each head, all with these weights; 1 unless told. */
  readonly groups?: number;
  readonly epsilon: number;
  /** `layer`: mean 0 and variance 1 (Ba et al.). `rms`: mean square 1, no mean removed (Zhang and Sennrich). */
  readonly kind: "layer" | "rms";
  readonly bias: boolean;
}

/** The embedding tables, by name: [vocabulary, width], [positions, width], [types, width]; null for those a model lacks. */
export interface EmbeddingRef {
  readonly word: string;
  readonly position: string | null;
  readonly type: string | null;
  readonly vocabulary: number;
  /** Rows of the position table; 0 without one. */
  readonly positions: number;
  readonly types: number;
  readonly width: number;
  /** The first position's row in the position table (RoBERTa and OPT start at 2). */
  readonly positionOffset: number;
  /** A token that no position is counted for, wherever it stands: it has the row before the first (RoBERTa's padding). */
  readonly padding: number | null;
  /** Of an image: the dense layer of its patches, in place of words, and the row that stands before them. */
  readonly patches?: { readonly layer: LinearRef; readonly first: string } | null;
  /** After the sum, if there is one. */
  readonly norm: NormRef | null;
  /**
   * What reads the sum: `layers` as it is; a residual `stream` whose readers are norms. Layer norms take no notice of a
   * row's mean, so such a stream may be kept without (`centred`); root mean squares do (`plain`).
   */
  readonly readers: "layers" | "centred stream" | "plain stream";
}

/** The row of the position table of each token; `before`: how many stand in front of them. */
export function positionRows(
  { positionOffset, padding }: Pick<EmbeddingRef, "positionOffset" | "padding">,
  ids: readonly number[],
  before = 0,
): number[] {
  let next = before + positionOffset;
  return ids.map((id) => (id === padding ? positionOffset - 1 : next++));
}

/** Attention's heads: queries', and those of keys and values, which a group of query heads shares. */
export interface Heads {
  readonly queries: number;
  readonly keys: number;
  /** Whether a row attends to its own position and those before it alone. */
  readonly causal: boolean;
  /** What scores are multiplied with; one over `scoreDivisor` unless told. */
  readonly scale?: number;
  /** Causal: how many positions a row sees at most, its own the last of them; all unless told. */
  readonly window?: number;
  /** Causal: what each head's scores lose for every position between a row and a key (ALiBi; Press et al., arXiv:2108.12409). */
  readonly slopes?: readonly number[];
}

/** Relative positions by their weights' names. */
export interface RelativeRef {
  readonly spec: RelativeSpec;
  /** bias: [buckets, heads]. disentangled: the embeddings, [buckets, width]. */
  readonly table: string;
  /** Of the embeddings, before they become keys and queries. */
  readonly norm: NormRef | null;
  /** What makes keys (which the queries meet) and queries (which the keys meet) of the embeddings; null: there are none. */
  readonly keys: LinearRef | null;
  readonly queries: LinearRef | null;
}

/** What products of queries and keys are divided by: unless told, the root of a head's width, and of how many kinds of products are added. */
export function scoreDivisor(width: number, relative: RelativeRef | null, scale?: number): number {
  if (scale !== undefined) return 1 / scale;
  const kinds = 1 + (relative?.keys ? 1 : 0) + (relative?.queries ? 1 : 0);
  return Math.sqrt(width * kinds);
}

/** Rotary positions (Su et al., RoFormer, arXiv:2104.09864) over all columns of each head; pairs are a half apart. */
export interface Rotary {
  readonly heads: number;
  /** The angle of each pair at each position, in radians. */
  readonly frequencies: readonly number[];
}

/** Smooth functions of one variable that the engine evaluates by a Fourier series on a calibrated range. */
export type SmoothName = PlainSmooth | `cap/${number}`;
/** Those without a parameter. */
export type PlainSmooth = "gelu" | "gelu-tanh" | "silu" | "tanh" | "exp/4";

export interface Ops<T> {
  /**
   * Begins a turn. Word + position + type embedding, normalised where the reference says so: of the text, [n, width]; of the
   * one token that the client chose after the last turn's logits, [1, width].
   */
  embed(ref: EmbeddingRef, after?: T): T;
  /** x·Wᵀ + b. */
  linear(x: T, ref: LinearRef): T;
  /** Elementwise sum of two values of one shape. */
  add(x: T, y: T): T;
  /** Elementwise product of two values of one shape. */
  multiply(x: T, y: T): T;
  /** Rows, or each group of a row's columns, to mean 0 and variance 1, or to mean square 1 (plus epsilon), times the gain, plus the bias. */
  layerNorm(x: T, ref: NormRef): T;
  /** Rows beyond the text become zero. */
  maskRows(x: T): T;
  /** The first row alone: [1, columns]. */
  firstRow(x: T): T;
  /** The mean of the text's rows: [1, columns]. Only the client knows how many there are. */
  meanRow(x: T): T;
  /** The row of the token that the text asks for, which the client alone knows: [1, columns]. */
  pickedRow(x: T): T;
  /** A row over its length, the root of its sum of squares: [1, columns]. */
  unitRow(x: T): T;
  /** The rows whose logits are asked for: the last alone when a text is continued, all when it is scored. */
  askedRows(x: T): T;
  /** Each head's columns turned by the angles of their row's position. */
  rotate(x: T, rotary: Rotary): T;
  /** The rows of `x` behind those of earlier turns, which stay masked as they were: [rows so far, columns]. */
  remember(before: T | null, x: T): T;
  /**
   * Per head, q·kᵀ times the scale, less the slope's part: [heads·rows(q), rows(k)]; 0 for keys that a causal row does not see. With
   * relative positions, what keys of these distances add; keys beyond the text still score 0, or weigh nothing.
   */
  scores(q: T, k: T, heads: Heads, relative?: RelativeRef | null): T;
  /**
   * Adds `kept` to the scores that count, `padded` to those of keys beyond the text and those that a causal row does not see
   * (-Infinity: as low as the plan's range allows).
   */
  addOnKeys(s: T, kept: number, padded: number): T;
  /** Each row minus its own largest entry: in [-range, 0]. */
  subtractRowMax(s: T): T;
  /** sum_j coefficients[j]·x^j, elementwise. */
  polynomial(x: T, coefficients: readonly number[]): T;
  /** gelu(x) (the erf form, or the tanh form), silu(x) = x / (1 + exp(-x)), tanh(x), exp(x/4), or c·tanh(x/c) ("cap/50"), elementwise. */
  smooth(x: T, name: SmoothName): T;
  /** max(x, 0), elementwise. */
  relu(x: T): T;
  /** Per head, rows of weights e applied to v and divided by their sum: (e·v) / Σ_j e_j, heads side by side: [rows, columns(v)]. */
  weightedMean(e: T, v: T, heads: Heads): T;
}

/** What runs a model: its operations, each told its name before it is called. */
export interface Interpreter<T> extends Ops<T> {
  /**
   * @param operation the name of the operation called next, the same in every interpreter: "layer.0.query", "layer.0.scores".
   * Plans keep what calibration saw under these names.
   */
  begin(operation: string): void;
}
