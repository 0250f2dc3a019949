// Words of up to 128 bits in two planes, low and high: what tags of shares are computed in (protocols/verify). A public factor has 64
// bits. A high plane at address 0 is one of zeros. Nothing branches on a word.

// @ts-ignore: decorator
@inline
function high(a: u64, b: u64): u64 {
  const a0 = a & 0xffffffff, a1 = a >> 32;
  const b0 = b & 0xffffffff, b1 = b >> 32;
  const middle = a1 * b0 + ((a0 * b0) >> 32);
  const other = a0 * b1 + (middle & 0xffffffff);
  return a1 * b1 + (middle >> 32) + (other >> 32);
}

/** (lo, hi) += (xLo, xHi), or -= where `minus` is 1. */
export function wideAdd(lo: usize, hi: usize, xLo: usize, xHi: usize, n: i32, minus: i32): void {
  const flip: u64 = 0 - <u64>minus;
  for (let i: usize = 0, end = <usize>n << 3; i < end; i += 8) {
    const low = load<u64>(xLo + i) ^ flip;
    const first = load<u64>(lo + i) + low;
    const sum = first + <u64>minus;
    const carry = <u64>(first < low) + <u64>(sum < first);
    store<u64>(lo + i, sum);
    store<u64>(hi + i, load<u64>(hi + i) + ((xHi ? load<u64>(xHi + i) : 0) ^ flip) + carry);
  }
}

/** (lo, hi) += c·(xLo, xHi), element by element. */
export function wideMultiplyAdd(lo: usize, hi: usize, c: usize, xLo: usize, xHi: usize, n: i32): void {
  for (let i: usize = 0, end = <usize>n << 3; i < end; i += 8) {
    const factor = load<u64>(c + i);
    const x = load<u64>(xLo + i);
    const low = factor * x;
    const sum = load<u64>(lo + i) + low;
    store<u64>(lo + i, sum);
    let top = load<u64>(hi + i) + high(factor, x) + <u64>(sum < low);
    if (xHi) top += factor * load<u64>(xHi + i);
    store<u64>(hi + i, top);
  }
}

/** (lo, hi) -= x·(factor, factorHi): keys from tags, with x of 64 bits. */
export function wideSubtractScaled(lo: usize, hi: usize, x: usize, factor: usize, n: i32): void {
  const f = load<u64>(factor);
  const fHi = load<u64>(factor, 8);
  for (let i: usize = 0, end = <usize>n << 3; i < end; i += 8) {
    const word = load<u64>(x + i);
    const low = word * f;
    const before = load<u64>(lo + i);
    store<u64>(lo + i, before - low);
    if (hi) store<u64>(hi + i, load<u64>(hi + i) - high(word, f) - word * fHi - <u64>(before < low));
  }
}

/** out[i] = Σ_j a[i, j]. */
export function wideRowSum(lo: usize, hi: usize, xLo: usize, xHi: usize, rows: i32, columns: i32): void {
  for (let i: i32 = 0; i < rows; i++, lo += 8, hi += 8) {
    let low: u64 = 0;
    let top: u64 = 0;
    for (let j: i32 = 0; j < columns; j++, xLo += 8) {
      const x = load<u64>(xLo);
      low += x;
      top += <u64>(low < x);
      if (xHi) {
        top += load<u64>(xHi);
        xHi += 8;
      }
    }
    store<u64>(lo, low);
    store<u64>(hi, top);
  }
}

/**
 * out[i, j] += Σ_k p[i·pRow + k·pInner]·x[k·xInner + j·xColumn]; strides in words. p is public, x wide; `outRow` between rows of out, whose
 * columns lie `outColumn` apart.
 */
export function wideMatmul(
  lo: usize, hi: usize, outRow: i32, outColumn: i32, p: usize, pRow: i32, pInner: i32,
  xLo: usize, xHi: usize, xInner: i32, xColumn: i32, m: i32, k: i32, n: i32,
): void {
  for (let i: i32 = 0; i < m; i++) {
    for (let j: i32 = 0; j < n; j++) {
      let low: u64 = 0;
      let top: u64 = 0;
      let at = p + (<usize>i * <usize>pRow << 3);
      let x = <usize>j * <usize>xColumn << 3;
      for (let l: i32 = 0; l < k; l++) {
        const factor = load<u64>(at);
        const word = load<u64>(xLo + x);
        const product = factor * word;
        low += product;
        top += high(factor, word) + <u64>(low < product);
        if (xHi) top += factor * load<u64>(xHi + x);
        at += <usize>pInner << 3;
        x += <usize>xInner << 3;
      }
      const to = (<usize>i * <usize>outRow + <usize>j * <usize>outColumn) << 3;
      const sum = load<u64>(lo + to) + low;
      store<u64>(lo + to, sum);
      if (hi) store<u64>(hi + to, load<u64>(hi + to) + top + <u64>(sum < low));
    }
  }
}

/** Bytes of the sums of `wideTally`: four tables of 256, each entry low, high. */
export function wideTallyBytes(): i32 {
  return 4 * 256 * 16;
}

/**
 * For element i with the 32 bits chi[i], byte g of which is b: table g's entry b += (lo, hi)[i] << shift mod 2^128. So every of 32 sums
 * over the elements that its bit chooses is a sum of entries.
 */
export function wideTally(tables: usize, lo: usize, hi: usize, chi: usize, shift: i32, n: i32): void {
  for (let i: i32 = 0; i < n; i++) {
    const at = <usize>i << 3;
    const x = load<u64>(lo + at);
    const low = shift >= 64 ? 0 : x << shift;
    let top: u64 = shift == 0 ? 0 : shift >= 64 ? x << (shift - 64) : x >> (64 - shift);
    if (hi && shift < 64) top |= load<u64>(hi + at) << shift;
    let choice = load<u32>(chi + (<usize>i << 2));
    for (let g: usize = 0; g < 4; g++, choice >>= 8) {
      const entry = tables + ((g << 8) + (choice & 255) << 4);
      const sum = load<u64>(entry) + low;
      store<u64>(entry, sum);
      store<u64>(entry, load<u64>(entry, 8) + top + <u64>(sum < low), 8);
    }
  }
}

/** The same for bits: entry ^= x[i]; the high halves stay as they are. */
export function xorTally(tables: usize, x: usize, chi: usize, n: i32): void {
  for (let i: i32 = 0; i < n; i++) {
    const word = load<u64>(x + (<usize>i << 3));
    let choice = load<u32>(chi + (<usize>i << 2));
    for (let g: usize = 0; g < 4; g++, choice >>= 8) {
      const entry = tables + ((g << 8) + (choice & 255) << 4);
      store<u64>(entry, load<u64>(entry) ^ word);
    }
  }
}

/** 32 sums (or, with `bits`, XORs) from the tables of a tally: out[l] low, high. */
export function tallied(out: usize, tables: usize, bits: i32): void {
  for (let l: usize = 0; l < 32; l++) {
    let low: u64 = 0;
    let top: u64 = 0;
    const table = tables + ((l >> 3) << 12);
    for (let b: usize = 0; b < 256; b++) {
      if (!((b >> (l & 7)) & 1)) continue;
      const x = load<u64>(table + (b << 4));
      if (bits) {
        low ^= x;
        continue;
      }
      low += x;
      top += load<u64>(table + (b << 4), 8) + <u64>(low < x);
    }
    store<u64>(out + (l << 4), low);
    store<u64>(out + (l << 4), top, 8);
  }
}
