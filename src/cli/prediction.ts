/** How far fixed point is from floats on some texts, before a model is served: what `calibrate` foretells. */
import { setImmediate } from "node:timers/promises";
import { withFineWeights } from "../compiler/calibrate.ts";
import { compile } from "../compiler/compile.ts";
import { perplexityOf } from "../distill/perplexity.ts";
import { logitsOf } from "../models/model.ts";
import { TextInput } from "../parties/text.ts";
import { IntegerWeights } from "../parties/weights.ts";
import { bucketFor } from "../program/lengths.ts";
import type { Plan, Precision } from "../program/plan.ts";
import { longestText, type TokenizedText } from "../program/spec.ts";
import { oneTurn, PlanError } from "../program/steps.ts";
import { runClear } from "../protocols/clear.ts";
import { FloatOps } from "../reference/float.ts";
import type { Matmul } from "../reference/matmul.ts";
import { Ring } from "../ring/ring.ts";
import { largestDifference, likelihoods, type Rows, sameChoices } from "./perplexity.ts";
import type { Source } from "./source.ts";

/** Texts that are run, and of how many tokens at most: a model's whole fixed point for each. */
const TEXTS = 4;
const TOKENS = 48;

export interface Prediction {
  readonly texts: number;
  /** The largest error of a logit. */
  readonly max_abs_logit_error: number;
  /** Share of rows of logits whose largest entry is the same: labels, or of a decoder all tokens. */
  readonly agreement: number;
  /** Of a decoder, in fixed point and in floats. */
  readonly perplexity?: number;
  readonly clear_perplexity?: number;
}

/**
 * What values far beyond all others may ask for, the cheapest first; undefined: nothing. The last has finer weights too. Their bits
 * follow what each kind of rounding did to the stream of SmolLM2-135M-Instruct: its first row is 2^12 times as large as others.
 */
const PRECISIONS: readonly (Precision | undefined)[] = [
  undefined,
  { stream: 20, norm: 16, activation: 16 },
  {
    stream: 20,
    norm: 14,
    activation: 16,
    finer: { values: 4, gates: 4, series: 5, exponentials: 1, weighted: 3, scores: 1, roots: 1 },
  },
];
/** What a decoder's fixed point should keep of its floats. */
const SAME_TOKENS = 0.99;
/** A setting that keeps fewer of the first texts' tokens is not run on the others. */
const HOPELESS = 0.95;
const LONGEST = 512;
const PERPLEXITY_APART = 0.005;

/**
 * The plan with the first precision that keeps a model's answers, or with the one that keeps most of them.
 * @throws PlanError when none of them fits into 64 bits.
 */
export async function measured(
  source: Pick<Source, "spec" | "plan" | "weights">,
  texts: readonly TokenizedText[],
  matmul: Matmul,
  progress: (done: number, total: number) => void,
): Promise<{ plan: Plan; foretold: Prediction }> {
  let best: { plan: Plan; foretold: Prediction } | null = null;
  let refused: unknown;
  for (const precision of PRECISIONS) {
    try {
      const plan = planOf(source, precision);
      const foretold = await predict({ ...source, plan }, texts, matmul, progress);
      if (best === null || foretold.agreement > best.foretold.agreement) best = { plan, foretold };
      if (keeps(foretold)) break;
    } catch (error) {
      if (!(error instanceof PlanError)) throw error;
      refused ??= error;
    }
  }
  if (best === null) throw refused;
  return best;
}

function planOf({ spec, weights, plan }: Pick<Source, "spec" | "plan" | "weights">, precision?: Precision): Plan {
  if (precision === undefined) return plan;
  const fine = precision.finer === undefined ? plan : withFineWeights(spec, weights, plan);
  const precise = { ...fine, precision };
  // What a long text's sums take is not there for bits either.
  compile(spec, precise, oneTurn(Math.min(longestText(spec), LONGEST)));
  return precise;
}

/** An encoder has no stream that grows: its labels are told as they are. */
function keeps({ agreement, perplexity, clear_perplexity }: Prediction): boolean {
  if (perplexity === undefined || clear_perplexity === undefined) return true;
  return agreement >= SAME_TOKENS && Math.abs(perplexity / clear_perplexity - 1) <= PERPLEXITY_APART;
}

/** Runs the first texts in floats and in fixed point in the clear, which gives what three parties would. */
async function predict(
  { spec, plan, weights }: Pick<Source, "spec" | "plan" | "weights">,
  given: readonly TokenizedText[],
  matmul: Matmul,
  progress: (done: number, total: number) => void,
): Promise<Prediction> {
  const cut = ({ ids, types }: TokenizedText) => ({ ids: ids.slice(0, TOKENS), types: types.slice(0, TOKENS) });
  const texts = given.slice(0, TEXTS).map((text) => (spec.isDecoder ? cut(text) : text));
  // A model that tells labels alone has the same logits inside.
  const scores = { ...spec, answer: "scores" } as const;
  const ring = await Ring.create();
  const integers = new IntegerWeights(ring);
  const [exact, fixed]: Rows[][] = [[], []];
  for (const text of texts) {
    const length = bucketFor(text.ids.length, longestText(spec));
    const program = compile(scores, plan, { ...oneTurn(length), scoring: spec.isDecoder });
    const served = await integers.for(program, async () => weights);
    const { logits } = runClear(ring, program, served, new TextInput(ring, program, spec, text, weights));
    const ops = new FloatOps(weights, text, text.ids.length, { matmul, scoring: true });
    const right = logitsOf(ops, spec).data;
    exact.push(right);
    // Padding stands before a decoder's text.
    fixed.push(Float32Array.from(logits.slice(logits.length - right.length)));
    progress(fixed.length, texts.length);
    if (spec.isDecoder && sameChoices(fixed, exact, spec.labels) < HOPELESS) break;
    await setImmediate(); // the bar's timer
  }
  const columns = spec.labels;
  const perplexity = (rows: readonly Rows[]) =>
    perplexityOf(texts.slice(0, rows.length).map((text, i) => likelihoods(text, rows[i], columns))).perplexity;
  return {
    texts: fixed.length,
    max_abs_logit_error: Math.max(...exact.map((rows, i) => largestDifference(rows, fixed[i]))),
    agreement: sameChoices(fixed, exact, columns),
    ...(spec.isDecoder ? { perplexity: perplexity(fixed), clear_perplexity: perplexity(exact) } : {}),
  };
}

/** The same in one line. */
export function predictionLine(found: Prediction): string {
  const { texts, max_abs_logit_error, agreement, perplexity, clear_perplexity } = found;
  const error = `foretold from ${texts} of the texts: largest logit error ${max_abs_logit_error.toFixed(4)}`;
  if (perplexity === undefined || clear_perplexity === undefined)
    return `${error}, labels equal ${(100 * agreement).toFixed(1)}%`;
  const tokens = `likeliest tokens equal ${(100 * agreement).toFixed(1)}%`;
  return `${error}, ${tokens}, perplexity ${perplexity.toFixed(3)} (in the clear ${clear_perplexity.toFixed(3)})`;
}
