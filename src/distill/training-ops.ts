/**
 * `Ops` over a graph with gradients: the program that is served is the one that is trained. A batch of B texts, padded to n
 * positions, is interpreted at once; a text's padding is masked exactly as `FloatOps` and the parties mask it. Behind a
 * decoder's text padding needs no mask: no earlier row looks there.
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
import { type Factors, shiftedScores, softmaxMeans, weightedMeans } from "./attention.ts";
import type { Dropout } from "./dropout.ts";
import type { BatchInputs } from "./inputs.ts";
import type { Operators } from "./operators.ts";
import type { Value } from "./tape.ts";

/** Rows of a batch: every position of every text [B·n, d], the first of each [B, d], or scores per head [B, a, r, n]. */
export interface Activation {
  readonly value: Value;
  readonly rows: "all" | "first";
  /** Columns; of scores the number of heads. */
  readonly width: number;
  /** Scores of which those to keys behind a row's own position do not count. */
  readonly causal?: boolean;
  /** Causal: how many keys count in a row at most. */
  readonly window?: number;
  /** Of scores as they are first, every one of a row's: the products they are. */
  readonly factors?: Factors;
  /** The same values but for a constant of each row, before that was subtracted. */
  readonly unshifted?: Value;
  /** What this is exp(rate·x) of, but for a factor of each row. */
  readonly exponent?: { readonly x: Value; readonly rate: number };
}

/** The parameters' values in the graph, by the program's names. */
export type Parameters = (name: string, shape: readonly (number | string)[]) => Value;

/**
 * A value that losses refer to: "embeddings", "layer.0", ... (hidden states), "scores.0", ..., "weights.0", ... (of attention,
 * before they are divided by their sum), a dense layer's name.
 */
export interface Site {
  readonly name: string;
  readonly kind: "hidden" | "scores" | "weights" | "linear";
  readonly activation: Activation;
  readonly width: number;
  /** The name of the operation that made (of a stream: that read) it. */
  readonly op: string;
}

/** Interprets a program into the graph of its tape, and remembers the values that losses refer to. */
export class TrainingOps implements Interpreter<Activation> {
  readonly sites: Site[] = [];
  readonly #batch: BatchInputs;
  readonly #operators: Operators;
  readonly #parameters: Parameters;
  readonly #dropout: Dropout | null;
  #operation = "";
  #scores = 0;
  #layers = 0;
  /** The layer that ends with the next sum, where norms stand behind branches alone. */
  #ending: string | undefined;
  /** Whether layers add to a stream that norms read, rather than end with a norm. */
  #isStream = false;

  constructor(batch: BatchInputs, parameters: Parameters, dropout: Dropout | null = null) {
    this.#batch = batch;
    this.#operators = batch.operators;
    this.#parameters = parameters;
    this.#dropout = dropout;
  }

  begin(operation: string): void {
    this.#operation = operation;
  }

