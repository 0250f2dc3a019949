/** From handles to steps: how pending sums, norms and residual streams become openings and linear steps. */

import { log2 } from "../program/maths.ts";
import type { EmbeddingRef, NormRef, Rotary } from "../program/ops.ts";
import {
  DEFAULT_EXPONENT,
  type Kind,
  magnitude,
  type Plan,
  PlannedRanges,
  type Precision,
  type Range,
  USUAL_EXPONENT,
} from "../program/plan.ts";
import { isDecoder, type ModelSpec } from "../program/spec.ts";
import type { OpenMode, Rotation, Shape, Value, WeightRef } from "../program/steps.ts";
import { PlanError, ROTATION_BITS } from "../program/steps.ts";
import type { Budget } from "./budget.ts";
import { Builder, constant } from "./builder.ts";
import {
  biasOf,
  groupOf,
  type Handle,
  LEAST_BITS,
  type LinearHandle,
  type LinearPart,
  linearOf,
  type RowsHandle,
  rangeOf,
  type StreamHandle,
  scaleFor,
  shareOf,
} from "./handles.ts";
import { lifted, polynomial, rootOfRows } from "./roots.ts";
import { inverseOf } from "./wide-roots.ts";

/** Significant bits that opened values keep, by use; MPC's cost grows with them, its error shrinks. */
const ACTIVATION_BITS = 15;
/** A residual stream is summed over all layers, and may have few values far beyond the others. */
const STREAM_BITS = 20;
const STREAM_CAP = 20;
/** Bits of a sum of tiny weights before it is opened: its readers take fewer, and what it is made from has rings as wide. */
const SUM_BITS = 34;
/** Bits of a row's sum of squares. */
const SQUARES_BITS = 58;
/** Units of what is squared in the least root mean square: rounding adds less than 2^-11 of it to the squares' mean. */
const ROOT_UNITS = 48;
const NORM_BITS = 14;
const NORM_OUT_BITS = 12;
/** Bits after the point of an opened root, normalised so that its smallest value is about 1. */
export const ROOT_BITS = 12;
/** More bits for a decoder: which of two close tokens it takes decides all that follows. */
const DECODER_BITS = 2;

/** What a program gives up so that its rings have 64 bits or fewer. */
export interface Fitting {
  /** Bits of precision of every value. */
  readonly slack: number;
  /**
   * Values that layers and attention read, as `everyLayers` names them, that are opened narrow and lifted: one more flight each,
   * and their readers' rings ask nothing of what comes before.
   */
  readonly relief: ReadonlySet<string>;
  /** Linear layers whose results' rings are too wide, and the bits that their weights give up. */
  readonly narrowed: ReadonlyMap<string, number>;
  /** Of all attempts together. */
  readonly budget: Budget;
  /** Whether the weights' bits are still to be chosen: they are as fine as sums may be. */
  readonly draft: boolean;
}

/** The name of a value, without the number of its layer. */
export function everyLayers(name: string): string {
  return name.replace(/\d+/g, "*");
}

/** What a compiler of any model does between its operations. `turn` counts the turns so far. */
export class Emitter {
  protected readonly b: Builder;
  protected readonly ranges: PlannedRanges;
  protected turn = -1;
  private maskValue: Value | null = null;
  private readonly maskFactors = new Map<number, Value>();
  protected readonly spec: ModelSpec;
  protected readonly plan: Plan;
  protected readonly shape: Shape;
  /** Bits that every value gives up. */
  protected readonly slack: number;
  /** Bits that a decoder's values have more. */
  protected readonly finer: number;
  private readonly relief: ReadonlySet<string>;
  private readonly narrowed: ReadonlyMap<string, number>;
  private readonly draft: boolean;

  constructor(spec: ModelSpec, plan: Plan, shape: Shape, { slack, relief, narrowed, budget, draft }: Fitting) {
    this.b = new Builder(budget);
    this.spec = spec;
    this.plan = plan;
    this.shape = shape;
    this.slack = slack;
    this.finer = isDecoder(spec) ? DECODER_BITS : 0;
    this.relief = relief;
    this.narrowed = narrowed;
    this.draft = draft;
    this.ranges = new PlannedRanges(plan);
  }

