/** Products of matrices: of words, of words and packed weights, of floats; large ones shared among threads. */
import { distinct, sized, whole, width } from "./checks.ts";
import type { Kernels } from "./kernels.ts";
import type { Floats, Memory, Words } from "./memory.ts";
import type { ParallelKernel, Threads } from "./threads.ts";

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

/** The products of one ring. Lengths are checked before a kernel runs. */
export class Products {
  readonly #memory: Memory;
  readonly #kernels: Kernels;
  readonly #threads: Threads | null;
  readonly #packed = new Set<PackedWeights>();

  constructor(memory: Memory, kernels: Kernels, threads: Threads | null) {
    this.#memory = memory;
    this.#kernels = kernels;
    this.#threads = threads;
  }

  /** out (+)= a·b mod 2^bits, what stands above that is arbitrary; a [m, k], b [k, n]; out may be neither. */
  matmul(out: Words, a: Words, b: Words, m: number, k: number, n: number, accumulate = false, bits = 64): void {
    whole(m, k, n);
    width(bits);
    distinct(out, a, b);
    sized(this.#memory, m * n, out);
    sized(this.#memory, m * k, a);
    sized(this.#memory, k * n, b);
    const bytes = this.#kernels.matmulScratch(k, n);
    this.#inParts("matmul", m, k * n, bytes, (first, rows, scratch) => {
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
    const source = this.#memory.allocate(weights.byteLength);
    new Int16Array(this.#memory.wasm.buffer, source, weights.length).set(weights);
    const pointer = this.#memory.allocate(this.#kernels.narrowBytes(k, n));
    this.#kernels.narrowPack(pointer, source, k, n);
    this.#memory.release(source);
    const packed = { pointer, k, n, klass } as const;
    this.#packed.add(packed);
    return packed;
  }

  /** Rows of packed weights as words, from `first` on, as many as fill `out`. */
  unpackWeights(out: Words, packed: PackedWeights, first: number): void {
    const { pointer, k, n } = packed;
    if (!this.#packed.has(packed)) throw new RangeError("weights freed before, or not of this ring");
    const count = out.length / n;
    whole(first, count);
    if (first + count > k) throw new RangeError("the weights have fewer rows");
    sized(this.#memory, out.length, out);
    this.#kernels.narrowUnpack(out.pointer, pointer, k, n, first, count);
  }

  /** @throws RangeError for weights freed before, or of another ring. */
  freeWeights(packed: PackedWeights): void {
    if (!this.#packed.delete(packed)) throw new RangeError("weights freed before, or not of this ring");
    this.#memory.release(packed.pointer);
  }

  /** out (+)= a·weights mod 2^bits, what stands above that is arbitrary; exact for any a; a [m, k]; out may not be a. */
  matmulNarrow(out: Words, a: Words, packed: PackedWeights, m: number, accumulate = false, bits = 64): void {
    width(bits);
    const { pointer, k, n, klass } = packed;
    if (!this.#packed.has(packed)) throw new RangeError("weights freed before, or not of this ring");
    whole(m);
    distinct(out, a);
    sized(this.#memory, m * n, out);
    sized(this.#memory, m * k, a);
    const bytes = this.#kernels.narrowScratch(k, klass);
    this.#inParts("matmulNarrow", m, k * n, bytes, (first, rows, scratch) => {
      const [to, from] = [out.pointer + 8 * first * n, a.pointer + 8 * first * k];
      return [to, from, pointer, scratch, rows, k, n, klass, accumulate ? 1 : 0, bits];
    });
  }

  /** out = a·b in floats; a [m, k], b [k, n]. */
  matmulF32(out: Floats, a: Floats, b: Floats, m: number, k: number, n: number): void {
    this.#floatProduct(out, a, b, m, k, n, false);
  }

  /** out = a·wᵀ in floats; a [m, k], w [n, k], the way Hugging Face stores weights. */
  matmulF32Transposed(out: Floats, a: Floats, w: Floats, m: number, k: number, n: number): void {
    this.#floatProduct(out, a, w, m, k, n, true);
  }

  /** Runs a product in parts of its rows, one a thread, each with its own scratch. */
  #inParts(
    kernel: ParallelKernel,
    rows: number,
    macsOfRow: number,
    scratchBytes: number,
    call: (first: number, rows: number, scratch: number) => readonly number[],
  ): void {
    const most = Math.floor((rows * macsOfRow) / LEAST_MACS);
    const parts = Math.max(1, Math.min(this.#threads?.count ?? 1, most, rows));
    const each = Math.ceil(rows / parts);
    const scratch = this.#memory.allocate(scratchBytes * parts);
    const calls: (readonly number[])[] = [];
    for (let first = 0; first < rows || calls.length === 0; first += each)
      calls.push(call(first, Math.min(each, rows - first), scratch + calls.length * scratchBytes));
    if (calls.length > 1) this.#threads!.run(this.#kernels, kernel, calls);
    else (this.#kernels[kernel] as (...numbers: number[]) => void)(...calls[0]);
    this.#memory.release(scratch);
  }

  #floatProduct(out: Floats, a: Floats, b: Floats, m: number, k: number, n: number, transposed: boolean): void {
    whole(m, k, n);
    distinct(out, a, b);
    sized(this.#memory, m * n, out);
    sized(this.#memory, m * k, a);
    sized(this.#memory, k * n, b);
    const scratch = this.#memory.allocate(this.#kernels.matmulF32Scratch(k));
    this.#kernels.matmulF32(out.pointer, a.pointer, b.pointer, scratch, m, k, n, transposed ? 1 : 0);
    this.#memory.release(scratch);
  }
}
