/** Z_{2^64}: tensors of words and the operations on them. One Ring a party; everything bulky happens in WebAssembly. */
import { type Kernels, loadKernels, wasmModule } from "./kernels.ts";
import { Floats, Memory, Words } from "./memory.ts";
import {
  type PolynomialMonomial,
  type PolynomialSecret,
  type PolynomialVariable,
  polynomialTables,
} from "./polynomial.ts";
import { type ParallelKernel, Threads } from "./threads.ts";

/** Multiplications of a thread's part, at least: a fraction of a millisecond, where handing it over costs little. */
const LEAST_MACS = 4e6;

/** Plaintext weights, packed for the narrow kernel. */
export interface PackedWeights {
  readonly pointer: number;
  readonly k: number;
  readonly n: number;
  /** 0: |w| <= 511, 1: |w| <= 4095, 2: |w| <= 32767. */
  readonly klass: 0 | 1 | 2;
}

export class Ring {
  readonly memory: Memory;
  /** For what is built beside it (wide.ts): arguments must be checked before a kernel runs. */
  readonly kernels: Kernels;
  private readonly packed = new Set<PackedWeights>();

  private readonly threads: Threads | null;

  private constructor(memory: Memory, kernels: Kernels, threads: Threads | null) {
    this.memory = memory;
    this.kernels = kernels;
    this.threads = threads;
  }

  /** A ring with a memory of its own; with more threads than one, large products are shared among them (Node alone). */
  static async create({ threads = 1 }: { readonly threads?: number } = {}): Promise<Ring> {
    if (threads === 1) {
      const memory = new Memory();
      return new Ring(memory, await loadKernels(memory), null);
    }
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
    this.sized(out.length, out);
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
    this.sized(rows * columns, out, a);
    this.sized(columns, row);
    this.kernels.addRow(out.pointer, a.pointer, row.pointer, rows, columns);
  }

  /** out[i, j] += a[i, j]·row[j] */
  scaleColumns(out: Words, a: Words, row: Words, rows: number, columns: number): void {
    whole(rows, columns);
    this.sized(rows * columns, out, a);
    this.sized(columns, row);
    this.kernels.scaleColumns(out.pointer, a.pointer, row.pointer, rows, columns);
  }

  /** out[i, j] += column[i]·row[j] */
  addOuter(out: Words, column: Words, row: Words, rows: number, columns: number): void {
    whole(rows, columns);
    this.sized(rows * columns, out);
    this.sized(rows, column);
    this.sized(columns, row);
    this.kernels.addOuter(out.pointer, column.pointer, row.pointer, rows, columns);
  }

  /** out[i] = Σ_j a[i, j] */
  rowSum(out: Words, a: Words, rows: number, columns: number): void {
    whole(rows, columns);
    this.sized(rows * columns, a);
    this.sized(rows, out);
    this.kernels.rowSum(out.pointer, a.pointer, rows, columns);
  }

  /** out[i, j] = columns·a[i, j] - Σ_j a[i, j] */
  centre(out: Words, a: Words, rows: number, columns: number): void {
    whole(rows, columns);
    this.sized(rows * columns, out, a);
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
    this.sized(rows * columns, out, a);
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
    this.sized(out.length, out);
    this.sized(a.length, a);
    const last = (offset: number, stride: number) => offset + (rows - 1) * stride + columns;
    if (rows === 0 || last(outOffset, outStride) > out.length || last(aOffset, aStride) > a.length) {
      throw new RangeError("copyBlock: the block lies outside a tensor");
    }
    this.kernels.copyBlock(out.pointer + 8 * outOffset, outStride, a.pointer + 8 * aOffset, aStride, rows, columns);
  }

  /** out[i] = a[at[i]]: entries at public places. */
  take(out: Words, a: Words, at: Int32Array): void {
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
    this.sized(a.length * repeat, out);
    this.sized(a.length, a);
    this.kernels.repeatWords(out.pointer, a.pointer, out.length, repeat);
  }

