/** Calibration: from texts to the plan that all parties compile with. */

import { logitsOf, operationsOf } from "../models/model.ts";
import { log2 } from "../program/maths.ts";
import { outputMeans } from "../program/means.ts";
import { DEFAULT_EXPONENT, DEFAULT_MARGIN, type Plan, type Range, USUAL_EXPONENT } from "../program/plan.ts";
import type { ModelSpec, TokenizedText, Weights } from "../program/spec.ts";
import { type LinearTerm, oneTurn, PlanError, type Program, type WeightRef } from "../program/steps.ts";
import { FloatOps } from "../reference/float.ts";
import type { Matmul } from "../reference/matmul.ts";
import { compile, linearSteps } from "./compile.ts";

/** The narrow kernels take signed weights up to this magnitude. */
const NARROW_LIMIT = 32_767;
/** Up to this magnitude they are half as fast again. */
const FAST_LIMIT = 4095;
/** What a plan may ask for (parties/messages.ts). */
const MOST_EXPONENT = 60;
/** Bits of a weight as large as most, and of a table's entry: with fewer its rounding is seen in the answer. */
const WEIGHT_BITS = 5;
const TABLE_BITS = 8;
/** Bits of a gain that stands alone, as large as most; and after its point, at most. */
const GAIN_BITS = 14;
const MOST_GAIN_EXPONENT = 30;
/** How far beyond what was seen a tail is expected, at most. */
const MOST_TAIL = 1.5;

export interface CalibrateOptions {
  readonly matmul?: Matmul;
  readonly margin?: number;
  /**
   * Whether ranges are wider where one half of the texts goes beyond the other: by as much once more, half as wide again at most. A margin is the same for
   * all values, and few have tails as heavy as those of a decoder's first token.
   */
  readonly tails?: boolean;
  /** Hears of every operation on every text. */
  readonly progress?: (done: number, total: number) => void;
}

/**
 * Runs every text in floats (of a decoder, all its positions), remembers the smallest and largest value of every operation, and picks for each layer as
 * many weight bits as its largest weight leaves room for.
 *
 * @throws PlanError when there is no text, a value is not finite, or a layer is too large, or too small beside another, for fixed point.
 */
export function calibrate(
  spec: ModelSpec,
  weights: Weights,
  texts: readonly TokenizedText[],
  options: CalibrateOptions = {},
): Plan {
  if (texts.length === 0) throw new PlanError("calibration needs at least one text");
  const halves: [Seen, Seen] = [{}, {}];
  let half = 0;
  const total = texts.length * operationsOf(spec);
  let done = 0;
  const observer = {
    observe(op: string, what: string, lo: number, hi: number) {
      if (what === "out") options.progress?.(Math.min(++done, total - 1), total);
      if (!Number.isFinite(lo) || !Number.isFinite(hi)) {
        throw new PlanError(`${op} gave a value that is not finite: check the model's weights`);
      }
      const key = `${op}.${what}`;
      halves[half][key] = union(halves[half][key], [lo, hi]);
    },
  };
  for (const [i, text] of texts.entries()) {
    half = i % 2;
    logitsOf(new FloatOps(weights, text, text.ids.length, { matmul: options.matmul, observer, scoring: true }), spec);
  }
  options.progress?.(total, total);
  const ranges = together(halves, options.tails === true);
  const draft: Plan = { ranges, exponents: {}, margin: options.margin ?? DEFAULT_MARGIN };
  const plan = { ...draft, exponents: exponents(spec, weights, draft) };
  checkGains(compile(spec, plan, oneTurn(8)), weights);
  return plan;
}

/** What was seen of values, by operation. */
type Seen = Record<string, Range>;

function union(a: Range | undefined, b: Range): Range {
  return a === undefined ? b : [Math.min(a[0], b[0]), Math.max(a[1], b[1])];
}

function together([a, b]: readonly [Seen, Seen], tails: boolean): Seen {
  const all: Seen = {};
  for (const key of Object.keys({ ...a, ...b })) {
    const [x, y] = [a[key] ?? b[key], b[key] ?? a[key]];
    // How many keys a row has follows from the texts' lengths.
    all[key] = tails && !key.endsWith(".keys") ? withTails(x, y) : union(x, y);
  }
  return all;
}

/** The union of two ranges, each end as much beyond the further one as that is beyond the nearer one. */
function withTails(a: Range, b: Range): Range {
  const [lo, hi] = union(a, b);
  return [beyond(lo, Math.max(a[0], b[0])), beyond(hi, Math.min(a[1], b[1]))];
}

/** Of ends on two sides of zero, or at it, the ratio says nothing. */
function beyond(far: number, near: number): number {
  if (!(far * near > 0)) return far;
  return far * Math.min(MOST_TAIL, Math.max(1 / MOST_TAIL, far / near));
}

/**
 * A plan whose weights have all bits that a narrow kernel takes: the usual ones leave the rounding of a weight as large as most at a
 * part in 2^6 to 2^9 of it, which all layers of a decoder add up.
 */