  /** Rows of this turn: the padded text's, then one token's. */
  protected get turnRows(): number {
    return this.turn === 0 ? this.shape.length : 1;
  }

  /** Positions of all turns together. */
  protected get positions(): number {
    return this.shape.length + this.shape.turns - 1;
  }

  protected pending(
    parts: readonly LinearPart[],
    rows: number,
    columns: number,
    name: string,
    range: Range,
  ): LinearHandle {
    return {
      kind: "linear",
      rows,
      columns,
      parts,
      name,
      rowsMasked: false,
      rotary: null,
      range,
      memo: null,
      held: null,
    };
  }

  protected inputScale(ref: EmbeddingRef, range: Range): number {
    return ref.readers === "layers" ? this.activationScale(range) : this.streamScale(range);
  }

  /** What a model's layers begin with: rows, or a residual stream. */
  protected begun(ref: EmbeddingRef, range: Range, value: () => Value): Handle {
    const shape = { rows: this.turnRows, columns: ref.width };
    if (ref.readers === "layers") return { kind: "rows", ...shape, norm: null, held: value };
    return { kind: "stream", ...shape, range, centred: ref.readers === "centred stream", opened: value };
  }

  /**
   * A layer's result on top of a residual stream: the stream's opened value is lifted, so that its own ring stays narrow,
   * and the sum is opened for its readers.
   */
  protected flowOn(branch: LinearHandle, stream: StreamHandle, op: string): StreamHandle {
    const { centred, rows, columns } = stream;
    const range = this.ranges.signed(op, centred ? "centred" : "out");
    const { label, group } = this.b;
    const opened = once(() => {
      const before = stream.opened();
      const y = this.emit(branch, { centre: centred, unit: before.scale, reach: range });
      return this.b.within(label, group, () => {
        const sum = this.b.value(branch.name, rows, columns, y.scale, magnitude(range), "share");
        const monomials = [{ coefficient: constant(y.scale / before.scale), degrees: [1] }];
        const addends = [{ x: y.id, coefficient: 1, repeat: 1 }];
        const variables = [lifted(before)];
        this.b.add({ kind: "polynomial", variables, monomials, addends, constant: 0, rowSum: false }, sum);
        return this.openIn(range, sum, "exchange", this.streamScale(range));
      });
    });
    return { kind: "stream", rows, columns, range, centred, opened };
  }

  protected oneRow(rows: RowsHandle, index: number): RowsHandle {
    return { ...rows, rows: 1, held: this.rowOf(rows.held, index), share: undefined };
  }

  /** One row of a value, cut when it is first read. */
  protected rowOf(all: () => Value, index: number): () => Value {
    const { label, group } = this.b;
    return once(() => {
      const from = all();
      return this.b.within(label, group, () => {
        const row = this.b.value(
          `${from.name}[${index}]`,
          1,
          from.columns,
          from.scale,
          from.bound / from.scale,
          from.form,
        );
        return this.b.add({ kind: "slice", x: from.id, row: index, column: 0 }, row);
      });
    });
  }

  /** A handle as rows for a linear layer; shares are opened to the server. */
  protected rows(x: Handle): RowsHandle {
    if (x.kind === "rows") return x;
    if (x.kind === "linear") return this.rowsOfSum(x);
    const { value } = shareOf(x);
    const [label, group] = [this.b.label, groupOf(x)];
    const held = once(() =>
      this.b.within(label, group, () => {
        const scale = this.activationScale(x.range);
        return this.openIn(x.range, this.relieved(value, scale, magnitude(x.range)), "toServer", scale);
      }),
    );
    return {
      kind: "rows",
      rows: value.rows,
      columns: value.columns,
      norm: null,
      held,
      share: () => value,
    };
  }

  /** A linear layer directly on another: the sum is opened between them, for the server's part of a message that goes ahead. */
  private rowsOfSum(x: LinearHandle): RowsHandle {
    if (!x.rowsMasked && this.turn === 0)
      throw new PlanError(
        "a linear layer directly on a linear layer: multiply their weights, or mask the rows between",
      );
    const [label, group] = [x.name, "linear"];
    // Of a sum that layers read and add to, as many bits as of a stream.
    const isStream = x.parts.some((part) => part.kind === "residual");
    const scale = isStream ? this.streamScale(x.range) : this.activationScale(x.range);
    const held = once(() => this.b.within(label, group, () => this.openIn(x.range, this.emit(x), "forward", scale)));
    x.held ??= { kind: "rows", rows: x.rows, columns: x.columns, norm: null, held };
    return x.held;
  }

