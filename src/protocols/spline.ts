/**
 * Smooth functions of few values, in one opening: a spline whose table the dealer deals rotated.
 *
 * c = x + r mod 2^k is open, for 0 < x < 2^k. With intervals of 2^l = L, i = c >> l and ρ = r >> l: x = (i - ρ)·L + (c mod L)
 * - (r mod L), so that x lies in interval t = i - ρ mod 2^(k-l) or, where the low bits carried, in the one before it. P_t is a
 * polynomial in u = (x - tL) / L that fits both, -1 < u < 1. The dealer knows r: for *every* i it expands P_(i-ρ) in the low bits of c,
 * which will be public, and shares the coefficients. Both parties take the row i that c names:
 *
 *   [f(x)] = Σ_j [Q_i,j]·F_j,   F_0 = L, F_1 = c mod L, F_j = (F_(j-1)·(c mod L)) >> l
 *
 * Local online. What is open is c alone, uniform as every opening is; the row is chosen by c, and every row's shares are uniform.
 * With a factor m (masked by the client) m·f(x) = m̂[f(x)] - [r_m f(x)]: the dealer deals both tables. The table costs
 * 2^(k-l)·(degree + 1) words a value: for rows, not for elements. (networks.md, "Dealt splines"; one-time truth tables,
 * eprint 2012/723, with polynomials in their entries.)
 */
import type { Program, StepOf } from "../program/steps.ts";
import type { Words } from "../ring/memory.ts";
import type { Wide } from "../ring/wide.ts";
import { type Block, lengthOf } from "./blocks.ts";
import type { Combination } from "./combination.ts";
import { elements, expectSameShape, type LocalRule, NO_PARTS, outOf } from "./rule.ts";
import type { Scope } from "./scope.ts";
import type { Dealer } from "./sides.ts";
import { splineRange, splineTable } from "./spline-table.ts";

type Spline = StepOf<"spline">;

/** Low bits whose squares a double holds. */
const MOST_LOW_BITS = 26;

function lowBits({ bits, intervalBits }: Spline): number {
  return bits - intervalBits;
}

/** Words of one coefficient of all values. */
function plane(step: Spline, program: Program): number {
  return elements(outOf(step, program)) * 2 ** step.intervalBits;
}

/** Coefficient by coefficient, value by value, row by row; with a factor, the same times its mask. */
function blocks(step: Spline, program: Program): Block[] {
  const tables = step.factor === null ? 1 : 2;
  return [{ length: tables * (step.degree + 1) * plane(step, program), bits: outOf(step, program).ring }];
}

export const spline: LocalRule<"spline"> = {
  ...NO_PARTS,
  waitsFor: "both",
  reads: (step) => (step.factor === null ? [step.x] : [step.x, step.factor]),

  needs(step, values, need) {
    need(step.x, step.bits);
    if (step.factor !== null) need(step.factor, values[step.out].ring);
  },

  check(step, program, expect) {
    const [x, out] = [program.values[step.x], outOf(step, program)];
    const low = lowBits(step);
    expect(x.form === "masked" && out.form === "share", "gives a share of a masked value's function");
    expectSameShape(expect, x, out);
    if (step.factor !== null) {
      const factor = program.values[step.factor];
      expect(factor.form === "masked", "has a masked factor");
      expectSameShape(expect, factor, out);
    }
    expect(
      low >= 1 && low <= MOST_LOW_BITS && step.intervalBits >= 1 && step.degree >= 1,
      "has intervals of many values",
    );
    expect(step.least > 0 && step.largest + 1 < 2 ** step.bits - 2 ** low, "has an interval for every value");
  },

  traffic: (step, program) => ({ dealt: blocks(step, program) }),

  deal(d, step) {
    const secret = d.temp(lengthOf(blocks(step, d.program)));
    const table = secret.part(0, (step.degree + 1) * plane(step, d.program));
    rotated(d, step, table);
    expanded(d, step, table);
    if (step.factor !== null) timesMask(d, step, table, secret.part(table.length, table.length));
    d.deal(step, secret);
  },

  run(p, step) {
    const shares = p.dealt(step, blocks(step, p.program));
    const out = p.set("share", step.out, p.ring.alloc(elements(p.value(step.out))));
    const { rows, powers } = publicPart(p, step, p.get("public", step.x));
    const half = (step.degree + 1) * plane(step, p.program);
    const place = (j: number, i: number) => (j * rows.length + i) * 2 ** step.intervalBits + rows[i];
    combined(p, out, powers, shares.part(0, half), place);
    if (step.factor === null) return;
    const masked = p.temp(out.length);
    combined(p, masked, powers, shares.part(half, half), place);
    p.ring.multiply(out, out, p.get("public", step.factor));
    p.ring.subtract(out, out, masked);
  },

  client: {
    masks: () => [],
    combine(t, step) {
      const shares = t.words(step);
      const out = t.result(step);
      const { ring } = t.value(step.out);
      const { rows, powers } = publicPart(t, step, t.opened(step.x));
      const half = (step.degree + 1) * plane(step, t.program);
      const place = (j: number, i: number) => (j * rows.length + i) * 2 ** step.intervalBits + rows[i];
      const part = (from: number): Wide => ({
        lo: shares.lo.part(from, half),
        hi: shares.hi?.part(from, half) ?? null,
      });
      if (step.factor === null) return combinedWide(t, out, powers, part(0), place);
      const [plain, masked] = [t.scratch(rows.length, ring), t.scratch(rows.length, ring)];
      combinedWide(t, plain, powers, part(0), place);
      combinedWide(t, masked, powers, part(half), place);
      t.wide.addProduct(out, t.opened(step.factor), plain);
      t.wide.add(out, masked, true);
    },
  },

  clear(c, step, out) {
    c.checkRange(step, c.value(step.x), c.x(step.x), splineRange(step));
    const { rows, powers } = publicPart(c, step, c.x(step.x));
    combined(c, out, powers, encodedTable(c, step), (j, i) => j * 2 ** step.intervalBits + rows[i]);
    if (step.factor !== null) c.ring.multiply(out, out, c.x(step.factor));
  },
};

