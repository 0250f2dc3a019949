/** What the compiler knows while it makes one program: model, plan and shape, the turn, and how precise values are. */

import type { EmbeddingRef } from "../program/ops.ts";
import { type Kind, type Plan, PlannedRanges, type Precision, type Range } from "../program/plan.ts";
import { isDecoder, type ModelSpec } from "../program/spec.ts";
import type { Shape, Value } from "../program/steps.ts";
import type { Budget } from "./budget.ts";
import { Builder } from "./builder.ts";
import { type Handle, LEAST_BITS, scaleFor } from "./handles.ts";

/** Significant bits that opened values keep, by use; MPC's cost grows with them, its error shrinks. */
const ACTIVATION_BITS = 15;
export const SCORE_BITS = 14;
/** Bits after the point that a score has at least: an exponential makes a score's error a relative one, however wide the scores' range. */
export const SCORE_UNIT_BITS = 8;
/** A residual stream is summed over all layers, and may have few values far beyond the others. */
const STREAM_BITS = 20;
export const STREAM_CAP = 20;
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

/** One program being made: what the operations of the compiler share. */
export class Context {
  readonly spec: ModelSpec;
  readonly plan: Plan;
  readonly shape: Shape;
  readonly fitting: Fitting;
  readonly b: Builder;
  readonly ranges: PlannedRanges;
  /** Bits that a decoder's values have more. */
  readonly finer: number;
  /** The operation of the model that is compiled now, as plans name it. */
  operation = "";
  /** Turns so far, less one. */
  turn = -1;
  /** The mask of the text's rows, once it is an input (openings.ts). */
  mask: Value | null = null;
  readonly maskFactors = new Map<number, Value>();
  /** What the client is told of each turn's logits, once it is emitted (answers.ts). */
  readonly answers = new Map<Handle, Value>();

  constructor(spec: ModelSpec, plan: Plan, shape: Shape, fitting: Fitting) {
    this.spec = spec;
    this.plan = plan;
    this.shape = shape;
    this.fitting = fitting;
    this.b = new Builder(fitting.budget);
    this.ranges = new PlannedRanges(plan);
    this.finer = isDecoder(spec) ? DECODER_BITS : 0;
  }

  /** Rows of this turn: the padded text's, then one token's. */
  get turnRows(): number {
    return this.turn === 0 ? this.shape.length : 1;
  }

  /** Positions of all turns together. */
  get positions(): number {
    return this.shape.length + this.shape.turns - 1;
  }

  /** Labels the steps to come, unless `label` is null, and returns the operation's name in the plan. */
  next(label: string | null, group: string): string {
    if (label !== null) this.b.label = label;
    this.b.group = group;
    return this.operation;
  }

  /** The scale of a value in `range` with so many significant bits, and at most `cap` after the point unless it is small. */
  target(range: Range, bits: number, cap: number, least = LEAST_BITS + this.finer): number {
    return scaleFor(range, bits - this.fitting.slack, cap, least);
  }

  /** Bits that the plan gives a kind of values beyond the usual ones. */
  more(of: Kind): number {
    return this.plan.precision?.finer?.[of] ?? 0;
  }

  /** The scale of the bits after the point that the plan asks for. */
  least(of: Exclude<keyof Precision, "finer">): number {
    const bits = this.plan.precision?.[of];
    return bits === undefined ? 0 : 2 ** (bits - this.fitting.slack);
  }

  /** Of what a linear layer reads. */
  activationScale(range: Range): number {
    return Math.max(this.target(range, ACTIVATION_BITS + this.finer, 12 + this.finer), this.least("activation"));
  }

  /** Of a residual stream. */
  streamScale(range: Range): number {
    return Math.max(this.target(range, STREAM_BITS, STREAM_CAP), this.least("stream"));
  }

  /** Of what a model's layers begin with. */
  inputScale(ref: EmbeddingRef, range: Range): number {
    return ref.readers === "layers" ? this.activationScale(range) : this.streamScale(range);
  }
}
