/**
 * What attention's scores take from the distances of keys from their queries, added to them without a message.
 *
 * Numbers of the distances are the server's: it adds them to its share. Products of queries (and keys) with the distances'
 * keys (queries) are linear layers of the server's weights P, [heads·width, buckets], as linear.ts has them, of which each
 * score takes the entry of its distance: a public choice, which every party makes in its own part.
 *
 *   The dealer sends G = -Σ r_C(P - R) at the distances - T; the client keeps -Σ r_C·R at the distances + T.
 *   The server has Σ (x + r_C)·P at the distances + G. Sum: Σ x·P at the distances.
 */

import { bucketsOf } from "../program/relative.ts";
import type { Program, StepOf } from "../program/steps.ts";
import type { Words } from "../ring/memory.ts";
import type { Block } from "./blocks.ts";
import type { Combination } from "./combination.ts";
import { serverPart } from "./linear.ts";
import { type Expect, elements, halves, type LocalRule, NO_PARTS, outOf, sameScale } from "./rule.ts";
import type { Scope } from "./scope.ts";
import type { ClientOffline, Dealer, ServerWeights } from "./sides.ts";

type Relative = StepOf<"relative">;
type Term = Relative["terms"][number];

/** The products, before they are shifted to the scores' scale, as bits on a wire. */
function dealtBlock(step: Relative, program: Program): Block {
  const out = outOf(step, program);
  return { length: elements(out), bits: out.ring - step.shift };
}

/** out += Σ_terms products at the distances; `multiply` gives a term's products of all heads, [heads·rows, buckets]. */
function addAtDistances(s: Scope, step: Relative, out: Words, multiply: (term: Term, products: Words) => void): void {
  const { rows: all, columns: keys } = s.value(step.out);
  const queries = all / step.heads;
  const buckets = bucketsOf(step.distances, queries, keys, step.from);
  const taken = s.temp(buckets.length);
  for (const term of step.terms) {
    const { rows } = s.value(term.x);
    const width = s.program.weights[term.weightId].columns;
    const products = s.temp(step.heads * rows * width);
    multiply(term, products);
    // A query's products are in its own row, a key's in the key's.
    const at = buckets.map((bucket, i) => (term.of === "queries" ? Math.floor(i / keys) : i % keys) * width + bucket);
    for (let h = 0; h < step.heads; h++) {
      s.ring.take(taken, products.part(h * rows * width, rows * width), at);
      const part = out.part(h * taken.length, taken.length);
      s.ring.add(part, part, taken);
    }
  }
}

/** One head's columns of an operand. */
function headOf(s: Scope, x: Words, rows: number, from: number, width: number): Words {
  const part = s.temp(rows * width);
  s.ring.copyBlock(part, 0, width, x, from, x.length / rows, rows, width);
  return part;
}

/** Σ_terms r_C·w at the distances, w being weights under R or R itself. */
function offlineSum(s: Dealer | ClientOffline, step: Relative): Words {
  const [slot, weights] = "masks" in s ? (["mask", s.masks] as const) : (["client", s.weights] as const);
  const [sum, { bits }] = [s.temp(elements(s.value(step.out))), dealtBlock(step, s.program)];
  s.ring.zero(sum);
  addAtDistances(s, step, sum, (term, products) => {
    const { rows, columns } = s.value(term.x);
    const buckets = s.program.weights[term.weightId].columns;
    const width = columns / step.heads;
    s.ring.zero(products);
    weights.chunks(term.weightId, (w, first, count) => {
      for (let h = Math.floor(first / width); h * width < first + count; h++) {
        const [low, high] = [Math.max(first, h * width), Math.min(first + count, (h + 1) * width)];
        const left = headOf(s, s.get(slot, term.x), rows, low, high - low);
        const right = w.part((low - first) * buckets, (high - low) * buckets);
        const product = products.part(h * rows * buckets, rows * buckets);
        s.ring.products.matmul(product, left, right, rows, high - low, buckets, true, bits);
      }
    });
  });
  return sum;
}

/** The client's part: x + 2^shift·(T - Σ r_C·R at the distances), in wide words. */
function combineAtDistances(t: Combination, step: Relative): void {
  const { rows: all, columns: keys, ring } = t.value(step.out);
  const sum = t.scratch(all * keys, ring);
  const queries = all / step.heads;
  const buckets = bucketsOf(step.distances, queries, keys, step.from);
  for (const term of step.terms) {
    const { rows, columns } = t.value(term.x);
    const [width, mask] = [t.program.weights[term.weightId].columns, t.mask(term.x)];
    const products = t.scratch(step.heads * rows * width, ring);
    t.weights.chunks(term.weightId, (words, first, count) => {
      for (let row = first; row < first + count; row++) {
        // One row of R at a time, transposed: the left operand is the public one.
        const at = { offset: Math.floor((row * step.heads) / columns) * rows * width, row: 1, column: width };
        const left = { words, offset: (row - first) * width, row: 1, column: 0 };
        const right = { words: mask, offset: row, row: 0, column: columns };
        t.wide.addMatmul(products, at, left, right, [width, 1, rows]);
      }
    });
    const places = buckets.map((b, i) => (term.of === "queries" ? Math.floor(i / keys) : i % keys) * width + b);
    const taken = t.scratch(all * keys, ring);
    t.wide.each(taken, products, (to, from) => {
      for (let h = 0; h < step.heads; h++)
        t.ring.take(to.part(h * places.length, places.length), from.part(h * rows * width, rows * width), places);
    });
    t.wide.add(sum, taken);
  }
  const out = t.result(step);
  t.wide.add(out, t.share(step.x));
  t.wide.addScaled(out, sum, ...halves(-(2 ** step.shift)));
  if (step.terms.length > 0) t.wide.addScaled(out, t.words(step), ...halves(2 ** step.shift));
}

