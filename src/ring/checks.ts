/** What is checked of arguments before a kernel runs: kernels themselves write wherever they are told. */
import type { Floats, Memory, Words } from "./memory.ts";

/** @throws RangeError unless all tensors have `length` entries and are in this memory. */
export function sized(memory: Memory, length: number, ...tensors: readonly (Words | Floats)[]): void {
  for (const t of tensors) {
    if (t.length !== length) throw new RangeError(`expected ${length} words, got ${t.length}`);
    if (!t.isIn(memory)) throw new RangeError("freed, or not of this ring");
  }
}

/** @throws RangeError unless all are whole numbers from 0 on. */
export function whole(...counts: readonly number[]): void {
  for (const count of counts) {
    if (!Number.isSafeInteger(count) || count < 0) throw new RangeError(`${count} is not a count`);
  }
}

/** Where an output written early would change an input still to be read. */
export function distinct(out: Words | Floats, ...inputs: readonly (Words | Floats)[]): void {
  if (inputs.includes(out)) throw new RangeError("the output may not be one of the inputs");
}

/** @throws RangeError unless words can be so many bits wide. */
export function width(bits: number): void {
  if (!(Number.isInteger(bits) && bits >= 1 && bits <= 64))
    throw new RangeError(`a width of ${bits} bits is not from 1 to 64`);
}

/** @throws RangeError unless `packed` is as long as the words' bits. */
export function packedSize(packed: Uint8Array, words: Words, bits: number): void {
  width(bits);
  const expected = Math.ceil((words.length * bits) / 8);
  if (packed.length !== expected) throw new RangeError(`expected ${expected} packed bytes, got ${packed.length}`);
}