function encodedTable(s: Scope, step: Spline): Words {
  const numbers = splineTable(step);
  const table = s.temp(numbers.length);
  s.ring.encode(table, numbers, 1);
  return table;
}

/** Every value's table, rotated by the top bits of its mask: by 1, 2, 4, ... places or none, never at a secret address. */
function rotated(d: Dealer, step: Spline, out: Words): void {
  const { ring } = d;
  const intervals = 2 ** step.intervalBits;
  const count = elements(d.value(step.out));
  const r = d.get("full", step.x);
  const one = encodedTable(d, step);
  for (let j = 0; j <= step.degree; j++)
    ring.copyBlock(out, j * count * intervals, intervals, one, j * intervals, 0, count, intervals);
  const [turned, bit, chosen] = [d.temp(out.length), d.temp(count), d.temp(count * intervals)];
  for (let b = 0; b < step.intervalBits; b++) {
    const by = 2 ** b;
    const rows = (step.degree + 1) * count;
    ring.copyBlock(turned, by, intervals, out, 0, intervals, rows, intervals - by);
    ring.copyBlock(turned, 0, intervals, out, intervals - by, intervals, rows, by);
    ring.msb(bit, r, lowBits(step) + b + 1);
    ring.repeat(chosen, bit, intervals);
    ring.subtract(turned, turned, out);
    for (let j = 0; j <= step.degree; j++) {
      const apart = turned.part(j * chosen.length, chosen.length);
      ring.multiply(apart, apart, chosen);
    }
    ring.add(out, out, turned);
  }
}

/** Each polynomial in (c - r) mod L over L becomes one in c mod L over L: shifted by Horner's scheme, rounded to whole numbers. */
function expanded(d: Dealer, step: Spline, table: Words): void {
  const { ring } = d;
  const intervals = 2 ** step.intervalBits;
  const low = lowBits(step);
  const size = plane(step, d.program);
  const [rest, wide, term] = [d.temp(elements(d.value(step.out))), d.temp(size), d.temp(size)];
  ring.reduce(rest, d.get("full", step.x), low);
  ring.repeat(wide, rest, intervals);
  for (let first = 0; first < step.degree; first++) {
    for (let j = step.degree - 1; j >= first; j--) {
      const coefficient = table.part(j * size, size);
      ring.multiply(term, table.part((j + 1) * size, size), wide);
      ring.addConstant(term, term, 2 ** (low - 1), 0);
      ring.arithmeticShift(term, term, low);
      ring.subtract(coefficient, coefficient, term);
    }
  }
}

/** The same table times the factor's mask. */
function timesMask(d: Dealer, step: Spline, table: Words, out: Words): void {
  const size = plane(step, d.program);
  const wide = d.temp(size);
  d.ring.repeat(wide, d.get("full", step.factor!), 2 ** step.intervalBits);
  for (let j = 0; j <= step.degree; j++) d.ring.multiply(out.part(j * size, size), table.part(j * size, size), wide);
}

/** Of an opened value: each one's row, and F_0 to F_degree. */
function publicPart(s: Pick<Scope, "ring" | "temp">, step: Spline, opened: Words): { rows: number[]; powers: Words[] } {
  const { ring } = s;
  const low = lowBits(step);
  const part = s.temp(opened.length);
  ring.truncate(part, opened, step.bits, low, step.intervalBits);
  const rows = [...ring.decode(part, 64, 1)];
  ring.reduce(part, opened, low);
  const powers = [s.temp(opened.length)];
  ring.zero(powers[0]);
  ring.addConstant(powers[0], powers[0], 2 ** low, 0);
  for (let j = 1; j <= step.degree; j++) {
    const next = s.temp(opened.length);
    ring.multiply(next, powers[j - 1], part);
    ring.truncate(next, next, 64, low, 64);
    powers.push(next);
  }
  return { rows, powers };
}

/** Σ_j F_j times the coefficients that stand at `place` of j and of each value. */
function combined(
  s: Scope,
  out: Words,
  powers: readonly Words[],
  table: Words,
  place: (j: number, i: number) => number,
): void {
  const [own, at] = [s.temp(out.length), new Int32Array(out.length)];
  s.ring.zero(out);
  powers.forEach((power, j) => {
    for (let i = 0; i < at.length; i++) at[i] = place(j, i);
    s.ring.take(own, table, at);
    s.ring.multiply(own, own, power);
    s.ring.add(out, out, own);
  });
}

/** The same in wide words: out += Σ_j F_j times the coefficients. */
function combinedWide(
  t: Combination,
  out: Wide,
  powers: readonly Words[],
  table: Wide,
  place: (j: number, i: number) => number,
): void {
  const { length } = out.lo;
  const [own, at] = [t.wide.zeros(length, table.hi !== null), new Int32Array(length)];
  powers.forEach((power, j) => {
    for (let i = 0; i < length; i++) at[i] = place(j, i);
    t.wide.each(own, table, (to, from) => t.ring.take(to, from, at));
    t.wide.addProduct(out, power, own);
  });
  t.wide.free(own);
}
