/**
 * The safetensors format, strictly. A model file comes from someone else: nothing in it is believed before it is checked,
 * and no message repeats its content beyond a tensor's (printable) name.
 *
 * File: 8 bytes little-endian header length, the header (JSON: name -> {dtype, shape, data_offsets}, and `__metadata__`),
 * then the tensors' bytes, without gaps or overlap. https://github.com/huggingface/safetensors
 */

import * as v from "valibot";
import type { NamedTensor } from "../program/spec.ts";
import { bfloat16ToFloat, floatToHalf, halfToFloat } from "./half.ts";
import { check, parseJson, printable } from "./json.ts";
import { elementCount } from "./weights.ts";

/** Random access to a file's bytes. */
export interface ByteSource {
  readonly size: number;
  /** Fills `into` from `offset` on. @throws when the file ends before. */
  read(offset: number, into: Uint8Array): Promise<void>;
}

/** Where a tensor lies in the file. */
export interface TensorEntry {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  /** Byte offsets from the file's start. */
  readonly begin: number;
  readonly end: number;
}

/** Bits of a value of each of the format's types. */
const BITS = {
  ...{ BOOL: 8, U8: 8, I8: 8, U16: 16, I16: 16, U32: 32, I32: 32, U64: 64, I64: 64 },
  ...{ F4: 4, F6_E2M3: 6, F6_E3M2: 6, F8_E4M3: 8, F8_E5M2: 8, F8_E8M0: 8, F8_E4M3FNUZ: 8, F8_E5M2FNUZ: 8 },
  ...{ F16: 16, BF16: 16, F32: 32, F64: 64, C64: 64, C128: 128 },
} as const;
type Dtype = keyof typeof BITS;
/** Types that are read; tensors of the others may lie beside what is. */
const READ: readonly Dtype[] = ["F32", "F16", "BF16", "F64"];
const HEADER_LIMIT = 16 * 2 ** 20;
const TENSOR_LIMIT = 100_000;
/** What a tensor may be called; the three names that mean something to every JavaScript object are not among them. */
const NAME = /^(?!(?:__proto__|constructor|prototype)$)[^\p{Cc}]{1,256}$/u;

const size = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const headerSchema = v.record(
  v.string(),
  v.strictObject({
    dtype: v.picklist(Object.keys(BITS) as Dtype[], "dtype must be one of the format's: convert the file"),
    shape: v.pipe(v.array(size), v.maxLength(8)),
    data_offsets: v.strictTuple([size, size]),
  }),
);
const metadataSchema = v.optional(v.record(v.string(), v.string()), {});

/** The bytes of a file in memory. */
export function bytesSource(bytes: Uint8Array): ByteSource {
  return {
    size: bytes.length,
    async read(offset, into) {
      if (offset + into.length > bytes.length) throw new Error("the file ends too early: copy it again");
      into.set(bytes.subarray(offset, offset + into.length));
    },
  };
}

/**
 * The tensors of a file, every entry checked. `label` names the file in messages.
 * @throws an Error of one line on anything the format does not allow.
 */
export async function readHeader(source: ByteSource, label: string): Promise<ReadonlyMap<string, TensorEntry>> {
  const text = await headerText(source, label);
  const json = parseJson(text, `${label} header`);
  if (repeatsKey(text)) throw malformed(label, "its header names something twice");
  if (typeof json !== "object" || json === null || Array.isArray(json))
    throw malformed(label, "its header is no object");
  const { __metadata__: metadata, ...tensors } = json as Record<string, unknown>;
  const aliases = check(metadataSchema, metadata, `${label} metadata`);
  const names = Object.keys(tensors);
  if (names.length > TENSOR_LIMIT) throw malformed(label, `it has more than ${TENSOR_LIMIT} tensors`);
  if (!names.every((name) => NAME.test(name)))
    throw malformed(label, "a tensor's name is not 1 to 256 letters, or is reserved");
  const start = 8 + new TextEncoder().encode(text).length;
  const parsed = check(headerSchema, Object.fromEntries(Object.entries(tensors)), `${label} header`);
  const entries = Object.entries(parsed).map(
    ([
      name,
      {
        dtype,
        shape,
        data_offsets: [begin, end],
      },
    ]) => {
      return { name, dtype, shape, begin: start + begin, end: start + end };
    },
  );
  checkLayout(entries, start, source.size, label);
  return withAliases(new Map(entries.map((entry) => [entry.name, entry])), aliases);
}

/** Of tensors that share their values safetensors.torch keeps one; the metadata says which, for each that it left out. */
function withAliases(
  entries: ReadonlyMap<string, TensorEntry>,
  aliases: Readonly<Record<string, string>>,
): ReadonlyMap<string, TensorEntry> {
  const all = new Map(entries);
  for (const [name, kept] of Object.entries(aliases)) {
    const entry = entries.get(kept);
    if (entry !== undefined && !entries.has(name)) all.set(name, entry);
  }
  return all;
}

/**
 * One tensor as 32-bit floats, read straight into its place.
 * @throws an Error that names the tensor when it is not of floats or a value is not finite.
 */
export async function readTensor(source: ByteSource, entry: TensorEntry): Promise<NamedTensor> {
  if (!READ.includes(entry.dtype)) {
    throw new Error(`tensor ${entry.name} holds ${entry.dtype} where weights are needed: save it as F32, F16 or BF16`);
  }
  const data = await readFloats(source, entry);
  checkFinite(entry.name, data);
  return { shape: entry.shape, data };
}

