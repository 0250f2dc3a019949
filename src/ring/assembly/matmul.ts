// out (+)= a·b over Z_2^64, row-major. A product of 64-bit words a = a0 + 2^32 a1, b = b0 + 2^32 b1 mod 2^64 is
// a0·b0 + 2^32 (a0·b1 + a1·b0): the first needs 64 bits (two extended multiplications for four columns), the others only
// 32. Three accumulators for each four columns, folded once at the end. (V8 has no fast i64x2.mul: 8 instructions.)

const KC: i32 = 256;

/** Bytes of scratch that `matmul` needs for b: columns padded to a multiple of 4. */
export function matmulScratch(k: i32, n: i32): i32 {
  return min(k, KC) * ((n + 3) & ~3) * 8;
}

/** Packs rows k0..k0+kc of b by panels of four columns: for each k, four low halves then four high halves. */
function packB(scratch: usize, b: usize, k0: i32, kc: i32, n: i32): void {
  let to = scratch;
  for (let j: i32 = 0; j < n; j += 4) {
    const width = min(4, n - j);
    for (let k: i32 = 0; k < kc; k++) {
      const from = b + ((<usize>(k0 + k) * <usize>n + <usize>j) << 3);
      if (width == 4) {
        const x = v128.load(from);
        const y = v128.load(from, 16);
        v128.store(to, v128.shuffle<i32>(x, y, 0, 2, 4, 6));
        v128.store(to, v128.shuffle<i32>(x, y, 1, 3, 5, 7), 16);
      } else {
        v128.store(to, i32x4.splat(0));
        v128.store(to, i32x4.splat(0), 16);
        for (let c: i32 = 0; c < width; c++) {
          store<u32>(to + (<usize>c << 2), load<u32>(from + (<usize>c << 3)));
          store<u32>(to + (<usize>c << 2), load<u32>(from + (<usize>c << 3), 4), 16);
        }
      }
      to += 32;
    }
  }
}

// @ts-ignore: decorator
@inline
function put(out: usize, lo0: v128, lo1: v128, hi: v128, width: i32): void {
  const sum0 = i64x2.add(lo0, i64x2.shl(i64x2.extend_low_i32x4_u(hi), 32));
  const sum1 = i64x2.add(lo1, i64x2.shl(i64x2.extend_high_i32x4_u(hi), 32));
  if (width == 4) {
    v128.store(out, i64x2.add(v128.load(out), sum0));
    v128.store(out, i64x2.add(v128.load(out, 16), sum1), 16);
    return;
  }
  store<i64>(out, load<i64>(out) + i64x2.extract_lane(sum0, 0));
  if (width > 1) store<i64>(out, load<i64>(out, 8) + i64x2.extract_lane(sum0, 1), 8);
  if (width > 2) store<i64>(out, load<i64>(out, 16) + i64x2.extract_lane(sum1, 0), 16);
}

function rows2(out0: usize, out1: usize, a0: usize, a1: usize, panel: usize, kc: i32, width: i32): void {
  let l00 = i64x2.splat(0), l01 = i64x2.splat(0), h0 = i32x4.splat(0);
  let l10 = i64x2.splat(0), l11 = i64x2.splat(0), h1 = i32x4.splat(0);
  for (let k: i32 = 0; k < kc; k++) {
    const b0 = v128.load(panel);
    const b1 = v128.load(panel, 16);
    const x0 = v128.load32_splat(a0);
    const x1 = v128.load32_splat(a0, 4);
    const y0 = v128.load32_splat(a1);
    const y1 = v128.load32_splat(a1, 4);
    l00 = i64x2.add(l00, i64x2.extmul_low_i32x4_u(x0, b0));
    l01 = i64x2.add(l01, i64x2.extmul_high_i32x4_u(x0, b0));
    h0 = i32x4.add(h0, i32x4.add(i32x4.mul(x0, b1), i32x4.mul(x1, b0)));
    l10 = i64x2.add(l10, i64x2.extmul_low_i32x4_u(y0, b0));
    l11 = i64x2.add(l11, i64x2.extmul_high_i32x4_u(y0, b0));
    h1 = i32x4.add(h1, i32x4.add(i32x4.mul(y0, b1), i32x4.mul(y1, b0)));
    panel += 32;
    a0 += 8;
    a1 += 8;
  }
  put(out0, l00, l01, h0, width);
  put(out1, l10, l11, h1, width);
}

