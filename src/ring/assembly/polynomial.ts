// Elementwise polynomials of masked values (protocols/polynomial.ts): one pass over the elements.
//
// Each variable is x = A(β) - r: A(0), A(1) public, r and the bit β secret (native: A(0) = A(1) = x̂; a bit has no r).
// x^D = Σ_{j,b} K[D][j][b] r^j β^b with
//   K[D][j][0] = C(D,j) (-1)^j A(0)^(D-j),   K[D][j][1] = C(D,j) (-1)^j (A(1)^(D-j) - A(0)^(D-j)).
// A term is a product over variables of r^j β^b, of which this party holds an additive share; its public coefficient is
// Σ_monomials c Π_v K_v[D_v][j_v][b_v].

const DEGREES: usize = 5; // degrees 0..4
// K tables: 4 variables × DEGREES × DEGREES × 2 words.
const TABLE: usize = memory.data(4 * 5 * 5 * 2 * 8, 16);
const CHOOSE: usize = memory.data<i64>([1, 0, 0, 0, 0, 1, 1, 0, 0, 0, 1, 2, 1, 0, 0, 1, 3, 3, 1, 0, 1, 4, 6, 4, 1]);

// @ts-ignore: decorator
@inline
function at(v: usize, degree: usize, j: usize, b: usize): usize {
  return TABLE + ((((v * DEGREES + degree) * DEGREES + j) << 1) + b) * 8;
}

function fillTable(v: usize, a0: u64, a1: u64, maxDegree: i32, hasMask: bool): void {
  for (let degree: i32 = 0; degree <= maxDegree; degree++) {
    let p0: u64 = 1;
    let p1: u64 = 1;
    // j runs down so that the powers of A grow: A^(degree-j).
    for (let j: i32 = degree; j >= 0; j--) {
      let c = load<u64>(CHOOSE + (<usize>(degree * 5 + j)) * 8);
      if (j & 1) c = 0 - c;
      if (!hasMask && j > 0) c = 0;
      store<u64>(at(v, degree, j, 0), c * p0);
      store<u64>(at(v, degree, j, 1), c * (p1 - p0));
      p0 *= a0;
      p1 *= a1;
    }
  }
}

/** The entries of `fillTable` that depend on A, for degrees up to 2: nearly all there are. */
// @ts-ignore: decorator
@inline
function updateTable(v: usize, a0: u64, a1: u64, maxDegree: i32, hasMask: bool): void {
  if (maxDegree > 2) {
    fillTable(v, a0, a1, maxDegree, hasMask);
    return;
  }
  const apart = a1 - a0;
  store<u64>(at(v, 1, 0, 0), a0);
  store<u64>(at(v, 1, 0, 1), apart);
  if (maxDegree == 2) {
    store<u64>(at(v, 2, 0, 0), a0 * a0);
    store<u64>(at(v, 2, 0, 1), apart * (a0 + a1));
    if (hasMask) {
      store<u64>(at(v, 2, 1, 0), 0 - 2 * a0);
      store<u64>(at(v, 2, 1, 1), 0 - 2 * apart);
    }
  }
}

/**
 * out[i] = Σ_terms coefficient(i) · share_term[i / repeat], plus the public term if `server`.
 *
 * variables: V × {pointer, repeat, ring, kind (0 native, 1 lifted, 2 bit), maxDegree} as i32.
 * pairs: grouped by term; each pair is a monomial that the term occurs in: {term, monomial}. Term -1 is the public one.
 * monomials: M × {coefficient i64, V × degree as i32, padded to 16 + 16 bytes}: stride 32.
 * terms: T × {pointer, repeat, V × j, V × b as i32}: stride 40.
 */
export function polynomialEvaluate(
  out: usize, n: i32, server: i32,
  variables: usize, variableCount: i32,
  monomials: usize,
  terms: usize,
  pairs: usize, pairCount: i32,
): void {
  for (let v: i32 = 0; v < variableCount; v++) {
    const d = variables + <usize>v * 20;
    fillTable(v, 0, 0, load<i32>(d, 16), load<i32>(d, 12) != 2);
  }
  for (let i: i32 = 0; i < n; i++) {
    for (let v: i32 = 0; v < variableCount; v++) {
      const d = variables + <usize>v * 20;
      const repeat = load<i32>(d, 4);
      if (repeat > 1 && i % repeat != 0) continue;
      const index = repeat > 1 ? i / repeat : i;
      const ring = load<i32>(d, 8);
      const kind = load<i32>(d, 12);
      const x = load<u64>(<usize>load<u32>(d) + (<usize>index << 3));
      if (kind == 1) {
        const offset: u64 = 1 << (ring - 2);
        const u = (x + offset) & (((<u64>1) << ring) - 1);
        const wrap: u64 = ((u >> (ring - 1)) ^ 1) << ring;
        updateTable(v, u - offset, u - offset + wrap, load<i32>(d, 16), true);
      } else if (kind == 2) {
        updateTable(v, x & 1, (x & 1) ^ 1, load<i32>(d, 16), false);
      } else {
        updateTable(v, x, x, load<i32>(d, 16), true);
      }
    }
    let sum: u64 = 0;
    let term: i32 = -1;
    let coefficient: u64 = 0;
    for (let p: i32 = 0; p < pairCount; p++) {
      const pair = pairs + <usize>p * 8;
      const next = load<i32>(pair);
      if (next != term) {
        if (term >= 0) sum += coefficient * shareOf(terms, term, i);
        else if (server) sum += coefficient;
        coefficient = 0;
        term = next;
      }
      const m = monomials + <usize>load<i32>(pair, 4) * 32;
      const t = terms + <usize>term * 40;
      let product = load<u64>(m);
      for (let v: i32 = 0; v < variableCount; v++) {
        const degree = load<i32>(m + <usize>v * 4, 8);
        const j = term < 0 ? 0 : load<i32>(t + <usize>v * 4, 8);
        const b = term < 0 ? 0 : load<i32>(t + <usize>v * 4, 24);
        product *= load<u64>(at(v, degree, j, b));
      }
      coefficient += product;
    }
    if (term >= 0) sum += coefficient * shareOf(terms, term, i);
    else if (server) sum += coefficient;
    store<u64>(out + (<usize>i << 3), sum);
  }
}

// @ts-ignore: decorator
@inline
function shareOf(terms: usize, term: i32, i: i32): u64 {
  const t = terms + <usize>term * 40;
  const repeat = load<i32>(t, 4);
  const index = repeat > 1 ? i / repeat : i;
  return load<u64>(<usize>load<u32>(t) + (<usize>index << 3));
}

/** out[i] = a[i / repeat]. */
export function repeatWords(out: usize, a: usize, n: i32, repeat: i32): void {
  for (let i: i32 = 0; i < n; i++) store<u64>(out + (<usize>i << 3), load<u64>(a + (<usize>(i / repeat) << 3)));
}
