import { Builder, constant } from "./builder.ts";
import { argmax, notNegative, rowMax } from "./comparison.ts";
import { fitFourier } from "./fit.ts";
import { shortest } from "./lengths.ts";
import type { EmbeddingRef, LinearRef, NormRef, Ops, SmoothName } from "./ops.ts";
import { DEFAULT_EXPONENT, magnitude, type Plan, PlannedRanges, type Range } from "./plan.ts";
import { lifted, polynomial, root } from "./roots.ts";
import { smoothFunctions } from "./smooth.ts";
import type { ModelSpec } from "./spec.ts";
import type { BiasRef, OpenMode, Program, Value, WeightRef } from "./steps.ts";
import { PlanError } from "./steps.ts";

/** Significant bits that opened values keep, by use; MPC's cost grows with them, its error shrinks. */
const ACTIVATION_BITS = 15;
const SCORE_BITS = 14;
const MEAN_BITS = 18;
const LOGIT_BITS = 16;
const FOURIER_BITS = 14;
const TRIG_BITS = 14;
const FOURIER_OUT_BITS = 26;
/** Bits after the point that a polynomial's highest power may have. */
const POWER_BITS = 44;
/** How far below the smallest calibrated score a padded key is put, where it must vanish from exact softmax. */
const PADDED_BELOW = 12;

/** A sum of weighted inputs that has not been emitted yet, so that what follows can still fold into it. */
interface LinearHandle {
  readonly kind: "linear";
  readonly rows: number;
  readonly columns: number;
  readonly parts: readonly LinearPart[];
  readonly name: string;
  readonly rowsMasked: boolean;
  readonly range: Range;
  memo: Value | null;
}

type LinearPart =
  | { readonly kind: "dense"; readonly x: RowsHandle; readonly ref: LinearRef }
  | { readonly kind: "table"; readonly x: Value; readonly name: string; readonly rows: number }
  | { readonly kind: "positions"; readonly name: string; readonly offset: number }
  | { readonly kind: "residual"; readonly x: RowsHandle };

/** Rows that enter linear layers: held by the server, zero on padding, a layer norm's gain and bias still to come. */
interface RowsHandle {
  readonly kind: "rows";
  readonly rows: number;
  readonly columns: number;
  readonly norm: NormRef | null;
  readonly held: () => Value;
}

interface ShareHandle {
  readonly kind: "share";
  readonly value: Value;
  readonly range: Range;
  readonly group: string;
}

export type Handle = LinearHandle | RowsHandle | ShareHandle;

/** Compiles a model, as it is run over these operations, into the integer program of all three parties. */
export class Compiler implements Ops<Handle> {
  private readonly b = new Builder();
  private readonly ranges: PlannedRanges;
  private op = -1;
  private maskValue: Value | null = null;
  private readonly spec: ModelSpec;
  private readonly plan: Plan;
  private readonly length: number;
  private readonly slack: number;

  /** `slack`: bits of precision given up everywhere, for plans that do not fit the ring otherwise. */
  constructor(spec: ModelSpec, plan: Plan, length: number, slack = 0) {
    this.spec = spec;
    this.plan = plan;
    this.length = length;
    this.slack = slack;
    this.ranges = new PlannedRanges(plan);
  }

  embed(ref: EmbeddingRef): Handle {
    const op = this.next("embeddings", "embedding");
    if (this.spec.embedding === "public") {
      const range = this.ranges.signed(op, "out");
      const value = this.b.value(
        "embeddings",
        this.length,
        ref.width,
        this.target(range, ACTIVATION_BITS, 12),
        magnitude(range),
        "masked",
      );
      this.b.add({ kind: "input", source: "embedding" }, value);
      return { kind: "rows", rows: this.length, columns: ref.width, norm: null, held: () => value };
    }
    const input = (source: "words" | "types", columns: number) =>
      this.b.add({ kind: "input", source }, this.b.value(source, this.length, columns, 1, 1, "masked"));
    const parts: LinearPart[] = [
      { kind: "table", x: input("words", ref.vocabulary), name: ref.word, rows: ref.vocabulary },
      { kind: "table", x: input("types", ref.types), name: ref.type, rows: ref.types },
      { kind: "positions", name: ref.position, offset: ref.positionOffset },
    ];
    const range = this.ranges.signed(op, "word");
    const sum = this.pending(parts, this.length, ref.width, ref.word, range);
    return this.normalise(sum, ref.norm, op);
  }

  linear(x: Handle, ref: LinearRef): Handle {
    const op = this.next(ref.name, "linear");
    return this.pending(
      [{ kind: "dense", x: this.rows(x), ref }],
      rowsOf(x),
      ref.outputs,
      ref.name,
      this.ranges.signed(op, "out"),
    );
  }