export function withFineWeights(spec: ModelSpec, weights: Weights, plan: Plan): Plan {
  return { ...plan, exponents: exponents(spec, weights, { ...plan, exponents: {} }, true) };
}

/** By layer: the bits after the point of its weights, so that every weight fits a narrow kernel; `all` that fit, or those that do. */
function exponents(spec: ModelSpec, weights: Weights, draft: Plan, all = false): Record<string, number> {
  const chosen: Record<string, number> = {};
  for (const step of linearSteps(spec, draft)) {
    const exponent = exponentOf(step.terms, weights, all);
    if (exponent < 4)
      throw new PlanError(`the weights of ${step.label} are too large for fixed point: rescale the layer`);
    if (exponent > MOST_EXPONENT)
      throw new PlanError(`the weights of ${step.label} are too small for fixed point: rescale the layer`);
    chosen[step.label] = exponent;
  }
  return chosen;
}

function exponentOf(terms: readonly LinearTerm[], weights: Weights, all: boolean): number {
  if (terms.every(({ weight }) => weight.kind === "diagonal")) return gainExponent(terms, weights);
  const sizes = terms.map((t) => sizeOf(t.weight, weights));
  const largest = Math.max(...sizes.map((s) => s.largest));
  if (largest === 0) return DEFAULT_EXPONENT;
  const fits = (limit: number) => Math.floor(log2(limit / largest));
  if (all) return Math.min(fits(NARROW_LIMIT), MOST_EXPONENT);
  const isTable = terms.some((t) => t.weight.kind === "table");
  // The faster kernel's bits come free; beyond them 12 suffice, but for tables, whose entries are small.
  const wanted = isTable
    ? fits(NARROW_LIMIT)
    : Math.max(Math.min(DEFAULT_EXPONENT, fits(NARROW_LIMIT)), fits(FAST_LIMIT));
  const usual = Math.min(USUAL_EXPONENT, wanted);
  // What most weights are, not the largest one, decides how well they are rounded.
  const typical = Math.sqrt(sizes.reduce((sum, s) => sum + s.meanSquare, 0));
  return typical * 2 ** usual < 2 ** (isTable ? TABLE_BITS : WEIGHT_BITS) ? wanted : usual;
}

/** Of gains that no layer follows: no narrow kernel bounds them. */
function gainExponent(terms: readonly LinearTerm[], weights: Weights): number {
  const gains = terms.flatMap(({ weight }) =>
    weight.kind === "diagonal" ? [...weights.get(`${weight.name}.weight`).data] : [],
  );
  const typical = Math.sqrt(gains.reduce((sum, gain) => sum + gain * gain, 0) / gains.length);
  return typical === 0
    ? DEFAULT_EXPONENT
    : Math.max(4, Math.min(MOST_GAIN_EXPONENT, GAIN_BITS - Math.ceil(log2(typical))));
}

/** The largest magnitude of an operand that the server has, and its mean square. */
function sizeOf(ref: WeightRef, weights: Weights): { largest: number; meanSquare: number } {
  if (ref.kind !== "dense" && ref.kind !== "table") return { largest: 0, meanSquare: 0 };
  const { data, shape } = weights.get(ref.kind === "dense" ? `${ref.name}.weight` : ref.name);
  const gain = ref.kind === "dense" && ref.gain !== null ? weights.get(`${ref.gain}.weight`).data : null;
  const width = shape[1];
  const means = ref.centred ? outputMeans(ref.kind, data, shape) : null;
  let largest = 0;
  let squares = 0;
  for (let i = 0; i < data.length; i++) {
    const mean = means === null ? 0 : means[ref.kind === "dense" ? i % width : Math.floor(i / width)];
    const w = Math.abs((data[i] - mean) * (gain === null ? 1 : gain[i % width]));
    if (w > largest) largest = w;
    squares += w * w;
  }
  return { largest, meanSquare: squares / data.length };
}

/**
 * Gains that carry a norm's result past a layer are rounded at the sum's scale, which follows the layer, not them.
 * @throws PlanError that names the layer where the sum would lose them.
 */
function checkGains(program: Program, weights: Weights): void {
  for (const step of program.steps) {
    if (step.kind !== "linear") continue;
    const { bound, scale } = program.values[step.out];
    for (const { weight } of step.terms) {
      if (weight.kind !== "diagonal") continue;
      const { data } = weights.get(`${weight.name}.weight`);
      const largest = data.reduce((most, gain) => Math.max(most, Math.abs(gain)), 0);
      const lost = Math.min(largest, 0.5 / weight.scale);
      if (lost > (2 ** -TABLE_BITS * bound) / scale && lost > 2 ** -TABLE_BITS * largest)
        throw new PlanError(
          `the gains of ${weight.name} are too small beside ${step.label}, which they are summed with: rescale the layer`,
        );
    }
  }
}
