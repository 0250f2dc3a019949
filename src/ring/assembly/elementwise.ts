// Elementwise kernels over 64-bit ring words. Pointers are 8-byte aligned; n counts words.

const BLOCK: i32 = 16;

// @ts-ignore: decorator
@inline
function mask(bits: i32): u64 {
  return bits >= 64 ? <u64>-1 : ((<u64>1) << bits) - 1;
}

// @ts-ignore: decorator
@inline
function joined(lo: i32, hi: i32): u64 {
  return (<u64>(<u32>lo)) | ((<u64>(<u32>hi)) << 32);
}

export function add(out: usize, a: usize, b: usize, n: i32): void {
  const even = <usize>(n & ~1) << 3;
  for (let i: usize = 0; i < even; i += 16) v128.store(out + i, i64x2.add(v128.load(a + i), v128.load(b + i)));
  if (n & 1) store<u64>(out + even, load<u64>(a + even) + load<u64>(b + even));
}

export function subtract(out: usize, a: usize, b: usize, n: i32): void {
  const even = <usize>(n & ~1) << 3;
  for (let i: usize = 0; i < even; i += 16) v128.store(out + i, i64x2.sub(v128.load(a + i), v128.load(b + i)));
  if (n & 1) store<u64>(out + even, load<u64>(a + even) - load<u64>(b + even));
}

export function negate(out: usize, a: usize, n: i32): void {
  for (let i: usize = 0, end = <usize>n << 3; i < end; i += 8) store<u64>(out + i, 0 - load<u64>(a + i));
}

export function multiply(out: usize, a: usize, b: usize, n: i32): void {
  for (let i: usize = 0, end = <usize>n << 3; i < end; i += 8) store<u64>(out + i, load<u64>(a + i) * load<u64>(b + i));
}

export function addConstant(out: usize, a: usize, lo: i32, hi: i32, n: i32): void {
  const c = joined(lo, hi);
  for (let i: usize = 0, end = <usize>n << 3; i < end; i += 8) store<u64>(out + i, load<u64>(a + i) + c);
}

export function scale(out: usize, a: usize, lo: i32, hi: i32, n: i32): void {
  const c = joined(lo, hi);
  for (let i: usize = 0, end = <usize>n << 3; i < end; i += 8) store<u64>(out + i, load<u64>(a + i) * c);
}

export function addScaled(out: usize, a: usize, lo: i32, hi: i32, n: i32): void {
  const c = joined(lo, hi);
  for (let i: usize = 0, end = <usize>n << 3; i < end; i += 8) store<u64>(out + i, load<u64>(out + i) + load<u64>(a + i) * c);
}

export function addRow(out: usize, a: usize, row: usize, rows: i32, columns: i32): void {
  const width = <usize>columns << 3;
  for (let i: i32 = 0; i < rows; i++) add(out + <usize>i * width, a + <usize>i * width, row, columns);
}

export function scaleColumns(out: usize, a: usize, row: usize, rows: i32, columns: i32): void {
  for (let i: i32 = 0; i < rows; i++) {
    for (let j: i32 = 0; j < columns; j++) {
      const at = (<usize>i * <usize>columns + <usize>j) << 3;
      store<u64>(out + at, load<u64>(out + at) + load<u64>(a + at) * load<u64>(row + (<usize>j << 3)));
    }
  }
}

export function addOuter(out: usize, column: usize, row: usize, rows: i32, columns: i32): void {
  for (let i: i32 = 0; i < rows; i++) {
    const c = load<u64>(column + (<usize>i << 3));
    for (let j: i32 = 0; j < columns; j++) {
      const at = (<usize>i * <usize>columns + <usize>j) << 3;
      store<u64>(out + at, load<u64>(out + at) + c * load<u64>(row + (<usize>j << 3)));
    }
  }
}

export function rowSum(out: usize, a: usize, rows: i32, columns: i32): void {
  for (let i: i32 = 0; i < rows; i++) {
    let sum: u64 = 0;
    const start = a + ((<usize>i * <usize>columns) << 3);
    for (let j: i32 = 0; j < columns; j++) sum += load<u64>(start + (<usize>j << 3));
    store<u64>(out + (<usize>i << 3), sum);
  }
}

export function centre(out: usize, a: usize, rows: i32, columns: i32): void {
  for (let i: i32 = 0; i < rows; i++) {
    let sum: u64 = 0;
    const start = (<usize>i * <usize>columns) << 3;
    for (let j: i32 = 0; j < columns; j++) sum += load<u64>(a + start + (<usize>j << 3));
    for (let j: i32 = 0; j < columns; j++) {
      const at = start + (<usize>j << 3);
      store<u64>(out + at, load<u64>(a + at) * <u64>columns - sum);
    }
  }
}

