/** What the ring refuses before a kernel runs: a kernel writes wherever its pointers say. */
import { inspect } from "node:util";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { Memory } from "../../src/ring/memory.ts";
import { Ring } from "../../src/ring/ring.ts";

let ring: Ring;
let other: Ring;
beforeAll(async () => {
  [ring, other] = await Promise.all([Ring.create(), Ring.create()]);
});

const NOT_COUNTS = [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 60];

describe("ownership", () => {
  it("refuses words of another ring, even at an address that is used here", () => {
    const [own, foreign] = [ring.alloc(4), other.alloc(4)];
    for (const use of [
      () => ring.add(own, foreign, own),
      () => ring.add(foreign, own, own),
      () => ring.zero(foreign),
      () => ring.decode(foreign, 64, 1),
      () => ring.packBits(new Uint8Array(4), foreign, 8),
      () => ring.unpackBits(foreign, new Uint8Array(4), 8),
      () => ring.copyBlock(own, 0, 2, foreign, 0, 2, 2, 2),
      () => ring.repeat(own, foreign, 1),
      () => ring.free(foreign),
    ]) {
      expect(use).toThrow(/not of this ring/);
    }
    other.free(foreign);
    ring.free(own);
  });

  it("refuses freed words, even when their place has a new owner", () => {
    const stale = ring.alloc(4);
    const { pointer } = stale;
    ring.free(stale);
    const fresh = ring.alloc(4);
    expect(fresh.pointer).toBe(pointer);
    for (const use of [
      () => ring.free(stale),
      () => ring.negate(stale, fresh),
      () => stale.bytes(),
      () => stale.i32(),
      () => stale.pointer,
    ]) {
      expect(use).toThrow(/freed/);
    }
    ring.zero(fresh);
    ring.free(fresh);
  });

  it("refuses weights and floats of another ring, or freed", () => {
    const packed = other.products.packWeights(Int16Array.of(1), 1, 1);
    const [out, a] = [ring.alloc(1), ring.alloc(1)];
    expect(() => ring.products.matmulNarrow(out, a, packed, 1)).toThrow(/not of this ring/);
    expect(() => ring.products.freeWeights(packed)).toThrow(/not of this ring/);
    other.products.freeWeights(packed);
    expect(() => other.products.freeWeights(packed)).toThrow(/freed before/);
    const floats = other.allocFloats(1);
    expect(inspect(floats)).toBe("Floats(1)");
    expect(() => ring.freeFloats(floats)).toThrow(/not of this ring/);
    other.freeFloats(floats);
    expect(() => other.freeFloats(floats)).toThrow(/freed twice/);
    for (const w of [out, a]) ring.free(w);
  });
});

