/** A model's weights as the integers of its program: the server's operands, and their copies masked by R. */
import { InternalError } from "../errors.ts";
import { log2 } from "../program/maths.ts";
import { outputMeans } from "../program/means.ts";
import { relativeRows } from "../program/relative-rows.ts";
import type { Weights } from "../program/spec.ts";
import {
  type BiasRef,
  PlanError,
  type Program,
  type Step,
  type StepOf,
  type WeightRef,
  type WeightSlot,
} from "../program/steps.ts";
import { addRowTerm } from "../protocols/linear.ts";
import type { MaskedWeights, ServerWeights } from "../protocols/sides.ts";
import { hex } from "../ring/hex.ts";
import type { Words } from "../ring/memory.ts";
import { Prg } from "../ring/prg.ts";
import type { PackedWeights } from "../ring/products.ts";
import type { Ring } from "../ring/ring.ts";
import type { Secret } from "../ring/secret.ts";

/** Rows of R drawn at once, and words of them: the memory of a large table, long or wide, is bounded. */
const CHUNK_ROWS = 2 ** 10;
const CHUNK_WORDS = 2 ** 20;

function chunkRows({ columns }: WeightSlot): number {
  return Math.min(CHUNK_ROWS, 2 ** Math.max(0, Math.floor(log2(CHUNK_WORDS / columns))));
}

/** Byte sizes of the parts in which one masked operand travels from the server to the dealer. */
export function setupParts(slot: WeightSlot): number[] {
  const parts: number[] = [];
  const most = chunkRows(slot);
  for (let first = 0; first < slot.rows; first += most)
    parts.push(Math.min(most, slot.rows - first) * slot.columns * 8);
  return parts;
}

/** The public name of one weight operand: what the dealer stores its masked copy under. */
export function slotKey({ ref, rows, columns }: WeightSlot): Promise<string> {
  return digestOf([ref, rows, columns]);
}

/**
 * R of every operand, expanded from the model key that server and client share. Each operand has a key of its own, made
 * from the model key and all that defines the operand: what differs in anything, be it the scale, has another R.
 */
export class WeightMasks implements MaskedWeights {
  private readonly ring: Ring;
  private readonly slots: readonly WeightSlot[];
  private readonly streams: readonly Prg[];

  private constructor(ring: Ring, slots: readonly WeightSlot[], streams: readonly Prg[]) {
    this.ring = ring;
    this.slots = slots;
    this.streams = streams;
  }

  static async create(ring: Ring, program: Program, modelKey: Secret): Promise<WeightMasks> {
    const streams: Prg[] = [];
    for (const slot of program.weights) {
      const definition = new TextEncoder().encode(JSON.stringify(slot.ref));
      const digest = await sha256(Uint8Array.from([...modelKey.expose(), ...definition]));
      streams.push(new Prg(digest.subarray(0, 16)));
    }
    return new WeightMasks(ring, program.weights, streams);
  }

  chunks(weightId: number, use: (words: Words, firstRow: number, rows: number) => void): void {
    const slot = this.slots[weightId];
    for (let first = 0; first < slot.rows; first += chunkRows(slot)) this.chunk(weightId, first, use);
  }

  /** The chunk that begins at a row. */
  chunk(weightId: number, first: number, use: (words: Words, firstRow: number, rows: number) => void): void {
    const slot = this.slots[weightId];
    const { rows, columns } = slot;
    const most = chunkRows(slot);
    const count = Math.min(most, rows - first);
    const words = this.ring.alloc(count * columns);
    this.streams[weightId].words(this.ring, words, 0, first / most);
    use(words, first, count);
    this.ring.free(words);
  }
}

/** The masked operands as a dealer holds them. */
export class StoredWeights implements MaskedWeights {
  private readonly words: readonly (Words | undefined)[];
  private readonly slots: readonly WeightSlot[];

  constructor(words: readonly (Words | undefined)[], slots: readonly WeightSlot[]) {
    this.words = words;
    this.slots = slots;
  }

  chunks(weightId: number, use: (words: Words, firstRow: number, rows: number) => void): void {
    const words = this.words[weightId];
    if (words === undefined) throw new InternalError(`masked weight ${weightId} has not arrived`);
    use(words, 0, this.slots[weightId].rows);
  }
}

type Operand =
  | { readonly kind: "narrow"; readonly packed: PackedWeights }
  /** The same, and once more head by head. */
  | { readonly kind: "heads"; readonly packed: PackedWeights; readonly heads: readonly PackedWeights[] }
  | { readonly kind: "diagonal" | "mean" | "outer"; readonly words: Words };

/** The server's operands, made from floats once for each program; equal operands of several lengths are shared. */
export class IntegerWeights {
  private readonly ring: Ring;
  private readonly operands = new Map<string, Operand>();
  private readonly biases = new Map<string, Words>();
  private readonly tables = new Map<string, Words>();

  constructor(ring: Ring) {
    this.ring = ring;
  }

