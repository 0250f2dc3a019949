/** Blocks of words as the bytes of one message, and back. */
import type { Words } from "../ring/memory.ts";
import type { Ring } from "../ring/ring.ts";
import type { Block } from "./blocks.ts";
import { blockBytes } from "./cost.ts";

/** Packs words of the given blocks one after the other into one buffer. */
export function packAll(ring: Ring, words: readonly Words[], blocks: readonly Block[]): Uint8Array {
  const sizes = blocks.map(blockBytes);
  const packed = new Uint8Array(sizes.reduce((a, b) => a + b, 0));
  let at = 0;
  words.forEach((w, i) => {
    ring.packBits(packed.subarray(at, at + sizes[i]), w, blocks[i].bits);
    at += sizes[i];
  });
  return packed;
}

/** Unpacks blocks into one tensor, one behind the other. */
export function unpackAll(ring: Ring, out: Words, packed: Uint8Array, blocks: readonly Block[]): void {
  let at = 0;
  partsOf(out, blocks).forEach((part, i) => {
    const size = blockBytes(blocks[i]);
    ring.unpackBits(part, packed.subarray(at, at + size), blocks[i].bits);
    at += size;
  });
}

/** The blocks of a tensor that has them one behind the other. */
export function partsOf(words: Words, blocks: readonly Block[]): Words[] {
  let at = 0;
  return blocks.map(({ length }) => {
    at += length;
    return words.part(at - length, length);
  });
}

/** Unpacks the index-th of several blocks. */
export function unpackOne(ring: Ring, out: Words, packed: Uint8Array, blocks: readonly Block[], index: number): void {
  let at = 0;
  for (let i = 0; i < index; i++) at += blockBytes(blocks[i]);
  ring.unpackBits(out, packed.subarray(at, at + blockBytes(blocks[index])), blocks[index].bits);
}