  /** out (+)= a·b mod 2^bits, what stands above that is arbitrary; a [m, k], b [k, n]; out may be neither. */
  matmul(out: Words, a: Words, b: Words, m: number, k: number, n: number, accumulate = false, bits = 64): void {
    whole(m, k, n);
    width(bits);
    distinct(out, a, b);
    this.sized(m * n, out);
    this.sized(m * k, a);
    this.sized(k * n, b);
    const bytes = this.kernels.matmulScratch(k, n);
    this.inParts("matmul", m, k * n, bytes, (first, rows, scratch) => {
      const [to, from] = [out.pointer + 8 * first * n, a.pointer + 8 * first * k];
      return [to, from, b.pointer, scratch, rows, k, n, accumulate ? 1 : 0, bits];
    });
  }

  /**
   * Packs row-major [k, n] weights for `matmulNarrow`; the kernel's class follows from the largest magnitude.
   * @throws RangeError for a weight beyond ±32767: the kernel would overflow silently.
   */
  packWeights(weights: Int16Array, k: number, n: number): PackedWeights {
    whole(k, n);
    if (weights.length !== k * n) throw new RangeError(`expected ${k * n} weights, got ${weights.length}`);
    let largest = 0;
    for (let i = 0; i < weights.length; i++) largest = Math.max(largest, Math.abs(weights[i]));
    if (largest > 32_767) throw new RangeError("a weight lies beyond ±32767: lower the layer's weight bits");
    const klass = largest <= 511 ? 0 : largest <= 4095 ? 1 : 2;
    const source = this.memory.allocate(weights.byteLength);
    new Int16Array(this.memory.wasm.buffer, source, weights.length).set(weights);
    const pointer = this.memory.allocate(this.kernels.narrowBytes(k, n));
    this.kernels.narrowPack(pointer, source, k, n);
    this.memory.release(source);
    const packed = { pointer, k, n, klass } as const;
    this.packed.add(packed);
    return packed;
  }

  /** Rows of packed weights as words, from `first` on, as many as fill `out`. */
  unpackWeights(out: Words, packed: PackedWeights, first: number): void {
    const { pointer, k, n } = packed;
    if (!this.packed.has(packed)) throw new RangeError("weights freed before, or not of this ring");
    const count = out.length / n;
    whole(first, count);
    if (first + count > k) throw new RangeError("the weights have fewer rows");
    this.sized(out.length, out);
    this.kernels.narrowUnpack(out.pointer, pointer, k, n, first, count);
  }

  /** @throws RangeError for weights freed before, or of another ring. */
  freeWeights(packed: PackedWeights): void {
    if (!this.packed.delete(packed)) throw new RangeError("weights freed before, or not of this ring");
    this.memory.release(packed.pointer);
  }

  /** out (+)= a·weights mod 2^bits, what stands above that is arbitrary; exact for any a; a [m, k]; out may not be a. */
  matmulNarrow(out: Words, a: Words, packed: PackedWeights, m: number, accumulate = false, bits = 64): void {
    width(bits);
    const { pointer, k, n, klass } = packed;
    if (!this.packed.has(packed)) throw new RangeError("weights freed before, or not of this ring");
    whole(m);
    distinct(out, a);
    this.sized(m * n, out);
    this.sized(m * k, a);
    const bytes = this.kernels.narrowScratch(k, klass);
    this.inParts("matmulNarrow", m, k * n, bytes, (first, rows, scratch) => {
      const [to, from] = [out.pointer + 8 * first * n, a.pointer + 8 * first * k];
      return [to, from, pointer, scratch, rows, k, n, klass, accumulate ? 1 : 0, bits];
    });
  }

  /** out = a·b in floats; a [m, k], b [k, n]. */
  matmulF32(out: Floats, a: Floats, b: Floats, m: number, k: number, n: number): void {
    this.floatProduct(out, a, b, m, k, n, false);
  }

  /** out = a·wᵀ in floats; a [m, k], w [n, k], the way Hugging Face stores weights. */
  matmulF32Transposed(out: Floats, a: Floats, w: Floats, m: number, k: number, n: number): void {
    this.floatProduct(out, a, w, m, k, n, true);
  }

  /** Writes the low `bits` of every word as a bit stream. @throws RangeError when `target` has not ceil(n·bits/8) bytes. */
  packBits(target: Uint8Array, a: Words, bits: number): void {
    this.sized(a.length, a);
    packedSize(target, a, bits);
    const scratch = this.memory.allocate(target.length + 8);
    this.kernels.packBits(scratch, a.pointer, bits, a.length);
    target.set(new Uint8Array(this.memory.wasm.buffer, scratch, target.length));
    this.memory.release(scratch);
  }

