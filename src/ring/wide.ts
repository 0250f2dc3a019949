/**
 * Words of more than 64 bits, in two planes: what tags of shares are computed in (protocols/verify). Factors are public words of 64 bits,
 * read as numbers below 2^64. Where no high plane is there, the value is computed mod 2^64 alone, or the plane is one of zeros (of an operand).
 */
import { evaluateFourier } from "./fourier.ts";
import { tableOf, withFactors } from "./lent.ts";
import type { Words } from "./memory.ts";
import type { PolynomialMonomial, PolynomialSecret, PolynomialVariable } from "./polynomial.ts";
import { evaluatePolynomial, polynomialTables } from "./polynomial.ts";
import type { Ring } from "./ring.ts";

/** A tensor of wide words: its low 64 bits, and those above. */
export interface Wide {
  readonly lo: Words;
  readonly hi: Words | null;
}

/** How many combinations a tally makes at once. */
export const COMBINATIONS = 32;

/** Strides of a product's operand or result, in words. */
export interface Strides {
  readonly offset: number;
  readonly row: number;
  readonly column: number;
}

/** Operations on wide words of one ring. Lengths are checked before a kernel runs. */
export class WideRing {
  readonly ring: Ring;

  constructor(ring: Ring) {
    this.ring = ring;
  }

  /** Zeros; `wide` with a high plane. */
  zeros(length: number, wide: boolean): Wide {
    const lo = this.ring.alloc(length);
    this.ring.zero(lo);
    if (!wide) return { lo, hi: null };
    const hi = this.ring.alloc(length);
    this.ring.zero(hi);
    return { lo, hi };
  }

  free({ lo, hi }: Wide): void {
    this.ring.free(lo);
    if (hi !== null) this.ring.free(hi);
  }

  /** out += x, or -= where `minus`. */
  add(out: Wide, x: Wide, minus = false): void {
    this.sized(out.lo.length, out, x);
    if (out.hi === null) return minus ? this.ring.subtract(out.lo, out.lo, x.lo) : this.ring.add(out.lo, out.lo, x.lo);
    const [lo, hi] = planes(out);
    this.ring.kernels.wideAdd(lo, hi, ...planes(x), out.lo.length, minus ? 1 : 0);
  }

  /** out += factor·x, element by element. */
  addProduct(out: Wide, factor: Words, x: Wide): void {
    this.sized(out.lo.length, out, x, { lo: factor, hi: null });
    const [lo, hi] = planes(out);
    if (out.hi !== null) return this.ring.kernels.wideMultiplyAdd(lo, hi, factor.pointer, ...planes(x), out.lo.length);
    const product = this.ring.alloc(factor.length);
    this.ring.multiply(product, factor, x.lo);
    this.ring.add(out.lo, out.lo, product);
    this.ring.free(product);
  }

  /** out += c·x, c the two's-complement halves of 64 bits. */
  addScaled(out: Wide, x: Wide, low: number, high: number): void {
    const factor = this.ring.alloc(out.lo.length);
    this.ring.zero(factor);
    this.ring.addConstant(factor, factor, low, high);
    this.addProduct(out, factor, x);
    this.ring.free(factor);
  }

  /** out -= x·factor: x of 64 bits, the factor one wide word. */
  subtractScaled(out: Wide, x: Words, factor: Wide): void {
    this.sized(out.lo.length, out, { lo: x, hi: null });
    this.sized(1, factor);
    const both = this.ring.alloc(2);
    this.ring.zero(both);
    this.ring.copy(both.part(0, 1), factor.lo);
    if (factor.hi !== null) this.ring.copy(both.part(1, 1), factor.hi);
    const [lo, hi] = planes(out);
    this.ring.kernels.wideSubtractScaled(lo, hi, x.pointer, both.pointer, x.length);
    this.ring.zero(both);
    this.ring.free(both);
  }

  /** out[i] = Σ_j x[i, j], of rows·columns words. */
  rowSum(out: Wide, x: Wide, rows: number, columns: number): void {
    this.sized(rows, out);
    this.sized(rows * columns, x);
    if (out.hi === null) return this.ring.rowSum(out.lo, x.lo, rows, columns);
    const [lo, hi] = planes(out);
    this.ring.kernels.wideRowSum(lo, hi, ...planes(x), rows, columns);
  }

  /** f on each plane alike: copies that carry nothing from one to the other. */
  each(out: Wide, x: Wide, f: (out: Words, x: Words) => void): void {
    f(out.lo, x.lo);
    if (out.hi === null) return;
    if (x.hi !== null) f(out.hi, x.hi);
    else this.ring.zero(out.hi);
  }

