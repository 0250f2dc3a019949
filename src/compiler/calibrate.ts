/** Calibration: from texts to the plan that all parties compile with. */

import { logitsOf } from "../models/model.ts";
import { log2 } from "../program/maths.ts";
import { DEFAULT_EXPONENT, DEFAULT_MARGIN, type Plan, type Range } from "../program/plan.ts";
import type { ModelSpec, TokenizedText, Weights } from "../program/spec.ts";
import { oneTurn, PlanError, type WeightRef } from "../program/steps.ts";
import { FloatOps, type Matmul } from "../reference/float.ts";
import { compile } from "./compile.ts";

/** The narrow kernels take signed weights up to this magnitude. */
const NARROW_LIMIT = 32_767;
/** Up to this magnitude they are half as fast again. */
const FAST_LIMIT = 4095;
const MAX_EXPONENT = 14;

export interface CalibrateOptions {
  readonly matmul?: Matmul;
  readonly margin?: number;
  readonly progress?: (done: number, total: number) => void;
}

/**
 * Runs every text in floats (of a decoder, all its positions), remembers the smallest and largest value of every operation, and picks for each layer as
 * many weight bits as its largest weight leaves room for.
 *
 * @throws PlanError when there is no text, or a value is not finite.
 */
export function calibrate(
  spec: ModelSpec,
  weights: Weights,
  texts: readonly TokenizedText[],
  options: CalibrateOptions = {},
): Plan {
  if (texts.length === 0) throw new PlanError("calibration needs at least one text");
  const ranges: Record<string, Range> = {};
  const observer = {
    observe(op: number, what: string, lo: number, hi: number) {
      if (!Number.isFinite(lo) || !Number.isFinite(hi)) {
        throw new PlanError(`operation ${op} gave a value that is not finite: check the model's weights`);
      }
      const key = `${op}.${what}`;
      const seen = ranges[key];
      ranges[key] = seen ? [Math.min(seen[0], lo), Math.max(seen[1], hi)] : [lo, hi];
    },
  };
  texts.forEach((text, i) => {
    logitsOf(new FloatOps(weights, text, text.ids.length, { matmul: options.matmul, observer, scoring: true }), spec);
    options.progress?.(i + 1, texts.length);
  });
  const draft: Plan = { ranges, exponents: {}, margin: options.margin ?? DEFAULT_MARGIN };
  return { ...draft, exponents: exponents(spec, weights, draft) };
}

/** By layer: the bits after the point of its weights, so that every weight fits a narrow kernel. */
function exponents(spec: ModelSpec, weights: Weights, draft: Plan): Record<string, number> {
  const chosen: Record<string, number> = {};
  for (const step of compile(spec, draft, oneTurn(8)).steps) {
    if (step.kind !== "linear") continue;
    const largest = Math.max(...step.terms.map((t) => largestWeight(t.weight, weights)), 2 ** -20);
    const fits = (limit: number) => Math.floor(log2(limit / largest));
    const isTable = step.terms.some((t) => t.weight.kind === "table");
    // The faster kernel's bits come free; beyond them 12 suffice, but for tables, whose entries are small.
    const wanted = isTable
      ? fits(NARROW_LIMIT)
      : Math.max(Math.min(DEFAULT_EXPONENT, fits(NARROW_LIMIT)), fits(FAST_LIMIT));
    const exponent = Math.min(MAX_EXPONENT, wanted);
    if (exponent < 4)
      throw new PlanError(`the weights of ${step.label} are too large for fixed point: rescale the layer`);
    chosen[step.label] = exponent;
  }
  return chosen;
}

function largestWeight(ref: WeightRef, weights: Weights): number {
  if (ref.kind !== "dense" && ref.kind !== "table") return 0;
  const { data, shape } = weights.get(ref.kind === "dense" ? `${ref.name}.weight` : ref.name);
  const gain = ref.kind === "dense" && ref.gain !== null ? weights.get(`${ref.gain}.weight`).data : null;
  const width = shape[1];
  let largest = 0;
  for (let i = 0; i < data.length; i++) {
    const w = Math.abs(data[i] * (gain === null ? 1 : gain[i % width]));
    if (w > largest) largest = w;
  }
  return largest;
}
