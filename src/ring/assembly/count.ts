// Counts of a row's values by their places, in lanes of 8 or 16 bits (protocols/count.ts).

/** 1 or 0, for numbers below 2^63: the sign of (a ^ b) - 1. */
// @ts-ignore: decorator
@inline
function isSame(a: u64, b: u64): u64 {
  return ((a ^ b) - 1) >> 63;
}

/**
 * The one-hot lanes of `n` numbers below `size`: 1 where a lane's place is the number, without a choice or an address that depends on it.
 * `logLanes`: of the lanes of a word.
 */
export function oneHotLanes(out: usize, numbers: usize, n: i32, size: i32, logLanes: i32): void {
  const words = size >> logLanes;
  const within = (1 << logLanes) - 1;
  const shift = 6 - logLanes;
  for (let e = 0; e < n; e++, numbers += 8) {
    const place = load<u64>(numbers);
    let one: u64 = 0;
    for (let lane = 0; lane <= within; lane++) one |= isSame(<u64>lane, place & <u64>within) << <u64>(lane << shift);
    const word = place >> <u64>logLanes;
    for (let w = 0; w < words; w++, out += 8) {
      store<u64>(out, one & (0 - isSame(<u64>w, word)));
    }
  }
}

// @ts-ignore: decorator
@inline
function addLanes(out: usize, from: usize, bytes: usize, logLanes: i32): void {
  let at: usize = 0;
  if (logLanes == 3) {
    for (; at + 16 <= bytes; at += 16) v128.store(out + at, i8x16.add(v128.load(out + at), v128.load(from + at)));
    for (; at < bytes; at++) store<u8>(out + at, load<u8>(out + at) + load<u8>(from + at));
  } else {
    for (; at + 16 <= bytes; at += 16) v128.store(out + at, i16x8.add(v128.load(out + at), v128.load(from + at)));
    for (; at < bytes; at += 2) store<u16>(out + at, load<u16>(out + at) + load<u16>(from + at));
  }
}

/**
 * Sums of the lanes of each row's `columns` numbers, turned: lane (j + size - 1 - turn) mod size of the row's sum takes a number's lane j. So
 * place t, in which the lane turn - t belongs, is lane size - 1 - t. Lanes wrap. `turns` are public.
 */
export function addTurnedLanes(out: usize, lanes: usize, turns: usize, rows: i32, columns: i32, size: i32, logLanes: i32): void {
  const unit = <usize>(8 >> logLanes);
  const bytes = <usize>size * unit;
  memory.fill(out, 0, <usize>rows * bytes);
  for (let row = 0; row < rows; row++, out += bytes) {
    for (let c = 0; c < columns; c++, turns += 8, lanes += bytes) {
      // Whatever the turn, no lane lies outside.
      const first = (<usize>(load<u32>(turns) & (size - 1)) + 1) * unit;
      addLanes(out + bytes - first, lanes, first, logLanes);
      addLanes(out, lanes + first, bytes - first, logLanes);
    }
  }
}

/** out -= a, lane by lane. */
export function subtractLanes(out: usize, a: usize, n: i32, logLanes: i32): void {
  const end = out + 8 * <usize>n;
  if (logLanes == 3) {
    for (; out + 16 <= end; out += 16, a += 16) v128.store(out, i8x16.sub(v128.load(out), v128.load(a)));
    for (; out < end; out++, a++) store<u8>(out, load<u8>(out) - load<u8>(a));
  } else {
    for (; out + 16 <= end; out += 16, a += 16) v128.store(out, i16x8.sub(v128.load(out), v128.load(a)));
    for (; out < end; out += 2, a += 2) store<u16>(out, load<u16>(out) - load<u16>(a));
  }
}
