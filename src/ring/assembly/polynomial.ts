// Elementwise polynomials of masked values (protocols/polynomial.ts), a block of elements at a time.
//
// Each variable is x = A(β) - r: A(0), A(1) public, r and the bit β secret (native: A(0) = A(1) = x̂; a bit has no r). A term
// is a product of r^j β^b over the variables, of which this party holds an additive share; its public coefficient is a sum of
// constants times products of the vectors A(0)^e and A(1)^e - A(0)^e (ring/polynomial.ts expands it).

import { wideMultiplyAdd } from "./wide";

const BLOCK: i32 = 64;
const ROW: usize = 64 * 8;
/** For each of four variables: A(0)^1..4, A(1)^1..4, and their differences. */
const POWERS: i32 = 4;

/** Bytes of scratch: the variables' vectors, then one for a coefficient and two for a repeated share. */
export function polynomialScratch(): i32 {
  return (4 * 3 * POWERS + 3) * <i32>ROW;
}

// @ts-ignore: decorator
@inline
function row(scratch: usize, v: i32, kind: i32, e: i32): usize {
  return scratch + <usize>((v * 3 + kind) * POWERS + e) * ROW;
}

/** Elements first..first+n-1 of `a`, each element of which serves `repeat`. */
function expand(out: usize, a: usize, repeat: i32, first: i32, n: i32): usize {
  if (repeat == 1) return a + (<usize>first << 3);
  let index = first / repeat;
  let left = repeat - (first - index * repeat);
  for (let i: i32 = 0; i < n; i++) {
    store<u64>(out + (<usize>i << 3), load<u64>(a + (<usize>index << 3)));
    if (--left == 0) {
      left = repeat;
      index++;
    }
  }
  return out;
}

function raise(to: usize, from: usize, base: usize, n: i32): void {
  for (let i: usize = 0, end = <usize>n << 3; i < end; i += 8) store<u64>(to + i, load<u64>(from + i) * load<u64>(base + i));
}

/** The vectors of one variable. */
function publicParts(scratch: usize, v: i32, x: usize, ring: i32, kind: i32, degree: i32, n: i32): void {
  const a0 = row(scratch, v, 0, 0);
  const a1 = row(scratch, v, 1, 0);
  const end = <usize>n << 3;
  if (kind == 0) memory.copy(a0, x, end);
  else if (kind == 1) {
    const offset: u64 = 1 << (ring - 2);
    const mask: u64 = ((<u64>1) << ring) - 1;
    for (let i: usize = 0; i < end; i += 8) {
      const u = (load<u64>(x + i) + offset) & mask;
      store<u64>(a0 + i, u - offset);
      store<u64>(a1 + i, u - offset + (((u >> (ring - 1)) ^ 1) << ring));
    }
  } else {
    for (let i: usize = 0; i < end; i += 8) {
      const bit = load<u64>(x + i) & 1;
      store<u64>(a0 + i, bit);
      store<u64>(a1 + i, bit ^ 1);
    }
  }
  for (let e: i32 = 1; e < degree; e++) raise(row(scratch, v, 0, e), row(scratch, v, 0, e - 1), a0, n);
  if (kind == 0) return;
  for (let e: i32 = 1; e < degree; e++) raise(row(scratch, v, 1, e), row(scratch, v, 1, e - 1), a1, n);
  for (let e: i32 = 0; e < degree; e++) {
    const p0 = row(scratch, v, 0, e);
    const p1 = row(scratch, v, 1, e);
    const difference = row(scratch, v, 2, e);
    for (let i: usize = 0; i < end; i += 8) store<u64>(difference + i, load<u64>(p1 + i) - load<u64>(p0 + i));
  }
}

/** out += c·Π vectors. */
function addProduct(out: usize, scratch: usize, pair: usize, n: i32): void {
  const c = load<u64>(pair);
  const count = load<i32>(pair, 8);
  const end = <usize>n << 3;
  const x = scratch + <usize>load<i32>(pair, 12) * ROW;
  const y = scratch + <usize>load<i32>(pair, 16) * ROW;
  const z = scratch + <usize>load<i32>(pair, 20) * ROW;
  const w = scratch + <usize>load<i32>(pair, 24) * ROW;
  if (count == 0) {
    for (let i: usize = 0; i < end; i += 8) store<u64>(out + i, load<u64>(out + i) + c);
  } else if (count == 1) {
    for (let i: usize = 0; i < end; i += 8) store<u64>(out + i, load<u64>(out + i) + c * load<u64>(x + i));
  } else if (count == 2) {
    for (let i: usize = 0; i < end; i += 8) store<u64>(out + i, load<u64>(out + i) + c * load<u64>(x + i) * load<u64>(y + i));
  } else {
    for (let i: usize = 0; i < end; i += 8) {
      let product = c * load<u64>(x + i) * load<u64>(y + i) * load<u64>(z + i);
      if (count == 4) product *= load<u64>(w + i);
      store<u64>(out + i, load<u64>(out + i) + product);
    }
  }
}