  add(x: Handle, y: Handle): Handle {
    const op = this.next(null, "linear");
    const [first, second] = x.kind === "linear" ? [x, y] : [y, x];
    if (first.kind !== "linear" || second.kind === "share") {
      throw new PlanError("add takes a linear layer's result and a residual: this model's structure is not supported");
    }
    const parts = second.kind === "linear" ? second.parts : [{ kind: "residual", x: second } as const];
    return this.pending(
      [...first.parts, ...parts],
      first.rows,
      first.columns,
      first.name,
      this.ranges.signed(op, "out"),
    );
  }

  layerNorm(x: Handle, ref: NormRef): Handle {
    const op = this.next(ref.name, "norm");
    if (x.kind !== "linear")
      throw new PlanError("layerNorm takes a sum of linear layers: this model's structure is not supported");
    return this.normalise(x, ref, op);
  }

  maskRows(x: Handle): Handle {
    this.next(null, "linear");
    if (x.kind !== "linear") throw new PlanError("maskRows takes a linear layer's result");
    return { ...x, rowsMasked: true, memo: null };
  }

  firstRow(x: Handle): Handle {
    this.next(null, "linear");
    const rows = this.rows(x);
    const label = this.b.label;
    let memo: Value | null = null;
    const held = () => {
      if (memo !== null) return memo;
      const from = rows.held();
      this.b.label = label;
      memo = this.b.value(`${from.name}[0]`, 1, from.columns, from.scale, from.bound / from.scale, from.form);
      return this.b.add({ kind: "slice", x: from.id, offset: 0 }, memo);
    };
    return { ...rows, rows: 1, held };
  }

  scores(q: Handle, k: Handle, heads: number): Handle {
    const op = this.next(labelOf(q), "attention");
    const range = this.ranges.signed(op, "out");
    const qm = this.masked(q, SCORE_BITS);
    const km = this.masked(k, SCORE_BITS);
    const scale = qm.scale * km.scale * Math.sqrt(qm.columns / heads);
    const out = this.b.value("scores", heads * qm.rows, km.rows, scale, magnitude(range), "share");
    this.b.add({ kind: "matmul", a: qm.id, b: km.id, transposeB: true, heads }, out);
    return { kind: "share", value: out, range, group: "softmax" };
  }

  addOnKeys(s: Handle, kept: number, padded: number): Handle {
    const op = this.next(null, "softmax");
    const x = share(s);
    const known = this.ranges.signed(op, "out");
    const low = padded === Number.NEGATIVE_INFINITY ? known[0] - PADDED_BELOW : padded;
    const range: Range = [Math.min(known[0], low), Math.max(known[1], low)];
    const out = this.b.value("scores", x.value.rows, x.value.columns, x.value.scale, magnitude(range), "share");
    const int = (c: number) => constant(c * x.value.scale);
    this.b.add({ kind: "keys", x: x.value.id, kept: int(kept), padded: int(low) }, out);
    return { kind: "share", value: out, range, group: "softmax" };
  }

  subtractRowMax(s: Handle): Handle {
    this.next(null, "softmax");
    const x = share(s);
    const all = this.masked(s, SCORE_BITS);
    const max = rowMax(this.b, all);
    const range: Range = [x.range[0] - x.range[1], 0];
    const out = this.b.value("scores", all.rows, all.columns, all.scale, magnitude(range), "share");
    const variables = [lifted(all), lifted(max, all.columns)];
    const monomials = [
      { coefficient: 1, degrees: [1, 0] },
      { coefficient: -1, degrees: [0, 1] },
    ];
    polynomial(this.b, variables, monomials, 0, out);
    return { kind: "share", value: out, range, group: "softmax" };
  }

  polynomial(x: Handle, coefficients: readonly number[]): Handle {
    const op = this.next(labelOf(x), groupOf(x));
    const range = this.ranges.signed(op, "out");
    const degree = coefficients.length - 1;
    const opened = this.masked(x, SCORE_BITS, Math.min(12, Math.floor(POWER_BITS / degree)));
    // Enough bits after the point for the coefficients themselves: 2^12 below the largest of them.
    const extra =
      2 ** Math.max(0, 12 - Math.ceil(Math.log2(Math.max(...coefficients.map(Math.abs)))) - (degree > 2 ? 12 : 0));
    const scale = opened.scale ** degree * (isExact(coefficients) ? exactScale(coefficients) : extra);
    const monomials = coefficients
      .map((c, j) => ({ coefficient: constant((c * scale) / opened.scale ** j), degrees: [j] }))
      .filter((m) => m.coefficient !== 0 && m.degrees[0] > 0);
    const out = this.b.value(this.b.label, opened.rows, opened.columns, scale, magnitude(range), "share");
    polynomial(this.b, [lifted(opened)], monomials, constant(coefficients[0] * scale), out);
    return { kind: "share", value: out, range, group: groupOf(x) };
  }