  /**
   * What the protocols call for one program. The floats are asked for only if an operand is missing, and not kept.
   * @throws PlanError when a weight does not fit its kernel.
   */
  async for(program: Program, load: () => Promise<Weights>): Promise<ServerWeights> {
    const slots = program.weights.filter((slot) => !this.operands.has(operandKey(slot)));
    const steps = program.steps.filter((s) => s.kind === "linear" && !this.biases.has(biasKey(s, program)));
    const placed = program.steps.filter((s) => s.kind === "relative" && s.bias !== null);
    const missing = placed.some((s) => !this.tables.has(tableKey(s)));
    if (slots.length > 0 || steps.length > 0 || missing) {
      const floats = new FloatWeights(this.ring, await load());
      for (const slot of slots) this.operands.set(operandKey(slot), floats.operand(slot));
      for (const step of steps) {
        const bias = step.kind === "linear" ? floats.bias(step, program) : null;
        if (step.kind === "linear" && bias !== null) this.biases.set(biasKey(step, program), bias);
      }
      for (const step of placed)
        if (step.kind === "relative" && !this.tables.has(tableKey(step)))
          this.tables.set(tableKey(step), floats.distances(step));
    }
    const operands = program.weights.map((slot) => this.operands.get(operandKey(slot))!);
    return {
      apply: (weightId, out, x, rows, bits) => {
        const operand = operands[weightId];
        const { columns } = program.weights[weightId];
        if ("packed" in operand) this.ring.products.matmulNarrow(out, x, operand.packed, rows, true, bits);
        else addRowTerm(this.ring, operand.kind, out, x, operand.words, rows, columns);
      },
      applyHead: (weightId, head, out, x, rows, bits) => {
        const operand = operands[weightId];
        if (operand.kind !== "heads") throw new InternalError(`weight ${weightId} is not cut by heads`);
        this.ring.products.matmulNarrow(out, x, operand.heads[head], rows, false, bits);
      },
      distances: (step) => this.tables.get(tableKey(step))!,
      bias: (step) => this.biases.get(biasKey(step, program)) ?? null,
    };
  }

  /** W - R of one operand, part by part as `setupParts` has them; the next is made once a part has gone, which is the callee's. */
  async mask(slot: WeightSlot, masks: WeightMasks, emit: (part: Uint8Array) => Promise<void>): Promise<void> {
    const operand = this.operands.get(operandKey(slot));
    if (operand === undefined) throw new PlanError("a weight is asked for before its program");
    for (let first = 0; first < slot.rows; first += chunkRows(slot)) {
      let part = new Uint8Array();
      masks.chunk(slot.id, first, (r) => {
        const w = this.ring.alloc(r.length);
        if ("packed" in operand) this.ring.products.unpackWeights(w, operand.packed, first);
        else this.ring.copy(w, operand.words);
        this.ring.subtract(w, w, r);
        part = w.bytes().slice();
        this.ring.free(w);
      });
      await emit(part);
    }
  }
}

function operandKey(slot: WeightSlot): string {
  return JSON.stringify(slot.ref);
}

function biasKey(step: Step, program: Program): string {
  const bias = step.kind === "linear" ? step.bias : null;
  return `${JSON.stringify(bias)}:${program.values[step.out].rows}`;
}

function tableKey(step: Step): string {
  return JSON.stringify(step.kind === "relative" ? step.bias : null);
}

/** Makes operands from floats. */
class FloatWeights {
  private readonly ring: Ring;
  private readonly weights: Weights;

  constructor(ring: Ring, weights: Weights) {
    this.ring = ring;
    this.weights = weights;
  }

  operand(slot: WeightSlot): Operand {
    const { ref } = slot;
    if (ref.kind === "outer")
      return { kind: "outer", words: this.words(this.biasRow(ref.bias, slot.columns), ref.bias.scale) };
    if (ref.kind === "diagonal" || ref.kind === "mean") {
      const { data } = this.weights.get(`${ref.name}.weight`);
      const row = Float64Array.from({ length: slot.columns }, (_, i) => data[i % data.length]);
      return { kind: ref.kind, words: this.words(row, ref.kind === "mean" ? ref.scale / slot.columns : ref.scale) };
    }
    if (ref.kind === "identity") throw new PlanError("a public factor is no weight");
    if (ref.kind === "relative") return this.relative(ref, slot);
    const integers = ref.kind === "dense" ? this.dense(ref, slot) : this.table(ref, slot);
    return { kind: "narrow", packed: this.ring.products.packWeights(integers, slot.rows, slot.columns) };
  }

  /** The row that the server adds, or one for each position; null where there is none. */
  bias(step: StepOf<"linear">, program: Program): Words | null {
    if (step.bias === null) return null;
    const { rows, columns } = program.values[step.out];
    const row = this.biasRow(step.bias, columns);
    const values = step.bias.positions === null ? row : this.withPositions(row, step.bias, rows);
    return this.words(values, step.bias.scale);
  }

