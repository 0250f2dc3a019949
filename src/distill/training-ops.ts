/**
 * `Ops` over a graph with gradients: the program that is served is the one that is trained. A batch of B texts, padded to n
 * positions, is interpreted at once; a text's padding is masked exactly as `FloatOps` and the parties mask it.
 */

import type { EmbeddingRef, LinearRef, NormRef, Ops, SmoothName } from "../program/ops.ts";
import { Operators } from "./operators.ts";
import type { Tape, Value } from "./tape.ts";

/** Rows of a batch: every position of every text [B·n, d], the first of each [B, d], or scores per head [B, a, r, n]. */
export interface Activation {
  readonly value: Value;
  readonly rows: "all" | "first";
}

/** The parameters' values in the graph, by the program's names. */
export type Parameters = (name: string, shape: readonly (number | string)[]) => Value;

/** A value that losses refer to: "embeddings", "layer.0", ... (hidden states), "scores.0", ..., a dense layer's name. */
export interface Site {
  readonly name: string;
  readonly kind: "hidden" | "scores" | "linear";
  readonly activation: Activation;
  readonly width: number;
  /** The `Ops` call that made it, counted as `FloatOps` counts. */
  readonly op: number;
}

/** A batch's inputs, shared by teacher and student. */
export class BatchInputs {
  readonly operators: Operators;
  /** Token ids as rows of the word table given, and token types: [B·n, 1]. */
  readonly ids: string;
  readonly types: string;
  /** 1 for a text's own position, else 0: [B, n]. */
  readonly mask: string;
  /** The number of positions n: [1]. */
  readonly positions: string;
  readonly #mask: Record<string, string> = {};

  constructor(tape: Tape) {
    this.operators = new Operators(tape);
    const { e } = this.operators;
    const flat = e.graph.ints([-1, 1]);
    this.ids = e.op("Reshape", e.graph.input("ids", "int64", ["B", "n"]), flat);
    this.types = e.op("Reshape", e.graph.input("types", "int64", ["B", "n"]), flat);
    this.mask = e.graph.input("mask", "float32", ["B", "n"]);
    this.positions = e.op("Slice", e.op("Shape", this.mask), e.graph.ints([1]), e.graph.ints([2]));
  }

  /** The mask in a shape that broadcasts: over rows of activations, keys of scores, or queries of scores. */
  maskOf(what: "rows" | "keys" | "queries"): string {
    const { e } = this.operators;
    if (this.#mask[what] === undefined) {
      const n = this.positions;
      const shapes = {
        rows: () => e.graph.ints([-1, 1]),
        keys: () => e.graph.node("Concat", [e.graph.ints([-1, 1, 1]), n], { axis: 0 }),
        queries: () => e.graph.node("Concat", [e.graph.ints([-1, 1]), n, e.graph.ints([1])], { axis: 0 }),
      };
      this.#mask[what] = e.op("Reshape", this.mask, shapes[what]());
    }
    return this.#mask[what];
  }
}

/** Dropout masks: slices of one pool of factors 0 and 1/(1 - rate), at offsets that the host draws for every step. */
export class Dropout {
  /** The places where it falls: an offset each. */
  sites = 0;
  readonly #operators: Operators;
  readonly #pool: string;
  readonly #offsets: string;
  #width = 0;
  #heads = 0;

  constructor(operators: Operators) {
    this.#operators = operators;
    this.#pool = operators.e.graph.input(DROPOUT_POOL, "float32", ["pool"]);
    this.#offsets = operators.e.graph.input(DROPOUT_OFFSETS, "int64", ["sites"]);
  }

  /** On rows of activations. */
  onRows(x: Value, width: number): Value {
    this.#width = Math.max(this.#width, width);
    return this.#apply(x);
  }

  /** On the attention's weights. */
  onWeights(x: Value, heads: number): Value {
    this.#heads = Math.max(this.#heads, heads);
    return this.#apply(x);
  }

