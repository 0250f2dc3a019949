/** From what a user names (a folder, a model that ships, or a well-known shape) to a model that can be served. */

import { createHash } from "node:crypto";
import { access } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import * as v from "valibot";
import { calibrate } from "../compiler/calibrate.ts";
import { catalogNames, randomModel, randomText } from "../models/catalog.ts";
import { loadModel } from "../models/checkpoint.ts";
import type { SpecOverrides } from "../models/config.ts";
import { readText } from "../models/files.ts";
import type { TextTokenizer, TokenizerFiles } from "../models/tokenizer.ts";
import { planSchema } from "../parties/messages.ts";
import { commitmentOf } from "../parties/model-identity.ts";
import type { Identity, MaterialStore } from "../parties/store.ts";
import { versionOf } from "../parties/version.ts";
import type { Plan } from "../program/plan.ts";
import { isDecoder, longestText, type ModelSpec, type Weights } from "../program/spec.ts";
import type { Matmul } from "../reference/float.ts";
import { randomKey } from "../ring/prg.ts";
import { Secret } from "../ring/secret.ts";
import { eachRow, readNumberedTexts } from "../tasks/tables.ts";
import { UsageError } from "./terminal.ts";

/** The plan's file in a model folder. */
export const PLAN_FILE = "mpcformer.json";
const PLAN_LIMIT = 2 ** 24;
const RANDOM_SEED = 1;
const RANDOM_TEXTS = 3;

export interface Source {
  readonly name: string;
  readonly spec: ModelSpec;
  readonly plan: Plan;
  readonly weights: Weights;
  readonly tokenizer: TextTokenizer | null;
  readonly tokenizerFiles: TokenizerFiles;
  /** Changes when weights, shape or plan change, whatever files they came from. */
  readonly fingerprint: () => string;
}

export interface SourceOptions {
  readonly overrides: SpecOverrides;
  /** Texts to calibrate on, one a line; instead of the plan in the folder or the texts that ship. */
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

/** Models that ship with the package, by the names of their folders. */
const SHIPPED: readonly string[] = ["demo", "storyteller"];
/** What the commands take as a model, beside a folder: those that ship, and all well-known shapes. */
export const SHIPPED_NAMES = SHIPPED.join(", ");
export const MODEL_NAMES = [...SHIPPED, ...catalogNames].join(", ");

const planFile = v.object({ gelu: v.string(), softmax: v.string(), plan: planSchema });

/** Folders that ship with the package. */
export function asset(...parts: string[]): string {
  return fileURLToPath(new URL(join("../../assets", ...parts), import.meta.url));
}

/** @throws an Error of one line for whatever does not exist or cannot be read. */
export async function openSource(name: string, options: SourceOptions): Promise<Source> {
  if ((catalogNames as readonly string[]).includes(name)) return await randomSource(name, options);
  const folder = folderOf(name);
  if (!(await exists(folder))) {
    throw new UsageError(`no such model: give a Hugging Face folder, or one of ${MODEL_NAMES}`);
  }
  const { spec, weights, tokenizer } = await loadModel(folder, options.overrides);
  const planPath = options.planPath ?? join(folder, PLAN_FILE);
  const known = options.calibration === undefined ? await readPlan(planPath, spec) : null;
  const plan = known ?? (await calibrated(spec, weights, tokenizer, options));
  const fingerprint = () => digestOf(spec, plan, weights);
  return { name, spec, plan, weights, tokenizer, tokenizerFiles: tokenizer.files, fingerprint };
}

/** The weights alone, read again. @throws as `openSource` does. */
export async function readWeights(name: string, overrides: SpecOverrides): Promise<Weights> {
  if ((catalogNames as readonly string[]).includes(name)) return randomModel(name, RANDOM_SEED, overrides).weights;
  return (await loadModel(folderOf(name), overrides)).weights;
}

function folderOf(name: string): string {
  return SHIPPED.includes(name) ? asset(name) : name;
}

/** Writes the plan beside the model. */
export function planJson(spec: ModelSpec, plan: Plan): string {
  return `${JSON.stringify({ gelu: spec.gelu, softmax: spec.softmax, plan })}\n`;
}

async function randomSource(name: string, options: SourceOptions): Promise<Source> {
  const { spec, weights } = randomModel(name, RANDOM_SEED, options.overrides);
  const limit = longestText(spec);
  if ((options.length ?? 0) > limit) throw new UsageError(`--length takes 3 to ${limit} tokens for this model`);
  const positions = (options.length ?? 128) + (isDecoder(spec) ? (options.newTokens ?? 1) - 1 : 0);
  const texts = Array.from({ length: RANDOM_TEXTS }, (_, i) =>
    randomText(spec, Math.min(positions, limit), RANDOM_SEED + i),
  );
  const known = options.planPath === undefined ? null : await readPlan(options.planPath, spec);
  const plan = known ?? calibrate(spec, weights, texts, { matmul: options.matmul, progress: options.progress });
  return {
    name,
    spec,
    plan,
    weights,
    tokenizer: null,
    tokenizerFiles: {},
    fingerprint: () => digestOf(spec, plan, weights),
  };
}

/** A plan from its file, if it is there and was made for these approximations. */
async function readPlan(path: string, spec: ModelSpec): Promise<Plan | null> {
  const text = await readText(dirname(path), basename(path), PLAN_LIMIT);
  return text === undefined ? null : planOf(text, spec);
}

/** The plan of a file's text; null if it was made for other approximations. @throws UsageError when it is no plan. */
export function planOf(text: string, spec: ModelSpec): Plan | null {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new UsageError(`${PLAN_FILE} of the model is not JSON: run "mpcformer calibrate" again`);
  }
  const parsed = v.safeParse(planFile, json);
  if (!parsed.success) throw new UsageError(`${PLAN_FILE} of the model is not a plan: run "mpcformer calibrate" again`);
  const { gelu, softmax, plan } = parsed.output;
  return gelu === spec.gelu && softmax === spec.softmax ? plan : null;
}

async function calibrated(
  spec: ModelSpec,
  weights: Weights,
  tokenizer: TextTokenizer,
  options: SourceOptions,
): Promise<Plan> {
  const path = options.calibration ?? asset("calibration.txt");
  const lines = await readNumberedTexts(path);
  const texts = eachRow(lines, path, ({ text }) => tokenizer.encode(text, undefined, { truncate: true }));
  const { matmul, margin, progress } = options;
  return calibrate(spec, weights, texts, { matmul, margin, progress });
}

function digestOf(spec: ModelSpec, plan: Plan, weights: Weights): string {
  return createHash("sha256")
    .update(JSON.stringify([spec, plan]))
    .update(versionOf(spec, weights))
    .digest("hex");
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
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
