/** How far fixed point is from floats on some texts, before a model is served: what `calibrate` foretells. */
import { setImmediate } from "node:timers/promises";
import { withFineWeights } from "../compiler/calibrate.ts";
import { compile } from "../compiler/compile.ts";
import { logitsOf } from "../models/model.ts";
import type { Plan, Precision } from "../program/plan.ts";
import { longestText, type ModelSpec, type TokenizedText } from "../program/spec.ts";
import { oneTurn, PlanError } from "../program/steps.ts";
import { FloatOps } from "../reference/float.ts";
import type { Matmul } from "../reference/matmul.ts";
import { KEY_BYTES, Prg } from "../ring/prg.ts";
import { Ring } from "../ring/ring.ts";
import { cosine } from "../tasks/metrics.ts";
import { behindPadding, Comparison } from "./comparison.ts";
import { fixedPointOf } from "./ranges.ts";
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
  /** Of embeddings: of a vector in fixed point and the same in floats. */
  readonly least_cosine?: number;
}

/**
 * What values far beyond all others may ask for, the cheapest first; undefined: nothing. The last has finer weights too. Their bits
 * follow what each kind of rounding did to the logits of SmolLM2-135M-Instruct, whose first row is 2^12 times as large as others: the median
 * row's error is 0.009. With two bits less of several kinds ten chats parted from the floats' twice in place of once in twenty.
 */
const PRECISIONS: readonly (Precision | undefined)[] = [
  undefined,
  { stream: 20, norm: 16, activation: 16 },
  {
    stream: 20,
    norm: 14,
    activation: 16,
    finer: { values: 4, gates: 4, series: 2, exponentials: 2, weighted: 3, scores: 1, roots: 1 },
  },
];
/**
 * The same of embeddings: no largest entry hides an error. A norm reads what few columns make wide (of all-MiniLM-L6-v2 224, beside 0.6 rms of
 * most rows), and so do the layers behind GeLU, whose input counts next; finer weights let the mean be taken off more exactly too.
 */
const OF_VECTORS: readonly (Precision | undefined)[] = [
  undefined,
  { stream: 0, norm: 0, activation: 12, finer: { gates: 2 } },
  { stream: 0, norm: 0, activation: 13, finer: { gates: 3, series: 1 } },
];
/** What an embedding's fixed point should keep of its floats on these texts: on many more, the bar of 0.9999 is kept then. */
const LEAST_COSINE = 0.99995;
/** Texts of an embedding that are run, from all of them evenly: short ones, and one may be further off than most. */
const VECTORS = 24;
/** What a decoder's fixed point should keep of its floats: of so few tokens all, since a chat of a hundred parts at the first that differs. */
const SAME_TOKENS = 0.998;
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
  return firstThatKeeps(source.spec.problem === "vector" ? OF_VECTORS : PRECISIONS, async (precision) => {
    const plan = planOf(source, precision);
    return { plan, foretold: await predict({ ...source, plan }, texts, matmul, progress) };
  });
}

/**
 * What is made of the first setting whose answers are kept, or of the one that keeps most of them; a PlanError of a setting is none.
 * @throws the first PlanError when all settings end in one.
 */
export async function firstThatKeeps<Setting, Made extends { readonly foretold: Prediction }>(
  settings: readonly Setting[],
  make: (setting: Setting) => Promise<Made>,
): Promise<Made> {
  let best: Made | null = null;
  let refused: unknown;
  for (const setting of settings) {
    try {
      const made = await make(setting);
      if (keeps(made.foretold)) return made;
      if (best === null || kept(made.foretold) > kept(best.foretold)) best = made;
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

/** How much is kept: the more, the better. */
function kept({ agreement, least_cosine }: Prediction): number {
  return least_cosine ?? agreement;
}

/** An encoder has no stream that grows: its labels are told as they are. */
function keeps({ agreement, perplexity, clear_perplexity, least_cosine }: Prediction): boolean {
  if (least_cosine !== undefined) return least_cosine >= LEAST_COSINE;
  if (perplexity === undefined || clear_perplexity === undefined) return true;
  return agreement >= SAME_TOKENS && Math.abs(perplexity / clear_perplexity - 1) <= PERPLEXITY_APART;
}

/** The texts that a setting is run on. */
function chosen({ problem, isDecoder }: ModelSpec, all: readonly TokenizedText[]): readonly TokenizedText[] {
  if (problem === "vector") return all.filter((_, i) => i % Math.ceil(all.length / VECTORS) === 0);
  const cut = ({ ids, types }: TokenizedText) => ({ ids: ids.slice(0, TOKENS), types: types.slice(0, TOKENS) });
  return all.slice(0, TEXTS).map((text) => (isDecoder ? cut(text) : text));
}

/** What draws the roundings: no secret. The same texts foretell the same. */
const ROUNDING_KEY = new Uint8Array(KEY_BYTES);

/** Runs some texts in floats and in fixed point in the clear, rounded as three parties would round. */
async function predict(
  { spec, plan, weights }: Pick<Source, "spec" | "plan" | "weights">,
  given: readonly TokenizedText[],
  matmul: Matmul,
  progress: (done: number, total: number) => void,
): Promise<Prediction> {
  const texts = chosen(spec, given);
  // A model that tells labels alone has the same logits inside.
  const scores = { ...spec, answer: "scores" } as const;
  const run = fixedPointOf({ spec: scores, plan, weights }, await Ring.create(), new Prg(ROUNDING_KEY));
  const fixed = new Comparison(spec.labels);
  const exact = new Comparison(spec.labels);
  let least = 1;
  for (const [i, text] of texts.entries()) {
    const ops = new FloatOps(weights, text, text.ids.length, { matmul, scoring: true });
    const right = logitsOf(ops, spec).data;
    const found = behindPadding((await run(text)).logits, right);
    const ids = spec.isDecoder ? text.ids : [];
    exact.add(right, right, ids);
    fixed.add(found, right, ids);
    least = Math.min(least, cosine(found, right));
    progress(i + 1, texts.length);
    if (spec.isDecoder && fixed.told.agreement < HOPELESS) break;
    await setImmediate(); // the bar's timer
  }
  return {
    texts: fixed.texts,
    ...fixed.told,
    ...(spec.isDecoder
      ? { perplexity: fixed.perplexity.perplexity, clear_perplexity: exact.perplexity.perplexity }
      : {}),
    ...(spec.problem === "vector" ? { least_cosine: least } : {}),
  };
}

/** The same in one line. */
export function predictionLine(found: Prediction): string {
  const { texts, max_abs_logit_error, agreement, perplexity, clear_perplexity, least_cosine } = found;
  if (least_cosine !== undefined) return `foretold from ${texts} of the texts: least cosine ${least_cosine.toFixed(6)}`;
  const error = `foretold from ${texts} of the texts: largest logit error ${max_abs_logit_error.toFixed(4)}`;
  if (perplexity === undefined || clear_perplexity === undefined)
    return `${error}, labels equal ${(100 * agreement).toFixed(1)}%`;
  const tokens = `likeliest tokens equal ${(100 * agreement).toFixed(1)}%`;
  return `${error}, ${tokens}, perplexity ${perplexity.toFixed(3)} (in the clear ${clear_perplexity.toFixed(3)})`;
}
