/**
 * The keyed generator: AES-128 in counter mode. The counter block starts as stream (32 bits, big endian), purpose (32
 * bits), block number (64 bits, from 0): every draw has an address, and two addresses never meet in one block.
 */
import { platform } from "#platform";
import type { CtrCipher } from "../platform/platform.ts";
import type { Words } from "./memory.ts";
import type { Ring } from "./ring.ts";

export const KEY_BYTES = 16;

const inspect = Symbol.for("nodejs.util.inspect.custom");

export class Prg {
  readonly #key: Uint8Array;
  readonly #cipher: CtrCipher | null;

  /**
   * Without a cipher the ring's own kernel gives the same numbers, constant-time (0.24 GB/s); so does a native one, which is faster.
   * @throws RangeError unless the key has 16 bytes.
   */
  constructor(key: Uint8Array, cipher: CtrCipher | null = platform.ctr) {
    if (key.length !== KEY_BYTES) throw new RangeError(`a key has ${KEY_BYTES} bytes, got ${key.length}`);
    this.#key = Uint8Array.from(key);
    this.#cipher = cipher;
  }

  /** Uniform words mod 2^bits: the first of the stream at this address; the same address gives the same words. */
  words(ring: Ring, out: Words, stream: number, purpose: number, bits = 64): void {
    if (this.#cipher === null || ring.drawsNatively) ring.keystream(out, this.#key, stream, purpose);
    else this.#cipher(this.#key, counterBlock(stream, purpose), out.bytes());
    if (bits < 64) ring.reduce(out, out, bits);
  }

  toString(): string {
    return "Prg";
  }

  toJSON(): string {
    return "Prg";
  }

  [inspect](): string {
    return "Prg";
  }
}

function counterBlock(stream: number, purpose: number): Uint8Array {
  const counter = new Uint8Array(16);
  const view = new DataView(counter.buffer);
  view.setUint32(0, stream);
  view.setUint32(4, purpose);
  return counter;
}

/** A fresh key from the operating system's generator. There is no fallback: without it this throws. */
export function randomKey(): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(KEY_BYTES));
}