  /** Of what a linear layer reads. */
  private activationScale(range: Range): number {
    return Math.max(this.target(range, ACTIVATION_BITS + this.finer, 12 + this.finer), this.least("activation"));
  }

  private streamScale(range: Range): number {
    return Math.max(this.target(range, STREAM_BITS, STREAM_CAP), this.least("stream"));
  }

  /** The scale of the bits after the point that the plan asks for. */
  private least(of: Exclude<keyof Precision, "finer">): number {
    const bits = this.plan.precision?.[of];
    return bits === undefined ? 0 : 2 ** (bits - this.slack);
  }

  /** Bits that the plan gives a kind of values beyond the usual ones. */
  protected more(of: Kind): number {
    return this.plan.precision?.finer?.[of] ?? 0;
  }

  protected target(range: Range, bits: number, cap: number, least = LEAST_BITS + this.finer): number {
    return scaleFor(range, bits - this.slack, cap, least);
  }

  /**
   * Opens a share whose values lie in `range` at a scale that `target` gave.
   * @throws PlanError when the share itself has not the least of bits: what has been summed was too coarse for it.
   */
  protected openIn(range: Range, x: Value, mode: OpenMode, scale: number): Value {
    const most = magnitude(range);
    const out = this.open(x, mode, scale, most);
    // A bit for the slack, a bit for a scale that is no power of two.
    if (out.scale < scale / 4 && out.scale * most < 2 ** (LEAST_BITS - 2))
      throw new PlanError(
        `"${x.name}" at ${this.b.label} is too small beside what it is summed from: it reaches ${most.toPrecision(2)}, in steps of ` +
          `${(1 / out.scale).toPrecision(2)}: rescale the layer's weights`,
      );
    return out;
  }

  protected open(x: Value, mode: OpenMode, scale: number, size: number): Value {
    return this.b.open(x, mode, scale, size);
  }

  /** A handle's value, masked and known to both parties, with `bits` significant bits, and `least` of a small one. */
  protected masked(x: Handle, bits: number, cap = 12, least = LEAST_BITS + this.finer): Value {
    return this.opened(x, this.target(rangeOf(x), bits, cap, least));
  }

  /** The same at a given scale. */
  protected opened(x: Handle, scale: number): Value {
    if (x.kind === "linear") return this.openIn(x.range, this.emit(x), "forward", scale);
    if (x.kind === "rows") return this.opened(linearOf(x, "an opening"), scale);
    const { value, range } = shareOf(x);
    return this.openIn(range, value, "exchange", scale);
  }

  /** 1 on the text's rows, 0 on padded ones, as linear steps read it: the server has it masked, and the client side is not asked online. */
  protected mask(): Value {
    this.maskValue ??= this.b.add(
      { kind: "input", source: "mask", after: null },
      this.b.value("mask", this.shape.length, 1, 1, 1, "masked"),
    );
    return this.maskValue;
  }

  /**
   * The same as factors read it, once for each of a row's norms, for which both parties need the masked value. A helper would read the
   * text's length off the client's one: of a carried text it is a share, opened under both masks.
   */
  protected maskFactor(columns: number): Value {
    if (columns === 1 && !this.shape.carried) return this.mask();
    const known = this.maskFactors.get(columns);
    if (known !== undefined) return known;
    const value = (form: "share" | "masked") => this.b.value("mask", this.shape.length, columns, 1, 1, form);
    const input = { source: "mask", after: null } as const;
    const factor = this.shape.carried
      ? this.b.open(this.b.add({ kind: "entry", ...input }, value("share")), "exchange", 1, 1)
      : this.b.add({ kind: "input", ...input }, value("masked"));
    this.maskFactors.set(columns, factor);
    return factor;
  }

