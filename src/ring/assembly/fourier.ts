// Modular Fourier functions (protocols/periodic.ts). Cosines come from this module's own arithmetic on f64, which
// WebAssembly defines to the bit: both parties get the same public integers in any engine.

import { wideMultiplyAdd } from "./wide";

// 1.5·2^52: a sum with it has no bits after the point, and its mantissa is the nearest integer (|x| < 2^51).
const SHIFTER: f64 = 6755399441055744.0;

// @ts-ignore: decorator
@inline
function rounded(x: f64): i64 {
  return reinterpret<i64>(x + SHIFTER) - reinterpret<i64>(SHIFTER);
}

// 2π/2^64; a power of two changes no rounding.
const TURN: f64 = 6.283185307179586 / 18446744073709551616.0;

let cosine: f64 = 0;
let sine: f64 = 0;

/**
 * Sets `cosine` and `sine` of 2π·x/2^bits, to about 1e-13, for 1 <= bits <= 53: the nearest quarter turn, then Taylor within an
 * eighth. The sequence of roundings is fixed (native/kernels.c has the same). x is a mask: what is chosen by its quarter turn is chosen by
 * bits of integers, because engines make branches of a choice between two floats. No result is denormal: those are slow.
 */
// @ts-ignore: decorator
@inline
function circle(x: u64, bits: i32): void {
  const angle = x << (64 - bits);
  const quarter = (angle + 0x2000000000000000) >> 62;
  const t = <f64>(<i64>(angle - (quarter << 62))) * TURN;
  const u = t * t;
  const s = reinterpret<u64>(t * (1 + u * (-1.0 / 6 + u * (1.0 / 120 + u * (-1.0 / 5040 + u * (1.0 / 362880 +
    u * (-1.0 / 39916800 + u * (1.0 / 6227020800.0))))))));
  const c = reinterpret<u64>(1 + u * (-0.5 + u * (1.0 / 24 + u * (-1.0 / 720 + u * (1.0 / 40320 + u * (-1.0 / 3628800 +
    u * (1.0 / 479001600.0 + u * (-1.0 / 87178291200.0))))))));
  const swapped = (s ^ c) & (0 - (quarter & 1));
  cosine = reinterpret<f64>(c ^ swapped ^ (((quarter + 1) & 2) << 62));
  sine = reinterpret<f64>(s ^ swapped ^ ((quarter & 2) << 62));
}

/** The dealer's secrets: for harmonic h, out[2h·n + i] = round(2^trigBits cos(kωr_i)), k its number, out[(2h+1)·n + i] the sine. */
export function fourierSecrets(out: usize, r: usize, n: i32, bits: i32, harmonics: i32, stride: i32, trigBits: i32): void {
  const unit = <f64>((<u64>1) << trigBits);
  for (let i: i32 = 0; i < n; i++) {
    circle(load<u64>(r + (<usize>i << 3)), bits);
    const c1 = cosine;
    const s1 = sine;
    // From one harmonic to the next the angle grows by stride·θ.
    const cs = stride == 2 ? c1 * c1 - s1 * s1 : c1;
    const ss = stride == 2 ? 2 * s1 * c1 : s1;
    let c = c1;
    let s = s1;
    for (let h: i32 = 0; h < harmonics; h++) {
      const row = out + ((<usize>(2 * h) * <usize>n + <usize>i) << 3);
      store<i64>(row, rounded(c * unit));
      store<i64>(row + (<usize>n << 3), rounded(s * unit));
      const next = c * cs - s * ss;
      s = s * cs + c * ss;
      c = next;
    }
  }
}

/**
 * out[i] = Σ_h [a_h cos hωx̂ + b_h sin hωx̂]·[cos hωr] + [a_h sin hωx̂ - b_h cos hωx̂]·[sin hωr], factors rounded to
 * integers. `coefficients`: 2·harmonics f64, a then b, already times the factor's scale. `shares` as fourierSecrets wrote.
 */
