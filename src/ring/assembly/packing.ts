// Bit streams, little-endian: element i occupies bits [i·bits, (i+1)·bits).

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

/** Reads whole 64-bit words: `source` must be readable to the end of the last one. */
export function unpackBits(out: usize, source: usize, bits: i32, n: i32): void {
  if (bits == 64) {
    memory.copy(out, source, <usize>n << 3);
    return;
  }
  const mask: u64 = ((<u64>1) << bits) - 1;
  let word: u64 = n > 0 ? load<u64>(source) : 0;
  let used: i32 = 0;
  for (let i: i32 = 0; i < n; i++) {
    let x = word >> used;
    used += bits;
    if (used >= 64) {
      used -= 64;
      source += 8;
      if (used > 0 || i + 1 < n) word = load<u64>(source);
      if (used > 0) x |= word << (bits - used);
    }
    store<u64>(out + (<usize>i << 3), x & mask);
  }
}
