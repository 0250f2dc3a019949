/** Polynomials of masked values, and their expansion into the tables that the kernel reads (assembly/polynomial.ts). */
import { sized } from "./checks.ts";
import { tableOf } from "./lent.ts";
import type { Words } from "./memory.ts";
import type { Ring } from "./ring.ts";

/** A variable of `evaluatePolynomial`: x = A(β) - r as protocols/polynomial.ts has it. kind: 0 native, 1 lifted, 2 bit. */
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
const CHOOSE = [[1], [1, 1], [1, 2, 1], [1, 3, 3, 1], [1, 4, 6, 4, 1]] as const;
/** Rows of vectors that the kernel has for each variable: powers of A(0), of A(1), and their differences. */
const ROWS = 3 * MAX_DEGREE;

/** The kernel's tables, as 32-bit entries. */
export interface PolynomialTables {
  readonly variables: readonly number[];
  readonly terms: readonly number[];
  readonly termCount: number;
  readonly pairs: readonly number[];
}

/**
 * A party's share of a polynomial of masked values (protocols/polynomial.ts). Every secret monomial that occurs must be
 * among `secrets`; the public part is added if `server`.
 */
export function evaluatePolynomial(
  ring: Ring,
  out: Words,
  server: boolean,
  variables: readonly PolynomialVariable[],
  monomials: readonly PolynomialMonomial[],
  secrets: readonly PolynomialSecret[],
): void {
  for (const v of variables) sized(ring.memory, out.length / v.repeat, v.x);
  for (const s of secrets) sized(ring.memory, out.length / s.repeat, s.share);
  const { termCount, ...entries } = polynomialTables(server, variables, monomials, secrets);
  const tables = [entries.variables, entries.terms, entries.pairs].map((t) => tableOf(ring.memory, t));
  const [v, t, p] = tables;
  const scratch = ring.memory.allocate(ring.kernels.polynomialScratch());
  ring.kernels.polynomialEvaluate(out.pointer, out.length, v, variables.length, t, termCount, p, scratch);
  for (const pointer of [...tables, scratch]) ring.memory.release(pointer);
}

/**
 * x^D = Σ_{j,b} K[D][j][b] r^j β^b with K[D][j][0] = C(D,j) (-1)^j A(0)^(D-j) and
 * K[D][j][1] = C(D,j) (-1)^j (A(1)^(D-j) - A(0)^(D-j)): each secret's public coefficient, and the public part if `server`.
 *
 * @throws RangeError for more variables, or a higher degree in one, than the kernel has room for.
 */
export function polynomialTables(
  server: boolean,
  variables: readonly PolynomialVariable[],
  monomials: readonly PolynomialMonomial[],
  secrets: readonly PolynomialSecret[],
): PolynomialTables {
  if (variables.length > MAX_VARIABLES) throw new RangeError(`at most ${MAX_VARIABLES} variables`);
  const degrees = variables.map((_, v) => Math.max(0, ...monomials.map((m) => m.degrees[v])));
  if (degrees.some((d) => d > MAX_DEGREE)) throw new RangeError(`at most degree ${MAX_DEGREE} in a variable`);
  const none = variables.map(() => 0);
  const ofServer = server ? [{ pointer: 0, repeat: 1, powers: none, bits: none }] : [];
  const wanted = [...ofServer, ...secrets.map((s) => ({ ...s, pointer: s.share.pointer }))];
  const pairs: number[][] = [];
  const terms = wanted.flatMap((s) => {
    const first = pairs.length;
    for (const m of monomials) {
      const pair = coefficient(m, s.powers, s.bits, variables);
      if (pair !== null) pairs.push(pair);
    }
    return [s.pointer, s.repeat, first, pairs.length - first];
  });
  return {
    variables: variables.flatMap((v, i) => [v.x.pointer, v.repeat, v.ring, v.kind, degrees[i]]),
    terms,
    termCount: wanted.length,
    pairs: pairs.flat(),
  };
}

/** What one monomial adds to the coefficient of Π r^powers β^bits: a constant times up to four vectors; null for nothing. */
function coefficient(
  { constant, degrees }: PolynomialMonomial,
  powers: readonly number[],
  bits: readonly number[],
  variables: readonly PolynomialVariable[],
): number[] | null {
  let factor = 1;
  const vectors: number[] = [];
  for (let v = 0; v < variables.length; v++) {
    const exponent = degrees[v] - powers[v];
    if (exponent < bits[v]) return null;
    factor *= CHOOSE[degrees[v]][powers[v]] ?? 0;
    if (powers[v] % 2 === 1) factor = -factor;
    if (exponent > 0) vectors.push(v * ROWS + (bits[v] === 1 ? 2 : 0) * MAX_DEGREE + exponent - 1);
  }
  return [...times(constant, factor), vectors.length, ...vectors, ...new Array<number>(4 - vectors.length).fill(0)];
}

/** c·factor mod 2^64 in halves, for a small factor. */
function times([lo, hi]: readonly [number, number], factor: number): [number, number] {
  const low = (lo >>> 0) * factor;
  const carry = Math.floor(low / 2 ** 32);
  return [low | 0, (hi * factor + carry) | 0];
}
