/**
 * Hugging Face's tensors and the program's, read in both directions by each family's table of names. GPT-2 stores some layers as
 * [inputs, outputs] and three of them as one tensor, which the program has as [outputs, inputs] and apart.
 */

import { isDecoder, type ModelSpec, type NamedTensor } from "../program/spec.ts";
import { familyOf } from "./families/all.ts";
import type { NameRow, ValueChange } from "./families/family.ts";
import { transpose } from "./rows.ts";

const SAME: ValueChange = { times: 1, add: 0 };

/** Heads that all families store under the same names. */
const HEADS: readonly NameRow[] = [
  ["classifier", "tokens"],
  ["qa_outputs", "spans"],
];

/** What training wraps around a model and leaves before all names: DataParallel's, and torch.compile's. */
const WRAPPERS = ["module.", "_orig_mod.", "_orig_mod.module.", "module._orig_mod."];

/** A tensor of a checkpoint's file and the program's tensors in it. */
export interface StoredTensor {
  /** The names under which files may hold it, the usual one first. */
  readonly names: readonly string[];
  /** Where tied weights may be stored as well, or instead. */
  readonly twins: readonly string[];
  readonly shape: readonly number[];
  /** The program's tensors: parts of the outputs, in this order. */
  readonly parts: readonly string[];
  /** Rows of each part. */
  readonly sizes: readonly number[];
  /** The file's row of each row of the parts; null: the same. */
  readonly order: readonly number[] | null;
  /** What turns the file's values into the program's. */
  readonly change: ValueChange;
  /** Whether the file has [inputs, outputs]. */
  readonly transposed: boolean;
}

/** Whether a name of the program belongs to a classifier's head, which a bare encoder lacks. */
export function isHead(name: string): boolean {
  return /^(pooler|classifier|tokens|spans|mask)\./.test(name);
}

/** The program's tensor that is another one of its tensors, not stored again: a tied head. */
export function sharedWith(name: string, spec: ModelSpec): string | undefined {
  const givesWords = isDecoder(spec) || spec.problem === "mask";
  return givesWords && spec.tied && name === "head.weight" ? "embeddings.word" : undefined;
}

/** The tensor that is this one where they are tied: `sharedWith` backwards. */
function twinOf(name: string, spec: ModelSpec): string | undefined {
  return sharedWith("head.weight", spec) === name ? "head.weight" : undefined;
}

/** A tied head of words that the program has in another size than the file: the head is as the file has it. */
export function headOf(words: NamedTensor, spec: ModelSpec): NamedTensor {
  const { change } = placeOf("embeddings.word", spec);
  if (change === SAME) return words;
  return { shape: words.shape, data: words.data.map((x) => (x - change.add) / change.times) };
}

/** The tensors of a file that hold these tensors of the program, in the order of their use. */
export function storedTensors(
  shapes: ReadonlyMap<string, readonly number[]>,
  spec: ModelSpec,
): readonly StoredTensor[] {
  const found = new Map<string, StoredTensor>();
  for (const name of shapes.keys()) {
    const { names, parts, transposed, order, change, shape } = placeOf(name, spec);
    const partShapes = parts.map((part) => partShape(part, shapes));
    const sizes = partShapes.map(([rows]) => rows);
    const whole = [sizes.reduce((sum, rows) => sum + rows, 0), ...partShapes[0].slice(1)];
    const twin = twinOf(name, spec);
    const twins = twin === undefined ? [] : placeOf(twin, spec).names;
    found.set(names[0], {
      names,
      twins,
      parts,
      sizes,
      order,
      change,
      transposed,
      shape: shape ?? (transposed ? whole.reverse() : whole),
    });
  }
  return [...found.values()];
}

function partShape(part: string, shapes: ReadonlyMap<string, readonly number[]>): readonly number[] {
  const shape = shapes.get(part);
  if (shape === undefined) throw new Error(`${part} is stored with other tensors: ask for all of them`);
  return shape;
}

/**
 * Where a checkpoint has a tensor of the program: names and parts as in `StoredTensor`. Old BERT files call a layer norm's
 * weight and bias gamma and beta.
 */
