/** What `Ring.polynomial` takes, and the tables that its kernel reads (assembly/polynomial.ts has their layout). */
import type { Words } from "./memory.ts";

/** A variable of `Ring.polynomial`: x = A(β) - r as protocols/polynomial.ts has it. kind: 0 native, 1 lifted, 2 bit. */
export interface PolynomialVariable {
  readonly x: Words;
  readonly repeat: number;
  readonly ring: number;
  readonly kind: number;
}

export interface PolynomialMonomial {
  readonly constant: readonly [number, number];
  readonly degrees: readonly number[];
}

/** A share of one secret monomial Π r^powers β^bits; each element serves `repeat` outputs. */
export interface PolynomialSecret {
  readonly share: Words;
  readonly repeat: number;
  readonly powers: readonly number[];
  readonly bits: readonly number[];
}

const MAX_VARIABLES = 4;
const MAX_DEGREE = 4;

/** The kernel's tables, as 32-bit entries. */
export interface PolynomialTables {
  readonly variables: readonly number[];
  readonly monomials: readonly number[];
  readonly secrets: readonly number[];
  readonly pairs: readonly number[];
  readonly pairCount: number;
}

/** @throws RangeError for more variables, or a higher degree in one, than the kernel has room for. */
export function polynomialTables(
  variables: readonly PolynomialVariable[],
  monomials: readonly PolynomialMonomial[],
  secrets: readonly PolynomialSecret[],
): PolynomialTables {
  if (variables.length > MAX_VARIABLES) throw new RangeError(`at most ${MAX_VARIABLES} variables`);
  const degrees = variables.map((_, v) => Math.max(0, ...monomials.map((m) => m.degrees[v])));
  if (degrees.some((d) => d > MAX_DEGREE)) throw new RangeError(`at most degree ${MAX_DEGREE} in a variable`);
  const pairs = pairsOf(monomials, secrets);
  return {
    variables: variables.flatMap((v, i) => [v.x.pointer, v.repeat, v.ring, v.kind, degrees[i]]),
    monomials: monomials.flatMap((m) => [...m.constant, ...padded(m.degrees), 0, 0]),
    secrets: secrets.flatMap((s) => [s.share.pointer, s.repeat, ...padded(s.powers), ...padded(s.bits)]),
    pairs: pairs.flat(),
    pairCount: pairs.length,
  };
}

/** Which monomials each secret (and, as -1, the public part) occurs in: all whose degrees reach the secret's powers. */
function pairsOf(
  monomials: readonly PolynomialMonomial[],
  secrets: readonly PolynomialSecret[],
): (readonly [number, number])[] {
  const pairs: (readonly [number, number])[] = monomials.map((_, m) => [-1, m] as const);
  secrets.forEach((s, t) => {
    monomials.forEach((monomial, m) => {
      const reached = monomial.degrees.every((d, v) => s.powers[v] + s.bits[v] <= d);
      if (reached) pairs.push([t, m]);
    });
  });
  return pairs;
}

function padded(entries: readonly number[]): number[] {
  return [...entries, ...new Array<number>(MAX_VARIABLES - entries.length).fill(0)];
}