export function fourierEvaluate(
  out: usize, x: usize, n: i32, bits: i32, harmonics: i32, stride: i32, coefficients: usize, shares: usize,
): void {
  for (let i: i32 = 0; i < n; i++) {
    circle(load<u64>(x + (<usize>i << 3)), bits);
    const c1 = cosine;
    const s1 = sine;
    // From one harmonic to the next the angle grows by stride·θ.
    const cs = stride == 2 ? c1 * c1 - s1 * s1 : c1;
    const ss = stride == 2 ? 2 * s1 * c1 : s1;
    let c = c1;
    let s = s1;
    let sum: i64 = 0;
    for (let h: i32 = 0; h < harmonics; h++) {
      const a = load<f64>(coefficients + (<usize>h << 3));
      const b = load<f64>(coefficients + (<usize>(h + harmonics) << 3));
      const row = shares + ((<usize>(2 * h) * <usize>n + <usize>i) << 3);
      sum += rounded(a * c + b * s) * load<i64>(row);
      sum += rounded(a * s - b * c) * load<i64>(row + (<usize>n << 3));
      const next = c * cs - s * ss;
      s = s * cs + c * ss;
      c = next;
    }
    store<i64>(out + (<usize>i << 3), sum);
  }
}

/** The same of shares that are wide words (wide.ts); sharesHi 0: zeros. */
export function wideFourier(
  out: usize, outHi: usize, x: usize, n: i32, bits: i32, harmonics: i32, stride: i32, coefficients: usize, shares: usize, sharesHi: usize,
): void {
  memory.fill(out, 0, <usize>n << 3);
  memory.fill(outHi, 0, <usize>n << 3);
  const factor = memory.data(8);
  for (let i: i32 = 0; i < n; i++) {
    circle(load<u64>(x + (<usize>i << 3)), bits);
    const c1 = cosine;
    const s1 = sine;
    const cs = stride == 2 ? c1 * c1 - s1 * s1 : c1;
    const ss = stride == 2 ? 2 * s1 * c1 : s1;
    let c = c1;
    let s = s1;
    const to = <usize>i << 3;
    for (let h: i32 = 0; h < harmonics; h++) {
      const a = load<f64>(coefficients + (<usize>h << 3));
      const b = load<f64>(coefficients + (<usize>(h + harmonics) << 3));
      const row = (<usize>(2 * h) * <usize>n + <usize>i) << 3;
      const next = row + (<usize>n << 3);
      store<i64>(factor, rounded(a * c + b * s));
      wideMultiplyAdd(out + to, outHi + to, factor, shares + row, sharesHi ? sharesHi + row : 0, 1);
      store<i64>(factor, rounded(a * s - b * c));
      wideMultiplyAdd(out + to, outHi + to, factor, shares + next, sharesHi ? sharesHi + next : 0, 1);
      const after = c * cs - s * ss;
      s = s * cs + c * ss;
      c = after;
    }
  }
}

/** Σ_h a_h cos hωx + b_h sin hωx in the clear, with the same roundings of the factors at r = 0 (fixed-point reference). */
export function fourierClear(
  out: usize, x: usize, n: i32, bits: i32, harmonics: i32, stride: i32, coefficients: usize, trigBits: i32,
): void {
  const unit = <i64>1 << trigBits;
  for (let i: i32 = 0; i < n; i++) {
    circle(load<u64>(x + (<usize>i << 3)), bits);
    const c1 = cosine;
    const s1 = sine;
    // From one harmonic to the next the angle grows by stride·θ.
    const cs = stride == 2 ? c1 * c1 - s1 * s1 : c1;
    const ss = stride == 2 ? 2 * s1 * c1 : s1;
    let c = c1;
    let s = s1;
    let sum: i64 = 0;
    for (let h: i32 = 0; h < harmonics; h++) {
      const a = load<f64>(coefficients + (<usize>h << 3));
      const b = load<f64>(coefficients + (<usize>(h + harmonics) << 3));
      sum += rounded(a * c + b * s) * unit;
      const next = c * cs - s * ss;
      s = s * cs + c * ss;
      c = next;
    }
    store<i64>(out + (<usize>i << 3), sum);
  }
}
