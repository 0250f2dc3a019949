// AES-128 in counter mode, bitsliced: eight blocks at once, as eight vectors of which vector i holds bit i of all their bytes (Kaesper
// and Schwabe, CHES 2009; byte p of a vector has the bits of byte p of the state, one of each block). Nothing is looked up by a secret,
// so that time and memory access do not depend on the key.

/** Round keys as planes (11 of 8 vectors), the state (8), and room for a last piece (128 bytes). */
const KEYS: usize = 11 * 128;
const STATE: usize = KEYS;
const PIECE: usize = STATE + 128;

export function aesScratch(): i32 {
  return <i32>(PIECE + 128);
}

/** Swaps the bits of `a` that `mask << n` picks with those of `b` that `mask` picks. */
// @ts-ignore: decorator
@inline
function swapMove(at: usize, i: usize, j: usize, n: i32, mask: v128): void {
  const a = v128.load(at + (i << 4));
  const b = v128.load(at + (j << 4));
  const t = v128.and(v128.xor(i64x2.shr_u(a, n), b), mask);
  v128.store(at + (j << 4), v128.xor(b, t));
  v128.store(at + (i << 4), v128.xor(a, i64x2.shl(t, n)));
}

/** Blocks to planes and back: the transposition of eight by eight bits at every byte. */
function transposed(at: usize): void {
  const ones = i8x16.splat(0x55);
  const twos = i8x16.splat(0x33);
  const fours = i8x16.splat(0x0f);
  for (let i: usize = 0; i < 8; i += 2) swapMove(at, i, i + 1, 1, ones);
  for (let i: usize = 0; i < 8; i += 4) {
    swapMove(at, i, i + 2, 2, twos);
    swapMove(at, i + 1, i + 3, 2, twos);
  }
  for (let i: usize = 0; i < 4; i++) swapMove(at, i, i + 4, 4, fours);
}

/**
 * SubBytes on planes without its constant 0x63: the circuit of 113 gates of Boyar and Peralta (eprint 2009/191), in their names;
 * x0 is the highest bit. The constant goes through the rest of the round unchanged and is part of the round keys here.
 */