  /** [outputs, inputs] floats to [inputs, outputs] integers, the norm's gain folded in. */
  private dense(ref: Extract<WeightRef, { kind: "dense" }>, slot: WeightSlot): Int16Array {
    const { data } = this.weights.get(`${ref.name}.weight`);
    const gain = ref.gain === null ? null : this.weights.get(`${ref.gain}.weight`).data;
    const out = new Int16Array(slot.rows * slot.columns);
    const means = ref.centred ? outputMeans("dense", data, [slot.columns, slot.rows]) : null;
    for (let o = 0; o < slot.columns; o++) {
      for (let i = 0; i < slot.rows; i++) {
        const w = (data[o * slot.rows + i] - (means?.[i] ?? 0)) * (gain === null ? 1 : gain[i]) * ref.scale;
        out[i * slot.columns + o] = narrow(w, ref.name);
      }
    }
    return out;
  }

  private table(ref: Extract<WeightRef, { kind: "table" }>, slot: WeightSlot): Int16Array {
    const { data } = this.weights.get(ref.name);
    const means = ref.centred ? outputMeans("table", data, [slot.rows, slot.columns]) : null;
    const mean = (i: number) => means?.[Math.floor(i / slot.columns)] ?? 0;
    return Int16Array.from({ length: slot.rows * slot.columns }, (_, i) =>
      narrow((data[i] - mean(i)) * ref.scale, ref.name),
    );
  }

  /** Keys or queries of the distances, [buckets, heads·width], to [heads·width, buckets] integers. */
  private relative(ref: Extract<WeightRef, { kind: "relative" }>, { rows, columns }: WeightSlot): Operand {
    const data = relativeRows(this.weights, ref);
    const integers = Int16Array.from({ length: rows * columns }, (_, i) =>
      narrow(data[(i % columns) * rows + Math.floor(i / columns)] * ref.scale, ref.layer),
    );
    const width = rows / ref.heads;
    const heads = Array.from({ length: ref.heads }, (_, h) =>
      this.ring.products.packWeights(integers.subarray(h * width * columns, (h + 1) * width * columns), width, columns),
    );
    return { kind: "heads", packed: this.ring.products.packWeights(integers, rows, columns), heads };
  }

  /** A table of numbers of the distances, [buckets, heads], head by head. */
  distances(step: StepOf<"relative">): Words {
    const { data, shape } = this.weights.get(step.bias!.name);
    const [buckets, heads] = shape;
    const values = Float64Array.from(
      { length: data.length },
      (_, i) => data[(i % buckets) * heads + Math.floor(i / buckets)],
    );
    return this.words(values, step.bias!.scale);
  }

  private biasRow(ref: BiasRef, columns: number): Float64Array {
    const row = new Float64Array(columns);
    const add = (data: Float32Array) => {
      for (let i = 0; i < row.length; i++) row[i] += data[i];
    };
    for (const layer of ref.layers) add(this.weights.get(`${layer}.bias`).data);
    for (const norm of ref.norms) add(this.weights.get(`${norm}.bias`).data);
    for (const { layer, norm } of ref.folded) {
      const { data, shape } = this.weights.get(`${layer}.weight`);
      const beta = this.weights.get(`${norm}.bias`).data;
      for (let o = 0; o < shape[0]; o++) for (let i = 0; i < shape[1]; i++) row[o] += data[o * shape[1] + i] * beta[i];
    }
    if (ref.centred) centre(row, columns);
    return row;
  }

  private withPositions(row: Float64Array, ref: BiasRef, rows: number): Float64Array {
    const { name, offset, first } = ref.positions!;
    const { data } = this.weights.get(name);
    const start = offset * row.length;
    const begin = first === undefined ? row : this.weights.get(first).data;
    const all = Float64Array.from({ length: rows * row.length }, (_, i) => {
      return data[start + i] + (i < row.length ? begin[i] : row[i % row.length]);
    });
    if (ref.centred) centre(all, row.length);
    return all;
  }

  private words(values: Float64Array, scale: number): Words {
    const words = this.ring.alloc(values.length);
    this.ring.encode(words, values, scale);
    return words;
  }
}

/** Takes each row's mean off. */
function centre(values: Float64Array, columns: number): void {
  for (let first = 0; first < values.length; first += columns) {
    const row = values.subarray(first, first + columns);
    const mean = row.reduce((sum, x) => sum + x, 0) / columns;
    for (let i = 0; i < columns; i++) row[i] -= mean;
  }
}

function narrow(w: number, name: string): number {
  const rounded = Math.round(w);
  if (!(Math.abs(rounded) <= 32_767))
    throw new PlanError(`a weight of ${name} does not fit the plan: calibrate the model again`);
  return rounded;
}

/** SHA-256 of bytes. */
export async function sha256(data: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", data));
}

/** SHA-256 of a value's JSON; 64 hexadecimal digits. */
export async function digestOf(value: unknown): Promise<string> {
  return hex(await sha256(new TextEncoder().encode(JSON.stringify(value))));
}
