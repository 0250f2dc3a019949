/** From what a user names (a folder, a model that ships, or a well-known shape) to a model that can be served. */

import { createHash } from "node:crypto";
import { basename, dirname, join } from "node:path";
import * as v from "valibot";
import { calibrate } from "../compiler/calibrate.ts";
import { calibrateShape } from "../compiler/shape.ts";
import { randomModel } from "../models/catalog.ts";
import { loadModel, loadSpec, type Model } from "../models/checkpoint.ts";
import type { SpecOverrides } from "../models/config.ts";
import { hasFile, readText } from "../models/files.ts";
import { isGguf } from "../models/model-files.ts";
import { namedPlan } from "../models/plan-names.ts";
import type { TextTokenizer, TokenizerFiles } from "../models/tokenizer.ts";
import { planSchema } from "../parties/messages.ts";
import { commitmentOf } from "../parties/model-identity.ts";
import { versionOf } from "../parties/version.ts";
import type { Plan } from "../program/plan.ts";
import { isDecoder, longestText, type ModelSpec, type Weights } from "../program/spec.ts";
import type { Matmul } from "../reference/matmul.ts";
import { randomKey } from "../ring/prg.ts";
import { Secret } from "../ring/secret.ts";
import type { Identity, MaterialStore } from "../stores/store.ts";
import { eachRow, readNumberedTexts } from "../tasks/tables.ts";
import { calibrationTexts } from "./calibration-texts.ts";
import { Failure, UsageError } from "./failure.ts";
import { asset, type Folder, named, namedFolder, type Shape } from "./named.ts";

/** The plan's file in a model folder; beside a GGUF file, with that file's name in front. */
export const PLAN_FILE = "mpcformer.json";
const PLAN_LIMIT = 2 ** 24;
const RANDOM_SEED = 1;

export interface Source {
  readonly name: string;
  readonly spec: ModelSpec;
  readonly plan: Plan;
  readonly weights: Weights;
  readonly tokenizer: TextTokenizer | null;
  readonly tokenizerFiles: TokenizerFiles;
  /** Changes when weights, shape or plan change, whatever files they came from. */
  readonly fingerprint: () => string;
  /** The weights alone, read again. @throws as `openSource` does. */
  readonly readWeights: () => Promise<Weights>;
}

/** A source with trained weights: it has a tokenizer. */
export interface ModelSource extends Source {
  readonly tokenizer: TextTokenizer;
}

export interface SourceOptions {
  readonly overrides: SpecOverrides;
  /**
   * Hears that a folder has no plan and that texts which ship make one, of which its numbers say little. Absent: such a folder
   * is refused.
   */
  readonly unplanned?: (warning: string) => void;
  /** Texts to calibrate on, one a line; instead of the plan in the folder. */
  readonly calibration?: string;
  /** A plan's file to use instead of calibrating. */
  readonly planPath?: string;
  readonly margin?: number;
  /** Length of the random texts on which a named shape is calibrated. */
  readonly length?: number;
  /** Of a decoder: new tokens behind them. */
  readonly newTokens?: number;
  readonly matmul?: Matmul;
  readonly progress?: (done: number, total: number) => void;
}

const planFile = v.object({ gelu: v.string(), softmax: v.string(), plan: planSchema });

/** A model or the shape of one, for looking at costs. @throws an Error of one line for what cannot be read. */
export async function openSource(name: string, options: SourceOptions): Promise<Source> {
  const found = await named(name);
  return found.kind === "shape" ? openShape(name, found, options) : openFolder(name, found, options);
}

/** A model with trained weights. @throws an Error of one line for shapes, and for what cannot be read. */
export async function openModel(name: string, options: SourceOptions): Promise<ModelSource> {
  return openFolder(name, await namedFolder(name), options);
}

async function openFolder(name: string, found: Folder, options: SourceOptions): Promise<ModelSource> {
  // A missing plan is told before gigabytes of weights are read.
  const planned = await plannedBy(name, found, await loadSpec(found.folder, options.overrides), options);
  const model = await loadModel(found.folder, options.overrides);
  const { spec, weights, tokenizer } = model;
  const plan = "texts" in planned ? await calibrated(model, planned.texts, options) : planned.plan;
  return {
    name,
    spec,
    plan,
    weights,
    tokenizer,
    tokenizerFiles: tokenizer.files,
    fingerprint: () => digestOf(spec, plan, weights),
    readWeights: readAgain(found, options.overrides),
  };
}

/** Beside no model, so that it keeps none in memory. */
function readAgain(found: Folder | Shape, overrides: SpecOverrides): () => Promise<Weights> {
  if (found.kind === "shape") return async () => randomModel(found.shape, RANDOM_SEED, overrides).weights;
  return async () => (await loadModel(found.folder, overrides)).weights;
}

/** Where the plan of a model is kept: in its folder, or beside its GGUF file. */
export function planPathOf(model: string): string {
  return isGguf(model) ? model.replace(/\.gguf$/i, `.${PLAN_FILE}`) : join(model, PLAN_FILE);
}

