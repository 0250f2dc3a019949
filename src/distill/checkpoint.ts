/** The state of a run on disk: complete at every moment, whenever the process is killed. */

import { mkdir, open, readdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import * as v from "valibot";
import { readText, withFile } from "../models/files.ts";
import { check, parseJson } from "../models/json.ts";
import { readHeader, readTensor, type TensorToWrite, writeSafetensors } from "../models/safetensors.ts";
import type { NamedTensor } from "../program/spec.ts";
import type { Trained } from "./graph.ts";
import { moments } from "./optimiser.ts";

const STATE = "state.json";
const fileName = v.pipe(v.string(), v.regex(/^(state|best)-\d+\.safetensors$/));
const stateSchema = v.strictObject({
  /** What the run was asked for: another request must not go on from it. */
  request: v.string(),
  step: v.pipe(v.number(), v.integer(), v.minValue(0)),
  evaluations: v.array(v.strictObject({ step: v.number(), values: v.record(v.string(), v.number()) })),
  best: v.nullable(v.strictObject({ step: v.number(), value: v.number() })),
  /** Bytes of the metrics' file that belong to the steps taken. */
  logged: v.number(),
  seconds: v.number(),
  /** Sums of the losses of steps that are not in the metrics' file yet. */
  window: v.strictObject({ count: v.number(), loss: v.number(), losses: v.record(v.string(), v.number()) }),
  done: v.boolean(),
  tensors: fileName,
  bestTensors: v.nullable(fileName),
});

/** Where a run stands. `evaluations` are of the dev set, `best` the one whose weights are kept. */
export type RunState = v.InferOutput<typeof stateSchema>;

/** @throws an Error of one line when the folder holds another run, or its state is damaged. */
export async function readState(folder: string, request: string): Promise<RunState | null> {
  const text = await readText(folder, STATE);
  if (text === undefined) return null;
  const state = check(stateSchema, parseJson(text, STATE), STATE);
  if (state.request !== request) {
    throw new Error(`${folder} holds a run with other settings or data: choose another --out, or remove it`);
  }
  return state;
}

/** Writes the tensors, then the state that names them, then removes what no state names any more. */
export async function writeState(
  folder: string,
  state: Omit<RunState, "tensors">,
  tensors: readonly Trained[],
): Promise<void> {
  const file = `state-${state.step}.safetensors`;
  // A finished run needs no optimiser to go on with.
  const kept = state.done ? (t: Trained) => [weightOf(t)] : withMoments;
  await writeTensors(folder, file, tensors.flatMap(kept));
  await writeFile(join(folder, `${STATE}.partial`), `${JSON.stringify({ ...state, tensors: file })}\n`);
  await rename(join(folder, `${STATE}.partial`), join(folder, STATE));
  for (const name of await readdir(folder)) {
    if (name.endsWith(".safetensors") && name !== file && name !== state.bestTensors) await rm(join(folder, name));
  }
}

/** Keeps the weights as they are now, beside the state. @returns the file's name. */
export async function writeBest(folder: string, step: number, tensors: readonly Trained[]): Promise<string> {
  const file = `best-${step}.safetensors`;
  await writeTensors(folder, file, tensors.map(weightOf));
  return file;
}

/** Puts saved tensors into those of a trainer, moments included where the file has them. */
export async function restore(folder: string, file: string, tensors: readonly Trained[]): Promise<void> {
  const saved = await readTensors(folder, file);
  for (const { name, value, m, v } of tensors) {
    [name, ...moments(name)].forEach((key, i) => {
      const tensor = saved.get(key);
      if (tensor !== undefined && tensor.data.length === value.length) [value, m, v][i].set(tensor.data);
      else if (i === 0) throw new Error(`${file} lacks ${name}: remove the run's folder and train again`);
    });
  }
}

/** All tensors of a file of this folder. */
export async function readTensors(folder: string, file: string): Promise<ReadonlyMap<string, NamedTensor>> {
  return withFile(folder, file, async (source) => {
    const tensors = new Map<string, NamedTensor>();
    for (const [name, entry] of await readHeader(source, file)) tensors.set(name, await readTensor(source, entry));
    return tensors;
  });
}

async function writeTensors(folder: string, name: string, tensors: readonly TensorToWrite[]): Promise<void> {
  await mkdir(folder, { recursive: true });
  const partial = join(folder, `${name}.partial`);
  const file = await open(partial, "w");
  try {
    await writeSafetensors(tensors, "F32", (bytes) => file.writeFile(bytes));
  } finally {
    await file.close();
  }
  await rename(partial, join(folder, name));
}

function weightOf({ name, shape, value }: Trained): TensorToWrite {
  return { name, shape, data: () => value };
}

function withMoments(tensor: Trained): TensorToWrite[] {
  const [m, v] = moments(tensor.name);
  const { shape } = tensor;
  return [weightOf(tensor), { name: m, shape, data: () => tensor.m }, { name: v, shape, data: () => tensor.v }];
}