  /** AES-128's keystream in counter mode, at an address as prg.ts has it. Constant-time. @throws RangeError unless the key has 16 bytes. */
  keystream(out: Words, key: Uint8Array, stream: number, purpose: number): void {
    this.sized(out.length, out);
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
    this.sized(out.length, out);
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
    this.sized(out.length, out);
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
    this.sized(a.length, a);
    const scratch = this.memory.allocate(a.length * 8);
    this.kernels.decodeF64(scratch, a.pointer, bits, scale, a.length);
    const values = new Float64Array(this.memory.wasm.buffer, scratch, a.length).slice();
    this.memory.release(scratch);
    return values;
  }

  /**
   * A party's share of a polynomial of masked values (protocols/polynomial.ts). Every secret monomial that occurs must be
   * among `secrets`; the public part is added if `server`.
   */
  polynomial(
    out: Words,
    server: boolean,
    variables: readonly PolynomialVariable[],
    monomials: readonly PolynomialMonomial[],
    secrets: readonly PolynomialSecret[],
  ): void {
    for (const v of variables) this.sized(out.length / v.repeat, v.x);
    for (const s of secrets) this.sized(out.length / s.repeat, s.share);
    const { termCount, ...entries } = polynomialTables(server, variables, monomials, secrets);
    const tables = [entries.variables, entries.terms, entries.pairs].map((t) => this.table(t));
    const [v, t, p] = tables;
    const scratch = this.memory.allocate(this.kernels.polynomialScratch());
    this.kernels.polynomialEvaluate(out.pointer, out.length, v, variables.length, t, termCount, p, scratch);
    for (const pointer of [...tables, scratch]) this.memory.release(pointer);
  }

  /** The dealer's cosines and sines of the harmonics of r mod 2^bits, at scale 2^trigBits. */
  fourierSecrets(out: Words, r: Words, bits: number, harmonics: number, stride: 1 | 2, trigBits: number): void {
    this.sized(2 * harmonics * r.length, out);
    period(bits);
    this.kernels.fourierSecrets(out.pointer, r.pointer, r.length, bits, harmonics, stride, trigBits);
  }

  /**
   * A party's share of a Fourier series of an opened value. `factors`: the coefficients of the cosines, then of the sines,
   * times the factor's scale; harmonics are consecutive (stride 1) or odd (2).
   */
  fourier(out: Words, x: Words, bits: number, stride: 1 | 2, factors: Float64Array, shares: Words): void {
    this.same(out, x);
    this.sized(factors.length * x.length, shares);
    exactFactors(factors);
    period(bits);
    const count = factors.length / 2;
    this.withFactors(factors, (pointer) =>
      this.kernels.fourierEvaluate(out.pointer, x.pointer, x.length, bits, count, stride, pointer, shares.pointer),
    );
  }

  /** The same in the clear, at r = 0. */
  fourierClear(out: Words, x: Words, bits: number, stride: 1 | 2, factors: Float64Array, trigBits: number): void {
    this.same(out, x);
    exactFactors(factors);
    period(bits);
    const count = factors.length / 2;
    this.withFactors(factors, (pointer) =>
      this.kernels.fourierClear(out.pointer, x.pointer, x.length, bits, count, stride, pointer, trigBits),
    );
  }

  lessThanSecrets(out: Words, r: Words, ring: number, blocks: number): void {
    this.sized(Math.ceil(blocks / 4) * r.length, out);
    this.kernels.lessThanSecrets(out.pointer, r.pointer, r.length, ring, blocks);
  }

  lessThanLeaves(out: Words, c: Words, shares: Words, ring: number, blocks: number, server: boolean): void {
    this.sized(Math.ceil(blocks / 4) * c.length, shares);
    this.same(out, c);
    this.kernels.lessThanLeaves(out.pointer, c.pointer, shares.pointer, c.length, ring, blocks, server ? 1 : 0);
  }

  carrySecrets(out: Words, rho: Words, nodes: number): void {
    this.same(out, rho);
    this.kernels.carrySecrets(out.pointer, rho.pointer, out.length, nodes);
  }

