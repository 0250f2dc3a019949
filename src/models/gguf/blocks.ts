/**
 * The types of a GGUF file's tensors, and their values as floats. A quantised type packs blocks of 32 or 256 values with
 * their scales; the layouts are those of llama.cpp's ggml-quants.c, in its order of bytes.
 */

import { bfloat16ToFloat, halfToFloat, halves } from "../half.ts";

/** One of the format's types. */
export interface TensorType {
  readonly name: string;
  /** Values of a block. */
  readonly values: number;
  /** Bytes of a block. */
  readonly bytes: number;
  /** Writes the values of blocks side by side; none for types that are not read. */
  readonly decode?: (packed: Uint8Array, out: Float32Array) => void;
}

/** Writes the values of one block: its bytes begin at `at`, its values go to `to` on. */
type Block = (bytes: Uint8Array, at: number, out: Float32Array, to: number) => void;

/** A type whose blocks are decoded one by one. */
function blocks(name: string, values: number, bytes: number, block: Block): TensorType {
  return {
    name,
    values,
    bytes,
    decode(packed, out) {
      for (let at = 0, to = 0; at < packed.length; at += bytes, to += values) block(packed, at, out, to);
    },
  };
}

const words = (packed: Uint8Array) => new Uint16Array(packed.slice().buffer);

/** The half-precision number at this place. */
function half(bytes: Uint8Array, at: number): number {
  return halves()[bytes[at] | (bytes[at + 1] << 8)];
}

/** 32 values of 4 bits, the first half of them in the lower halves of the bytes: scale·(q - zero) + least. */
function nibbles(out: Float32Array, to: number, bytes: Uint8Array, at: number, zero: number, scale: number, least = 0) {
  for (let i = 0; i < 16; i++) {
    out[to + i] = Math.fround(scale * ((bytes[at + i] & 15) - zero)) + least;
    out[to + 16 + i] = Math.fround(scale * ((bytes[at + i] >> 4) - zero)) + least;
  }
}

/** The same with a fifth bit of each, in 32 bits at `high`. */
function fives(out: Float32Array, to: number, bytes: Uint8Array, high: number, zero: number, scale: number, least = 0) {
  const bit = (i: number) => ((bytes[high + (i >> 3)] >> (i & 7)) & 1) << 4;
  for (let i = 0; i < 16; i++) {
    const both = bytes[high + 4 + i];
    out[to + i] = Math.fround(scale * (((both & 15) | bit(i)) - zero)) + least;
    out[to + 16 + i] = Math.fround(scale * (((both >> 4) | bit(16 + i)) - zero)) + least;
  }
}

const q4_0: Block = (b, at, out, to) => nibbles(out, to, b, at + 2, 8, half(b, at));
const q4_1: Block = (b, at, out, to) => nibbles(out, to, b, at + 4, 0, half(b, at), half(b, at + 2));
const q5_0: Block = (b, at, out, to) => fives(out, to, b, at + 2, 16, half(b, at));
const q5_1: Block = (b, at, out, to) => fives(out, to, b, at + 4, 0, half(b, at), half(b, at + 2));
const q8_0: Block = (b, at, out, to) => {
  const scale = half(b, at);
  for (let i = 0; i < 32; i++) out[to + i] = scale * signed(b[at + 2 + i]);
};

/** 16 groups of 16 values of 2 bits, each with a scale and a least value of 4 bits. */
const q2_k: Block = (b, at, out, to) => {
  const [scale, least] = [half(b, at + 80), half(b, at + 82)];
  for (let i = 0; i < 256; i++) {
    const own = b[at + (i >> 4)];
    const q = (b[at + 16 + ((i >> 7) << 5) + (i & 31)] >> (((i >> 5) & 3) << 1)) & 3;
    out[to + i] = Math.fround(Math.fround(scale * (own & 15)) * q) - Math.fround(least * (own >> 4));
  }
};

/** 16 groups of 16 values of 3 bits, the highest of them apart; scales of 6 bits. */
const q3_k: Block = (b, at, out, to) => {
  const scale = half(b, at + 108);
  for (let i = 0; i < 256; i++) {
    const group = i >> 4;
    const low = (b[at + 96 + (group & 7)] >> (group < 8 ? 0 : 4)) & 15;
    const high = (b[at + 104 + (group & 3)] >> ((group >> 2) << 1)) & 3;
    const own = Math.fround(scale * ((low | (high << 4)) - 32));
    const q = (b[at + 32 + ((i >> 7) << 5) + (i & 31)] >> (((i >> 5) & 3) << 1)) & 3;
    const top = (b[at + (i & 31)] >> (i >> 5)) & 1;
    out[to + i] = own * (q - (top === 1 ? 0 : 4));
  }
};

