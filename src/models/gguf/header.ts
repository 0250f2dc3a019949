/**
 * The head of a GGUF file (llama.cpp's format, versions 2 and 3), strictly: named values, then the tensors' names, shapes,
 * types and places, then the tensors' bytes, each aligned, in this order and without gaps. A file comes from someone else:
 * nothing is allocated because the file claims a size that it does not have, and no message repeats its content beyond a
 * tensor's or a value's (printable) name.
 */

import { printable } from "../json.ts";
import type { ByteSource } from "../safetensors.ts";
import { TENSOR_TYPES, type TensorType } from "./blocks.ts";

/** A named value of a file; 64-bit integers as (possibly rounded) numbers. */
export type GgufValue = number | boolean | string | readonly (number | boolean | string)[];

/** Where a tensor lies in the file. */
export interface GgufTensor {
  readonly name: string;
  readonly type: TensorType;
  /** Outermost first, as everywhere here; the file has them the other way round. */
  readonly shape: readonly number[];
  /** Byte offsets from the file's start. */
  readonly begin: number;
  readonly end: number;
}

export interface GgufHeader {
  readonly values: ReadonlyMap<string, GgufValue>;
  readonly tensors: ReadonlyMap<string, GgufTensor>;
}

const MAGIC = 0x46554747;
const VERSIONS = [2, 3];
/** More than the vocabularies of today's models take. */
const HEAD_LIMIT = 128 * 2 ** 20;
const VALUE_LIMIT = 10_000;
const TENSOR_LIMIT = 100_000;
/** Items of all lists together: a vocabulary has up to 2 million tokens, and as many scores, kinds and merges. */
const ITEM_LIMIT = 2 ** 23;
const NAME_LIMIT = 256;
const DIMENSION_LIMIT = 4;
const DEFAULT_ALIGNMENT = 32;
const STRING = 8;
const LIST = 9;

type Reader = (view: DataView, at: number) => number | boolean;
/** The scalar types by their numbers: size in bytes, and how they are read. */
const SCALARS: ReadonlyMap<number, readonly [size: number, read: Reader]> = new Map<number, readonly [number, Reader]>([
  [0, [1, (view, at) => view.getUint8(at)]],
  [1, [1, (view, at) => view.getInt8(at)]],
  [2, [2, (view, at) => view.getUint16(at, true)]],
  [3, [2, (view, at) => view.getInt16(at, true)]],
  [4, [4, (view, at) => view.getUint32(at, true)]],
  [5, [4, (view, at) => view.getInt32(at, true)]],
  [6, [4, (view, at) => view.getFloat32(at, true)]],
  [7, [1, (view, at) => view.getUint8(at) !== 0]],
  [10, [8, (view, at) => Number(view.getBigUint64(at, true))]],
  [11, [8, (view, at) => Number(view.getBigInt64(at, true))]],
  [12, [8, (view, at) => view.getFloat64(at, true)]],
]);

/**
 * The head of a file. `label` names the file in messages.
 * @throws an Error of one line on anything the format does not allow.
 */
export async function readGgufHeader(source: ByteSource, label: string): Promise<GgufHeader> {
  const cursor = new Cursor(source, label);
  if ((await cursor.scalar(4)) !== MAGIC) throw malformed(label, "it does not begin with GGUF");
  const version = (await cursor.scalar(4)) as number;
  if (!VERSIONS.includes(version))
    throw new Error(`${label} is of a version of GGUF that is not supported: convert it to version 3, little-endian`);
  const tensorCount = await cursor.count(TENSOR_LIMIT, "tensors");
  const valueCount = await cursor.count(VALUE_LIMIT, "values");
  const values = new Map<string, GgufValue>();
  for (let i = 0; i < valueCount; i++) {
    const name = await cursor.name();
    if (values.has(name)) throw malformed(label, "it names something twice");
    values.set(name, await cursor.value(name));
  }
  const infos: Info[] = [];
  for (let i = 0; i < tensorCount; i++) infos.push(await readInfo(cursor, label));
  return { values, tensors: placed(infos, cursor.position, alignmentOf(values, label), source.size, label) };
}

interface Info extends Pick<GgufTensor, "name" | "type" | "shape"> {
  /** From where the tensors begin. */
  readonly offset: number;
}

async function readInfo(cursor: Cursor, label: string): Promise<Info> {
  const name = await cursor.name();
  const shown = printable(name);
  const dimensions = (await cursor.scalar(4)) as number;
  if (dimensions < 1 || dimensions > DIMENSION_LIMIT)
    throw malformed(label, `tensor ${shown} has no 1 to ${DIMENSION_LIMIT} dimensions`);
  const shape: number[] = [];
  for (let i = 0; i < dimensions; i++) shape.unshift((await cursor.scalar(10)) as number);
  const type = TENSOR_TYPES.get((await cursor.scalar(4)) as number);
  if (type === undefined)
    throw new Error(`${label}: tensor ${shown} is of an unknown type: convert the file to F16 or Q8_0`);
  if (shape.some((size) => size < 1) || !Number.isSafeInteger(shape.reduce((a, b) => a * b, 1)))
    throw malformed(label, `tensor ${shown} has an impossible shape`);
  if (shape[shape.length - 1] % type.values !== 0)
    throw malformed(label, `tensor ${shown} has rows that are no whole blocks of ${type.name}`);
  return { name, type, shape, offset: (await cursor.scalar(10)) as number };
}