  smooth(x: Handle, name: SmoothName): Handle {
    const op = this.next(labelOf(x), groupOf(x));
    const range = this.ranges.signed(op, "out");
    const source = x.kind === "linear" ? this.emit(x, false) : share(x).value;
    const fn = SMOOTH[name];
    const reach = fn.range(rangeOf(x));
    const inputScale = this.target(reach, FOURIER_BITS, 14);
    const opened = this.open(source, x.kind === "linear" ? "forward" : "exchange", inputScale, magnitude(reach));
    const periodBits = Math.ceil(Math.log2((reach[1] - reach[0]) * fn.slack * opened.scale));
    const period = 2 ** periodBits / opened.scale;
    const fit = fitFourier((t) => fn.f(t) - fn.slope * t, reach, period, fn.parity);
    const scale = 2 ** FOURIER_OUT_BITS;
    const series = this.b.value(name, opened.rows, opened.columns, scale, magnitude(range), "share");
    this.b.add(
      {
        kind: "fourier",
        x: opened.id,
        periodBits,
        stride: fit.stride,
        cosines: fit.cosines,
        sines: fit.sines,
        constant: constant(fit.constant * scale),
        factorScale: scale / 2 ** TRIG_BITS,
        trigBits: TRIG_BITS,
      },
      series,
    );
    if (fn.slope === 0) return { kind: "share", value: series, range, group: groupOf(x) };
    // The linear part comes from the same opened value, lifted: the input may stay in its narrow ring.
    const out = this.b.value(name, opened.rows, opened.columns, scale, magnitude(range), "share");
    const monomials = [{ coefficient: constant((fn.slope * scale) / opened.scale), degrees: [1] }];
    const addends = [{ x: series.id, coefficient: 1, repeat: 1 }];
    this.b.add(
      { kind: "polynomial", variables: [lifted(opened)], monomials, addends, constant: 0, rowSum: false },
      out,
    );
    return { kind: "share", value: out, range, group: groupOf(x) };
  }

  relu(x: Handle): Handle {
    const op = this.next(labelOf(x), groupOf(x));
    const range = this.ranges.signed(op, "out");
    const opened = this.masked(x, SCORE_BITS);
    const bit = notNegative(this.b, opened);
    const out = this.b.value("relu", opened.rows, opened.columns, opened.scale, magnitude(range), "share");
    polynomial(
      this.b,
      [lifted(opened), { x: bit.id, kind: "bit", repeat: 1 }],
      [{ coefficient: 1, degrees: [1, 1] }],
      0,
      out,
    );
    return { kind: "share", value: out, range, group: groupOf(x) };
  }

  weightedMean(e: Handle, v: Handle, heads: number): Handle {
    const op = this.next(labelOf(v), "softmax");
    const weights = share(e).value;
    const sums = this.ranges.positive(op, "sum");
    const means = this.ranges.signed(op, "mean");
    const out = this.ranges.signed(op, "out");
    const least = shortest(this.length);
    const queries = weights.rows / heads;
    // Σe before e is rounded; per query and head. The sum of n keys is n times the calibrated mean.
    const range: Range = [sums[0] * least, sums[1] * this.length];
    const total = this.b.value("sum", queries, heads, weights.scale, range[1], "share");
    this.b.add({ kind: "rowSum", x: weights.id, heads }, total);
    const opened = this.open(
      weights,
      "exchange",
      2 ** Math.ceil(Math.log2(2 ** 8 / sums[0])),
      magnitude(share(e).range),
    );
    const vm = this.masked(v, SCORE_BITS);
    this.b.group = "attention";
    const reach = magnitude(means) * this.length;
    const raw = this.b.value("mixed", queries, vm.columns, opened.scale * vm.scale, reach, "share");
    this.b.add({ kind: "matmul", a: opened.id, b: vm.id, transposeB: false, heads }, raw);
    const mixed = this.open(raw, "exchange", this.target([-reach, reach], MEAN_BITS, 20), reach);
    this.b.group = "softmax";
    const inverse = root(this.b, "reciprocal", total, range, null);
    const result = this.b.value("attended", queries, vm.columns, mixed.scale * inverse.scale, magnitude(out), "share");
    polynomial(
      this.b,
      [lifted(mixed), lifted(inverse, vm.columns / heads)],
      [{ coefficient: 1, degrees: [1, 1] }],
      0,
      result,
    );
    return { kind: "share", value: result, range: out, group: "attention" };
  }