function subBytes(at: usize): void {
  const x0 = v128.load(at + 112);
  const x1 = v128.load(at + 96);
  const x2 = v128.load(at + 80);
  const x3 = v128.load(at + 64);
  const x4 = v128.load(at + 48);
  const x5 = v128.load(at + 32);
  const x6 = v128.load(at + 16);
  const x7 = v128.load(at + 0);
  const y14 = v128.xor(x3, x5);
  const y13 = v128.xor(x0, x6);
  const y9 = v128.xor(x0, x3);
  const y8 = v128.xor(x0, x5);
  const t0 = v128.xor(x1, x2);
  const y1 = v128.xor(t0, x7);
  const y4 = v128.xor(y1, x3);
  const y12 = v128.xor(y13, y14);
  const y2 = v128.xor(y1, x0);
  const y5 = v128.xor(y1, x6);
  const y3 = v128.xor(y5, y8);
  const t1 = v128.xor(x4, y12);
  const y15 = v128.xor(t1, x5);
  const y20 = v128.xor(t1, x1);
  const y6 = v128.xor(y15, x7);
  const y10 = v128.xor(y15, t0);
  const y11 = v128.xor(y20, y9);
  const y7 = v128.xor(x7, y11);
  const y17 = v128.xor(y10, y11);
  const y19 = v128.xor(y10, y8);
  const y16 = v128.xor(t0, y11);
  const y21 = v128.xor(y13, y16);
  const y18 = v128.xor(x0, y16);
  const t2 = v128.and(y12, y15);
  const t3 = v128.and(y3, y6);
  const t4 = v128.xor(t3, t2);
  const t5 = v128.and(y4, x7);
  const t6 = v128.xor(t5, t2);
  const t7 = v128.and(y13, y16);
  const t8 = v128.and(y5, y1);
  const t9 = v128.xor(t8, t7);
  const t10 = v128.and(y2, y7);
  const t11 = v128.xor(t10, t7);
  const t12 = v128.and(y9, y11);
  const t13 = v128.and(y14, y17);
  const t14 = v128.xor(t13, t12);
  const t15 = v128.and(y8, y10);
  const t16 = v128.xor(t15, t12);
  const t17 = v128.xor(t4, t14);
  const t18 = v128.xor(t6, t16);
  const t19 = v128.xor(t9, t14);
  const t20 = v128.xor(t11, t16);
  const t21 = v128.xor(t17, y20);
  const t22 = v128.xor(t18, y19);
  const t23 = v128.xor(t19, y21);
  const t24 = v128.xor(t20, y18);
  const t25 = v128.xor(t21, t22);
  const t26 = v128.and(t21, t23);
  const t27 = v128.xor(t24, t26);
  const t28 = v128.and(t25, t27);
  const t29 = v128.xor(t28, t22);
  const t30 = v128.xor(t23, t24);
  const t31 = v128.xor(t22, t26);
  const t32 = v128.and(t31, t30);
  const t33 = v128.xor(t32, t24);
  const t34 = v128.xor(t23, t33);
  const t35 = v128.xor(t27, t33);
  const t36 = v128.and(t24, t35);
  const t37 = v128.xor(t36, t34);
  const t38 = v128.xor(t27, t36);
  const t39 = v128.and(t29, t38);
  const t40 = v128.xor(t25, t39);
  const t41 = v128.xor(t40, t37);
  const t42 = v128.xor(t29, t33);
  const t43 = v128.xor(t29, t40);
  const t44 = v128.xor(t33, t37);
  const t45 = v128.xor(t42, t41);
  const z0 = v128.and(t44, y15);
  const z1 = v128.and(t37, y6);
  const z2 = v128.and(t33, x7);
  const z3 = v128.and(t43, y16);
  const z4 = v128.and(t40, y1);
  const z5 = v128.and(t29, y7);
  const z6 = v128.and(t42, y11);
  const z7 = v128.and(t45, y17);
  const z8 = v128.and(t41, y10);
  const z9 = v128.and(t44, y12);
  const z10 = v128.and(t37, y3);
  const z11 = v128.and(t33, y4);
  const z12 = v128.and(t43, y13);
  const z13 = v128.and(t40, y5);
  const z14 = v128.and(t29, y2);
  const z15 = v128.and(t42, y9);
  const z16 = v128.and(t45, y14);
  const z17 = v128.and(t41, y8);
  const t46 = v128.xor(z15, z16);
  const t47 = v128.xor(z10, z11);
  const t48 = v128.xor(z5, z13);
  const t49 = v128.xor(z9, z10);
  const t50 = v128.xor(z2, z12);
  const t51 = v128.xor(z2, z5);
  const t52 = v128.xor(z7, z8);
  const t53 = v128.xor(z0, z3);
  const t54 = v128.xor(z6, z7);
  const t55 = v128.xor(z16, z17);
  const t56 = v128.xor(z12, t48);
  const t57 = v128.xor(t50, t53);
  const t58 = v128.xor(z4, t46);
  const t59 = v128.xor(z3, t54);
  const t60 = v128.xor(t46, t57);
  const t61 = v128.xor(z14, t57);
  const t62 = v128.xor(t52, t58);
  const t63 = v128.xor(t49, t58);
  const t64 = v128.xor(z4, t59);
  const t65 = v128.xor(t61, t62);
  const t66 = v128.xor(z1, t63);
  const s0 = v128.xor(t59, t63);
  const s6 = v128.xor(t56, t62);
  const s7 = v128.xor(t48, t60);
  const t67 = v128.xor(t64, t65);
  const s3 = v128.xor(t53, t66);
  const s4 = v128.xor(t51, t66);
  const s5 = v128.xor(t47, t65);
  const s1 = v128.xor(t64, s3);
  const s2 = v128.xor(t55, t67);
  v128.store(at + 112, s0);
  v128.store(at + 96, s1);
  v128.store(at + 80, s2);
  v128.store(at + 64, s3);
  v128.store(at + 48, s4);
  v128.store(at + 32, s5);
  v128.store(at + 16, s6);
  v128.store(at + 0, s7);
}

/** ShiftRows; byte p of the state is row p % 4 of column p / 4. */
// @ts-ignore: decorator
@inline
function shiftRows(a: v128): v128 {
  return v128.shuffle<u8>(a, a, 0, 5, 10, 15, 4, 9, 14, 3, 8, 13, 2, 7, 12, 1, 6, 11);
}

/** ShiftRows, and of every column the next row. */
// @ts-ignore: decorator
@inline
function shiftRowsNext(a: v128): v128 {
  return v128.shuffle<u8>(a, a, 5, 10, 15, 0, 9, 14, 3, 4, 13, 2, 7, 8, 1, 6, 11, 12);
}

/** Of every column the row after the next. */
// @ts-ignore: decorator
@inline
function twoRowsOn(a: v128): v128 {
  return v128.shuffle<u8>(a, a, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13);
}