/**
 * out[i] = Σ_terms coefficient(i) · share_term[i / repeat].
 *
 * variables: V × {pointer, repeat, ring, kind (0 native, 1 lifted, 2 bit), degree} as i32.
 * terms: T × {pointer (0: the public term), repeat, first pair, number of pairs} as i32.
 * pairs: {constant i64, number of vectors, four vectors as i32}: stride 28, unaligned.
 */
export function polynomialEvaluate(
  out: usize, n: i32, variables: usize, variableCount: i32, terms: usize, termCount: i32, pairs: usize, scratch: usize,
): void {
  const coefficient = scratch + (4 * 3 * POWERS) * ROW;
  const repeated = coefficient + ROW;
  for (let first: i32 = 0; first < n; first += BLOCK) {
    const count = min(BLOCK, n - first);
    const end = <usize>count << 3;
    for (let v: i32 = 0; v < variableCount; v++) {
      const d = variables + <usize>v * 20;
      const x = expand(repeated, load<u32>(d), load<i32>(d, 4), first, count);
      publicParts(scratch, v, x, load<i32>(d, 8), load<i32>(d, 12), load<i32>(d, 16), count);
    }
    const to = out + (<usize>first << 3);
    memory.fill(to, 0, end);
    for (let t: i32 = 0; t < termCount; t++) {
      const term = terms + <usize>t * 16;
      const own = load<u32>(term) == 0;
      const sum = own ? to : coefficient;
      if (!own) memory.fill(sum, 0, end);
      let pair = pairs + <usize>load<i32>(term, 8) * 28;
      for (let p = load<i32>(term, 12); p > 0; p--, pair += 28) addProduct(sum, scratch, pair, count);
      if (own) continue;
      const share = expand(repeated, load<u32>(term), load<i32>(term, 4), first, count);
      for (let i: usize = 0; i < end; i += 8) {
        store<u64>(to + i, load<u64>(to + i) + load<u64>(coefficient + i) * load<u64>(share + i));
      }
    }
  }
}

/**
 * The same of terms that are wide words (wide.ts): a term has one more entry, the address of its high plane (0: zeros), and none is public.
 */
export function widePolynomial(
  out: usize, outHi: usize, n: i32, variables: usize, variableCount: i32, terms: usize, termCount: i32, pairs: usize, scratch: usize,
): void {
  const coefficient = scratch + (4 * 3 * POWERS) * ROW;
  const repeated = coefficient + ROW;
  const repeatedHi = repeated + ROW;
  for (let first: i32 = 0; first < n; first += BLOCK) {
    const count = min(BLOCK, n - first);
    const end = <usize>count << 3;
    for (let v: i32 = 0; v < variableCount; v++) {
      const d = variables + <usize>v * 20;
      const x = expand(repeated, load<u32>(d), load<i32>(d, 4), first, count);
      publicParts(scratch, v, x, load<i32>(d, 8), load<i32>(d, 12), load<i32>(d, 16), count);
    }
    const to = out + (<usize>first << 3);
    const toHi = outHi + (<usize>first << 3);
    memory.fill(to, 0, end);
    memory.fill(toHi, 0, end);
    for (let t: i32 = 0; t < termCount; t++) {
      const term = terms + <usize>t * 20;
      memory.fill(coefficient, 0, end);
      let pair = pairs + <usize>load<i32>(term, 8) * 28;
      for (let p = load<i32>(term, 12); p > 0; p--, pair += 28) addProduct(coefficient, scratch, pair, count);
      const share = expand(repeated, load<u32>(term), load<i32>(term, 4), first, count);
      const above = load<u32>(term, 16);
      const shareHi: usize = above ? expand(repeatedHi, above, load<i32>(term, 4), first, count) : 0;
      wideMultiplyAdd(to, toHi, coefficient, share, shareHi, count);
    }
  }
}

/** out[i] = a[i / repeat]. */
export function repeatWords(out: usize, a: usize, n: i32, repeat: i32): void {
  for (let i: i32 = 0; i < n; i += repeat, a += 8) {
    const x = load<u64>(a);
    for (let end = out + (<usize>repeat << 3); out < end; out += 8) store<u64>(out, x);
  }
}