describe("shapes", () => {
  it.each(NOT_COUNTS)("refuses %d as a count", (count) => {
    const w = ring.alloc(4);
    for (const use of [
      () => ring.alloc(count),
      () => ring.allocFloats(count),
      () => ring.transpose(ring.alloc(4), w, count, 4 / count),
      () => ring.addRow(w, w, w, 4 / count, count),
      () => ring.products.matmul(ring.alloc(4), w, w, count, 4 / count, count),
      () => ring.copyBlock(w, count, 2, w, 0, 2, 1, 2),
      () => ring.copyBlock(w, 0, 2, w, 2, count, 2, 2),
      () => ring.copyBlock(w, 0, 2, w, 0, 2, 1, count),
      () => ring.truncate(w, w, 64, count, 64),
      () => ring.arithmeticShift(w, w, count),
      () => ring.products.packWeights(new Int16Array(1), count, 1 / count),
    ]) {
      expect(use).toThrow(RangeError);
    }
    ring.free(w);
  });

  it.each([0, 65, 1.5, Number.NaN])("refuses a width of %d bits", (bits) => {
    const w = ring.alloc(2);
    for (const use of [
      () => ring.reduce(w, w, bits),
      () => ring.signExtend(w, w, bits),
      () => ring.msb(w, w, bits),
      () => ring.truncate(w, w, bits, 1, 8),
      () => ring.truncate(w, w, 8, 1, bits),
      () => ring.packBits(new Uint8Array(2), w, bits),
      () => ring.unpackBits(w, new Uint8Array(2), bits),
      () => ring.decode(w, bits, 1),
    ]) {
      expect(use).toThrow(/not from 1 to 64/);
    }
    ring.free(w);
  });

  it("refuses an output that is an input still to be read", () => {
    const [a, f] = [ring.alloc(4), ring.allocFloats(4)];
    const packed = ring.products.packWeights(new Int16Array(4), 2, 2);
    for (const use of [
      () => ring.transpose(a, a, 2, 2),
      () => ring.products.matmul(a, a, ring.alloc(4), 2, 2, 2),
      () => ring.products.matmul(a, ring.alloc(4), a, 2, 2, 2),
      () => ring.products.matmulNarrow(a, a, packed, 2),
      () => ring.products.matmulF32(f, f, ring.allocFloats(4), 2, 2, 2),
    ]) {
      expect(use).toThrow(/may not be one of the inputs/);
    }
    ring.products.freeWeights(packed);
    ring.freeFloats(f);
    ring.free(a);
  });

  it("takes empty tensors", () => {
    const [none, out] = [ring.alloc(0), ring.alloc(6)];
    ring.products.matmul(out, none, none, 2, 0, 3);
    expect(out.bytes().every((byte) => byte === 0)).toBe(true);
    ring.add(none, none, none);
    ring.packBits(new Uint8Array(0), none, 7);
    ring.unpackBits(none, new Uint8Array(0), 7);
    for (const w of [none, out]) ring.free(w);
  });
});

describe("the allocator", () => {
  it("is aligned, disjoint, keeps its books, and ends in one free part", () => {
    const action = fc.record({ bytes: fc.integer({ min: 0, max: 300_000 }), drop: fc.nat() });
    fc.assert(
      fc.property(fc.array(action, { maxLength: 80 }), (plan) => {
        const memory = new Memory();
        const live: { start: number; size: number }[] = [];
        let peak = 0;
        for (const { bytes, drop } of plan) {
          if (drop % 3 === 0 && live.length > 0) memory.release(live.splice(drop % live.length, 1)[0].start);
          const start = memory.allocate(bytes);
          const size = Math.max(64, Math.ceil(bytes / 64) * 64);
          expect(start % 64).toBe(0);
          expect(start + size).toBeLessThanOrEqual(memory.wasm.buffer.byteLength);
          for (const part of live) expect(start + size <= part.start || part.start + part.size <= start).toBe(true);
          live.push({ start, size });
          const inUse = live.reduce((sum, part) => sum + part.size, 0);
          peak = Math.max(peak, inUse);
          expect(memory.bytesInUse).toBe(inUse);
          expect(memory.peakBytes).toBe(peak);
        }
        const before = memory.wasm.buffer.byteLength;
        for (const part of live) memory.release(part.start);
        // All that was ever handed out lies in one part again: the largest request needs no growth.
        if (peak > 0) memory.allocate(peak);
        expect(memory.wasm.buffer.byteLength).toBe(before);
      }),
      { numRuns: 60, seed: 7 },
    );
  });

  it.each([-1, Number.NaN])("refuses %d bytes, and what it never gave", (bytes) => {
    const memory = new Memory();
    expect(() => memory.allocate(bytes)).toThrow(RangeError);
    expect(() => memory.release(65_536)).toThrow(/not from this memory/);
  });

  it("says when 4 GiB do not suffice, and stays usable", () => {
    const memory = new Memory();
    expect(() => memory.allocate(2 ** 32)).toThrow(/4 GiB/);
    expect(memory.bytesInUse).toBe(0);
    memory.release(memory.allocate(1));
  });
});
