/** Chi-square on each byte position of the words of a message, and of the differences between two sessions. */
import type { Block } from "../../src/protocols/blocks.ts";
import type { Ring } from "../../src/ring/ring.ts";
import { excess } from "../protocols/statistics.ts";

/** Bytes of a word in memory. */
const WORD = 8;

/** Counts of one kind of message. A word's top byte may have fewer bits: it is counted by itself for each width. */
export class Positions {
  words = 0;
  private readonly ring: Ring;
  /** By what is counted, byte position and bits of that byte. */
  private readonly counts = new Map<string, Float64Array>();
  /** The last session's message of each name. */
  private readonly last = new Map<string, Uint8Array>();

  constructor(ring: Ring) {
    this.ring = ring;
  }

  /** One session's message; `name` is the same in every session. */
  add(name: string, packed: Uint8Array, { length, bits }: Block): void {
    const [now, before] = [this.ring.alloc(length), this.ring.alloc(length)];
    this.ring.unpackBits(now, packed, bits);
    this.count("bytes", now.bytes(), bits);
    const last = this.last.get(name);
    if (last !== undefined) {
      this.ring.unpackBits(before, last, bits);
      this.ring.subtract(before, now, before);
      this.ring.reduce(before, before, bits);
      this.count("differences", before.bytes(), bits);
    }
    this.last.set(name, packed.slice());
    this.ring.free(now);
    this.ring.free(before);
    this.words += length;
  }

  /** Standard deviations from uniform, one of each position. */
  deviations(): { name: string; z: number }[] {
    return [...this.counts].map(([name, counts]) => ({ name, z: Math.abs(excess(counts)) }));
  }

  private count(what: string, bytes: Uint8Array, bits: number): void {
    for (let position = 0; position * 8 < bits; position++) {
      const width = Math.min(8, bits - 8 * position);
      const key = `${what}, byte ${position} of ${width} bits`;
      const counts = this.counts.get(key) ?? new Float64Array(1 << width);
      this.counts.set(key, counts);
      for (let at = position; at < bytes.length; at += WORD) counts[bytes[at]]++;
    }
  }
}