/** Eight scales and least values of 6 bits in 12 bytes: those of group `i`. */
function sixes(b: Uint8Array, at: number, i: number): readonly [scale: number, least: number] {
  if (i < 4) return [b[at + i] & 63, b[at + 4 + i] & 63];
  const both = b[at + 4 + i];
  return [(both & 15) | ((b[at + i - 4] >> 2) & 48), (both >> 4) | ((b[at + i] >> 2) & 48)];
}

/** 8 groups of 32 values; `value` gives the value of group g at place j. */
function groups(b: Uint8Array, at: number, out: Float32Array, to: number, value: (g: number, j: number) => number) {
  const [scale, least] = [half(b, at), half(b, at + 2)];
  for (let g = 0; g < 8; g++) {
    const [s, m] = sixes(b, at + 4, g);
    const [d, dm] = [Math.fround(scale * s), Math.fround(least * m)];
    for (let j = 0; j < 32; j++) out[to + 32 * g + j] = Math.fround(d * value(g, j)) - dm;
  }
}

const q4_k: Block = (b, at, out, to) =>
  groups(b, at, out, to, (g, j) => (b[at + 16 + ((g >> 1) << 5) + j] >> ((g & 1) << 2)) & 15);
const q5_k: Block = (b, at, out, to) =>
  groups(b, at, out, to, (g, j) => {
    const low = (b[at + 48 + ((g >> 1) << 5) + j] >> ((g & 1) << 2)) & 15;
    return low | (((b[at + 16 + j] >> g) & 1) << 4);
  });

/** 16 groups of 16 values of 6 bits; signed scales of 8 bits. */
const q6_k: Block = (b, at, out, to) => {
  const scale = half(b, at + 208);
  for (let i = 0; i < 256; i++) {
    const [upper, quarter, j] = [i >> 7, (i >> 5) & 3, i & 31];
    const low = (b[at + (upper << 6) + ((quarter & 1) << 5) + j] >> ((quarter >> 1) << 2)) & 15;
    const high = (b[at + 128 + (upper << 5) + j] >> (quarter << 1)) & 3;
    out[to + i] = Math.fround(scale * signed(b[at + 192 + (i >> 4)])) * ((low | (high << 4)) - 32);
  }
};

function signed(byte: number): number {
  return (byte << 24) >> 24;
}

const other = (name: string, values: number, bytes: number): TensorType => ({ name, values, bytes });

/** All types by the number that a file gives them; the layout needs the sizes of those that are not read too. */
export const TENSOR_TYPES: ReadonlyMap<number, TensorType> = new Map([
  [0, { ...other("F32", 1, 4), decode: (packed, out) => void new Uint8Array(out.buffer).set(packed) }],
  [1, { ...other("F16", 1, 2), decode: (packed, out) => void out.set(halfToFloat(words(packed))) }],
  [2, blocks("Q4_0", 32, 18, q4_0)],
  [3, blocks("Q4_1", 32, 20, q4_1)],
  [6, blocks("Q5_0", 32, 22, q5_0)],
  [7, blocks("Q5_1", 32, 24, q5_1)],
  [8, blocks("Q8_0", 32, 34, q8_0)],
  [9, other("Q8_1", 32, 40)],
  [10, blocks("Q2_K", 256, 84, q2_k)],
  [11, blocks("Q3_K", 256, 110, q3_k)],
  [12, blocks("Q4_K", 256, 144, q4_k)],
  [13, blocks("Q5_K", 256, 176, q5_k)],
  [14, blocks("Q6_K", 256, 210, q6_k)],
  [15, other("Q8_K", 256, 292)],
  [16, other("IQ2_XXS", 256, 66)],
  [17, other("IQ2_XS", 256, 74)],
  [18, other("IQ3_XXS", 256, 98)],
  [19, other("IQ1_S", 256, 50)],
  [20, other("IQ4_NL", 32, 18)],
  [21, other("IQ3_S", 256, 110)],
  [22, other("IQ2_S", 256, 82)],
  [23, other("IQ4_XS", 256, 136)],
  [24, other("I8", 1, 1)],
  [25, other("I16", 1, 2)],
  [26, other("I32", 1, 4)],
  [27, other("I64", 1, 8)],
  [28, other("F64", 1, 8)],
  [29, other("IQ1_M", 256, 56)],
  [30, { ...other("BF16", 1, 2), decode: (packed, out) => void out.set(bfloat16ToFloat(words(packed))) }],
  [34, other("TQ1_0", 256, 54)],
  [35, other("TQ2_0", 256, 66)],
  [39, other("MXFP4", 32, 17)],
  [40, other("NVFP4", 64, 36)],
  [41, other("Q1_0", 128, 18)],
]);