  /** out[i, j] += Σ_k p[i, k]·x[k, j]: p [m, k] public, x [k, n] wide. */
  addMatmul(
    out: Wide,
    at: Strides,
    p: { readonly words: Words } & Strides,
    x: { readonly words: Wide } & Strides,
    [m, k, n]: readonly [number, number, number],
  ): void {
    const last = (s: Strides, rows: number, columns: number) =>
      s.offset + (rows - 1) * s.row + (columns - 1) * s.column;
    const inside = (length: number, s: Strides, rows: number, columns: number) =>
      [s.offset, s.row, s.column].every((v) => Number.isSafeInteger(v) && v >= 0) && last(s, rows, columns) < length;
    const all =
      inside(out.lo.length, at, m, n) && inside(p.words.length, p, m, k) && inside(x.words.lo.length, x, k, n);
    if (!(m > 0 && k > 0 && n > 0 && all)) throw new RangeError("a wide product lies outside a tensor");
    this.sized(out.lo.length, out);
    this.sized(x.words.lo.length, x.words);
    this.sized(p.words.length, { lo: p.words, hi: null });
    const [lo, hi] = planes(out);
    const [xLo, xHi] = planes(x.words);
    const shift = (pointer: number, s: Strides) => (pointer === 0 ? 0 : pointer + 8 * s.offset);
    this.ring.kernels.wideMatmul(
      shift(lo, at),
      shift(hi, at),
      at.row,
      at.column,
      shift(p.words.pointer, p),
      p.row,
      p.column,
      shift(xLo, x),
      shift(xHi, x),
      x.row,
      x.column,
      m,
      k,
      n,
    );
  }

  /** As `Ring.polynomial`, of a party without the public part; the secrets' shares in `high` have high planes. */
  polynomial(
    out: Wide,
    variables: readonly PolynomialVariable[],
    monomials: readonly PolynomialMonomial[],
    secrets: readonly (PolynomialSecret & { readonly high: Words | null })[],
  ): void {
    if (out.hi === null) return evaluatePolynomial(this.ring, out.lo, false, variables, monomials, secrets);
    const { length } = out.lo;
    for (const v of variables) this.sized(length / v.repeat, { lo: v.x, hi: null });
    for (const s of secrets) this.sized(length / s.repeat, { lo: s.share, hi: s.high });
    const { termCount, ...entries } = polynomialTables(false, variables, monomials, secrets);
    const terms = secrets.flatMap(({ high }, i) => [...entries.terms.slice(4 * i, 4 * i + 4), high?.pointer ?? 0]);
    const tables = [entries.variables, terms, entries.pairs].map((t) => tableOf(this.ring.memory, t));
    const { kernels, memory } = this.ring;
    const scratch = memory.allocate(kernels.polynomialScratch());
    const [v, t, p] = tables;
    const [lo, hi] = planes(out);
    kernels.widePolynomial(lo, hi, length, v, variables.length, t, termCount, p, scratch);
    for (const pointer of [...tables, scratch]) memory.release(pointer);
  }

  /** As `Ring.fourier`. */
  fourier(out: Wide, x: Words, bits: number, stride: 1 | 2, factors: Float64Array, shares: Wide): void {
    if (out.hi === null) return evaluateFourier(this.ring, out.lo, x, bits, stride, factors, shares.lo);
    this.sized(x.length, out, { lo: x, hi: null });
    this.sized(factors.length * x.length, shares);
    const { kernels } = this.ring;
    const [lo, hi] = planes(out);
    withFactors(this.ring.memory, factors, (pointer) =>
      kernels.wideFourier(lo, hi, x.pointer, x.length, bits, factors.length / 2, stride, pointer, ...planes(shares)),
    );
  }

  private sized(length: number, ...tensors: readonly Wide[]): void {
    for (const { lo, hi } of tensors) {
      for (const words of hi === null ? [lo] : [lo, hi]) {
        if (words.length !== length) throw new RangeError(`expected ${length} words, got ${words.length}`);
        if (!words.isIn(this.ring.memory)) throw new RangeError("freed, or not of this ring");
      }
    }
  }
}

/** Sums of elements that bits choose: COMBINATIONS of them at once, mod 2^128, or of bits. */
export class Tally {
  private readonly ring: Ring;
  private readonly tables: Words;

  constructor(ring: Ring) {
    this.ring = ring;
    this.tables = ring.alloc(ring.kernels.wideTallyBytes() / 8);
    ring.zero(this.tables);
  }

  /** Each sum += x[i]·2^shift where its bit of the 32 bits chi[i] is set; two elements have one word of chi. */
  add(x: Wide, chi: Words, shift: number): void {
    this.fits(x.lo, chi);
    const { kernels } = this.ring;
    kernels.wideTally(this.tables.pointer, ...planes(x), chi.pointer, shift, x.lo.length);
  }

  /** The same by XOR, of 64 bits. */
  xor(x: Words, chi: Words): void {
    this.fits(x, chi);
    this.ring.kernels.xorTally(this.tables.pointer, x.pointer, chi.pointer, x.length);
  }

  /** The sums, low and high in turn; then the tally is done. */
  take(out: Words, bits = false): void {
    if (out.length !== 2 * COMBINATIONS) throw new RangeError(`a tally has ${COMBINATIONS} sums`);
    this.ring.kernels.tallied(out.pointer, this.tables.pointer, bits ? 1 : 0);
    this.close();
  }

  close(): void {
    this.ring.free(this.tables);
  }

  private fits(x: Words, chi: Words): void {
    if (chi.length !== Math.ceil(x.length / 2)) throw new RangeError("an element has 32 bits of choice");
  }
}

/** Addresses of the planes; 0 for none. */
function planes({ lo, hi }: Wide): [number, number] {
  return [lo.pointer, hi === null ? 0 : hi.pointer];
}
