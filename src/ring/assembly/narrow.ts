// out (+)= a·w for 64-bit a and narrow plaintext weights w, by i32x4.dot_i16x8_s: two products and an addition in one
// instruction. a is split into signed limbs of 16 bits or fewer; each limb is a row of its own.
//
//   class 0, |w| <= 511:    limbs of 16/16/16/16 bits; limbs 0 and 1 widen to 64 bits every 64 pairs.
//   class 1, |w| <= 4095:   the same limbs, every 8 pairs.
//   class 2, |w| <= 32767:  limbs of 11/11/10/16/16 bits; limbs 0, 1 and 2 widen every 32 pairs.
// The bounds: pairs · 2 · 2^15 · 511 < 2^31, 8 · 2 · 2^15 · 4095 < 2^31, 32 · 2 · 2^10 · 32767 < 2^31. What is shifted by
// 32 bits or more may wrap in its 32-bit accumulator: only its low bits count.

const ROWS: i32 = 32;

/** Columns are padded to a multiple of 8, inner pairs to whole pairs: bytes of packed weights. */
export function narrowBytes(k: i32, n: i32): i32 {
  return ((n + 7) >> 3) * ((k + 1) >> 1) * 32;
}

/** Bytes of scratch for the limbs of a block of rows. */
export function narrowScratch(k: i32, klass: i32): i32 {
  return ROWS * (klass == 2 ? 5 : 4) * ((k + 1) & ~1) * 2;
}

/** Packs row-major [k, n] i16: for each panel of 8 columns and pair of rows, 8 pairs (w[k, c], w[k+1, c]). */
export function narrowPack(out: usize, w: usize, k: i32, n: i32): void {
  let to = out;
  for (let j: i32 = 0; j < n; j += 8) {
    for (let p: i32 = 0; p < k; p += 2) {
      for (let c: i32 = 0; c < 8; c++) {
        const inside = j + c < n;
        const at = w + ((<usize>p * <usize>n + <usize>(j + c)) << 1);
        store<i16>(to, inside ? load<i16>(at) : <i16>0);
        store<i16>(to, inside && p + 1 < k ? load<i16>(at + (<usize>n << 1)) : <i16>0, 2);
        to += 4;
      }
    }
  }
}

/** The words of rows first..first+count-1 of packed weights: what `narrowPack` read. */
export function narrowUnpack(out: usize, packed: usize, k: i32, n: i32, first: i32, count: i32): void {
  const stride = <usize>((k + 1) >> 1) * 32;
  for (let p = first; p < first + count; p++) {
    const row = packed + <usize>(p >> 1) * 32 + <usize>(p & 1) * 2;
    for (let j: i32 = 0; j < n; j++, out += 8) {
      store<i64>(out, <i64>load<i16>(row + <usize>(j >> 3) * stride + <usize>(j & 7) * 4));
    }
  }
}

function splitRow(to: usize, a: usize, k: i32, klass: i32): void {
  const width = <usize>((k + 1) & ~1) << 1;
  for (let i: i32 = 0; i < k; i++) {
    const x = load<u64>(a + (<usize>i << 3));
    const at = to + (<usize>i << 1);
    if (klass == 2) {
      // Signed digits: rounding each up to the next digit keeps them within ±half their range.
      const t0 = x + 1024;
      const d0 = <i64>x - <i64>((t0 >> 11) << 11);
      const x1 = t0 >> 11;
      const t1 = x1 + 1024;
      const d1 = <i64>x1 - <i64>((t1 >> 11) << 11);
      const x2 = t1 >> 11;
      const t2 = x2 + 512;
      const d2 = <i64>x2 - <i64>((t2 >> 10) << 10);
      const x3 = t2 >> 10;
      const t3 = x3 + 0x8000;
      store<i16>(at, <i16>d0);
      store<i16>(at + width, <i16>d1);
      store<i16>(at + 2 * width, <i16>d2);
      store<i16>(at + 3 * width, <i16>x3);
      store<i16>(at + 4 * width, <i16>(t3 >> 16));
    } else {
      const t = (x + 0x0000800080008000) ^ 0x0000800080008000;
      store<i16>(at, <i16>t);
      store<i16>(at + width, <i16>(t >> 16));
      store<i16>(at + 2 * width, <i16>(t >> 32));
      store<i16>(at + 3 * width, <i16>(t >> 48));
    }
  }
  if (k & 1) {
    for (let limb: usize = 0, end: usize = klass == 2 ? 5 : 4; limb < end; limb++) store<i16>(to + limb * width + (<usize>k << 1), 0);
  }
}

