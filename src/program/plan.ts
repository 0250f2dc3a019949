import { PlanError } from "./steps.ts";

export type Range = readonly [number, number];

/** What calibration saw, by operation: `${its name}.${what}` (program/named.ts) -> smallest and largest value. */
export type Ranges = Readonly<Record<string, Range>>;

/**
 * All that is fixed before a text comes, beside the model's shape: the calibrated ranges, and for each layer the bits
 * after the point of its weights. The plan is public to all three parties.
 */
export interface Plan {
  readonly ranges: Ranges;
  /** By layer name; 12 where absent. */
  readonly exponents: Readonly<Record<string, number>>;
  /** Magnitudes may exceed what calibration saw by this factor; ranges of sums and variances widen by it on both sides. */
  readonly margin: number;
  /** Of a model whose values need more than others': see `Precision`. */
  readonly precision?: Precision;
}

/**
 * Bits after the point that values have at least, whatever their range: where few values are far beyond all others, bits below the
 * largest one say nothing of the others.
 */
export interface Precision {
  /** Of a residual stream. */
  readonly stream: number;
  /** Of a norm's input and result. */
  readonly norm: number;
  /** Of what layers read else. */
  readonly activation: number;
  /** Bits that kinds of values have beyond the usual ones: measured by `calibrate` (compiler/measured.ts). */
  readonly finer?: Finer;
}

/** Kinds of values that may have bits of their own. */
export const KINDS = ["keys", "values", "scores", "exponentials", "weighted", "gates", "series", "roots"] as const;
export type Kind = (typeof KINDS)[number];

/**
 * More bits by kind: queries and keys; values of attention; scores; powers of e; weights of attention and their means; the factors
 * of gated products; the series of activations; roots.
 */
type Finer = Readonly<Partial<Record<Kind, number>>>;

export const DEFAULT_MARGIN = 2;
export const DEFAULT_EXPONENT = 12;
/** Weights have more bits after the point only where they are small: the ring has room for others' bits too. */
export const USUAL_EXPONENT = 14;

/** Reads ranges with the plan's margin applied. */
export class PlannedRanges {
  private readonly plan: Plan;
  constructor(plan: Plan) {
    this.plan = plan;
  }

  /** A range widened symmetrically in magnitude. @throws PlanError when calibration has not seen the operation. */
  signed(op: string, what: string): Range {
    const [lo, hi] = this.raw(op, what);
    const widen = (x: number, away: number) => (x * away > 0 ? x * this.plan.margin : x / this.plan.margin);
    return [widen(lo, -1), widen(hi, 1)];
  }

  /** A range of positive values, widened by the margin as a ratio. @throws PlanError when it is not positive. */
  positive(op: string, what: string): Range {
    const [lo, hi] = this.raw(op, what);
    if (!(lo > 0)) {
      throw new PlanError(`calibration saw a ${what} that is not positive: this approximation cannot divide by it`);
    }
    return [lo / this.plan.margin, hi * this.plan.margin];
  }

  /** As calibration saw it, without a margin. @throws PlanError when it has not seen the operation. */
  seen(op: string, what: string): Range {
    return this.raw(op, what);
  }

  private raw(op: string, what: string): Range {
    const range = this.plan.ranges[`${op}.${what}`];
    if (range === undefined)
      throw new PlanError(`the plan has no range "${what}" for ${op}: calibrate the model again`);
    return range;
  }
}

/** The largest magnitude in a range; of one that holds zero alone any will do. */
export function magnitude(range: Range): number {
  return Math.max(Math.abs(range[0]), Math.abs(range[1])) || 2 ** -20;
}
