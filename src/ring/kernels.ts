import { platform } from "#platform";
import { InternalError } from "../errors.ts";
import type { Memory } from "./memory.ts";

/** Pointers, counts, strides and bit widths: 32-bit numbers. */
type N = number;

/** The WebAssembly kernels as compiled from assembly/; ring.ts checks arguments before it calls them. */
export interface Kernels {
  add(out: N, a: N, b: N, n: N): void;
  subtract(out: N, a: N, b: N, n: N): void;
  negate(out: N, a: N, n: N): void;
  multiply(out: N, a: N, b: N, n: N): void;
  addConstant(out: N, a: N, lo: N, hi: N, n: N): void;
  scale(out: N, a: N, lo: N, hi: N, n: N): void;
  addScaled(out: N, a: N, lo: N, hi: N, n: N): void;
  addRow(out: N, a: N, row: N, rows: N, columns: N): void;
  scaleColumns(out: N, a: N, row: N, rows: N, columns: N): void;
  addOuter(out: N, column: N, row: N, rows: N, columns: N): void;
  rowSum(out: N, a: N, rows: N, columns: N): void;
  centre(out: N, a: N, rows: N, columns: N): void;
  reduce(out: N, a: N, bits: N, n: N): void;
  truncate(out: N, a: N, from: N, shift: N, to: N, n: N): void;
  signExtend(out: N, a: N, bits: N, n: N): void;
  arithmeticShift(out: N, a: N, shift: N, n: N): void;
  msb(out: N, a: N, bits: N, n: N): void;
  transpose(out: N, a: N, rows: N, columns: N): void;
  copyBlock(out: N, outStride: N, a: N, aStride: N, rows: N, columns: N): void;
  encodeF64(out: N, values: N, factor: number, n: N): N;
  decodeF64(values: N, a: N, bits: N, factor: number, n: N): void;
  matmulScratch(k: N, n: N): N;
  /** Right mod 2^bits. WebAssembly's are mod 2^64, and take no notice of `bits`. */
  matmul(out: N, a: N, b: N, scratch: N, m: N, k: N, n: N, accumulate: N, bits: N): void;
  narrowBytes(k: N, n: N): N;
  narrowScratch(k: N, klass: N): N;
  narrowPack(out: N, w: N, k: N, n: N): void;
  narrowUnpack(out: N, packed: N, k: N, n: N, first: N, count: N): void;
  matmulNarrow(out: N, a: N, packed: N, scratch: N, m: N, k: N, n: N, klass: N, accumulate: N, bits: N): void;
  packBits(out: N, a: N, bits: N, n: N): void;
  unpackBits(out: N, source: N, bits: N, n: N): void;
  matmulF32Scratch(k: N): N;
  matmulF32(out: N, a: N, b: N, scratch: N, m: N, k: N, n: N, transposed: N): void;
  polynomialScratch(): N;
  polynomialEvaluate(out: N, n: N, variables: N, variableCount: N, terms: N, termCount: N, pairs: N, scratch: N): void;
  repeatWords(out: N, a: N, n: N, repeat: N): void;
  fourierSecrets(out: N, r: N, n: N, bits: N, harmonics: N, stride: N, trigBits: N): void;
  fourierEvaluate(out: N, x: N, n: N, bits: N, harmonics: N, stride: N, coefficients: N, shares: N): void;
  fourierClear(out: N, x: N, n: N, bits: N, harmonics: N, stride: N, coefficients: N, trigBits: N): void;
  lessThanSecrets(out: N, r: N, n: N, ring: N, blocks: N): void;
  lessThanLeaves(out: N, c: N, shares: N, n: N, ring: N, blocks: N, server: N): void;
  carrySecrets(out: N, rho: N, n: N, nodes: N): void;
  carryLevel(out: N, x: N, rho: N, secret: N, n: N, nodes: N, server: N): void;
  oneHotLanes(out: N, numbers: N, n: N, size: N, logLanes: N): void;
  addTurnedLanes(out: N, lanes: N, turns: N, rows: N, columns: N, size: N, logLanes: N): void;
  subtractLanes(out: N, a: N, n: N, logLanes: N): void;
  xorWords(out: N, a: N, b: N, n: N): void;
  wideAdd(lo: N, hi: N, xLo: N, xHi: N, n: N, minus: N): void;
  wideMultiplyAdd(lo: N, hi: N, c: N, xLo: N, xHi: N, n: N): void;
  wideSubtractScaled(lo: N, hi: N, x: N, factor: N, n: N): void;
  wideRowSum(lo: N, hi: N, xLo: N, xHi: N, rows: N, columns: N): void;
  wideMatmul(
    lo: N,
    hi: N,
    outRow: N,
    outColumn: N,
    p: N,
    pRow: N,
    pInner: N,
    xLo: N,
    xHi: N,
    xInner: N,
    xColumn: N,
    m: N,
    k: N,
    n: N,
  ): void;
  widePolynomial(
    out: N,
    outHi: N,
    n: N,
    variables: N,
    variableCount: N,
    terms: N,
    termCount: N,
    pairs: N,
    scratch: N,
  ): void;
  wideFourier(
    out: N,
    outHi: N,
    x: N,
    n: N,
    bits: N,
    harmonics: N,
    stride: N,
    coefficients: N,
    shares: N,
    sharesHi: N,
  ): void;
  wideTallyBytes(): N;
  wideTally(tables: N, lo: N, hi: N, chi: N, shift: N, n: N): void;
  xorTally(tables: N, x: N, chi: N, n: N): void;
  tallied(out: N, tables: N, bits: N): void;
  aesScratch(): N;
  keystream(out: N, bytes: N, key: N, stream: N, purpose: N, scratch: N): void;
}

/** By whether the memory is shared between threads. */
const modules = new Map<boolean, Promise<WebAssembly.Module>>();

/** The kernels over the given memory: native where they are built, else WebAssembly. */
export async function loadKernels(memory: Memory): Promise<Kernels> {
  return withNative(await loadWasm(memory), memory);
}

/** One instance of the WebAssembly kernels. */
export async function loadWasm(memory: Memory): Promise<Kernels> {
  const imports = { env: { memory: memory.wasm, abort: aborted } };
  const instance = await WebAssembly.instantiate(await wasmModule(memory), imports);
  return instance.exports as unknown as Kernels;
}

/** The compiled module for this kind of memory; compiled once for all. */
export function wasmModule(memory: Memory): Promise<WebAssembly.Module> {
  const { shared } = memory;
  let module = modules.get(shared);
  if (module === undefined) {
    module = platform.readKernels(shared).then(WebAssembly.compile);
    // What could not be read may be tried again.
    module.catch(() => modules.delete(shared));
    modules.set(shared, module);
  }
  return module;
}

/** The memory that the native kernels' pointers lie in. */
let attached: ArrayBufferLike | null = null;

/** `kernels`, with the native ones in place of those that exist natively. */
function withNative(kernels: Kernels, memory: Memory): Kernels {
  if (platform.native === null) return kernels;
  const { attach, ...own } = platform.native.module;
  const both: Record<string, unknown> = { ...kernels };
  for (const [name, kernel] of Object.entries(own)) {
    both[name] = (...numbers: number[]) => {
      const { buffer } = memory.wasm;
      if (attached !== buffer) {
        attach(new Uint8Array(buffer)); // Another memory, or it has grown and moved.
        attached = buffer;
      }
      return kernel(...numbers);
    };
  }
  return both as unknown as Kernels;
}

function aborted(): never {
  throw new InternalError("a kernel aborted: this is a fault of the program");
}