/** The tensors' places in the file: one behind another, as aligned as the file says. */
function placed(
  infos: readonly Info[],
  headEnd: number,
  alignment: number,
  fileSize: number,
  label: string,
): ReadonlyMap<string, GgufTensor> {
  const aligned = (at: number) => Math.ceil(at / alignment) * alignment;
  const start = aligned(headEnd);
  const tensors = new Map<string, GgufTensor>();
  let next = 0;
  for (const { name, type, shape, offset } of infos) {
    const shown = printable(name);
    if (tensors.has(name)) throw malformed(label, `it has tensor ${shown} twice`);
    if (offset !== next) throw malformed(label, `tensor ${shown} leaves a gap or overlaps another`);
    const begin = start + offset;
    const end = begin + (shape.reduce((a, b) => a * b, 1) / type.values) * type.bytes;
    if (end > fileSize) throw malformed(label, `tensor ${shown} lies beyond the end of the file`);
    tensors.set(name, { name, type, shape, begin, end });
    next = aligned(end - start);
  }
  return tensors;
}

function alignmentOf(values: ReadonlyMap<string, GgufValue>, label: string): number {
  const alignment = values.get("general.alignment") ?? DEFAULT_ALIGNMENT;
  const isPower = typeof alignment === "number" && alignment >= 1 && alignment <= 65_536 && 65_536 % alignment === 0;
  if (!isPower) throw malformed(label, "its alignment is no power of 2 up to 65536");
  return alignment;
}

function malformed(label: string, why: string, options?: ErrorOptions): Error {
  return new Error(`${label} is not a valid GGUF file, ${why}: copy it again`, options);
}

const WINDOW = 2 ** 20;

/** Reads a head from its start on, through a window, so that nothing longer than the file is ever asked for. */
class Cursor {
  readonly #source: ByteSource;
  readonly #label: string;
  readonly #utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  #window = new Uint8Array(0);
  #view = new DataView(this.#window.buffer);
  /** Where the window begins in the file, and how much of it has been read. */
  #begin = 0;
  #at = 0;
  #items = 0;

  constructor(source: ByteSource, label: string) {
    this.#source = source;
    this.#label = label;
  }

  get position(): number {
    return this.#begin + this.#at;
  }

  /** The scalar of this type. */
  async scalar(type: number): Promise<number | boolean> {
    const known = SCALARS.get(type);
    if (known === undefined) throw malformed(this.#label, "it has a value of an unknown type");
    const [size, read] = known;
    const at = await this.#take(size);
    return read(this.#view, at);
  }

  /** A number of things that follow. */
  async count(limit: number, what: string): Promise<number> {
    const count = (await this.scalar(10)) as number;
    if (count > limit) throw malformed(this.#label, `it has more than ${limit} ${what}`);
    return count;
  }

  async name(): Promise<string> {
    const name = await this.#text();
    if (name === "" || name.length > NAME_LIMIT)
      throw malformed(this.#label, `a name is not 1 to ${NAME_LIMIT} letters`);
    return name;
  }

  async value(name: string): Promise<GgufValue> {
    const type = (await this.scalar(4)) as number;
    if (type === STRING) return this.#text();
    return type === LIST ? this.#list(name) : this.scalar(type);
  }

  async #list(name: string): Promise<GgufValue> {
    const type = (await this.scalar(4)) as number;
    if (type === LIST) throw malformed(this.#label, `${printable(name)} is a list of lists`);
    const count = (await this.scalar(10)) as number;
    const least = type === STRING ? 8 : (SCALARS.get(type)?.[0] ?? 1);
    this.#items += count;
    if (count * least > this.#source.size - this.position || this.#items > ITEM_LIMIT)
      throw malformed(this.#label, `the list ${printable(name)} does not fit into the file, or into bounds`);
    const items: (number | boolean | string)[] = [];
    for (let i = 0; i < count; i++) items.push(await (type === STRING ? this.#text() : this.scalar(type)));
    return items;
  }

  async #text(): Promise<string> {
    const length = (await this.scalar(10)) as number;
    const at = await this.#take(length);
    try {
      return this.#utf8.decode(this.#window.subarray(at, at + length));
    } catch (cause) {
      throw malformed(this.#label, "a text in it is not UTF-8", { cause });
    }
  }

  /** Where in the window the next `length` bytes are; they count as read. */
  async #take(length: number): Promise<number> {
    if (this.#at + length > this.#window.length) await this.#refill(length);
    const at = this.#at;
    this.#at += length;
    return at;
  }

  async #refill(length: number): Promise<void> {
    const begin = this.position;
    if (begin + length > this.#source.size) throw malformed(this.#label, "it ends too early");
    if (begin + length > HEAD_LIMIT) throw malformed(this.#label, `its head is longer than ${HEAD_LIMIT} bytes`);
    const window = new Uint8Array(Math.min(Math.max(length, WINDOW), this.#source.size - begin));
    await this.#source.read(begin, window);
    this.#window = window;
    this.#view = new DataView(window.buffer);
    this.#begin = begin;
    this.#at = 0;
  }
}