  /** (x - mean) / sqrt(variance + epsilon), zero on padded rows; gain and bias wait for the next linear layer. */
  protected normalise(x: LinearHandle, ref: NormRef, op: string): RowsHandle {
    const range = this.ranges.signed(op, "centred");
    if (ref.kind === "layer" && (ref.groups ?? 1) > 1)
      throw new PlanError("heads are normalised by root mean squares alone: this model's structure is not supported");
    const sum = this.emit({ ...x, range }, { centre: ref.kind === "layer" });
    this.b.label = ref.name;
    this.b.group = "norm";
    const centred = this.openIn(range, sum, "forward", this.activationScale(range));
    return this.scaled(centred, x.rows, ref, op);
  }

  /** An opened stream with as many bits as its norm's readers need: the fewer, the narrower the rings before it. */
  protected coarse(x: Value, range: Range): Value {
    return this.shifted(x, Math.max(this.target(range, NORM_BITS + this.finer, STREAM_CAP), this.least("norm")));
  }

  /** A masked value at a scale of at most `scale`: a local shift. */
  protected shifted(x: Value, scale: number): Value {
    const shift = Math.max(0, Math.ceil(log2(x.scale / scale)));
    const out = this.b.value(x.name, x.rows, x.columns, x.scale / 2 ** shift, x.bound / x.scale, "masked");
    return this.b.add({ kind: "shift", x: x.id, shift }, out);
  }

  /** An opened value over the root of its rows' mean squares, opened to the server. */
  protected scaled(x: Value, rows: number, ref: NormRef, op: string): RowsHandle {
    const variance = this.ranges.positive(op, "variance");
    const { width, groups = 1 } = ref;
    const mask = rows === this.shape.length && rows > 1 ? this.maskFactor(groups) : null;
    this.b.label = ref.name;
    this.b.group = "norm";
    // Few values far beyond the others leave their squares no room for all bits; and rounding needs no more than a part of the least root.
    const room = 2 ** Math.floor((SQUARES_BITS - log2(variance[1] * width)) / 2);
    const enough = Math.min(room, 2 ** Math.ceil(log2(ROOT_UNITS / Math.sqrt(variance[0]))));
    const coarse = x.scale > enough ? this.shifted(x, enough) : x;
    const squares = this.b.value("variance", rows, groups, coarse.scale * coarse.scale * width, variance[1], "share");
    const epsilon = constant(ref.epsilon * squares.scale);
    polynomial(this.b, [lifted(coarse)], [{ coefficient: 1, degrees: [2] }], epsilon, squares, true);
    const inverse = inverseOf(
      this.b,
      "inverseSqrt",
      squares,
      variance,
      mask,
      ROOT_BITS + this.finer + this.more("roots"),
    );
    const most = this.normed(width, variance, op);
    const out = this.b.value(ref.name, rows, x.columns, x.scale * inverse.scale, most, "share");
    polynomial(this.b, [lifted(x), rootOfRows(this.b, inverse, width)], [{ coefficient: 1, degrees: [1, 1] }], 0, out);
    const usual = 2 ** Math.max(NORM_OUT_BITS + this.finer, LEAST_BITS - Math.ceil(log2(most)));
    const unit = Math.max(usual, this.least("norm"));
    const { label, group } = this.b;
    const held = once(() =>
      this.b.within(label, group, () => this.open(this.relieved(out, unit, most), "toServer", unit, most)),
    );
    return {
      kind: "rows",
      rows,
      columns: x.columns,
      norm: ref,
      held,
      share: () => out,
      range: () => this.ranges.signed(op, "out"),
    };
  }

  /** The largest entry of a row of mean square 1, or less where epsilon is much of the variance. */
  private normed(columns: number, [least]: Range, op: string): number {
    const reach = magnitude(this.ranges.signed(op, "centred")) / Math.sqrt(least);
    return reach < 1 ? reach : Math.sqrt(columns);
  }

  /** A share, opened narrow and lifted if its reader's ring is too wide for what comes before it. */
  protected relieved(x: Value, scale: number, most: number): Value {
    if (!this.relief.has(everyLayers(x.name))) return x;
    const narrow = this.open(x, "exchange", scale, most);
    const wide = this.b.value(x.name, x.rows, x.columns, narrow.scale, most, "share");
    return polynomial(this.b, [lifted(narrow)], [{ coefficient: 1, degrees: [1] }], 0, wide);
  }