  /** The most factors that a site of a batch takes. */
  most(texts: number, positions: number): number {
    return texts * positions * Math.max(this.#width, this.#heads * positions);
  }

  #apply(x: Value): Value {
    const { e } = this.#operators;
    const site = this.sites++;
    const start = e.op("Slice", this.#offsets, e.graph.ints([site]), e.graph.ints([site + 1]));
    const size = e.op("Reshape", e.op("Size", x.name), e.graph.ints([1]));
    const factors = e.op("Slice", this.#pool, start, e.op("Add", start, size));
    return this.#operators.scale(x, e.op("Reshape", factors, e.op("Shape", x.name)));
  }
}

/** The inputs of dropout: the factors [pool], and where each site's begin [sites]. */
export const DROPOUT_POOL = "dropout.pool";
export const DROPOUT_OFFSETS = "dropout.offsets";

/** Interprets a program into the graph of its tape, and remembers the values that losses refer to. */
export class TrainingOps implements Ops<Activation> {
  readonly sites: Site[] = [];
  readonly #batch: BatchInputs;
  readonly #operators: Operators;
  readonly #parameters: Parameters;
  readonly #dropout: Dropout | null;
  #calls = 0;
  #scores = 0;
  /** Of the residual stream. */
  #width = 0;

  constructor(batch: BatchInputs, parameters: Parameters, dropout: Dropout | null = null) {
    this.#batch = batch;
    this.#operators = batch.operators;
    this.#parameters = parameters;
    this.#dropout = dropout;
  }

  embed(ref: EmbeddingRef): Activation {
    const op = this.#calls++;
    const { width } = ref;
    const [o, e] = [this.#operators, this.#operators.e];
    const word = this.#parameters(ref.word, ["words", width]);
    const type = this.#parameters(ref.type, [ref.types, width]);
    const position = this.#parameters(ref.position, ["positions", width]);
    const sum = o.add(o.rows(word, this.#batch.ids), o.rows(type, this.#batch.types)); // [B·n, d]
    const shape = e.graph.node("Concat", [e.graph.ints([-1]), this.#batch.positions, e.graph.ints([width])], {
      axis: 0,
    });
    const placed = o.addPositions(o.reshape(sum, shape), position, ref.positionOffset, this.#batch.positions);
    const x = this.#normed(o.reshape(placed, e.graph.ints([-1, width])), ref.norm);
    this.#width = width;
    const out: Activation = { value: this.#dropout?.onRows(x, width) ?? x, rows: "all" };
    this.sites.push({ name: "embeddings", kind: "hidden", activation: out, width, op });
    return out;
  }

  linear(x: Activation, ref: LinearRef): Activation {
    const op = this.#calls++;
    const weight = this.#parameters(`${ref.name}.weight`, [ref.outputs, ref.inputs]);
    const bias = this.#parameters(`${ref.name}.bias`, [ref.outputs]);
    const out = { value: this.#operators.linear(x.value, weight, bias), rows: x.rows };
    this.sites.push({ name: ref.name, kind: "linear", activation: out, width: ref.outputs, op });
    return out;
  }

  /** Dropout falls on the first operand: a residual branch, as BERT has it. */
  add(x: Activation, y: Activation): Activation {
    this.#calls++;
    const branch = this.#dropout?.onRows(x.value, this.#width) ?? x.value;
    return { value: this.#operators.add(branch, y.value), rows: x.rows };
  }

  layerNorm(x: Activation, ref: NormRef): Activation {
    const op = this.#calls++;
    const out = { value: this.#normed(x.value, ref), rows: x.rows };
    const layer = /^(layer\.\d+)\.norm$/.exec(ref.name)?.[1];
    if (layer !== undefined) this.sites.push({ name: layer, kind: "hidden", activation: out, width: ref.width, op });
    return out;
  }

  maskRows(x: Activation): Activation {
    this.#calls++;
    if (x.rows === "first") return x; // a text has a first position
    return { value: this.#operators.scale(x.value, this.#batch.maskOf("rows")), rows: x.rows };
  }

  firstRow(x: Activation): Activation {
    this.#calls++;
    const o = this.#operators;
    const { graph } = o.e;
    const width = o.e.op("Slice", o.e.op("Shape", x.value.name), graph.ints([1]), graph.ints([2]));
    const shape = graph.node("Concat", [graph.ints([-1]), this.#batch.positions, width], { axis: 0 });
    return { value: o.first(o.reshape(x.value, shape), this.#batch.positions), rows: "first" };
  }

  scores(q: Activation, k: Activation, heads: number): Activation {
    const op = this.#calls++;
    const o = this.#operators;
    const [qs, width] = this.#split(q, heads);
    const [ks] = this.#split(k, heads);
    // The scale goes into the queries: they are fewer than the scores.
    const value = o.timesTransposed(o.scale(qs, o.e.op("Div", 1, o.e.op("Sqrt", width))), ks);
    const out: Activation = { value, rows: q.rows };
    this.sites.push({ name: `scores.${this.#scores++}`, kind: "scores", activation: out, width: heads, op });
    return out;
  }

  addOnKeys(s: Activation, kept: number, padded: number): Activation {
    this.#calls++;
    const { e } = this.#operators;
    const own = e.op("Greater", this.#batch.maskOf("keys"), 0.5);
    const by = e.op("Where", own, kept, padded);
    return { value: this.#operators.shift(s.value, by), rows: s.rows };
  }

  subtractRowMax(s: Activation): Activation {
    this.#calls++;
    return { value: this.#operators.subtractRowMax(s.value), rows: s.rows };
  }

  polynomial(x: Activation, coefficients: readonly number[]): Activation {
    this.#calls++;
    return { value: this.#operators.polynomial(x.value, coefficients), rows: x.rows };
  }

  smooth(x: Activation, name: SmoothName): Activation {
    this.#calls++;
    return { value: this.#operators.smooth(x.value, name), rows: x.rows };
  }

  relu(x: Activation): Activation {
    this.#calls++;
    return { value: this.#operators.relu(x.value), rows: x.rows };
  }

  weightedMean(e: Activation, v: Activation, heads: number): Activation {
    this.#calls++;
    const o = this.#operators;
    const [vs] = this.#split(v, heads);
    const weights = o.normalise(e.value);
    const mixed = o.times(this.#dropout?.onWeights(weights, heads) ?? weights, vs); // [B, a, r, w]
    const { graph } = o.e;
    const width = o.e.op(
      "Mul",
      o.e.op("Slice", o.e.op("Shape", vs.name), graph.ints([3]), graph.ints([4])),
      graph.ints([heads]),
    );
    const shape = graph.node("Concat", [graph.ints([-1]), width], { axis: 0 });
    return { value: o.reshape(o.transpose(mixed, 0, 2, 1, 3), shape), rows: e.rows };
  }

  /** [B, a, r, w] and w as a float scalar tensor. */
  #split(x: Activation, heads: number): [Value, string] {
    const o = this.#operators;
    const { graph } = o.e;
    const columns = o.e.op("Slice", o.e.op("Shape", x.value.name), graph.ints([1]), graph.ints([2]));
    const width = o.e.op("Div", columns, graph.ints([heads]));
    const rows = x.rows === "first" ? graph.ints([1]) : this.#batch.positions;
    const shape = graph.node("Concat", [graph.ints([-1]), rows, graph.ints([heads]), width], { axis: 0 });
    const parted = o.transpose(o.reshape(x.value, shape), 0, 2, 1, 3);
    return [parted, graph.node("Cast", [width], { to: 1 })];
  }

  #normed(x: Value, ref: NormRef): Value {
    const gain = this.#parameters(`${ref.name}.weight`, [ref.width]);
    const bias = this.#parameters(`${ref.name}.bias`, [ref.width]);
    return this.#operators.layerNorm(x, gain, bias, ref.epsilon);
  }
}
