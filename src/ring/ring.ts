/** Z_{2^64}: tensors of words and the operations on them. One Ring a party; everything bulky happens in WebAssembly. */
import { platform } from "#platform";
import { distinct, packedSize, sized, whole, width } from "./checks.ts";
import { type Kernels, loadKernels, wasmModule } from "./kernels.ts";
import { Floats, Memory, Words } from "./memory.ts";
import { Products } from "./products.ts";
import type { Threads } from "./threads.ts";

/** The words of one party, and the operations on them; fourier.ts, polynomial.ts, comparison.ts and wide.ts have those of single protocols. */
export class Ring {
  readonly memory: Memory;
  /** For what is built beside it (products.ts, wide.ts): arguments must be checked before a kernel runs. */
  readonly kernels: Kernels;
  readonly products: Products;
  /** Whether `keystream` is native code. */
  readonly drawsNatively = platform.native?.module.keystream !== undefined;

  private constructor(memory: Memory, kernels: Kernels, threads: Threads | null) {
    this.memory = memory;
    this.kernels = kernels;
    this.products = new Products(memory, kernels, threads);
  }

  /** A ring with a memory of its own; with more threads than one, large products are shared among them (Node alone). */
  static async create({ threads = 1 }: { readonly threads?: number } = {}): Promise<Ring> {
    if (threads === 1) {
      const memory = new Memory();
      return new Ring(memory, await loadKernels(memory), null);
    }
    // Of no use to browsers, which do not load it.
    const { Threads } = await import("./threads.ts");
    const memory = new Memory(true);
    const kernels = await loadKernels(memory);
    // Before any kernel runs: a thread's instance writes the module's initial data once more.
    const pool = await Threads.start(threads, memory, await wasmModule(memory));
    return new Ring(memory, kernels, pool);
  }

  /** Uninitialised: every word must be written before it is read. */
  alloc(length: number): Words {
    return new Words(this.memory, length);
  }

  /** @throws RangeError for words freed before, or of another ring. */
  free(w: Words): void {
    if (!w.isIn(this.memory)) throw new RangeError("freed twice, or not of this ring");
    w.release();
  }

  allocFloats(length: number): Floats {
    return new Floats(this.memory, length);
  }

  /** @throws RangeError for floats freed before, or of another ring. */
  freeFloats(f: Floats): void {
    if (!f.isIn(this.memory)) throw new RangeError("freed twice, or not of this ring");
    f.release();
  }

  zero(out: Words): void {
    sized(this.memory, out.length, out);
    out.bytes().fill(0);
  }

  copy(out: Words, a: Words): void {
    this.same(out, a);
    out.bytes().set(a.bytes());
  }

  add(out: Words, a: Words, b: Words): void {
    this.same(out, a, b);
    this.kernels.add(out.pointer, a.pointer, b.pointer, out.length);
  }

  subtract(out: Words, a: Words, b: Words): void {
    this.same(out, a, b);
    this.kernels.subtract(out.pointer, a.pointer, b.pointer, out.length);
  }

  negate(out: Words, a: Words): void {
    this.same(out, a);
    this.kernels.negate(out.pointer, a.pointer, out.length);
  }

  /** Elementwise. */
  multiply(out: Words, a: Words, b: Words): void {
    this.same(out, a, b);
    this.kernels.multiply(out.pointer, a.pointer, b.pointer, out.length);
  }

  xor(out: Words, a: Words, b: Words): void {
    this.same(out, a, b);
    this.kernels.xorWords(out.pointer, a.pointer, b.pointer, out.length);
  }

  /** Constants come as the two's-complement halves of 64 bits. */
  addConstant(out: Words, a: Words, lo: number, hi: number): void {
    this.same(out, a);
    this.kernels.addConstant(out.pointer, a.pointer, lo, hi, out.length);
  }

  scale(out: Words, a: Words, lo: number, hi: number): void {
    this.same(out, a);
    this.kernels.scale(out.pointer, a.pointer, lo, hi, out.length);
  }

  /** out += a·c */
  addScaled(out: Words, a: Words, lo: number, hi: number): void {
    this.same(out, a);
    this.kernels.addScaled(out.pointer, a.pointer, lo, hi, out.length);
  }