// @ts-ignore: decorator
@inline
function addTo(out: usize, lo: v128, hi: v128, width: i32): void {
  if (width >= 4) {
    v128.store(out, i64x2.add(v128.load(out), lo));
    v128.store(out, i64x2.add(v128.load(out, 16), hi), 16);
    return;
  }
  if (width > 0) store<i64>(out, load<i64>(out) + i64x2.extract_lane(lo, 0));
  if (width > 1) store<i64>(out, load<i64>(out, 8) + i64x2.extract_lane(lo, 1), 8);
  if (width > 2) store<i64>(out, load<i64>(out, 16) + i64x2.extract_lane(hi, 0), 16);
}

// @ts-ignore: decorator
@inline
function low(x: v128, shift: i32): v128 {
  return i64x2.shl(i64x2.extend_low_i32x4_s(x), shift);
}

// @ts-ignore: decorator
@inline
function high(x: v128, shift: i32): v128 {
  return i64x2.shl(i64x2.extend_high_i32x4_s(x), shift);
}

// One row of limbs by one panel of 8 columns, four 16-bit limbs.
function row4(out: usize, limbs: usize, stride: usize, panel: usize, pairs: i32, interval: i32, width: i32): void {
  let s0 = i64x2.splat(0), s1 = i64x2.splat(0), s2 = i64x2.splat(0), s3 = i64x2.splat(0);
  let c0 = i32x4.splat(0), c1 = i32x4.splat(0), d0 = i32x4.splat(0), d1 = i32x4.splat(0);
  for (let start: i32 = 0; start < pairs; start += interval) {
    let a0 = i32x4.splat(0), a1 = i32x4.splat(0), b0 = i32x4.splat(0), b1 = i32x4.splat(0);
    const end = min(start + interval, pairs);
    for (let p = start; p < end; p++) {
      const w0 = v128.load(panel);
      const w1 = v128.load(panel, 16);
      panel += 32;
      const x0 = v128.load32_splat(limbs);
      const x1 = v128.load32_splat(limbs + stride);
      const x2 = v128.load32_splat(limbs + 2 * stride);
      const x3 = v128.load32_splat(limbs + 3 * stride);
      limbs += 4;
      a0 = i32x4.add(a0, i32x4.dot_i16x8_s(x0, w0));
      a1 = i32x4.add(a1, i32x4.dot_i16x8_s(x0, w1));
      b0 = i32x4.add(b0, i32x4.dot_i16x8_s(x1, w0));
      b1 = i32x4.add(b1, i32x4.dot_i16x8_s(x1, w1));
      c0 = i32x4.add(c0, i32x4.dot_i16x8_s(x2, w0));
      c1 = i32x4.add(c1, i32x4.dot_i16x8_s(x2, w1));
      d0 = i32x4.add(d0, i32x4.dot_i16x8_s(x3, w0));
      d1 = i32x4.add(d1, i32x4.dot_i16x8_s(x3, w1));
    }
    s0 = i64x2.add(s0, i64x2.add(low(a0, 0), low(b0, 16)));
    s1 = i64x2.add(s1, i64x2.add(high(a0, 0), high(b0, 16)));
    s2 = i64x2.add(s2, i64x2.add(low(a1, 0), low(b1, 16)));
    s3 = i64x2.add(s3, i64x2.add(high(a1, 0), high(b1, 16)));
  }
  s0 = i64x2.add(s0, i64x2.add(low(c0, 32), low(d0, 48)));
  s1 = i64x2.add(s1, i64x2.add(high(c0, 32), high(d0, 48)));
  s2 = i64x2.add(s2, i64x2.add(low(c1, 32), low(d1, 48)));
  s3 = i64x2.add(s3, i64x2.add(high(c1, 32), high(d1, 48)));
  addTo(out, s0, s1, width);
  if (width > 4) addTo(out + 32, s2, s3, width - 4);
}