  /** Opens the answer to the client, and closes the program: the logits to 16 bits of their range, or the label alone. */
  finish(answer: Handle): Program {
    if (answer.kind !== "linear") throw new PlanError("the model's answer must be a linear layer's result");
    this.b.label = answer.name;
    this.b.group = "answer";
    const y = this.emit(answer, false);
    const scale = this.target(answer.range, LOGIT_BITS, 14);
    if (this.spec.answer === "scores") {
      return this.b.finish(this.length, this.b.open(y, "reveal", scale, magnitude(answer.range)));
    }
    const label = argmax(this.b, this.open(y, "forward", scale, magnitude(answer.range)));
    return this.b.finish(this.length, this.b.open(label, "toClient", 1, this.spec.labels));
  }

  private next(label: string | null, group: string): number {
    if (label !== null) this.b.label = label;
    this.b.group = group;
    return ++this.op;
  }

  private pending(
    parts: readonly LinearPart[],
    rows: number,
    columns: number,
    name: string,
    range: Range,
  ): LinearHandle {
    return { kind: "linear", rows, columns, parts, name, rowsMasked: false, range, memo: null };
  }

  /** A handle as rows for a linear layer; shares are opened to the server. */
  private rows(x: Handle): RowsHandle {
    if (x.kind === "rows") return x;
    const value = x.kind === "linear" ? null : x.value;
    if (value === null) throw new PlanError("a linear layer directly on a linear layer: multiply their weights first");
    let memo: Value | null = null;
    const [label, group] = [this.b.label, groupOf(x)];
    const held = () => {
      memo ??= this.b.within(label, group, () =>
        this.open(value, "toServer", this.target(x.range, ACTIVATION_BITS, 12), magnitude(x.range)),
      );
      return memo;
    };
    return { kind: "rows", rows: value.rows, columns: value.columns, norm: null, held };
  }

  private target(range: Range, bits: number, cap: number): number {
    return target(range, bits - this.slack, cap);
  }

  private open(x: Value, mode: OpenMode, scale: number, size: number): Value {
    return this.b.open(x, mode, scale, size);
  }

  /** A handle's value, masked and known to both parties, with `bits` significant bits. */
  private masked(x: Handle, bits: number, cap = 12): Value {
    const scale = this.target(rangeOf(x), bits, cap);
    if (x.kind === "linear") return this.open(this.emit(x, false), "forward", scale, magnitude(x.range));
    return this.open(share(x).value, "exchange", scale, magnitude(share(x).range));
  }

  private mask(): Value {
    this.maskValue ??= this.b.add(
      { kind: "input", source: "mask" },
      this.b.value("mask", this.length, 1, 1, 1, "masked"),
    );
    return this.maskValue;
  }

  /** (x - mean) / sqrt(variance + epsilon), zero on padded rows; gain and bias wait for the next linear layer. */
  private normalise(x: LinearHandle, ref: NormRef, op: number): RowsHandle {
    const centredRange = this.ranges.signed(op, "centred");
    const variance = this.ranges.positive(op, "variance");
    const mask = x.rows === this.length && this.length > 1 ? this.mask() : null;
    const sum = this.emit({ ...x, range: centredRange }, true);
    this.b.label = ref.name;
    this.b.group = "norm";
    const centred = this.open(sum, "forward", this.target(centredRange, ACTIVATION_BITS, 12), magnitude(centredRange));
    const squares = this.b.value("variance", x.rows, 1, centred.scale ** 2 * x.columns, variance[1], "share");
    const epsilon = constant(ref.epsilon * squares.scale);
    polynomial(this.b, [lifted(centred)], [{ coefficient: 1, degrees: [2] }], epsilon, squares, true);
    const inverse = root(this.b, "inverseSqrt", squares, variance, mask);
    const range: Range = [-Math.sqrt(x.columns), Math.sqrt(x.columns)];
    const out = this.b.value(ref.name, x.rows, x.columns, centred.scale * inverse.scale, range[1], "share");
    polynomial(this.b, [lifted(centred), lifted(inverse, x.columns)], [{ coefficient: 1, degrees: [1, 1] }], 0, out);
    const held = this.open(out, "toServer", 2 ** 12, range[1]);
    return { kind: "rows", rows: x.rows, columns: x.columns, norm: ref, held: () => held };
  }