async function readFloats(source: ByteSource, { dtype, shape, begin }: TensorEntry): Promise<Float32Array> {
  const count = elementCount(shape);
  const packed =
    dtype === "F64" ? new Float64Array(count) : dtype === "F32" ? new Float32Array(count) : new Uint16Array(count);
  await source.read(begin, new Uint8Array(packed.buffer));
  if (packed instanceof Uint16Array) return dtype === "F16" ? halfToFloat(packed) : bfloat16ToFloat(packed);
  return packed instanceof Float32Array ? packed : Float32Array.from(packed);
}

/** A tensor to write: `data` is asked for when its turn comes, so a file larger than memory can be written. */
export interface TensorToWrite {
  readonly name: string;
  readonly shape: readonly number[];
  data(): Float32Array;
}

/**
 * Writes a file through `write`, header first, one call a tensor.
 * @throws an Error that names the tensor when its length differs from its shape or a value does not fit the dtype.
 */
export async function writeSafetensors(
  tensors: readonly TensorToWrite[],
  dtype: "F32" | "F16",
  write: (bytes: Uint8Array) => Promise<void>,
): Promise<void> {
  const header: Record<string, unknown> = { __metadata__: { format: "pt" } };
  let offset = 0;
  for (const { name, shape } of tensors) {
    const end = offset + (elementCount(shape) * BITS[dtype]) / 8;
    header[name] = { dtype, shape, data_offsets: [offset, end] };
    offset = end;
  }
  const json = JSON.stringify(header);
  const text = new TextEncoder().encode(json + " ".repeat((8 - (json.length % 8)) % 8));
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(text.length), true);
  await write(length);
  await write(text);
  for (const tensor of tensors) await write(encode(tensor, dtype));
}

function encode(tensor: TensorToWrite, dtype: "F32" | "F16"): Uint8Array {
  const data = tensor.data();
  if (data.length !== elementCount(tensor.shape)) throw new Error(`tensor ${tensor.name} does not fill its shape`);
  if (dtype === "F32") {
    if (!allFinite(data)) throw new Error(`tensor ${tensor.name} has a value that is not finite: it cannot be saved`);
    return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  }
  const packed = floatToHalf(data);
  if (packed === undefined) throw new Error(`tensor ${tensor.name} has a value beyond F16: save it as F32`);
  return new Uint8Array(packed.buffer);
}

async function headerText(source: ByteSource, label: string): Promise<string> {
  if (source.size < 10) throw malformed(label, "it is too short");
  const prefix = new Uint8Array(8);
  await source.read(0, prefix);
  const length = new DataView(prefix.buffer).getBigUint64(0, true);
  if (length > HEADER_LIMIT) throw malformed(label, `its header is longer than ${HEADER_LIMIT} bytes`);
  if (length < 2 || Number(length) + 8 > source.size) throw malformed(label, "its header does not fit into the file");
  const bytes = new Uint8Array(Number(length));
  await source.read(8, bytes);
  if (bytes[0] !== 0x7b) throw malformed(label, "its header does not begin with {");
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw malformed(label, "its header is not UTF-8", { cause });
  }
}

/** Every entry as long as its shape says, and all of them together cover the rest of the file exactly. */
function checkLayout(entries: readonly TensorEntry[], start: number, fileSize: number, label: string): void {
  let next = start;
  const order = [...entries].sort((a, b) => a.begin - b.begin || a.end - b.end);
  for (const { name: theirs, dtype, shape, begin, end } of order) {
    const name = printable(theirs, theirs.length);
    const bytes = (elementCount(shape) * BITS[dtype]) / 8;
    if (end - begin !== bytes || !Number.isSafeInteger(bytes)) {
      throw malformed(label, `tensor ${name} has another length than its shape`);
    }
    if (end > fileSize) throw malformed(label, `tensor ${name} lies beyond the end of the file`);
    if (begin !== next) throw malformed(label, `tensor ${name} leaves a gap or overlaps another`);
    next = end;
  }
  if (next !== fileSize) throw malformed(label, "it has bytes that belong to no tensor");
}

/** Whether an object in this (valid) JSON text has a key twice: `JSON.parse` would silently keep the last. */
function repeatsKey(json: string): boolean {
  const open: Set<string>[] = [];
  const colon = /\s*:/y;
  for (let i = 0; i < json.length; i++) {
    const letter = json[i];
    if (letter === "{") open.push(new Set());
    else if (letter === "}") open.pop();
    if (letter !== '"') continue;
    const start = i++;
    while (json[i] !== '"') i += json[i] === "\\" ? 2 : 1;
    colon.lastIndex = i + 1;
    if (!colon.test(json)) continue;
    const key: string = JSON.parse(json.slice(start, i + 1));
    const keys = open[open.length - 1];
    if (keys.has(key)) return true;
    keys.add(key);
  }
  return false;
}

/** @throws an Error that names the tensor when one of its values is not finite. */
export function checkFinite(name: string, data: Float32Array): void {
  if (!allFinite(data)) throw new Error(`tensor ${name} has a value that is not finite: repair the checkpoint`);
}

function allFinite(data: Float32Array): boolean {
  const bits = new Uint32Array(data.buffer, data.byteOffset, data.length);
  for (let i = 0; i < bits.length; i++) if ((bits[i] & 0x7f800000) === 0x7f800000) return false;
  return true;
}

function malformed(label: string, why: string, options?: ErrorOptions): Error {
  return new Error(`${label} is not a valid safetensors file, ${why}: copy or convert it again`, options);
}