// The same with five limbs of 11/11/10/16/16 bits.
function row5(out: usize, limbs: usize, stride: usize, panel: usize, pairs: i32, width: i32): void {
  let s0 = i64x2.splat(0), s1 = i64x2.splat(0), s2 = i64x2.splat(0), s3 = i64x2.splat(0);
  let d0 = i32x4.splat(0), d1 = i32x4.splat(0), e0 = i32x4.splat(0), e1 = i32x4.splat(0);
  for (let start: i32 = 0; start < pairs; start += 32) {
    let a0 = i32x4.splat(0), a1 = i32x4.splat(0), b0 = i32x4.splat(0), b1 = i32x4.splat(0);
    let c0 = i32x4.splat(0), c1 = i32x4.splat(0);
    const end = min(start + 32, pairs);
    for (let p = start; p < end; p++) {
      const w0 = v128.load(panel);
      const w1 = v128.load(panel, 16);
      panel += 32;
      let x = v128.load32_splat(limbs);
      a0 = i32x4.add(a0, i32x4.dot_i16x8_s(x, w0));
      a1 = i32x4.add(a1, i32x4.dot_i16x8_s(x, w1));
      x = v128.load32_splat(limbs + stride);
      b0 = i32x4.add(b0, i32x4.dot_i16x8_s(x, w0));
      b1 = i32x4.add(b1, i32x4.dot_i16x8_s(x, w1));
      x = v128.load32_splat(limbs + 2 * stride);
      c0 = i32x4.add(c0, i32x4.dot_i16x8_s(x, w0));
      c1 = i32x4.add(c1, i32x4.dot_i16x8_s(x, w1));
      x = v128.load32_splat(limbs + 3 * stride);
      d0 = i32x4.add(d0, i32x4.dot_i16x8_s(x, w0));
      d1 = i32x4.add(d1, i32x4.dot_i16x8_s(x, w1));
      x = v128.load32_splat(limbs + 4 * stride);
      e0 = i32x4.add(e0, i32x4.dot_i16x8_s(x, w0));
      e1 = i32x4.add(e1, i32x4.dot_i16x8_s(x, w1));
      limbs += 4;
    }
    s0 = i64x2.add(s0, i64x2.add(low(a0, 0), i64x2.add(low(b0, 11), low(c0, 22))));
    s1 = i64x2.add(s1, i64x2.add(high(a0, 0), i64x2.add(high(b0, 11), high(c0, 22))));
    s2 = i64x2.add(s2, i64x2.add(low(a1, 0), i64x2.add(low(b1, 11), low(c1, 22))));
    s3 = i64x2.add(s3, i64x2.add(high(a1, 0), i64x2.add(high(b1, 11), high(c1, 22))));
  }
  s0 = i64x2.add(s0, i64x2.add(low(d0, 32), low(e0, 48)));
  s1 = i64x2.add(s1, i64x2.add(high(d0, 32), high(e0, 48)));
  s2 = i64x2.add(s2, i64x2.add(low(d1, 32), low(e1, 48)));
  s3 = i64x2.add(s3, i64x2.add(high(d1, 32), high(e1, 48)));
  addTo(out, s0, s1, width);
  if (width > 4) addTo(out + 32, s2, s3, width - 4);
}

export function matmulNarrow(
  out: usize, a: usize, packed: usize, scratch: usize, m: i32, k: i32, n: i32, klass: i32, accumulate: i32,
): void {
  if (!accumulate) memory.fill(out, 0, (<usize>m * <usize>n) << 3);
  const pairs = (k + 1) >> 1;
  const stride = <usize>pairs << 2;
  const row = stride * (klass == 2 ? 5 : 4);
  for (let i0: i32 = 0; i0 < m; i0 += ROWS) {
    const count = min(ROWS, m - i0);
    for (let i: i32 = 0; i < count; i++) splitRow(scratch + <usize>i * row, a + ((<usize>(i0 + i) * <usize>k) << 3), k, klass);
    for (let j: i32 = 0; j < n; j += 8) {
      const panel = packed + <usize>(j >> 3) * <usize>pairs * 32;
      for (let i: i32 = 0; i < count; i++) {
        const to = out + ((<usize>(i0 + i) * <usize>n + <usize>j) << 3);
        const limbs = scratch + <usize>i * row;
        if (klass == 2) row5(to, limbs, stride, panel, pairs, n - j);
        else row4(to, limbs, stride, panel, pairs, klass == 0 ? 64 : 8, n - j);
      }
    }
  }
}