export function reduce(out: usize, a: usize, bits: i32, n: i32): void {
  const m = mask(bits);
  for (let i: usize = 0, end = <usize>n << 3; i < end; i += 8) store<u64>(out + i, load<u64>(a + i) & m);
}

/** ((a mod 2^from) >> shift) mod 2^to. */
export function truncate(out: usize, a: usize, from: i32, shift: i32, to: i32, n: i32): void {
  const wide = mask(from);
  // A shift takes its count mod 64.
  const narrow = shift >= 64 ? 0 : mask(to);
  for (let i: usize = 0, end = <usize>n << 3; i < end; i += 8) {
    store<u64>(out + i, ((load<u64>(a + i) & wide) >> shift) & narrow);
  }
}

export function signExtend(out: usize, a: usize, bits: i32, n: i32): void {
  const by = 64 - bits;
  for (let i: usize = 0, end = <usize>n << 3; i < end; i += 8) store<i64>(out + i, (load<i64>(a + i) << by) >> by);
}

export function arithmeticShift(out: usize, a: usize, shift: i32, n: i32): void {
  const by = min(shift, 63);
  for (let i: usize = 0, end = <usize>n << 3; i < end; i += 8) store<i64>(out + i, load<i64>(a + i) >> by);
}

export function msb(out: usize, a: usize, bits: i32, n: i32): void {
  for (let i: usize = 0, end = <usize>n << 3; i < end; i += 8) store<u64>(out + i, (load<u64>(a + i) >> (bits - 1)) & 1);
}

/** In blocks, so that a cache line that was fetched is used up before it is lost; 2 × 2 words at a time within. */
export function transpose(out: usize, a: usize, rows: i32, columns: i32): void {
  const down = <usize>rows << 3;
  const across = <usize>columns << 3;
  for (let i0: i32 = 0; i0 < rows; i0 += BLOCK) {
    const iEnd = min(rows, i0 + BLOCK);
    for (let j0: i32 = 0; j0 < columns; j0 += BLOCK) {
      const jEnd = min(columns, j0 + BLOCK);
      let j = j0;
      for (; j + 2 <= jEnd; j += 2) {
        let from = a + <usize>i0 * across + (<usize>j << 3);
        let to = out + <usize>j * down + (<usize>i0 << 3);
        let i = i0;
        for (; i + 2 <= iEnd; i += 2, from += 2 * across, to += 16) {
          const x = v128.load(from);
          const y = v128.load(from + across);
          v128.store(to, v128.shuffle<i64>(x, y, 0, 2));
          v128.store(to + down, v128.shuffle<i64>(x, y, 1, 3));
        }
        if (i < iEnd) {
          store<u64>(to, load<u64>(from));
          store<u64>(to + down, load<u64>(from, 8));
        }
      }
      if (j < jEnd) {
        for (let i = i0; i < iEnd; i++) {
          store<u64>(out + <usize>j * down + (<usize>i << 3), load<u64>(a + <usize>i * across + (<usize>j << 3)));
        }
      }
    }
  }
}

/** Offsets and strides in words. */
export function copyBlock(out: usize, outStride: i32, a: usize, aStride: i32, rows: i32, columns: i32): void {
  for (let i: i32 = 0; i < rows; i++) {
    memory.copy(out + ((<usize>i * <usize>outStride) << 3), a + ((<usize>i * <usize>aStride) << 3), <usize>columns << 3);
  }
}

// 1.5·2^52: a sum with it has no bits after the point, and its mantissa is the nearest integer (|x| < 2^51).
const SHIFTER: f64 = 6755399441055744.0;

/**
 * round(values·scale) as two's complement; 0 if all are finite and below 2^62, else 1 (and the output is void). Rounded in two
 * halves by sums with SHIFTER: engines make branches of conversions and of early ends.
 */
export function encodeF64(out: usize, values: usize, factor: f64, n: i32): i32 {
  let fits: i32 = 1;
  for (let i: usize = 0, end = <usize>n << 3; i < end; i += 8) {
    const x = load<f64>(values + i) * factor;
    fits &= i32(abs(x) < 4611686018427387904.0);
    const shifted = x * (1.0 / 4294967296.0) + SHIFTER;
    const low = x - (shifted - SHIFTER) * 4294967296.0 + SHIFTER;
    const high = reinterpret<i64>(shifted) - reinterpret<i64>(SHIFTER);
    store<i64>(out + i, (high << 32) + (reinterpret<i64>(low) - reinterpret<i64>(SHIFTER)));
  }
  return fits ^ 1;
}

export function decodeF64(values: usize, a: usize, bits: i32, factor: f64, n: i32): void {
  const by = 64 - bits;
  for (let i: usize = 0, end = <usize>n << 3; i < end; i += 8) {
    store<f64>(values + i, <f64>((load<i64>(a + i) << by) >> by) / factor);
  }
}
