/**
 * A model's id: SHA-256 over everything that decides its answers. A client computes it from what the server sends, so that a server
 * can change neither tokenizer nor plan nor public tables under a name that the client has pinned. Of the weights it has a commitment:
 * nobody can check them from outside, and nobody can try guesses of them, since its salt is the server's alone.
 */

import type { TokenizerFiles } from "../models/tokenizer.ts";
import { publicTables } from "../models/weights.ts";
import type { Weights } from "../program/spec.ts";
import { hex } from "../ring/hex.ts";
import type { PublicModel } from "./messages.ts";
import { digestOf, sha256 } from "./weights.ts";

/** What the id is a digest of. */
export interface ModelParts extends Omit<PublicModel, "id"> {
  readonly tokenizer: TokenizerFiles;
}

/** 64 hexadecimal digits. */
export function modelId({ commitment, tables, spec, plan, tokenizer }: ModelParts): Promise<string> {
  return digestOf(["model", commitment, tables, sorted(spec), sorted(plan), sorted(tokenizer)]);
}

/** A commitment to a digest of the weights. */
export function commitmentOf(salt: Uint8Array, weights: string): Promise<string> {
  return digestOf(["weights", hex(salt), weights]);
}

/** Of public tables, in the order in which they are sent. */
export async function tablesDigest(tables: readonly Float32Array[]): Promise<string> {
  const digests: string[] = [];
  for (const data of tables) digests.push(hex(await sha256(new Uint8Array(data.slice().buffer))));
  return digestOf(["tables", ...digests]);
}

/** What is public of a model, with its id. `floats`: its weights, for the tables where they are public. */
export async function publicModel(
  parts: Pick<ModelParts, "spec" | "plan" | "tokenizer" | "commitment">,
  floats: Weights,
): Promise<PublicModel> {
  const { spec, plan, commitment } = parts;
  const shown = spec.embedding === "public";
  const tables = shown ? await tablesDigest(publicTables(spec).map(([name]) => floats.get(name).data)) : null;
  return { id: await modelId({ ...parts, tables }), commitment, tables, spec, plan };
}

/** The same value with its fields in one order: both sides must hash the same text. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  const fields = Object.entries(value).filter(([, field]) => field !== undefined);
  return Object.fromEntries(fields.sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, field]) => [name, sorted(field)]));
}
