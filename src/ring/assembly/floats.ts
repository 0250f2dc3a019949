// The float reference's matrix product: a [m, k] times the transpose of w [n, k], both contiguous along k.

// @ts-ignore: decorator
@inline
function total(x: v128): f32 {
  return f32x4.extract_lane(x, 0) + f32x4.extract_lane(x, 1) + f32x4.extract_lane(x, 2) + f32x4.extract_lane(x, 3);
}

function dot(a: usize, w: usize, k: i32): f32 {
  let sum: f32 = 0;
  for (let i: i32 = 0; i < k; i++) sum += load<f32>(a + (<usize>i << 2)) * load<f32>(w + (<usize>i << 2));
  return sum;
}

// Two rows of a by four rows of w.
function tile(out: usize, n: i32, a: usize, w: usize, k: i32): void {
  const width = <usize>k << 2;
  let s0 = f32x4.splat(0), s1 = f32x4.splat(0), s2 = f32x4.splat(0), s3 = f32x4.splat(0);
  let t0 = f32x4.splat(0), t1 = f32x4.splat(0), t2 = f32x4.splat(0), t3 = f32x4.splat(0);
  const end = <usize>(k & ~3) << 2;
  for (let i: usize = 0; i < end; i += 16) {
    const x = v128.load(a + i);
    const y = v128.load(a + width + i);
    let b = v128.load(w + i);
    s0 = f32x4.add(s0, f32x4.mul(x, b));
    t0 = f32x4.add(t0, f32x4.mul(y, b));
    b = v128.load(w + width + i);
    s1 = f32x4.add(s1, f32x4.mul(x, b));
    t1 = f32x4.add(t1, f32x4.mul(y, b));
    b = v128.load(w + 2 * width + i);
    s2 = f32x4.add(s2, f32x4.mul(x, b));
    t2 = f32x4.add(t2, f32x4.mul(y, b));
    b = v128.load(w + 3 * width + i);
    s3 = f32x4.add(s3, f32x4.mul(x, b));
    t3 = f32x4.add(t3, f32x4.mul(y, b));
  }
  const rest = k & 3;
  const next = out + (<usize>n << 2);
  store<f32>(out, total(s0) + dot(a + end, w + end, rest));
  store<f32>(out, total(s1) + dot(a + end, w + width + end, rest), 4);
  store<f32>(out, total(s2) + dot(a + end, w + 2 * width + end, rest), 8);
  store<f32>(out, total(s3) + dot(a + end, w + 3 * width + end, rest), 12);
  store<f32>(next, total(t0) + dot(a + width + end, w + end, rest));
  store<f32>(next, total(t1) + dot(a + width + end, w + width + end, rest), 4);
  store<f32>(next, total(t2) + dot(a + width + end, w + 2 * width + end, rest), 8);
  store<f32>(next, total(t3) + dot(a + width + end, w + 3 * width + end, rest), 12);
}

export function matmulF32Transposed(out: usize, a: usize, w: usize, m: i32, k: i32, n: i32): void {
  const width = <usize>k << 2;
  for (let j: i32 = 0; j < n; j += 4) {
    for (let i: i32 = 0; i < m; i += 2) {
      if (i + 2 <= m && j + 4 <= n) {
        tile(out + ((<usize>i * <usize>n + <usize>j) << 2), n, a + <usize>i * width, w + <usize>j * width, k);
        continue;
      }
      for (let r = i; r < min(i + 2, m); r++) {
        for (let c = j; c < min(j + 4, n); c++) {
          store<f32>(out + ((<usize>r * <usize>n + <usize>c) << 2), dot(a + <usize>r * width, w + <usize>c * width, k));
        }
      }
    }
  }
}
