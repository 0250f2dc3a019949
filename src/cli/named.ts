/** What a user's word for a model stands for: a folder or file, a model that ships, or the shape of a well-known one. */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { cachedModel } from "../files/hub.ts";
import { type CatalogName, catalogNames } from "../models/catalog.ts";
import { Failure, UsageError } from "./failure.ts";

/** Models that ship with the package, by the names of their folders. */
const SHIPPED: readonly string[] = ["demo", "storyteller"];
/** What the commands take as a model, beside a folder: those that ship, and all well-known shapes. */
export const SHIPPED_NAMES = SHIPPED.join(", ");
export const MODEL_NAMES = [...SHIPPED, ...catalogNames].join(", ");

/** A model's folder, or its GGUF file: trained weights. */
export interface Folder {
  readonly kind: "folder";
  readonly folder: string;
  /** Whether it came with this package. */
  readonly ships: boolean;
}

/** The shape of a well-known model, whose weights are random. */
export interface Shape {
  readonly kind: "shape";
  readonly shape: CatalogName;
}

/** Folders that ship with the package. */
export function asset(...parts: string[]): string {
  return fileURLToPath(new URL(join("../../assets", ...parts), import.meta.url));
}

/**
 * What a name stands for: a model's folder is that folder, whatever it is called; then come the names of this package, and
 * last those of models in Hugging Face's cache on this machine.
 * @throws Failure for what does not exist.
 */
export async function named(name: string): Promise<Folder | Shape> {
  return (await find(name)) ?? refuse(MODEL_NAMES);
}

/** The same of a model with trained weights. @throws UsageError for a shape, Failure for what does not exist. */
export async function namedFolder(name: string): Promise<Folder> {
  const found = (await find(name)) ?? refuse(SHIPPED_NAMES);
  if (found.kind === "folder") return found;
  throw new UsageError(
    `${name} is a shape with random weights, for plan and bench alone: give a Hugging Face folder, or one of ${SHIPPED_NAMES}`,
  );
}

function refuse(names: string): never {
  throw new Failure(`no such model: give a Hugging Face folder, a .gguf file, or one of ${names}`);
}

async function find(name: string): Promise<Folder | Shape | null> {
  if (await isFile(join(name, "config.json"))) return { kind: "folder", folder: name, ships: false };
  if (SHIPPED.includes(name)) return { kind: "folder", folder: asset(name), ships: true };
  if ((catalogNames as readonly string[]).includes(name)) return { kind: "shape", shape: name as CatalogName };
  // Of a folder that is no model's, its reader says what is missing.
  if (await exists(name)) return { kind: "folder", folder: name, ships: false };
  const folder = await cachedModel(name);
  return folder === undefined ? null : { kind: "folder", folder, ships: false };
}

async function exists(path: string): Promise<boolean> {
  return (await statOf(path)) !== undefined;
}

async function isFile(path: string): Promise<boolean> {
  return (await statOf(path))?.isFile() ?? false;
}

function statOf(path: string) {
  return stat(path).catch(() => undefined);
}