  carryLevel(out: Words, x: Words, rho: Words, secret: Words, nodes: number, server: boolean): void {
    this.same(out, x, rho);
    this.sized(out.length, secret);
    this.kernels.carryLevel(out.pointer, x.pointer, rho.pointer, secret.pointer, out.length, nodes, server ? 1 : 0);
  }

  /** Runs a product in parts of its rows, one a thread, each with its own scratch. */
  private inParts(
    kernel: ParallelKernel,
    rows: number,
    macsOfRow: number,
    scratchBytes: number,
    call: (first: number, rows: number, scratch: number) => readonly number[],
  ): void {
    const most = Math.floor((rows * macsOfRow) / LEAST_MACS);
    const parts = Math.max(1, Math.min(this.threads?.count ?? 1, most, rows));
    const each = Math.ceil(rows / parts);
    const scratch = this.memory.allocate(scratchBytes * parts);
    const calls: (readonly number[])[] = [];
    for (let first = 0; first < rows || calls.length === 0; first += each)
      calls.push(call(first, Math.min(each, rows - first), scratch + calls.length * scratchBytes));
    if (calls.length > 1) this.threads!.run(this.kernels, kernel, calls);
    else (this.kernels[kernel] as (...numbers: number[]) => void)(...calls[0]);
    this.memory.release(scratch);
  }

  private floatProduct(out: Floats, a: Floats, b: Floats, m: number, k: number, n: number, transposed: boolean): void {
    whole(m, k, n);
    distinct(out, a, b);
    this.sized(m * n, out);
    this.sized(m * k, a);
    this.sized(k * n, b);
    const scratch = this.memory.allocate(this.kernels.matmulF32Scratch(k));
    this.kernels.matmulF32(out.pointer, a.pointer, b.pointer, scratch, m, k, n, transposed ? 1 : 0);
    this.memory.release(scratch);
  }

  private same(a: Words, ...others: readonly Words[]): void {
    this.sized(a.length, a, ...others);
  }

  private sized(length: number, ...tensors: readonly (Words | Floats)[]): void {
    for (const t of tensors) {
      if (t.length !== length) throw new RangeError(`expected ${length} words, got ${t.length}`);
      if (!t.isIn(this.memory)) throw new RangeError("freed, or not of this ring");
    }
  }

  /** Lends a kernel factors as it reads them. */
  withFactors(factors: Float64Array, call: (pointer: number) => void): void {
    const pointer = this.memory.allocate(factors.byteLength);
    new Float64Array(this.memory.wasm.buffer, pointer, factors.length).set(factors);
    call(pointer);
    this.memory.release(pointer);
  }

  /** A kernel's table of 32-bit entries; the caller releases it. */
  table(entries: readonly number[]): number {
    const pointer = this.memory.allocate(entries.length * 4);
    new Int32Array(this.memory.wasm.buffer, pointer, entries.length).set(entries);
    return pointer;
  }
}

function whole(...counts: readonly number[]): void {
  for (const count of counts) {
    if (!Number.isSafeInteger(count) || count < 0) throw new RangeError(`${count} is not a count`);
  }
}

/** Where an output written early would change an input still to be read. */
function distinct(out: Words | Floats, ...inputs: readonly (Words | Floats)[]): void {
  if (inputs.includes(out)) throw new RangeError("the output may not be one of the inputs");
}

/** Beyond 2^51 the kernels' rounding would fail silently. */
function exactFactors(factors: Float64Array): void {
  if (!factors.every((f) => Math.abs(f) < 2 ** 50)) throw new RangeError("a factor of a Fourier series is too large");
}

/** An angle's bits: beyond, a double does not hold it. */
function period(bits: number): void {
  if (!(Number.isInteger(bits) && bits >= 1 && bits <= 53))
    throw new RangeError(`a period of 2^${bits} is not from 2^1 to 2^53`);
}

function width(bits: number): void {
  if (!(Number.isInteger(bits) && bits >= 1 && bits <= 64))
    throw new RangeError(`a width of ${bits} bits is not from 1 to 64`);
}

function packedSize(packed: Uint8Array, words: Words, bits: number): void {
  width(bits);
  const expected = Math.ceil((words.length * bits) / 8);
  if (packed.length !== expected) throw new RangeError(`expected ${expected} packed bytes, got ${packed.length}`);
}