/** One round but for the last: 2·(a + next) + next + (a + next, two rows on), a and next behind ShiftRows. */
function round(at: usize, key: usize): void {
  subBytes(at);
  const a0 = v128.load(at + 0);
  const n0 = shiftRowsNext(a0);
  const t0 = v128.xor(shiftRows(a0), n0);
  const a1 = v128.load(at + 16);
  const n1 = shiftRowsNext(a1);
  const t1 = v128.xor(shiftRows(a1), n1);
  const a2 = v128.load(at + 32);
  const n2 = shiftRowsNext(a2);
  const t2 = v128.xor(shiftRows(a2), n2);
  const a3 = v128.load(at + 48);
  const n3 = shiftRowsNext(a3);
  const t3 = v128.xor(shiftRows(a3), n3);
  const a4 = v128.load(at + 64);
  const n4 = shiftRowsNext(a4);
  const t4 = v128.xor(shiftRows(a4), n4);
  const a5 = v128.load(at + 80);
  const n5 = shiftRowsNext(a5);
  const t5 = v128.xor(shiftRows(a5), n5);
  const a6 = v128.load(at + 96);
  const n6 = shiftRowsNext(a6);
  const t6 = v128.xor(shiftRows(a6), n6);
  const a7 = v128.load(at + 112);
  const n7 = shiftRowsNext(a7);
  const t7 = v128.xor(shiftRows(a7), n7);
  v128.store(at + 0, v128.xor(v128.xor(t7, n0), v128.xor(twoRowsOn(t0), v128.load(key + 0))));
  v128.store(at + 16, v128.xor(v128.xor(v128.xor(t0, t7), n1), v128.xor(twoRowsOn(t1), v128.load(key + 16))));
  v128.store(at + 32, v128.xor(v128.xor(t1, n2), v128.xor(twoRowsOn(t2), v128.load(key + 32))));
  v128.store(at + 48, v128.xor(v128.xor(v128.xor(t2, t7), n3), v128.xor(twoRowsOn(t3), v128.load(key + 48))));
  v128.store(at + 64, v128.xor(v128.xor(v128.xor(t3, t7), n4), v128.xor(twoRowsOn(t4), v128.load(key + 64))));
  v128.store(at + 80, v128.xor(v128.xor(t4, n5), v128.xor(twoRowsOn(t5), v128.load(key + 80))));
  v128.store(at + 96, v128.xor(v128.xor(t5, n6), v128.xor(twoRowsOn(t6), v128.load(key + 96))));
  v128.store(at + 112, v128.xor(v128.xor(t6, n7), v128.xor(twoRowsOn(t7), v128.load(key + 112))));
}

function lastRound(at: usize, key: usize): void {
  subBytes(at);
  for (let i: usize = 0; i < 128; i += 16)
    v128.store(at + i, v128.xor(shiftRows(v128.load(at + i)), v128.load(key + i)));
}

/** Every byte's bits, over all blocks: one key for the eight of them. */
function keyPlanes(out: usize, key: v128): void {
  for (let i: i32 = 0; i < 8; i++) {
    const bit = v128.and(i8x16.shr_u(key, i), i8x16.splat(1));
    v128.store(out + (<usize>i << 4), i8x16.neg(bit));
  }
}

/** The eleven round keys (FIPS 197, section 5.2); SubWord by the same circuit. */
function expandKey(scratch: usize, key: usize): void {
  const at = scratch + STATE;
  let words = v128.load(key);
  keyPlanes(scratch, words);
  let constant: i32 = 1;
  for (let round: usize = 1; round <= 10; round++) {
    v128.store(at, words);
    for (let i: usize = 16; i < 128; i += 16) v128.store(at + i, i64x2.splat(0));
    transposed(at);
    subBytes(at);
    transposed(at);
    // The last word's bytes, turned by one, under the constant that the circuit leaves out and the round's own.
    const substituted = i32x4.extract_lane(v128.load(at), 3);
    const turned = rotr<u32>(<u32>substituted ^ 0x63636363, 8) ^ <u32>constant;
    constant = (constant << 1) ^ ((constant >> 7) * 0x11b);
    const w0 = i32x4.extract_lane(words, 0) ^ <i32>turned;
    const w1 = i32x4.extract_lane(words, 1) ^ w0;
    const w2 = i32x4.extract_lane(words, 2) ^ w1;
    const w3 = i32x4.extract_lane(words, 3) ^ w2;
    words = i32x4(0, 0, 0, 0);
    words = i32x4.replace_lane(words, 0, w0);
    words = i32x4.replace_lane(words, 1, w1);
    words = i32x4.replace_lane(words, 2, w2);
    words = i32x4.replace_lane(words, 3, w3);
    keyPlanes(scratch + (round << 7), v128.xor(words, i8x16.splat(0x63)));
  }
}

/** The keystream of eight counter blocks from `block` on. */
function eightBlocks(out: usize, scratch: usize, head: u64, block: u64): void {
  const at = scratch + STATE;
  for (let i: usize = 0; i < 8; i++) {
    store<u64>(at + (i << 4), head);
    store<u64>(at + (i << 4) + 8, bswap<u64>(block + <u64>i));
  }
  transposed(at);
  for (let i: usize = 0; i < 128; i += 16) v128.store(at + i, v128.xor(v128.load(at + i), v128.load(scratch + i)));
  for (let r: usize = 1; r < 10; r++) round(at, scratch + (r << 7));
  lastRound(at, scratch + 1280);
  transposed(at);
  memory.copy(out, at, 128);
}

/**
 * n bytes of keystream from the beginning of an address: counter blocks stream | purpose | 64-bit block number, big endian, from 0. The
 * scratch is left empty: it held the key.
 */
export function keystream(out: usize, n: usize, key: usize, stream: u32, purpose: u32, scratch: usize): void {
  expandKey(scratch, key);
  const head = (<u64>bswap<u32>(purpose) << 32) | <u64>bswap<u32>(stream);
  let block: u64 = 0;
  let done: usize = 0;
  for (; done + 128 <= n; done += 128, block += 8) eightBlocks(out + done, scratch, head, block);
  if (done < n) {
    eightBlocks(scratch + PIECE, scratch, head, block);
    memory.copy(out + done, scratch + PIECE, n - done);
  }
  memory.fill(scratch, 0, PIECE + 128);
}
