// Comparison of a public number with a secret one (protocols/compare.ts), on XOR-shared bits packed into one word an
// element. A tree word of n nodes: bits 0..n-1 the generates g, bits n..2n-1 the propagates p, bit 2n the sign part s.

// Bit M of GENERATE[c] (PROPAGATE[c]): whether the monomial Π_{i in M} r_i occurs in [c < r] ([c = r]) for 4-bit c, r.
const GENERATE: usize = memory.data(16 * 2);
const PROPAGATE: usize = memory.data(16 * 2);
let ready: bool = false;

// The algebraic normal form of both functions of r, by the Moebius transform of their truth tables.
function fillTables(): void {
  for (let c: i32 = 0; c < 16; c++) {
    let g: u32 = 0;
    let p: u32 = 0;
    for (let r: i32 = 0; r < 16; r++) {
      if (c < r) g |= 1 << r;
      if (c == r) p |= 1 << r;
    }
    store<u16>(GENERATE + <usize>c * 2, <u16>moebius(g));
    store<u16>(PROPAGATE + <usize>c * 2, <u16>moebius(p));
  }
  ready = true;
}

function moebius(f: u32): u32 {
  for (let i: i32 = 0; i < 4; i++) {
    for (let m: i32 = 0; m < 16; m++) {
      if ((m >> i) & 1) f ^= ((f >> (m ^ (1 << i))) & 1) << m;
    }
  }
  return f;
}

/**
 * The dealer's secrets for r: out[(b/4)·n + i] holds in its 16-bit lane b%4 all 16 monomials of bits 4b..4b+3 of r's low
 * ring-1 bits; the empty monomial of block 0 is replaced by r's top bit, of the others by 0.
 */
export function lessThanSecrets(out: usize, r: usize, n: i32, ring: i32, blocks: i32): void {
  const words = (blocks + 3) >> 2;
  const low: u64 = ((<u64>1) << (ring - 1)) - 1;
  for (let i: i32 = 0; i < n; i++) {
    const x = load<u64>(r + (<usize>i << 3));
    const top = (x >> (ring - 1)) & 1;
    for (let w: i32 = 0; w < words; w++) {
      let word: u64 = 0;
      for (let lane: i32 = 0; lane < 4 && w * 4 + lane < blocks; lane++) {
        const b = w * 4 + lane;
        const bits = (x & low) >> (4 * b);
        // All products of the four bits, by doubling: with bit i the set of monomials so far is there once more, times it.
        let monomials: u64 = 1;
        monomials |= (monomials << 1) & (0 - (bits & 1));
        monomials |= (monomials << 2) & (0 - ((bits >> 1) & 1));
        monomials |= (monomials << 4) & (0 - ((bits >> 2) & 1));
        monomials |= (monomials << 8) & (0 - ((bits >> 3) & 1));
        monomials &= 0xfffe;
        if (b == 0) monomials |= top;
        word |= monomials << (16 * lane);
      }
      store<u64>(out + ((<usize>w * <usize>n + <usize>i) << 3), word);
    }
  }
}

/** Shares of the leaves: g = [c < r], p = [c = r] for each block, s = msb(c) ⊕ msb(r) ⊕ 1. One block: g ⊕ s at once. */
export function lessThanLeaves(out: usize, c: usize, shares: usize, n: i32, ring: i32, blocks: i32, server: i32): void {
  if (!ready) fillTables();
  const low: u64 = ((<u64>1) << (ring - 1)) - 1;
  for (let i: i32 = 0; i < n; i++) {
    const x = load<u64>(c + (<usize>i << 3));
    let g: u64 = 0;
    let p: u64 = 0;
    let s: u64 = 0;
    for (let b: i32 = 0; b < blocks; b++) {
      const lane = (load<u64>(shares + ((<usize>(b >> 2) * <usize>n + <usize>i) << 3)) >> (16 * (b & 3))) & 0xffff;
      const digit = <usize>(((x & low) >> (4 * b)) & 15);
      const gm = <u64>load<u16>(GENERATE + digit * 2);
      const pm = <u64>load<u16>(PROPAGATE + digit * 2);
      // The empty monomial is the constant, which the server adds.
      let gb = popcnt(gm & lane & 0xfffe) & 1;
      let pb = popcnt(pm & lane & 0xfffe) & 1;
      if (server) {
        gb ^= gm & 1;
        pb ^= pm & 1;
      }
      g |= gb << b;
      p |= pb << b;
      if (b == 0) s = lane & 1;
    }
    if (server) s ^= ((x >> (ring - 1)) & 1) ^ 1;
    const word = blocks == 1 ? g ^ s : g | (p << blocks) | (s << (2 * blocks));
    store<u64>(out + (<usize>i << 3), word);
  }
}