  /**
   * Emits a pending sum: all terms at one scale, biases merged, the mean removed if asked: from the weights, which costs nothing, unless
   * a term has none. With `unit` the result's scale is that scale times a power of two. `reach`: the range of what the sum is added to.
   */
  protected emit(
    x: LinearHandle,
    { centre = false, unit, reach = x.range }: { centre?: boolean; unit?: number; reach?: Range } = {},
  ): Value {
    const plain = !centre && unit === undefined;
    if (x.memo !== null && plain) return x.memo;
    const first = x.parts.find((p) => p.kind === "dense" || p.kind === "table") ?? x.parts[0];
    if (first.kind === "positions") throw new PlanError("a sum without a linear layer");
    const planned = this.plan.exponents[x.name] ?? (this.draft ? SUM_BITS : DEFAULT_EXPONENT);
    // A row on its own has no weights to be rounded.
    const alone = first.kind === "residual" && first.x.norm === null;
    const exponent = alone ? 0 : planned - Math.min(this.slack, 4) - (this.narrowed.get(x.name) ?? 0);
    const inner = first.kind === "table" ? first.x : first.x.held();
    const folded = centre && x.parts.every((p) => p.kind !== "residual" || p.x.norm !== null);
    const factor = centre && !folded ? x.columns : 1;
    const room = 2 ** (SUM_BITS - Math.ceil(log2(magnitude(reach) * (centre ? x.columns : 1))));
    const widest = Math.min(inner.scale * 2 ** exponent, Math.max(inner.scale * 2 ** USUAL_EXPONENT, room));
    const scale = unit === undefined ? widest : (unit * 2 ** Math.floor(log2((widest * factor) / unit))) / factor;
    const terms = x.parts.flatMap((part) => this.terms(part, x, scale, folded));
    const bias = biasOf(x.parts, scale, folded);
    if (x.rowsMasked && bias !== null) {
      terms.push(this.b.term(this.mask(), { kind: "outer", bias }, 1, x.columns));
    }
    const shape = { rows: x.rows, columns: x.columns, scale, magnitude: magnitude(x.range) };
    const group = first.kind === "table" ? "embedding" : "linear";
    const rotate = x.rotary === null ? null : this.rotation(x.rotary, x.rows);
    const out = this.b.within(x.name, group, () =>
      this.b.linear(x.name, terms, x.rowsMasked ? null : bias, shape, { centre: centre && !folded, rotate }),
    );
    if (plain) x.memo = out;
    return out;
  }

  /** The angles of this turn's last `rows` rows. */
  protected rotation({ heads, frequencies }: Rotary, rows: number): Rotation {
    const position = this.shape.length + this.turn - rows;
    const turns = frequencies.map((angle) => Math.round((angle / (2 * Math.PI)) * 2 ** ROTATION_BITS));
    return { heads, position, frequencies: turns };
  }

  protected terms(part: LinearPart, x: LinearHandle, scale: number, centred: boolean) {
    if (part.kind === "positions") return [];
    if (part.kind === "table") {
      const weight: WeightRef = { kind: "table", name: part.name, scale, centred };
      return [this.b.term(part.x, weight, part.rows, x.columns)];
    }
    const held = part.x.held();
    const own = scale / held.scale;
    if (part.kind === "dense") {
      const gain = part.x.norm?.name ?? null;
      const weight: WeightRef = { kind: "dense", name: part.ref.name, gain, scale: own, centred };
      return [this.b.term(held, weight, part.ref.inputs, part.ref.outputs)];
    }
    const norm = part.x.norm;
    const weights: WeightRef[] =
      norm === null
        ? [{ kind: "identity", factor: constant(own) }]
        : [
            { kind: "diagonal", name: norm.name, scale: own },
            ...(centred ? [{ kind: "mean", name: norm.name, scale: own } as const] : []),
          ];
    return weights.map((weight) => this.b.term(held, weight, 1, x.columns));
  }
}

/** Emits at its first call, and returns the same value ever after. */
export function once(emit: () => Value): () => Value {
  let memo: Value | null = null;
  return () => {
    memo ??= emit();
    return memo;
  };
}