  /** out[i, j] = a[i, j] + row[j] */
  addRow(out: Words, a: Words, row: Words, rows: number, columns: number): void {
    whole(rows, columns);
    sized(this.memory, rows * columns, out, a);
    sized(this.memory, columns, row);
    this.kernels.addRow(out.pointer, a.pointer, row.pointer, rows, columns);
  }

  /** out[i, j] += a[i, j]·row[j] */
  scaleColumns(out: Words, a: Words, row: Words, rows: number, columns: number): void {
    whole(rows, columns);
    sized(this.memory, rows * columns, out, a);
    sized(this.memory, columns, row);
    this.kernels.scaleColumns(out.pointer, a.pointer, row.pointer, rows, columns);
  }

  /** out[i, j] += column[i]·row[j] */
  addOuter(out: Words, column: Words, row: Words, rows: number, columns: number): void {
    whole(rows, columns);
    sized(this.memory, rows * columns, out);
    sized(this.memory, rows, column);
    sized(this.memory, columns, row);
    this.kernels.addOuter(out.pointer, column.pointer, row.pointer, rows, columns);
  }

  /** out[i] = Σ_j a[i, j] */
  rowSum(out: Words, a: Words, rows: number, columns: number): void {
    whole(rows, columns);
    sized(this.memory, rows * columns, a);
    sized(this.memory, rows, out);
    this.kernels.rowSum(out.pointer, a.pointer, rows, columns);
  }

  /** out[i, j] = columns·a[i, j] - Σ_j a[i, j] */
  centre(out: Words, a: Words, rows: number, columns: number): void {
    whole(rows, columns);
    sized(this.memory, rows * columns, out, a);
    this.kernels.centre(out.pointer, a.pointer, rows, columns);
  }

  /** a mod 2^bits */
  reduce(out: Words, a: Words, bits: number): void {
    this.same(out, a);
    width(bits);
    this.kernels.reduce(out.pointer, a.pointer, bits, out.length);
  }

  /** ((a mod 2^from) >> shift) mod 2^to, the shift logical */
  truncate(out: Words, a: Words, from: number, shift: number, to: number): void {
    this.same(out, a);
    width(from);
    width(to);
    whole(shift);
    this.kernels.truncate(out.pointer, a.pointer, from, shift, to, out.length);
  }

  signExtend(out: Words, a: Words, bits: number): void {
    this.same(out, a);
    width(bits);
    this.kernels.signExtend(out.pointer, a.pointer, bits, out.length);
  }

  arithmeticShift(out: Words, a: Words, shift: number): void {
    this.same(out, a);
    whole(shift);
    this.kernels.arithmeticShift(out.pointer, a.pointer, shift, out.length);
  }

  /** Bit bits-1, as 0 or 1 */
  msb(out: Words, a: Words, bits: number): void {
    this.same(out, a);
    width(bits);
    this.kernels.msb(out.pointer, a.pointer, bits, out.length);
  }

  /** out [columns, rows]; it may not be `a`. */
  transpose(out: Words, a: Words, rows: number, columns: number): void {
    whole(rows, columns);
    distinct(out, a);
    sized(this.memory, rows * columns, out, a);
    this.kernels.transpose(out.pointer, a.pointer, rows, columns);
  }

  /** Copies rows × columns between tensors with other row lengths; offsets and strides in words. */
  copyBlock(
    out: Words,
    outOffset: number,
    outStride: number,
    a: Words,
    aOffset: number,
    aStride: number,
    rows: number,
    columns: number,
  ): void {
    whole(outOffset, outStride, aOffset, aStride, rows, columns);
    sized(this.memory, out.length, out);
    sized(this.memory, a.length, a);
    const last = (offset: number, stride: number) => offset + (rows - 1) * stride + columns;
    if (rows === 0 || last(outOffset, outStride) > out.length || last(aOffset, aStride) > a.length) {
      throw new RangeError("copyBlock: the block lies outside a tensor");
    }
    this.kernels.copyBlock(out.pointer + 8 * outOffset, outStride, a.pointer + 8 * aOffset, aStride, rows, columns);
  }

