// Bit streams, little-endian: element i occupies bits [i·bits, (i+1)·bits). Eight elements are `bits` whole bytes.

/** Writes whole 64-bit words: `out` needs room for the last one. */
export function packBits(out: usize, a: usize, bits: i32, n: i32): void {
  if (bits == 64) {
    memory.copy(out, a, <usize>n << 3);
    return;
  }
  const mask: u64 = ((<u64>1) << bits) - 1;
  let word: u64 = 0;
  let fill: i32 = 0;
  for (let i: i32 = 0; i < n; i++) {
    const x = load<u64>(a + (<usize>i << 3)) & mask;
    word |= x << fill;
    fill += bits;
    if (fill >= 64) {
      store<u64>(out, word);
      out += 8;
      fill -= 64;
      word = fill > 0 ? x >> (bits - fill) : 0;
    }
  }
  if (fill > 0) store<u64>(out, word);
}

/** `source` must be readable for 8 bytes beyond its end. */
export function unpackBits(out: usize, source: usize, bits: i32, n: i32): void {
  if (bits == 64) {
    memory.copy(out, source, <usize>n << 3);
    return;
  }
  const mask: u64 = ((<u64>1) << bits) - 1;
  // Up to 57 bits an unaligned word holds an element whole, wherever in a byte it begins; beyond, the rest is one byte.
  if (bits <= 57) {
    for (let i: i32 = 0, at: u32 = 0; i < n; i++, at += bits) {
      if (at >= 0x4000_0000) {
        source += at >> 3;
        at &= 7;
      }
      store<u64>(out + (<usize>i << 3), (load<u64>(source + (at >> 3)) >> (at & 7)) & mask);
    }
    return;
  }
  for (let i: i32 = 0, at: u32 = 0; i < n; i++, at += bits) {
    if (at >= 0x4000_0000) {
      source += at >> 3;
      at &= 7;
    }
    const from = source + (at >> 3);
    const used = at & 7;
    let x = load<u64>(from) >> used;
    if (used > 0) x |= (<u64>load<u8>(from, 8)) << (64 - used);
    store<u64>(out + (<usize>i << 3), x & mask);
  }
}