function rows1(out: usize, a: usize, panel: usize, kc: i32, width: i32): void {
  let lo0 = i64x2.splat(0), lo1 = i64x2.splat(0), hi = i32x4.splat(0);
  for (let k: i32 = 0; k < kc; k++) {
    const b0 = v128.load(panel);
    const b1 = v128.load(panel, 16);
    const x0 = v128.load32_splat(a);
    const x1 = v128.load32_splat(a, 4);
    lo0 = i64x2.add(lo0, i64x2.extmul_low_i32x4_u(x0, b0));
    lo1 = i64x2.add(lo1, i64x2.extmul_high_i32x4_u(x0, b0));
    hi = i32x4.add(hi, i32x4.add(i32x4.mul(x0, b1), i32x4.mul(x1, b0)));
    panel += 32;
    a += 8;
  }
  put(out, lo0, lo1, hi, width);
}

// One row or one column: every word is used once, so that packing would cost as much as the product. Scalar words.

function oneRow(out: usize, a: usize, b: usize, k: i32, n: i32): void {
  const stride = <usize>n << 3;
  let i: i32 = 0;
  for (; i + 4 <= k; i += 4, a += 32, b += 4 * stride) {
    const x0 = load<u64>(a), x1 = load<u64>(a, 8), x2 = load<u64>(a, 16), x3 = load<u64>(a, 24);
    let b0 = b, b1 = b0 + stride, b2 = b1 + stride, b3 = b2 + stride;
    for (let to = out, end = out + stride; to < end; to += 8, b0 += 8, b1 += 8, b2 += 8, b3 += 8) {
      const left = x0 * load<u64>(b0) + x1 * load<u64>(b1);
      store<u64>(to, load<u64>(to) + left + (x2 * load<u64>(b2) + x3 * load<u64>(b3)));
    }
  }
  for (; i < k; i++, a += 8, b += stride) {
    const x = load<u64>(a);
    for (let at: usize = 0; at < stride; at += 8) store<u64>(out + at, load<u64>(out + at) + x * load<u64>(b + at));
  }
}

function oneColumn(out: usize, a: usize, b: usize, m: i32, k: i32): void {
  const end = b + (<usize>k << 3);
  const whole = b + (<usize>(k & ~3) << 3);
  for (let i: i32 = 0; i < m; i++, out += 8) {
    let s0: u64 = 0, s1: u64 = 0, s2: u64 = 0, s3: u64 = 0;
    let at = b;
    for (; at < whole; at += 32, a += 32) {
      s0 += load<u64>(a) * load<u64>(at);
      s1 += load<u64>(a, 8) * load<u64>(at, 8);
      s2 += load<u64>(a, 16) * load<u64>(at, 16);
      s3 += load<u64>(a, 24) * load<u64>(at, 24);
    }
    for (; at < end; at += 8, a += 8) s0 += load<u64>(a) * load<u64>(at);
    store<u64>(out, load<u64>(out) + s0 + s1 + (s2 + s3));
  }
}

export function matmul(out: usize, a: usize, b: usize, scratch: usize, m: i32, k: i32, n: i32, accumulate: i32): void {
  if (!accumulate) memory.fill(out, 0, (<usize>m * <usize>n) << 3);
  if (m == 1) return oneRow(out, a, b, k, n);
  if (n == 1) return oneColumn(out, a, b, m, k);
  for (let k0: i32 = 0; k0 < k; k0 += KC) {
    const kc = min(KC, k - k0);
    packB(scratch, b, k0, kc, n);
    for (let j: i32 = 0; j < n; j += 4) {
      const panel = scratch + <usize>(j >> 2) * <usize>kc * 32;
      const width = min(4, n - j);
      let i: i32 = 0;
      for (; i + 1 < m; i += 2) {
        const x = a + ((<usize>i * <usize>k + <usize>k0) << 3);
        const y = out + ((<usize>i * <usize>n + <usize>j) << 3);
        rows2(y, y + (<usize>n << 3), x, x + (<usize>k << 3), panel, kc, width);
      }
      if (i < m) {
        rows1(out + ((<usize>i * <usize>n + <usize>j) << 3), a + ((<usize>i * <usize>k + <usize>k0) << 3), panel, kc, width);
      }
    }
  }
}
