/** The 16-bit float formats of checkpoints: IEEE half precision (F16) and bfloat16 (BF16). */

let decoded: Float32Array | undefined;

/** All 65,536 F16 bit patterns as floats. */
export function halves(): Float32Array {
  decoded ??= Float32Array.from({ length: 65_536 }, (_, bits) => decodeHalf(bits));
  return decoded;
}

/** F16 bit patterns as floats. */
export function halfToFloat(packed: Uint16Array): Float32Array {
  const table = halves();
  const out = new Float32Array(packed.length);
  for (let i = 0; i < packed.length; i++) out[i] = table[packed[i]];
  return out;
}

/** BF16 bit patterns as floats: the upper halves of 32-bit floats. */
export function bfloat16ToFloat(packed: Uint16Array): Float32Array {
  const bits = new Uint32Array(packed.length);
  for (let i = 0; i < packed.length; i++) bits[i] = packed[i] << 16;
  return new Float32Array(bits.buffer);
}

/** Floats as F16 bit patterns, to nearest, ties to even; undefined when a value is not finite or too large. */
export function floatToHalf(data: Float32Array): Uint16Array | undefined {
  const bits = new Uint32Array(data.buffer, data.byteOffset, data.length);
  const out = new Uint16Array(data.length);
  for (let i = 0; i < data.length; i++) {
    const half = encodeHalf(bits[i], data[i]);
    if ((half & 0x7c00) === 0x7c00) return undefined;
    out[i] = half;
  }
  return out;
}

function decodeHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const mantissa = bits & 1023;
  if (exponent === 31) return mantissa === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return exponent === 0 ? sign * mantissa * 2 ** -24 : sign * (1024 + mantissa) * 2 ** (exponent - 25);
}

function encodeHalf(bits: number, value: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude >= 0x47800000) return sign | 0x7c00;
  if (magnitude < 0x38800000) return sign | roundToEven(Math.abs(value) * 2 ** 24); // subnormal halves count in 2^-24
  const rebased = magnitude - 0x38000000; // exponent bias 127 -> 15; a carry out of the mantissa raises the exponent
  return sign | ((rebased + 0xfff + ((rebased >>> 13) & 1)) >>> 13);
}

function roundToEven(x: number): number {
  const floor = Math.floor(x);
  const rest = x - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
}
