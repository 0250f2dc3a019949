// Modular Fourier functions (protocols/periodic.ts). Cosines come from this module's own arithmetic on f64, which
// WebAssembly defines to the bit: both parties get the same public integers in any engine.

// @ts-ignore: decorator
@inline
function angle(x: u64, bits: i32): f64 {
  const m = x & (((<u64>1) << bits) - 1);
  return (<f64>m) * (6.283185307179586 / <f64>((<u64>1) << bits));
}

/** The dealer's secrets: for harmonic h, out[2h·n + i] = round(2^trigBits cos(kωr_i)), k its number, out[(2h+1)·n + i] the sine. */
export function fourierSecrets(out: usize, r: usize, n: i32, bits: i32, harmonics: i32, stride: i32, trigBits: i32): void {
  const unit = <f64>((<u64>1) << trigBits);
  for (let i: i32 = 0; i < n; i++) {
    const theta = angle(load<u64>(r + (<usize>i << 3)), bits);
    const c1 = NativeMath.cos(theta);
    const s1 = NativeMath.sin(theta);
    // From one harmonic to the next the angle grows by stride·θ.
    const cs = stride == 2 ? c1 * c1 - s1 * s1 : c1;
    const ss = stride == 2 ? 2 * s1 * c1 : s1;
    let c = c1;
    let s = s1;
    for (let h: i32 = 0; h < harmonics; h++) {
      const row = out + ((<usize>(2 * h) * <usize>n + <usize>i) << 3);
      store<i64>(row, <i64>nearest(c * unit));
      store<i64>(row + (<usize>n << 3), <i64>nearest(s * unit));
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
    const theta = angle(load<u64>(x + (<usize>i << 3)), bits);
    const c1 = NativeMath.cos(theta);
    const s1 = NativeMath.sin(theta);
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
      sum += <i64>nearest(a * c + b * s) * load<i64>(row);
      sum += <i64>nearest(a * s - b * c) * load<i64>(row + (<usize>n << 3));
      const next = c * cs - s * ss;
      s = s * cs + c * ss;
      c = next;
    }
    store<i64>(out + (<usize>i << 3), sum);
  }
}

/** Σ_h a_h cos hωx + b_h sin hωx in the clear, with the same roundings of the factors at r = 0 (fixed-point reference). */
export function fourierClear(
  out: usize, x: usize, n: i32, bits: i32, harmonics: i32, stride: i32, coefficients: usize, trigBits: i32,
): void {
  const unit = <i64>1 << trigBits;
  for (let i: i32 = 0; i < n; i++) {
    const theta = angle(load<u64>(x + (<usize>i << 3)), bits);
    const c1 = NativeMath.cos(theta);
    const s1 = NativeMath.sin(theta);
    // From one harmonic to the next the angle grows by stride·θ.
    const cs = stride == 2 ? c1 * c1 - s1 * s1 : c1;
    const ss = stride == 2 ? 2 * s1 * c1 : s1;
    let c = c1;
    let s = s1;
    let sum: i64 = 0;
    for (let h: i32 = 0; h < harmonics; h++) {
      const a = load<f64>(coefficients + (<usize>h << 3));
      const b = load<f64>(coefficients + (<usize>(h + harmonics) << 3));
      sum += <i64>nearest(a * c + b * s) * unit;
      const next = c * cs - s * ss;
      s = s * cs + c * ss;
      c = next;
    }
    store<i64>(out + (<usize>i << 3), sum);
  }
}