  /** Emits a pending sum: all terms at one scale, biases merged, the mean removed if asked. */
  private emit(x: LinearHandle, centre: boolean): Value {
    if (x.memo !== null && !centre) return x.memo;
    const dense = x.parts.find((p) => p.kind === "dense" || p.kind === "table");
    if (dense === undefined) throw new PlanError("a sum without a linear layer");
    const exponent = (this.plan.exponents[x.name] ?? DEFAULT_EXPONENT) - Math.min(this.slack, 4);
    const inner = dense.kind === "dense" ? dense.x.held() : dense.x;
    const scale = inner.scale * 2 ** exponent;
    const terms = x.parts.flatMap((part) => this.terms(part, x, scale));
    const bias = biasOf(x.parts, scale);
    if (x.rowsMasked && bias !== null) {
      terms.push(this.b.term(this.mask(), { kind: "outer", bias }, 1, x.columns));
    }
    const shape = { rows: x.rows, columns: x.columns, scale, magnitude: magnitude(x.range) };
    const group = dense.kind === "table" ? "embedding" : "linear";
    const out = this.b.within(x.name, group, () =>
      this.b.linear(x.name, terms, x.rowsMasked ? null : bias, shape, centre),
    );
    if (!centre) x.memo = out;
    return out;
  }

  private terms(part: LinearPart, x: LinearHandle, scale: number) {
    if (part.kind === "positions") return [];
    if (part.kind === "table") {
      const weight: WeightRef = { kind: "table", name: part.name, scale };
      return [this.b.term(part.x, weight, part.rows, x.columns)];
    }
    const held = part.x.held();
    const own = scale / held.scale;
    if (part.kind === "dense") {
      const weight: WeightRef = { kind: "dense", name: part.ref.name, gain: part.x.norm?.name ?? null, scale: own };
      return [this.b.term(held, weight, part.ref.inputs, part.ref.outputs)];
    }
    const norm = part.x.norm;
    const weight: WeightRef =
      norm === null ? { kind: "identity", factor: constant(own) } : { kind: "diagonal", name: norm.name, scale: own };
    return [this.b.term(held, weight, 1, x.columns)];
  }
}

/** f, the slope that a share adds exactly, the parity of the rest, and the period beyond the range. */
const SMOOTH = {
  gelu: { f: smoothFunctions.gelu, slope: 0.5, parity: "even", slack: 1.25, range: symmetric },
  tanh: { f: smoothFunctions.tanh, slope: 0, parity: "odd", slack: 1.5, range: symmetric },
  "exp/4": { f: smoothFunctions["exp/4"], slope: 0, parity: "none", slack: 1.3, range: (r: Range) => r },
} as const;

function symmetric(range: Range): Range {
  return [-magnitude(range), magnitude(range)];
}

/** The largest power of two at which `range` keeps `bits` significant bits, at most 2^cap. */
function target(range: Range, bits: number, cap: number): number {
  return 2 ** Math.min(cap, bits - Math.ceil(Math.log2(magnitude(range))));
}

function isExact(coefficients: readonly number[]): boolean {
  return coefficients.every((c) => Number.isInteger(c * 2 ** 10));
}

function exactScale(coefficients: readonly number[]): number {
  let scale = 1;
  while (!coefficients.every((c) => Number.isInteger(c * scale))) scale *= 2;
  return scale;
}

function biasOf(parts: readonly LinearPart[], scale: number): BiasRef | null {
  const dense = parts.filter((p) => p.kind === "dense");
  const positions = parts.find((p) => p.kind === "positions");
  const residuals = parts.flatMap((p) => (p.kind === "residual" && p.x.norm ? [p.x.norm.name] : []));
  if (dense.length === 0 && positions === undefined) return null;
  return {
    layers: dense.map((p) => p.ref.name),
    norms: residuals,
    folded: dense.flatMap((p) => (p.x.norm ? [{ layer: p.ref.name, norm: p.x.norm.name }] : [])),
    positions: positions ? { name: positions.name, offset: positions.offset } : null,
    scale,
  };
}

function share(x: Handle): ShareHandle {
  if (x.kind !== "share") throw new PlanError("this operation takes scores or activations");
  return x;
}

function rangeOf(x: Handle): Range {
  if (x.kind === "rows") throw new PlanError("a layer norm's result may only enter a linear layer or a sum");
  return x.range;
}

function groupOf(x: Handle): string {
  return x.kind === "share" ? x.group : "activation";
}

function labelOf(x: Handle): string | null {
  return x.kind === "linear" ? x.name : null;
}

function rowsOf(x: Handle): number {
  return x.kind === "share" ? x.value.rows : x.rows;
}
