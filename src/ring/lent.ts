/** What kernels read beside words: tables and factors, put into the ring's memory for one call. */
import type { Memory } from "./memory.ts";

/** A table of 32-bit entries; the caller releases it. */
export function tableOf(memory: Memory, entries: readonly number[]): number {
  const pointer = memory.allocate(entries.length * 4);
  new Int32Array(memory.wasm.buffer, pointer, entries.length).set(entries);
  return pointer;
}

/** Lends a kernel factors as it reads them. */
export function withFactors(memory: Memory, factors: Float64Array, call: (pointer: number) => void): void {
  const pointer = memory.allocate(factors.byteLength);
  new Float64Array(memory.wasm.buffer, pointer, factors.length).set(factors);
  call(pointer);
  memory.release(pointer);
}