  /** out[i] = a[at[i]]: entries at public places. */
  take(out: Words, a: Words, at: Int32Array): void {
    sized(this.memory, at.length, out);
    sized(this.memory, a.length, a);
    for (const index of at)
      if (!(index >= 0 && index < a.length)) throw new RangeError("take: an entry lies outside the tensor");
    const [to, from] = [out, a].map((words) => {
      const bytes = words.bytes();
      return new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
    });
    for (let i = 0; i < at.length; i++) {
      to[2 * i] = from[2 * at[i]];
      to[2 * i + 1] = from[2 * at[i] + 1];
    }
  }

  /** out[i] = a[floor(i / repeat)] */
  repeat(out: Words, a: Words, repeat: number): void {
    whole(repeat);
    sized(this.memory, a.length * repeat, out);
    sized(this.memory, a.length, a);
    this.kernels.repeatWords(out.pointer, a.pointer, out.length, repeat);
  }

  /** Writes the low `bits` of every word as a bit stream. @throws RangeError when `target` has not ceil(n·bits/8) bytes. */
  packBits(target: Uint8Array, a: Words, bits: number): void {
    sized(this.memory, a.length, a);
    packedSize(target, a, bits);
    const scratch = this.memory.allocate(target.length + 8);
    this.kernels.packBits(scratch, a.pointer, bits, a.length);
    target.set(new Uint8Array(this.memory.wasm.buffer, scratch, target.length));
    this.memory.release(scratch);
  }

  /** AES-128's keystream in counter mode, at an address as prg.ts has it. Constant-time. @throws RangeError unless the key has 16 bytes. */
  keystream(out: Words, key: Uint8Array, stream: number, purpose: number): void {
    sized(this.memory, out.length, out);
    if (key.length !== 16) throw new RangeError(`a key has 16 bytes, got ${key.length}`);
    const scratch = this.memory.allocate(this.kernels.aesScratch() + 16);
    const ownKey = scratch + this.kernels.aesScratch();
    new Uint8Array(this.memory.wasm.buffer, ownKey, 16).set(key);
    this.kernels.keystream(out.pointer, 8 * out.length, ownKey, stream, purpose, scratch);
    new Uint8Array(this.memory.wasm.buffer, ownKey, 16).fill(0);
    this.memory.release(scratch);
  }

  /** Reads a bit stream; words are mod 2^bits. @throws RangeError when `source` has not ceil(n·bits/8) bytes. */
  unpackBits(out: Words, source: Uint8Array, bits: number): void {
    sized(this.memory, out.length, out);
    packedSize(source, out, bits);
    const scratch = this.memory.allocate(source.length + 16);
    new Uint8Array(this.memory.wasm.buffer, scratch, source.length).set(source);
    this.kernels.unpackBits(out.pointer, scratch, bits, out.length);
    this.memory.release(scratch);
  }

  /**
   * round(values·scale), two's complement.
   * @throws RangeError when a value is not finite or |value·scale| >= 2^62; the value is not in the message.
   */
  encode(out: Words, values: Float64Array | Float32Array, scale: number): void {
    sized(this.memory, out.length, out);
    if (values.length !== out.length) throw new RangeError(`expected ${out.length} values, got ${values.length}`);
    const scratch = this.memory.allocate(values.length * 8);
    new Float64Array(this.memory.wasm.buffer, scratch, values.length).set(values);
    const failed = this.kernels.encodeF64(out.pointer, scratch, scale, out.length);
    this.memory.release(scratch);
    if (failed !== 0) throw new RangeError("a value is not finite or does not fit into fixed point: check its range");
  }

  /** Words mod 2^bits as signed numbers over `scale`. */
  decode(a: Words, bits: number, scale: number): Float64Array {
    width(bits);
    sized(this.memory, a.length, a);
    const scratch = this.memory.allocate(a.length * 8);
    this.kernels.decodeF64(scratch, a.pointer, bits, scale, a.length);
    const values = new Float64Array(this.memory.wasm.buffer, scratch, a.length).slice();
    this.memory.release(scratch);
    return values;
  }

  private same(a: Words, ...others: readonly Words[]): void {
    sized(this.memory, a.length, a, ...others);
  }
}