/** Writes the plan beside the model. */
export function planJson(spec: ModelSpec, plan: Plan): string {
  return `${JSON.stringify({ gelu: spec.gelu, softmax: spec.softmax, plan })}\n`;
}

async function openShape(name: string, found: Shape, options: SourceOptions): Promise<Source> {
  const { spec, weights } = randomModel(found.shape, RANDOM_SEED, options.overrides);
  const limit = longestText(spec);
  if ((options.length ?? 0) > limit) throw new UsageError(`--length takes 3 to ${limit} tokens for this model`);
  const positions = (options.length ?? 128) + (isDecoder(spec) ? (options.newTokens ?? 1) - 1 : 0);
  const known = options.planPath === undefined ? null : await readPlan(options.planPath, spec);
  const { matmul, progress } = options;
  const plan = known ?? calibrateShape(spec, weights, Math.min(positions, limit), { matmul, progress });
  return {
    name,
    spec,
    plan,
    weights,
    tokenizer: null,
    tokenizerFiles: {},
    fingerprint: () => digestOf(spec, plan, weights),
    readWeights: readAgain(found, options.overrides),
  };
}

/** The plan of a folder's model, or the file of texts that make one: --calibrate's before the plan's. @throws Failure without both. */
async function plannedBy(
  name: string,
  { folder, ships }: Folder,
  spec: ModelSpec,
  options: SourceOptions,
): Promise<{ readonly plan: Plan } | { readonly texts: string }> {
  if (options.calibration !== undefined) return { texts: options.calibration };
  const plan = await readPlan(options.planPath ?? planPathOf(folder), spec);
  if (plan !== null) return { plan };
  const texts = asset("calibration.txt");
  // The texts that ship are like those that the demo's model was trained on.
  if (ships && !isDecoder(spec)) return { texts };
  const missing = await missingPlan(name, folder, ships, spec);
  if (options.unplanned === undefined) throw new Failure(missing);
  options.unplanned(`${missing}; until then its ranges are guessed from film reviews`);
  return { texts };
}

/** What is to be done about a model that has no ranges for the functions that it is to be computed with. */
async function missingPlan(
  name: string,
  folder: string,
  ships: boolean,
  { gelu, softmax }: ModelSpec,
): Promise<string> {
  if (ships)
    return `${name} ships without ranges for ${gelu} and ${softmax}: give texts like the users' to --calibrate`;
  const path = planPathOf(folder);
  const planned = await hasFile(dirname(path), basename(path));
  const lacks = planned ? `ranges for ${gelu} and ${softmax}` : "ranges";
  const flags = planned ? ` --gelu ${gelu} --softmax ${softmax}` : "";
  return `${name} has no ${lacks}: run "mpcformer calibrate ${name}${flags} --data FILE" with texts like the users', one a line`;
}

/** A plan from its file, if it is there and was made for these approximations. */
async function readPlan(path: string, spec: ModelSpec): Promise<Plan | null> {
  const text = await readText(dirname(path), basename(path), PLAN_LIMIT);
  return text === undefined ? null : planOf(text, spec);
}

/** The plan of a file's text; null if it was made for other approximations. @throws Failure when it is no plan. */
export function planOf(text: string, spec: ModelSpec): Plan | null {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new Failure(`${PLAN_FILE} of the model is not JSON: run "mpcformer calibrate" again`, { cause });
  }
  const parsed = v.safeParse(planFile, json);
  if (!parsed.success) throw new Failure(`${PLAN_FILE} of the model is not a plan: run "mpcformer calibrate" again`);
  const { gelu, softmax, plan } = parsed.output;
  return gelu === spec.gelu && softmax === spec.softmax ? namedPlan(plan, spec) : null;
}

async function calibrated(
  { spec, weights, tokenizer }: Model,
  path: string,
  { matmul, margin, progress }: SourceOptions,
): Promise<Plan> {
  const lines = await readNumberedTexts(path);
  const texts = eachRow(lines, path, ({ text }) => tokenizer.encode(text, undefined, { truncate: true }));
  return calibrate(spec, weights, calibrationTexts(spec, texts), {
    matmul,
    margin,
    progress,
    tails: isDecoder(spec),
  });
}

function digestOf(spec: ModelSpec, plan: Plan, weights: Weights): string {
  return createHash("sha256")
    .update(JSON.stringify([spec, plan]))
    .update(versionOf(spec, weights))
    .digest("hex");
}

/**
 * The commitment to the model's weights, which its id is made of, and the key of R. They live as long as the process; with a store, as long as the model does not
 * change, and every process with that store has the same: prepared material depends on R, and under one R the dealer would
 * see what two versions differ by.
 */
export async function identity(
  source: Pick<Source, "fingerprint">,
  store: MaterialStore | undefined,
): Promise<Identity> {
  // Asked for once: it reads every weight.
  const fingerprint = source.fingerprint();
  const fresh = { id: await commitmentOf(randomKey(), fingerprint), key: new Secret(randomKey()) };
  return store === undefined ? fresh : store.identity(createHash("sha256").update(fingerprint).digest("hex"), fresh);
}
