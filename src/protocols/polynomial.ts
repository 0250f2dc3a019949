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

import { liftBits } from "../program/lift.ts";
import { Memo } from "../program/memo.ts";
import type { Program, StepOf, Variable } from "../program/steps.ts";
import type { Words } from "../ring/memory.ts";
import { evaluatePolynomial } from "../ring/polynomial.ts";
import type { Wide } from "../ring/wide.ts";
import { type Block, lengthOf } from "./blocks.ts";
import type { Combination } from "./combination.ts";
import { elements, halves, type LocalRule, NO_PARTS, outOf } from "./rule.ts";
import type { Scope } from "./scope.ts";
import type { Dealer, Party } from "./sides.ts";

type Polynomial = StepOf<"polynomial">;

/** One secret monomial Π r^powers β^tops over the variables, and its elements among those of all terms. */
interface Term extends Block {
  readonly powers: readonly number[];
  /** For each variable, whether its β is a factor: 0 or 1. */
  readonly tops: readonly number[];
  /** Output elements that share one element of it. */
  readonly repeat: number;
  /** In sums of rows: one word a row, since every element has the same public factor, `coefficient`. */
  readonly summed: boolean;
  readonly offset: number;
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

const bases = new WeakMap<Polynomial, readonly Term[]>();
/** The steps of a decoder's turns are alike: what they have in common is made once. */
const alike = new Memo<readonly Term[]>();

/**
 * The secret monomials of a step, in a fixed order that all parties share. A lifted variable's β comes with a public factor of
 * 0 or 2^m, m its ring: of such a monomial m bits less count, and where none does it is left out.
 */
export function basis(step: Polynomial, program: Program): readonly Term[] {
  let terms = bases.get(step);
  if (terms === undefined) {
    terms = alike.of(keyOf(step, program), () => makeBasis(step, program));
    bases.set(step, terms);
  }
  return terms;
}

/** All that a step's basis depends on. */
function keyOf(step: Polynomial, program: Program): string {
  const variables = step.variables.map((v) => {
    const { ring } = program.values[v.x];
    return `${v.kind},${isLifted(step, v, program)},${ring},${v.repeat}`;
  });
  const degrees = step.monomials.map((m) => m.degrees.join());
  const out = program.values[step.out];
  const sums = step.rowSum ? elements(out) : 0;
  return `${width(step, program)};${sums};${out.ring};${variables.join("|")};${degrees.join("|")}`;
}

function makeBasis(step: Polynomial, program: Program): Term[] {
  const size = width(step, program);
  const found = new Map<string, Omit<Term, "offset" | "length">>();
  const ring = program.values[step.out].ring;
  for (const monomial of step.monomials) {
    let terms: { powers: number[]; tops: number[] }[] = [{ powers: [], tops: [] }];
    step.variables.forEach((variable, v) => {
      const degree = monomial.degrees[v];
      const choices: [number, number][] = [];
      for (let j = 0; j <= (variable.kind === "bit" ? 0 : degree); j++) {
        choices.push([j, 0]);
        if (j < degree && (variable.kind === "bit" || isLifted(step, variable, program))) choices.push([j, 1]);
      }
      terms = terms.flatMap((t) => choices.map(([j, b]) => ({ powers: [...t.powers, j], tops: [...t.tops, b] })));
    });
    for (const t of terms) {
      const used = step.variables.filter((_, v) => t.powers[v] > 0 || t.tops[v] > 0);
      const lost = step.variables.reduce(
        (sum, u, v) => sum + (u.kind === "bit" ? 0 : t.tops[v]) * program.values[u.x].ring,
        0,
      );
      if (used.length === 0 || lost >= ring) continue;
      const repeat = Math.min(...used.map((u) => u.repeat));
      const summed = step.rowSum && isLast(step, t);
      found.set(`${t.powers}|${t.tops}`, { ...t, repeat, summed, bits: ring - lost });
    }
  }
  const keys = [...found.keys()].sort((a, b) => (a < b ? -1 : 1));
  let offset = 0;
  return keys.map((key) => {
    const term = found.get(key)!;
    const length = term.summed ? elements(program.values[step.out]) : size / term.repeat;
    offset += length;
    return { ...term, offset: offset - length, length };
  });
}

/** Whether a monomial is the highest power of a step's only variable: of the secret ones it alone has no public factor but its coefficient. */
function isLast({ variables, monomials }: Polynomial, { powers, tops }: Pick<Term, "powers" | "tops">): boolean {
  return variables.length === 1 && tops[0] === 0 && powers[0] === Math.max(...monomials.map((m) => m.degrees[0]));
}

/** The sum of the highest monomials' coefficients, for the secret power that `summed` terms are: (-r)^degree. */
function lastCoefficient(step: Polynomial, degree: number): number {
  const sum = step.monomials.reduce((total, m) => total + (m.degrees[0] === degree ? m.coefficient : 0), 0);
  return degree % 2 === 0 ? sum : -sum;
}

export const polynomial: LocalRule<"polynomial"> = {
  ...NO_PARTS,
  waitsFor: "both",
  reads: (step) => [...step.variables.map((v) => v.x), ...step.addends.map((a) => a.x)],

  needs(step, values, need) {
    const { ring } = values[step.out];
    for (const { x, kind, room } of step.variables) {
      if (kind === "lifted") need(x, Math.max(liftBits(values[x]), ring <= room ? ring : 0));
      else if (kind === "native") need(x, ring);
    }
    for (const { x } of step.addends) need(x, ring);
  },

  check(step, program, expect) {
    const out = outOf(step, program);
    const size = width(step, program);
    for (const { x, kind, repeat } of step.variables) {
      const { form } = program.values[x];
      expect(form === (kind === "bit" ? "maskedBits" : "masked"), `reads ${kind} variables that are open`);
      expect(elements(program.values[x]) * repeat === size, "has variables of one size");
    }
    for (const { x, repeat } of step.addends) {
      expect(program.values[x].form === "share", "adds shares");
      expect(elements(program.values[x]) * repeat === size, "has addends of its variables' size");
    }
    const fits = step.rowSum ? size % elements(out) === 0 : size === elements(out);
    expect(fits && out.form === "share", "gives a share of its variables' size, or of its rows' sums");
    const degrees = step.monomials.flatMap((m) => (m.degrees.length === step.variables.length ? m.degrees : [-1]));
    expect(
      degrees.every((d) => Number.isInteger(d) && d >= 0),
      "has one degree for each variable",
    );
  },

  traffic: (step, program) => (basis(step, program).length === 0 ? {} : { dealt: basis(step, program) }),

  deal(d, step) {
    // A sum of shares alone.
    if (basis(step, d.program).length === 0) return;
    const secrets = d.temp(lengthOf(basis(step, d.program)));
    for (const term of basis(step, d.program)) {
      const part = secrets.part(term.offset, term.length);
      if (!term.summed) secretInto(d, step, term, part);
      else {
        const each = d.temp(width(step, d.program));
        secretInto(d, step, term, each);
        d.ring.rowSum(part, each, part.length, each.length / part.length);
      }
    }
    d.deal(step, secrets);
  },

  run(p, step) {
    const out = p.set("share", step.out, p.ring.alloc(elements(p.value(step.out))));
    const sum = step.rowSum ? p.temp(width(step, p.program)) : out;
    const terms = basis(step, p.program);
    const shares = step.variables.length === 0 ? null : p.dealt(step, terms);
    if (shares === null) p.ring.zero(sum);
    else evaluate(p, step, shares, sum);
    for (const addend of step.addends) addAddend(p, addend, sum);
    if (step.rowSum) p.ring.rowSum(out, sum, out.length, sum.length / out.length);
    for (const { summed, powers, offset, length } of terms)
      if (summed) p.ring.addScaled(out, shares!.part(offset, length), ...halves(lastCoefficient(step, powers[0])));
    if (p.isServer && step.constant !== 0) p.ring.addConstant(out, out, ...halves(step.constant));
  },

  client: {
    masks: () => [],
    combine(t, step) {
      const out = t.result(step);
      const { rows, ring } = t.value(step.out);
      const size = width(step, t.program);
      const sum = step.rowSum ? t.scratch(size, ring) : out;
      if (step.variables.length > 0) combinePart(t, step, sum);
      for (const addend of step.addends) addWideAddend(t, addend, sum);
      if (step.rowSum) t.wide.rowSum(out, sum, rows, size / rows);
      for (const { summed, powers, offset, length } of basis(step, t.program)) {
        if (!summed) continue;
        const shares = t.words(step);
        const part = { lo: shares.lo.part(offset, length), hi: shares.hi?.part(offset, length) ?? null };
        t.wide.addScaled(out, part, ...halves(lastCoefficient(step, powers[0])));
      }
    },
  },

  clear(c, step, out) {
    const size = width(step, c.program);
    const sum = c.temp(size);
    const variables = step.variables.map((v) => ({ x: c.x(v.x), repeat: v.repeat, ring: 64, kind: 0 }));
    const monomials = step.monomials.map((m) => ({ constant: halves(m.coefficient), degrees: m.degrees }));
    if (variables.length === 0) c.ring.zero(sum);
    else evaluatePolynomial(c.ring, sum, true, variables, monomials, []);
    for (const addend of step.addends) addAddend(c, addend, sum);
    if (step.rowSum) c.ring.rowSum(out, sum, out.length, size / out.length);
    else c.ring.copy(out, sum);
    c.ring.addConstant(out, out, ...halves(step.constant));
  },
};

/** Adds coefficient·share of another value, repeated along rows where asked. */
function addAddend(s: Scope, addend: Polynomial["addends"][number], sum: Words): void {
  let x = s.get("share", addend.x);
  if (addend.repeat > 1) {
    const wide = s.temp(sum.length);
    s.ring.repeat(wide, x, addend.repeat);
    x = wide;
  }
  s.ring.addScaled(sum, x, ...halves(addend.coefficient));
}

/** The variables and monomials as the kernel takes them. */
function inputs(step: Polynomial, program: Program, opened: (id: number) => Words) {
  const variables = step.variables.map((v) => {
    const kind = v.kind === "bit" ? 2 : isLifted(step, v, program) ? 1 : 0;
    return { x: opened(v.x), repeat: v.repeat, ring: program.values[v.x].ring, kind };
  });
  const monomials = step.monomials.map((m) => ({ constant: halves(m.coefficient), degrees: m.degrees }));
  return { variables, monomials };
}

/** out = the client's part of a polynomial, in wide words. */
function combinePart(t: Combination, step: Polynomial, out: Wide): void {
  const { variables, monomials } = inputs(step, t.program, (id) => t.opened(id));
  const terms = basis(step, t.program);
  if (terms.length === 0) return;
  const shares = t.words(step);
  const secrets = terms.flatMap(({ powers, tops, repeat, summed, offset, length }) => {
    const high = shares.hi?.part(offset, length) ?? null;
    return summed ? [] : [{ powers, bits: tops, repeat, share: shares.lo.part(offset, length), high }];
  });
  t.wide.polynomial(out, variables, monomials, secrets);
}

/** As `addAddend`. */
function addWideAddend(t: Combination, addend: Polynomial["addends"][number], sum: Wide): void {
  const x = t.share(addend.x);
  const factor = halves(addend.coefficient);
  if (addend.repeat === 1) return t.wide.addScaled(sum, x, ...factor);
  const spread = t.scratch(sum.lo.length, x.hi === null ? 1 : 64);
  t.wide.each(spread, x, (to, from) => t.ring.repeat(to, from, addend.repeat));
  t.wide.addScaled(sum, spread, ...factor);
}

function evaluate(p: Party, step: Polynomial, shares: Words, out: Words): void {
  const { variables, monomials } = inputs(step, p.program, (id) => p.get("public", id));
  const secrets = basis(step, p.program).flatMap(({ powers, tops, repeat, summed, offset, length }) => {
    return summed ? [] : [{ powers, bits: tops, repeat, share: shares.part(offset, length) }];
  });
  evaluatePolynomial(p.ring, out, p.isServer, variables, monomials, secrets);
}

/** out = Π r^j β^b over the variables, at the term's own length. */
function secretInto(d: Dealer, step: Polynomial, term: Term, out: Words): void {
  let started = false;
  step.variables.forEach((variable, v) => {
    const [j, b] = [term.powers[v], term.tops[v]];
    if (j === 0 && b === 0) return;
    const r = d.get("full", variable.x);
    const repeat = variable.repeat / term.repeat;
    if (!started && repeat === 1) powerInto(d, variable, r, j, b, out);
    else {
      const power = d.temp(r.length);
      powerInto(d, variable, r, j, b, power);
      const factor = repeat === 1 ? power : d.temp(out.length);
      if (repeat !== 1) d.ring.repeat(factor, power, repeat);
      if (started) d.ring.multiply(out, out, factor);
      else d.ring.copy(out, factor);
    }
    started = true;
  });
}

/** r^j β^b, elementwise. */
function powerInto(d: Dealer, variable: Variable, r: Words, j: number, b: number, out: Words): void {
  if (b === 1) d.ring.msb(out, r, variable.kind === "bit" ? 1 : d.value(variable.x).ring);
  else d.ring.copy(out, r);
  for (let i = b === 1 ? 0 : 1; i < j; i++) d.ring.multiply(out, out, r);
}