/** The dealer's secrets for one level: for each pair of nodes ρ_p1·ρ_g0 (bits 0..) and ρ_p1·ρ_p0 (bits pairs..). */
export function carrySecrets(out: usize, rho: usize, n: i32, nodes: i32): void {
  const pairs = nodes >> 1;
  for (let i: i32 = 0; i < n; i++) {
    const w = load<u64>(rho + (<usize>i << 3));
    let secret: u64 = 0;
    for (let k: i32 = 0; k < pairs; k++) {
      const p1 = (w >> (nodes + 2 * k + 1)) & 1;
      secret |= (p1 & ((w >> (2 * k)) & 1)) << k;
      secret |= (p1 & ((w >> (nodes + 2 * k)) & 1)) << (pairs + k);
    }
    store<u64>(out + (<usize>i << 3), secret);
  }
}

// [x·y] from opened x̂ = x ⊕ ρx, ŷ = y ⊕ ρy: x̂ŷ ⊕ x̂[ρy] ⊕ [ρx]ŷ ⊕ [ρxρy].
// @ts-ignore: decorator
@inline
function and(x: u64, y: u64, rx: u64, ry: u64, rxy: u64, server: u64): u64 {
  return ((x & y & server) ^ (x & ry) ^ (rx & y) ^ rxy) & 1;
}

/** One level: (g1,p1)∘(g0,p0) = (g1 ⊕ p1·g0, p1·p0); an odd last node goes through. The last level gives g ⊕ s. */
export function carryLevel(out: usize, x: usize, rho: usize, secret: usize, n: i32, nodes: i32, server: i32): void {
  const pairs = nodes >> 1;
  const next = (nodes + 1) >> 1;
  const mine = <u64>server;
  for (let i: i32 = 0; i < n; i++) {
    const at = <usize>i << 3;
    const open = load<u64>(x + at);
    const mask = load<u64>(rho + at);
    const known = load<u64>(secret + at);
    // This party's share of an opened bit: the server takes the public value, both take their part of the mask.
    const own = mask ^ (server ? open : 0);
    let g: u64 = 0;
    let p: u64 = 0;
    for (let k: i32 = 0; k < pairs; k++) {
      const p1 = open >> (nodes + 2 * k + 1);
      const r1 = mask >> (nodes + 2 * k + 1);
      const g0 = open >> (2 * k);
      const p0 = open >> (nodes + 2 * k);
      const pg = and(p1, g0, r1, mask >> (2 * k), known >> k, mine);
      const pp = and(p1, p0, r1, mask >> (nodes + 2 * k), known >> (pairs + k), mine);
      g |= (((own >> (2 * k + 1)) & 1) ^ pg) << k;
      p |= pp << k;
    }
    if (nodes & 1) {
      g |= ((own >> (nodes - 1)) & 1) << pairs;
      p |= ((own >> (2 * nodes - 1)) & 1) << pairs;
    }
    const s = (own >> (2 * nodes)) & 1;
    store<u64>(out + at, next == 1 ? (g & 1) ^ s : g | (p << next) | (s << (2 * next)));
  }
}

/** out = a ⊕ b. */
export function xorWords(out: usize, a: usize, b: usize, n: i32): void {
  for (let i: i32 = 0; i < n; i++) {
    const at = <usize>i << 3;
    store<u64>(out + at, load<u64>(a + at) ^ load<u64>(b + at));
  }
}