  embed(ref: EmbeddingRef, after?: Activation): Activation {
    if (ref.patches) throw new Error("models that read images cannot be trained yet: take one that reads texts");
    if (after !== undefined) throw new Error("a training sees one turn of a model: take no second one");
    const op = this.#operation;
    const { width } = ref;
    this.#isStream = ref.readers !== "layers";
    const placed = this.#placed(ref, this.#summed(ref));
    const x = ref.norm === null ? placed : this.#normed(placed, ref.norm);
    const out: Activation = { value: this.#dropout?.onRows(x, width) ?? x, rows: "all", width };
    this.sites.push({ name: "embeddings", kind: "hidden", activation: out, width, op });
    return out;
  }

  linear(x: Activation, ref: LinearRef): Activation {
    const op = this.#operation;
    const weight = this.#parameters(`${ref.name}.weight`, [ref.outputs, ref.inputs]);
    const bias = ref.bias ? this.#parameters(`${ref.name}.bias`, [ref.outputs]) : null;
    const out = { ...plain(x), value: this.#operators.linear(x.value, weight, bias), width: ref.outputs };
    this.sites.push({ name: ref.name, kind: "linear", activation: out, width: ref.outputs, op });
    return out;
  }

  /** Dropout falls on the first operand: a residual branch, as BERT has it. */
  add(x: Activation, y: Activation): Activation {
    const op = this.#operation;
    const branch = this.#dropout?.onRows(x.value, x.width) ?? x.value;
    const out = { ...plain(x), value: this.#operators.add(branch, y.value) };
    if (this.#ending !== undefined)
      this.sites.push({ name: this.#ending, kind: "hidden", activation: out, width: x.width, op });
    this.#ending = undefined;
    return out;
  }

  multiply(x: Activation, y: Activation): Activation {
    return { ...plain(x), value: this.#operators.multiply(x.value, y.value) };
  }

  layerNorm(x: Activation, ref: NormRef): Activation {
    const op = this.#operation;
    const out = { ...plain(x), value: this.#normed(x.value, ref) };
    const name = this.#isStream ? this.#layerBefore(ref.name) : this.#layerEnding(ref.name);
    if (!this.#isStream) this.#ending = /^(layer\.\d+)\.branch\.norm$/.exec(ref.name)?.[1];
    if (name !== undefined) {
      const activation = this.#isStream ? x : out;
      this.sites.push({ name, kind: "hidden", activation, width: ref.width, op });
    }
    return out;
  }

  maskRows(x: Activation): Activation {
    if (x.rows === "first") return x; // a text has a first position
    return { ...plain(x), value: this.#operators.scale(x.value, this.#batch.maskOf("rows")) };
  }

  firstRow(x: Activation): Activation {
    const o = this.#operators;
    const shape = o.e.shape(-1, this.#batch.positions, x.width);
    return { ...plain(x), value: o.first(o.reshape(x.value, shape), this.#batch.positions), rows: "first" };
  }

  pickedRow(): never {
    throw new Error("models that fill masked words cannot be trained here: take another head");
  }

  meanRow(x: Activation): Activation {
    const o = this.#operators;
    const texts = o.reshape(x.value, o.e.shape(-1, 1, this.#batch.positions, x.width)); // [B, 1, n, d]
    const mean = o.times(this.#operators.tape.constant(this.#batch.parts()), texts); // [B, 1, 1, d]
    return { ...plain(x), value: o.reshape(mean, o.e.shape(-1, x.width)), rows: "first" };
  }

  unitRow(x: Activation): Activation {
    return { ...plain(x), value: this.#operators.unit(x.value) };
  }

  /** Training scores texts: it asks for all rows. */
  askedRows(x: Activation): Activation {
    return x;
  }

  rotate(x: Activation, { heads, frequencies }: Rotary): Activation {
    const o = this.#operators;
    const width = x.width / heads;
    const { cos, sin } = this.#batch.angles(frequencies);
    const parted = o.reshape(x.value, o.e.shape(-1, this.#batch.positions, heads, width));
    return { ...plain(x), value: o.reshape(o.rotate(parted, cos, sin), o.e.shape(-1, x.width)) };
  }

  remember(before: Activation | null, x: Activation): Activation {
    if (before !== null) throw new Error("a training sees one turn of a model: there is nothing to remember");
    return x;
  }

  scores(
    q: Activation,
    k: Activation,
    { queries, keys, causal, window, ...heads }: Heads,
    relative?: RelativeRef | null,
  ): Activation {
    if (relative) throw new Error("models with relative positions cannot be trained yet: take one without");
    const op = this.#operation;
    const o = this.#operators;
    const width = q.width / queries;
    // The scale goes into the queries: they are fewer than the scores.
    const qs = o.scale(this.#split(q, queries), heads.scale ?? 1 / Math.sqrt(width)); // [B, a, r, w]
    const ks = this.#split(k, keys); // [B, a / group, n, w]
    const all = this.#perQuery(o.timesTransposed(this.#perKey(qs, queries, keys, width), ks), q, queries, keys, -1);
    const near = heads.slopes === undefined ? all : o.shift(all, this.#batch.descents(heads.slopes));
    const value = causal ? o.scale(near, this.#batch.past(window)) : near;
    const factors = causal || queries !== keys ? {} : { factors: { q: qs, k: ks, width } };
    const out: Activation = { value, rows: q.rows, width: queries, causal, window, ...factors };
    this.sites.push({ name: `scores.${this.#scores++}`, kind: "scores", activation: out, width: queries, op });
    return out;
  }

  addOnKeys(s: Activation, kept: number, padded: number): Activation {
    const o = this.#operators;
    const counts = o.e.op("Greater", this.#batch.countingKeys(s.causal ?? false, s.window), 0.5);
    const shift = o.e.op("Where", counts, kept, padded);
    const isFolded = s.factors !== undefined && Number.isFinite(kept) && Number.isFinite(padded);
    const value = isFolded ? shiftedScores(o, s.factors, shift) : o.shift(s.value, shift);
    return { ...plain(s), value };
  }

  subtractRowMax(s: Activation): Activation {
    return { ...plain(s), value: this.#operators.subtractRowMax(s.value), unshifted: s.value };
  }

  polynomial(x: Activation, coefficients: readonly number[]): Activation {
    const value = this.#operators.polynomial(x.value, coefficients);
    const degree = coefficients.length - 1;
    if (x.exponent === undefined || coefficients.slice(0, -1).some((c) => c !== 0) || !(coefficients[degree] > 0)) {
      return { ...plain(x), value };
    }
    return { ...plain(x), value, exponent: { ...x.exponent, rate: x.exponent.rate * degree } };
  }

  smooth(x: Activation, name: SmoothName): Activation {
    const value = this.#operators.smooth(x.value, name);
    if (name !== "exp/4") return { ...plain(x), value };
    return { ...plain(x), value, exponent: { x: x.unshifted ?? x.value, rate: 1 / 4 } };
  }

  relu(x: Activation): Activation {
    return { ...plain(x), value: this.#operators.relu(x.value) };
  }

  weightedMean(e: Activation, v: Activation, { queries, keys }: Heads): Activation {
    const op = this.#operation;
    this.sites.push({ name: `weights.${this.#scores - 1}`, kind: "weights", activation: e, width: queries, op });
    const o = this.#operators;
    const width = v.width / keys;
    const vs = this.#split(v, keys); // [B, a / group, n, w]
    const perKey = (x: Value) => this.#perKey(x, queries, keys, this.#batch.positions); // [B, a / group, group·r, n]
    const mixed = this.#mixed(e, vs, perKey);
    const means = this.#perQuery(mixed, e, queries, keys, width); // [B, a, r, w]
    const columns = width * queries;
    return {
      value: o.reshape(o.transpose(means, 0, 2, 1, 3), o.e.shape(-1, columns)),
      rows: e.rows,
      width: columns,
    };
  }

  /** The means by weights e, which are softmax's where they are exp(x) of some x: what each row was divided by cancels. */
  #mixed(e: Activation, vs: Value, perKey: (x: Value) => Value): Value {
    const o = this.#operators;
    const scores = e.exponent?.rate === 1 ? e.exponent.x : null;
    if (this.#dropout !== null) {
      const normal = scores === null ? o.normalise(e.value) : o.softmax(scores);
      return o.times(perKey(this.#dropout.onWeights(normal, e.width)), vs);
    }
    return scores === null ? weightedMeans(o, perKey(e.value), vs) : softmaxMeans(o, perKey(scores), vs);
  }

  /** Word, type and position rows, summed as far as a model has them: [B·n, d]. */
  #summed(ref: EmbeddingRef): Value {
    const o = this.#operators;
    const word = o.rows(this.#parameters(ref.word, ["words", ref.width]), this.#batch.ids);
    if (ref.type === null) return word;
    const type = this.#parameters(ref.type, [ref.types, ref.width]);
    return o.add(word, o.rows(type, this.#batch.types));
  }

  #placed(ref: EmbeddingRef, sum: Value): Value {
    if (ref.position === null) return sum;
    const o = this.#operators;
    const { positions } = this.#batch;
    const table = this.#parameters(ref.position, ["positions", ref.width]);
    const texts = o.reshape(sum, o.e.shape(-1, positions, ref.width));
    return o.reshape(o.addPositions(texts, table, ref.positionOffset, positions), o.e.shape(-1, ref.width));
  }

  /** [B, a, r, w] of rows of `heads` heads side by side. */
  #split(x: Activation, heads: number): Value {
    const o = this.#operators;
    const shape = o.e.shape(-1, this.#rowsOf(x), heads, x.width / heads);
    return o.transpose(o.reshape(x.value, shape), 0, 2, 1, 3);
  }

  /** [B, a, r, c] as [B, a / group, group·r, c]: the query heads of a group one below the other, for its one key head. */
  #perKey(x: Value, queries: number, keys: number, columns: number | string): Value {
    if (queries === keys) return x;
    return this.#operators.reshape(x, this.#operators.e.shape(0, keys, -1, columns));
  }

  /** The way back, for rows as `like` has them; -1: as many columns as there are. */
  #perQuery(x: Value, like: Activation, queries: number, keys: number, columns: number): Value {
    if (queries === keys) return x;
    return this.#operators.reshape(x, this.#operators.e.shape(0, queries, this.#rowsOf(like), columns));
  }

  #rowsOf(x: Activation): number | string {
    return x.rows === "first" ? 1 : this.#batch.positions;
  }

  /** The layer that ends in this norm, counted: several may have the same weights. */
  #layerEnding(norm: string): string | undefined {
    return /^layer\.\d+\.norm$/.test(norm) ? `layer.${this.#layers++}` : undefined;
  }

  /** The layer that a norm over the stream comes behind, if it begins the next one or is the last of all. */
  #layerBefore(norm: string): string | undefined {
    const next = /^layer\.(\d+)\.attention\.norm$/.exec(norm)?.[1];
    const before = norm === "norm" ? this.#scores - 1 : Number(next ?? 0) - 1;
    return before < 0 ? undefined : `layer.${before}`;
  }

  /** Norms side by side: [N, groups·w] as [N·groups, w], and back. */
  #normedGroups(x: Value, ref: NormRef, groups: number): Value {
    const o = this.#operators;
    const parted = o.reshape(x, o.e.shape(-1, ref.width));
    return o.reshape(this.#normed(parted, { ...ref, groups: 1 }), o.e.shape(-1, ref.width * groups));
  }

  #normed(x: Value, ref: NormRef): Value {
    if (ref.groups !== undefined && ref.groups > 1) return this.#normedGroups(x, ref, ref.groups);
    const gain = this.#parameters(`${ref.name}.weight`, [ref.width]);
    if (ref.kind === "rms") return this.#operators.rmsNorm(x, gain, ref.epsilon);
    const bias = this.#parameters(`${ref.name}.bias`, [ref.width]);
    return this.#operators.layerNorm(x, gain, bias, ref.epsilon);
  }
}

/** An activation without what was known of its value's making. */
function plain({ value, rows, width, causal, window }: Activation): Activation {
  const seen = { ...(causal === undefined ? {} : { causal }), ...(window === undefined ? {} : { window }) };
  return { value, rows, width, ...seen };
}