/** out = x + 2^shift·(Σ x·P at the distances + more) + the distances' numbers: what the server, or the clear run, has. */
function withWeights(
  s: Scope,
  step: Relative,
  out: Words,
  weights: ServerWeights,
  x: (id: number) => Words,
  more: Words | null,
  bits: number,
): void {
  const sum = more ?? s.temp(out.length);
  if (more === null) s.ring.zero(sum);
  addAtDistances(s, step, sum, (term, products) => {
    const { rows, columns } = s.value(term.x);
    const width = columns / step.heads;
    const buckets = s.program.weights[term.weightId].columns;
    for (let h = 0; h < step.heads; h++) {
      const left = headOf(s, x(term.x), rows, h * width, width);
      weights.applyHead(term.weightId, h, products.part(h * rows * buckets, rows * buckets), left, rows, bits);
    }
  });
  s.ring.addScaled(out, sum, ...halves(2 ** step.shift));
  if (step.bias !== null) addNumbers(s, step, out, weights.distances(step));
}

/** Adds each head's number of each distance; the table is [heads, buckets]. */
function addNumbers(s: Scope, step: Relative, out: Words, table: Words): void {
  const { rows, columns } = s.value(step.out);
  const at = bucketsOf(step.distances, rows / step.heads, columns, step.from);
  const taken = s.temp(at.length);
  const width = table.length / step.heads;
  for (let h = 0; h < step.heads; h++) {
    s.ring.take(taken, table.part(h * width, width), at);
    const part = out.part(h * taken.length, taken.length);
    s.ring.add(part, part, taken);
  }
}

function checkTerm({ x: id, of, weightId }: Term, step: Relative, program: Program, expect: Expect): void {
  const [x, out] = [program.values[id], outOf(step, program)];
  expect(x.form === "masked", "reads queries and keys that are masked");
  expect(x.rows === (of === "queries" ? out.rows / step.heads : out.columns), "has a row for each query or key");
  const slot = program.weights[weightId];
  if (slot === undefined) return expect(false, "names a weight that the program has");
  expect(slot.rows === x.columns, "has weights that fit its operand");
}

export const relative: LocalRule<"relative"> = {
  ...NO_PARTS,
  waitsFor: "both",
  reads: (step) => [step.x, ...step.terms.map(({ x }) => x)],

  client: {
    masks: (step) => step.terms.map(({ x }) => x),
    combine: (t, step) => combineAtDistances(t, step),
  },

  needs(step, values, need) {
    const { ring } = values[step.out];
    need(step.x, ring);
    for (const { x } of step.terms) need(x, ring - step.shift);
  },

  check(step, program, expect) {
    const [x, out] = [program.values[step.x], outOf(step, program)];
    expect(x.form === "share" && out.form === "share", "makes a share of one");
    expect(x.rows === out.rows && x.columns === out.columns && out.rows % step.heads === 0, "keeps whole heads");
    expect(sameScale(x.scale, out.scale), "keeps the scale");
    expect(step.shift >= 0 && step.shift < out.ring, "shifts within its ring");
    for (const term of step.terms) checkTerm(term, step, program, expect);
  },

  traffic: (step, program) => (step.terms.length > 0 ? { dealt: [dealtBlock(step, program)] } : {}),

  products(step, program) {
    const { bits } = dealtBlock(step, program);
    return step.terms.map(({ x: id, weightId }) => {
      const { rows: m, columns } = program.values[id];
      return {
        m,
        k: columns / step.heads,
        n: program.weights[weightId].columns,
        times: step.heads,
        narrow: true,
        bits,
      };
    });
  },

  weights: (step) => step.terms.map(({ weightId }) => weightId),

  deal(d, step) {
    if (step.terms.length === 0) return;
    const secret = offlineSum(d, step);
    d.ring.negate(secret, secret);
    d.deal(step, secret);
  },

  prepare(c, step) {
    if (step.terms.length === 0) return null;
    const sum = offlineSum(c, step);
    const y = c.set("share", step.out, c.ring.alloc(sum.length));
    c.ring.subtract(y, c.dealt(step, [dealtBlock(step, c.program)]), sum);
    return null;
  },

  kept: (step, program) => {
    const out = outOf(step, program);
    return step.terms.length > 0 ? { length: elements(out), bits: out.ring } : null;
  },

  run(p, step) {
    const out = p.set("share", step.out, p.ring.alloc(elements(p.value(step.out))));
    p.ring.copy(out, p.get("share", step.x));
    if (p.weights !== null) {
      const dealt = step.terms.length > 0 ? p.dealt(step, [dealtBlock(step, p.program)]) : null;
      const { bits } = dealtBlock(step, p.program);
      return withWeights(p, step, out, p.weights, (id) => serverPart(p, id), dealt, bits);
    }
    if (step.terms.length === 0) return;
    const share = p.temp(out.length);
    p.material.share(p.ring, step, share);
    p.ring.addScaled(out, share, ...halves(2 ** step.shift));
  },

  clear(c, step, out) {
    c.ring.copy(out, c.x(step.x));
    withWeights(c, step, out, c.weights, (id) => c.x(id), null, 64);
  },
};