export function placeOf(
  name: string,
  spec: ModelSpec,
): Omit<StoredTensor, "shape" | "twins" | "sizes"> & { readonly shape: readonly number[] | undefined } {
  const { prefixes, layers, variants, tables, transposed, ordered, changed, shapes } = familyOf(
    spec.architecture,
  ).names;
  const usual = usualName(name);
  const row = [...[...(variants?.(spec) ?? []), ...layers, ...HEADS].flatMap(withSuffixes), ...tables].find(
    ([, ...ours]) => ours.includes(usual.pattern),
  );
  if (row === undefined) throw new Error(`the checkpoint has no place for ${name}: add it to the table of names`);
  const [pattern, ...ours] = row;
  const theirs = pattern.replace("#", usual.layer);
  const prefixed = theirs.startsWith("~") ? prefixes.map((prefix) => prefix + theirs.slice(1)) : [theirs];
  const names = prefixed.flatMap((one) => [one, ...oldName(one)]);
  return {
    names: ["", ...WRAPPERS].flatMap((wrapper) => names.map((one) => wrapper + one)),
    parts: ours.map((one) => one.replace("#", usual.layer)),
    transposed: transposed?.some((layer) => pattern === `${layer}.weight`) ?? false,
    order: ordered?.[pattern.replace(/\.(weight|bias)$/, "")]?.(spec) ?? null,
    shape: shapes?.[pattern]?.(spec),
    change: changed?.[usual.pattern]?.(spec) ?? SAME,
  };
}

function usualName(name: string): { pattern: string; layer: string } {
  const layer = /^layer\.(\d+)\./.exec(name)?.[1] ?? "";
  return { pattern: layer === "" ? name : name.replace(`layer.${layer}.`, "layer.#."), layer };
}

function withSuffixes(row: NameRow): NameRow[] {
  return [".weight", ".bias"].map((suffix) => row.map((name) => name + suffix) as unknown as NameRow);
}

function oldName(name: string): string[] {
  if (name.endsWith("LayerNorm.weight")) return [name.replace(/weight$/, "gamma")];
  return name.endsWith("LayerNorm.bias") ? [name.replace(/bias$/, "beta")] : [];
}

/** The program's parts of a stored tensor. */
export function split(stored: StoredTensor, data: Float32Array): readonly Float32Array[] {
  const { times, add } = stored.change;
  const own = stored.change === SAME ? data : data.map((x) => x * times + add);
  const plain = stored.transposed ? transpose(own, stored.shape[0], stored.shape[1]) : own;
  const rows = stored.order === null ? plain : moved(plain, stored.order, (to, from) => [to, from]);
  if (stored.parts.length === 1) return [rows];
  const width = rows.length / stored.sizes.reduce((sum, size) => sum + size, 0);
  const ends = stored.sizes.map((_, i) => stored.sizes.slice(0, i + 1).reduce((sum, size) => sum + size, 0));
  return stored.sizes.map((size, i) => rows.slice((ends[i] - size) * width, ends[i] * width));
}

/** The stored tensor of the program's parts: `split` backwards. */
export function join(stored: StoredTensor, parts: readonly Float32Array[]): Float32Array {
  const rows = parts.length === 1 ? parts[0] : new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  if (parts.length > 1)
    for (const part of parts) {
      rows.set(part, at);
      at += part.length;
    }
  const { times, add } = stored.change;
  const theirs = stored.change === SAME ? rows : rows.map((x) => (x - add) / times);
  const plain = stored.order === null ? theirs : moved(theirs, stored.order, (from, to) => [to, from]);
  return stored.transposed ? transpose(plain, stored.shape[1], stored.shape[0]) : plain;
}

/** The rows in another order: of each entry, which row goes where. */
function moved(
  data: Float32Array,
  order: readonly number[],
  pair: (index: number, entry: number) => readonly [to: number, from: number],
): Float32Array {
  const width = data.length / order.length;
  const out = new Float32Array(data.length);
  for (const [index, entry] of order.entries()) {
    const [to, from] = pair(index, entry);
    out.set(data.subarray(from * width, (from + 1) * width), to * width);
  }
  return out;
}
