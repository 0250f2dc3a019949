// The float reference's matrix product: out = a·b, a [m, k]. Eight columns of b at a time are copied to a panel that lies
// as the inner loop reads it; b [k, n] and b [n, k] differ in that copy alone. Tiles of 4 rows by 8 columns.

/** Bytes of scratch for one panel. */
export function matmulF32Scratch(k: i32): i32 {
  return k << 5;
}

/** Columns j..j+7 of b [k, n]; those beyond n are zeros. */
function panelOf(panel: usize, b: usize, j: i32, k: i32, n: i32): void {
  const stride = <usize>n << 2;
  let from = b + (<usize>j << 2);
  const end = panel + (<usize>k << 5);
  if (n - j >= 8) {
    for (; panel < end; panel += 32, from += stride) {
      v128.store(panel, v128.load(from));
      v128.store(panel, v128.load(from, 16), 16);
    }
    return;
  }
  for (; panel < end; panel += 32, from += stride) {
    for (let c: i32 = 0; c < 8; c++) {
      store<f32>(panel + (<usize>c << 2), j + c < n ? load<f32>(from + (<usize>c << 2)) : 0);
    }
  }
}

/** The same columns, which are rows j..j+7 of b [n, k]. */
function panelOfRows(panel: usize, b: usize, j: i32, k: i32, n: i32): void {
  const stride = <usize>k << 2;
  for (let c: i32 = 0; c < 8; c += 4) {
    let done: i32 = 0;
    const from = b + <usize>(j + c) * stride;
    const to = panel + (<usize>c << 2);
    if (j + c + 4 <= n) {
      for (; done + 4 <= k; done += 4) {
        const at = from + (<usize>done << 2);
        transpose4(to + (<usize>done << 5), v128.load(at), v128.load(at + stride), v128.load(at + 2 * stride), v128.load(at + 3 * stride));
      }
    }
    for (; done < k; done++) {
      for (let i: i32 = 0; i < 4; i++) {
        const value = j + c + i < n ? load<f32>(from + <usize>i * stride + (<usize>done << 2)) : 0;
        store<f32>(to + (<usize>done << 5) + (<usize>i << 2), value);
      }
    }
  }
}

// @ts-ignore: decorator
@inline
function transpose4(to: usize, r0: v128, r1: v128, r2: v128, r3: v128): void {
  const x = v128.shuffle<i32>(r0, r1, 0, 4, 1, 5);
  const y = v128.shuffle<i32>(r2, r3, 0, 4, 1, 5);
  const z = v128.shuffle<i32>(r0, r1, 2, 6, 3, 7);
  const w = v128.shuffle<i32>(r2, r3, 2, 6, 3, 7);
  v128.store(to, v128.shuffle<i64>(x, y, 0, 2));
  v128.store(to, v128.shuffle<i64>(x, y, 1, 3), 32);
  v128.store(to, v128.shuffle<i64>(z, w, 0, 2), 64);
  v128.store(to, v128.shuffle<i64>(z, w, 1, 3), 96);
}

// @ts-ignore: decorator
@inline
function put(out: usize, low: v128, high: v128, width: i32): void {
  if (width >= 8) {
    v128.store(out, low);
    v128.store(out, high, 16);
    return;
  }
  if (width >= 4) {
    v128.store(out, low);
    out += 16;
    low = high;
    width -= 4;
  }
  if (width > 0) store<f32>(out, f32x4.extract_lane(low, 0));
  if (width > 1) store<f32>(out, f32x4.extract_lane(low, 1), 4);
  if (width > 2) store<f32>(out, f32x4.extract_lane(low, 2), 8);
}

function rows4(out: usize, n: i32, a: usize, panel: usize, k: i32, width: i32): void {
  const stride = <usize>k << 2;
  const end = a + stride;
  let b = a + stride, c = b + stride, d = c + stride;
  let a0 = f32x4.splat(0), b0 = f32x4.splat(0), c0 = f32x4.splat(0), d0 = f32x4.splat(0);
  let a1 = f32x4.splat(0), b1 = f32x4.splat(0), c1 = f32x4.splat(0), d1 = f32x4.splat(0);
  for (; a < end; a += 4, b += 4, c += 4, d += 4, panel += 32) {
    const low = v128.load(panel);
    const high = v128.load(panel, 16);
    let x = v128.load32_splat(a);
    a0 = f32x4.add(a0, f32x4.mul(x, low));
    a1 = f32x4.add(a1, f32x4.mul(x, high));
    x = v128.load32_splat(b);
    b0 = f32x4.add(b0, f32x4.mul(x, low));
    b1 = f32x4.add(b1, f32x4.mul(x, high));
    x = v128.load32_splat(c);
    c0 = f32x4.add(c0, f32x4.mul(x, low));
    c1 = f32x4.add(c1, f32x4.mul(x, high));
    x = v128.load32_splat(d);
    d0 = f32x4.add(d0, f32x4.mul(x, low));
    d1 = f32x4.add(d1, f32x4.mul(x, high));
  }
  const next = <usize>n << 2;
  put(out, a0, a1, width);
  put(out + next, b0, b1, width);
  put(out + 2 * next, c0, c1, width);
  put(out + 3 * next, d0, d1, width);
}

function rows1(out: usize, a: usize, panel: usize, k: i32, width: i32): void {
  const end = a + (<usize>k << 2);
  let low = f32x4.splat(0), high = f32x4.splat(0);
  for (; a < end; a += 4, panel += 32) {
    const x = v128.load32_splat(a);
    low = f32x4.add(low, f32x4.mul(x, v128.load(panel)));
    high = f32x4.add(high, f32x4.mul(x, v128.load(panel, 16)));
  }
  put(out, low, high, width);
}

/** b is [k, n], or [n, k] if `transposed`. */
export function matmulF32(
  out: usize, a: usize, b: usize, scratch: usize, m: i32, k: i32, n: i32, transposed: i32,
): void {
  const row = <usize>k << 2;
  for (let j: i32 = 0; j < n; j += 8) {
    if (transposed) panelOfRows(scratch, b, j, k, n);
    else panelOf(scratch, b, j, k, n);
    let i: i32 = 0;
    for (; i + 4 <= m; i += 4) {
      rows4(out + ((<usize>i * <usize>n + <usize>j) << 2), n, a + <usize>i * row, scratch, k, n - j);
    }
    for (; i < m; i++) rows1(out + ((<usize>i * <usize>n + <usize>j) << 2), a + <usize>i * row, scratch, k, n - j);
  }
}
