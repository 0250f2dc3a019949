/**
 * Elementwise polynomials of opened values: squares, products, powers, rows scaled by a value each, Newton steps.
 *
 * A masked value is a public part minus a secret part:
 *   native  x = x̂ - r                      in its own ring
 *   lifted  x = a - r + εβ                  in any wider ring, for |x| < 2^(m-2):
 *           û = x̂ + 2^(m-2) mod 2^m, a = û - 2^(m-2), β = msb(r), ε = 2^m (1 - msb(û))   (protocols.md, "Lift")
 *   bit     b = b̂ + (1 - 2b̂)ρ
 * A polynomial of them is a public combination of secret monomials Π r^j β^b; the dealer shares those that occur. So any
 * polynomial costs no flight and no online byte; the dealer sends one word for each monomial and element. (ABY2.0's
 * products and Turbospeedz' squares, generalised; β² = β keeps the basis small.)
 */

import type { Program, StepOf, Variable } from "../program/steps.ts";
import type { Words } from "../ring/memory.ts";
import { split } from "./linear.ts";
import { type Block, type Dealer, elements, type Party, type Protocol } from "./protocol.ts";

type Polynomial = StepOf<"polynomial">;

/** One secret monomial: for each variable the power of r and of β; and how many output elements share one element of it. */
interface Term {
  readonly powers: readonly number[];
  readonly bits: readonly number[];
  readonly repeat: number;
}

/** The output before a row sum: as many elements as the widest operand. */
function width(step: Polynomial, program: Program): number {
  const reads = [...step.variables, ...step.addends];
  return Math.max(...reads.map((r) => elements(program.values[r.x]) * r.repeat));
}

/** Lifting is needed only into a wider ring; in its own ring a value is native. */
function isLifted(step: Polynomial, variable: Variable, program: Program): boolean {
  return variable.kind === "lifted" && program.values[variable.x].ring < program.values[step.out].ring;
}

/** The secret monomials of a step, in a fixed order that all parties share. */
export function basis(step: Polynomial, program: Program): Term[] {
  const found = new Map<string, Term>();
  for (const monomial of step.monomials) {
    let terms: { powers: number[]; bits: number[] }[] = [{ powers: [], bits: [] }];
    step.variables.forEach((variable, v) => {
      const degree = monomial.degrees[v];
      const choices: [number, number][] = [];
      for (let j = 0; j <= (variable.kind === "bit" ? 0 : degree); j++) {
        choices.push([j, 0]);
        if (j < degree && (variable.kind === "bit" || isLifted(step, variable, program))) choices.push([j, 1]);
      }
      terms = terms.flatMap((t) => choices.map(([j, b]) => ({ powers: [...t.powers, j], bits: [...t.bits, b] })));
    });
    for (const t of terms) {
      const used = step.variables.filter((_, v) => t.powers[v] > 0 || t.bits[v] > 0);
      if (used.length === 0) continue;
      found.set(`${t.powers}|${t.bits}`, { ...t, repeat: Math.min(...used.map((u) => u.repeat)) });
    }
  }
  return [...found.values()].sort((a, b) => compareKeys(a, b));
}

function compareKeys(a: Term, b: Term): number {
  const [x, y] = [`${a.powers}|${a.bits}`, `${b.powers}|${b.bits}`];
  return x < y ? -1 : x > y ? 1 : 0;
}

function blocks(step: Polynomial, program: Program): Block[] {
  const size = width(step, program);
  const bits = program.values[step.out].ring;
  return basis(step, program).map((t) => ({ length: size / t.repeat, bits }));
}

export const polynomial: Protocol<"polynomial"> = {
  traffic: (step, program) => ({ dealt: blocks(step, program) }),

  deal(d, step) {
    const size = width(step, d.program);
    const bits = d.value(step.out).ring;
    for (const term of basis(step, d.program)) d.deal(step, secretOf(d, step, term, size / term.repeat), bits);
  },

  run(p, step) {
    const size = width(step, p.program);
    const terms = basis(step, p.program);
    const shares = blocks(step, p.program).map((block, i) => p.dealt(step, i, block));
    const sum = p.temp(size);
    evaluate(p, step, terms, shares, sum);
    for (const addend of step.addends) addAddend(p, addend, sum);
    finish(p, step, sum);
  },
};

/** Adds coefficient·share of another value, repeated along rows where asked. */
function addAddend(p: Party, addend: Polynomial["addends"][number], sum: Words): void {
  let x = p.get("share", addend.x);
  if (addend.repeat > 1) {
    const wide = p.temp(sum.length);
    p.ring.repeat(wide, x, addend.repeat);
    x = wide;
  }
  p.ring.addScaled(sum, x, ...split(addend.coefficient));
}

/** Row sums, and the public constant, which the server adds. */
function finish(p: Party, step: Polynomial, sum: Words): void {
  const value = p.value(step.out);
  const out = p.set("share", step.out, p.ring.alloc(elements(value)));
  if (step.rowSum) p.ring.rowSum(out, sum, value.rows, sum.length / value.rows);
  else p.ring.copy(out, sum);
  if (p.isServer && step.constant !== 0) p.ring.addConstant(out, out, ...split(step.constant));
}

function evaluate(p: Party, step: Polynomial, terms: readonly Term[], shares: readonly Words[], out: Words): void {
  const variables = step.variables.map((v) => {
    const kind = v.kind === "bit" ? 2 : isLifted(step, v, p.program) ? 1 : 0;
    return { x: p.get("public", v.x), repeat: v.repeat, ring: p.value(v.x).ring, kind };
  });
  const monomials = step.monomials.map((m) => ({ constant: split(m.coefficient), degrees: m.degrees }));
  const secrets = terms.map((t, i) => ({ share: shares[i], repeat: t.repeat, powers: t.powers, bits: t.bits }));
  p.ring.polynomial(out, p.isServer, variables, monomials, secrets);
}

/** Π r^j β^b over the variables, at the term's own length. */
function secretOf(d: Dealer, step: Polynomial, term: Term, length: number): Words {
  const product = d.temp(length);
  let started = false;
  step.variables.forEach((variable, v) => {
    const [j, b] = [term.powers[v], term.bits[v]];
    if (j === 0 && b === 0) return;
    const factor = expanded(d, variable, variable.repeat / term.repeat, j, b, length);
    if (started) d.ring.multiply(product, product, factor);
    else d.ring.copy(product, factor);
    started = true;
  });
  return product;
}

function expanded(d: Dealer, variable: Variable, repeat: number, j: number, b: number, length: number): Words {
  const r = d.get("full", variable.x);
  const power = d.temp(r.length);
  if (b === 1) d.ring.msb(power, r, variable.kind === "bit" ? 1 : d.value(variable.x).ring);
  else d.ring.copy(power, r);
  for (let i = b === 1 ? 0 : 1; i < j; i++) d.ring.multiply(power, power, r);
  if (repeat === 1) return power;
  const wide = d.temp(length);
  d.ring.repeat(wide, power, repeat);
  return wide;
}
