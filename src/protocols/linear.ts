/**
 * Linear layers whose weights the server owns (lineage: MiniONN, CCS 2017; DELPHI, USENIX Security 2020).
 *
 *   The server holds x + r_C. The dealer has W - R and sends G = -r_C(W - R) - T; the client keeps y_C = -r_C·R + T.
 *   The server computes y_S = (x + r_C)·W + bias + G. Sum: xW + bias.
 *
 * No online message at all: what the server needs of the input came with its opening. No weight is opened per inference;
 * the client's share is known before the text. R is fixed for one version of the weights, T is new for each run.
 */

import type { LinearTerm, Program, StepOf } from "../program/steps.ts";
import type { Words } from "../ring/memory.ts";
import type { Ring } from "../ring/ring.ts";
import type { Wide } from "../ring/wide.ts";
import type { Block } from "./blocks.ts";
import type { Combination } from "./combination.ts";
import { rotateInto, rotateWide } from "./rotate.ts";
import { type Expect, elements, halves, type LocalRule, NO_PARTS, outOf } from "./rule.ts";
import type { Scope } from "./scope.ts";
import type { ClientOffline, Dealer, MaskedWeights, ServerWeights } from "./sides.ts";

type Linear = StepOf<"linear">;

const readOnline = new WeakMap<Program, ReadonlySet<number>>();

/** Whether the client needs its share of the result online; else it left entirely with the opening's offline message. */
function clientShareIsRead(program: Program, step: Linear): boolean {
  let read = readOnline.get(program);
  if (read === undefined) {
    const readers = program.steps.filter((s) => s.kind !== "open" || (s.mode !== "forward" && s.mode !== "reveal"));
    read = new Set(readers.flatMap((s) => program.reads[s.id]));
    readOnline.set(program, read);
  }
  return read.has(step.out);
}

function isDealt(step: Linear): boolean {
  return step.terms.some((t) => t.weightId >= 0);
}

/** What the dealer and the client offline both have: the client's mask of a value, and weights under R or R itself. */
function offlineSide(s: Dealer | ClientOffline): { mask: (id: number) => Words; weights: MaskedWeights } {
  return "masks" in s
    ? { mask: (id) => s.get("mask", id), weights: s.masks }
    : { mask: (id) => s.get("client", id), weights: s.weights };
}

/** Σ_terms mask(x)·weights for each of these steps, which have the same weights: these are gone through once. */
function addTerms(s: Dealer | ClientOffline, steps: readonly Linear[]): void {
  const { mask, weights } = offlineSide(s);
  const sums = steps.map((step) => s.set("sum", step.out, s.ring.alloc(elements(s.value(step.out)))));
  for (const sum of sums) s.ring.zero(sum);
  steps[0].terms.forEach(({ weight, weightId }, index) => {
    if (weight.kind === "identity" || weight.kind === "relative") return;
    const masks = steps.map((step) => mask(step.terms[index].x));
    weights.chunks(weightId, (w, first, count) => {
      if (weight.kind === "dense" || weight.kind === "table") addProducts(s, steps, sums, masks, w, first, count);
      else {
        steps.forEach((step, i) => {
          const { rows, columns } = s.value(step.out);
          addRowTerm(s.ring, weight.kind, sums[i], masks[i], w, rows, columns);
        });
      }
    });
  });
}

/** out += the term of an operand that is one row. */
export function addRowTerm(
  ring: Ring,
  kind: "diagonal" | "mean" | "outer",
  out: Words,
  x: Words,
  row: Words,
  rows: number,
  columns: number,
): void {
  if (kind === "diagonal") return ring.scaleColumns(out, x, row, rows, columns);
  if (kind === "outer") return ring.addOuter(out, x, row, rows, columns);
  const [products, sums] = [ring.alloc(rows * columns), ring.alloc(rows)];
  ring.zero(products);
  ring.scaleColumns(products, x, row, rows, columns);
  ring.rowSum(sums, products, rows, columns);
  ring.repeat(products, sums, columns);
  ring.subtract(out, out, products);
  ring.free(products);
  ring.free(sums);
}

/** sums += (columns `first` to `first + count` of masks)·w, all steps' rows in one product. */
function addProducts(
  s: Scope,
  steps: readonly Linear[],
  sums: readonly Words[],
  masks: readonly Words[],
  w: Words,
  first: number,
  count: number,
): void {
  const { columns } = s.value(steps[0].out);
  // The same weights may be read in several rings.
  const bits = Math.max(...steps.map((step) => s.value(step.out).ring));
  const rows = steps.map((step) => s.value(step.out).rows);
  if (steps.length === 1 && masks[0].length === rows[0] * count)
    return s.ring.products.matmul(sums[0], masks[0], w, rows[0], count, columns, true, bits);
  const all = rows.reduce((a, b) => a + b, 0);
  const [left, product] = [s.ring.alloc(all * count), s.ring.alloc(all * columns)];
  let at = 0;
  masks.forEach((mask, i) => {
    s.ring.copyBlock(left, at * count, count, mask, first, mask.length / rows[i], rows[i], count);
    at += rows[i];
  });
  s.ring.products.matmul(product, left, w, all, count, columns, false, bits);
  at = 0;
  for (const [i, sum] of sums.entries()) {
    s.ring.add(sum, sum, product.part(at * columns, rows[i] * columns));
    at += rows[i];
  }
  s.ring.free(left);
  s.ring.free(product);
}

/** Whether something follows the sum of products: a linear map, which every party applies to its own part. */
function goesOn(step: Linear): boolean {
  return step.centre || step.rotate !== null;
}

/** out = y without its rows' means, or turned by its rows' positions. */
function goOn(s: Scope, step: Linear, out: Words, y: Words): void {
  const { rows, columns } = s.value(step.out);
  if (step.rotate !== null) rotateInto(s, step.rotate, out, y, rows, columns);
  else if (step.centre) s.ring.centre(out, y, rows, columns);
}

function finished(s: Scope, step: Linear, y: Words): Words {
  if (!goesOn(step)) return y;
  const out = s.temp(y.length);
  goOn(s, step, out, y);
  return out;
}

/** The result as bits on a wire: of a correction, or of a share that is kept. */
function resultBlock(step: Linear, program: Program): Block {
  const out = outOf(step, program);
  return { length: elements(out), bits: out.ring };
}

/** Whether an operand has as many rows as its weights' columns, or meets them entry by entry. */
function checkTerm({ x: id, weight, weightId }: LinearTerm, step: Linear, program: Program, expect: Expect): void {
  const [x, out] = [program.values[id], outOf(step, program)];
  expect(x.form === "masked" || x.form === "held", "reads a value that the server does not hold masked");
  expect(x.rows === out.rows, "has as many rows as its operand");
  if (weight.kind === "identity") return expect(x.columns === out.columns, "adds an operand of its own shape");
  const slot = program.weights[weightId];
  if (slot === undefined) return expect(false, "names a weight that the program has");
  const [rows, columns] = [slot.rows, out.columns];
  const inner = { dense: rows, table: rows, diagonal: columns, mean: columns, outer: 1, relative: Number.NaN }[
    weight.kind
  ];
  expect(x.columns === inner && slot.columns === out.columns, "has weights that fit its operand and its result");
}

export const linear: LocalRule<"linear"> = {
  ...NO_PARTS,
  waitsFor: "server",
  reads: (step) => step.terms.map(({ x }) => x),

  needs(step, values, need) {
    for (const { x } of step.terms) need(x, values[step.out].ring);
  },

  check(step, program, expect) {
    for (const term of step.terms) checkTerm(term, step, program, expect);
    expect(outOf(step, program).form === "share", "gives a share");
    expect(!(step.centre && step.rotate !== null), "is centred or rotated, not both");
  },

  traffic: (step, program) => (isDealt(step) ? { dealt: [resultBlock(step, program)] } : {}),

  // A row or column of weights, and the identity, cost a multiplication an element.
  products(step, program) {
    const { rows: m, columns: n, ring: bits } = outOf(step, program);
    const inner = (weightId: number) => (weightId < 0 ? 1 : program.weights[weightId].rows);
    return step.terms.map(({ weightId }) => ({ m, k: inner(weightId), n, times: 1, narrow: true, bits }));
  },

  weights: (step) => step.terms.map(({ weightId }) => weightId).filter((id) => id >= 0),

  together(s, steps) {
    addTerms(s, steps);
  },

  deal(d, step) {
    if (!isDealt(step)) return;
    const secret = d.temp(elements(d.value(step.out)));
    d.ring.negate(secret, finished(d, step, d.get("sum", step.out)));
    d.deal(step, secret);
  },

  prepare(c, step) {
    const out = c.value(step.out);
    const sum = c.get("sum", step.out);
    for (const term of step.terms) {
      if (term.weight.kind === "identity") c.ring.addScaled(sum, c.get("mask", term.x), ...halves(term.weight.factor));
    }
    const y = c.set("share", step.out, c.ring.alloc(sum.length));
    c.ring.negate(y, finished(c, step, sum));
    if (isDealt(step)) c.ring.add(y, y, c.dealt(step, [resultBlock(step, c.program)]));
    c.ring.reduce(y, y, out.ring);
    return null;
  },

  kept: (step, program) => (clientShareIsRead(program, step) ? resultBlock(step, program) : null),

  run(p, step) {
    const length = elements(p.value(step.out));
    if (p.weights === null) {
      if (clientShareIsRead(p.program, step))
        p.material.share(p.ring, step, p.set("share", step.out, p.ring.alloc(length)));
      return;
    }
    const y = p.set("share", step.out, p.ring.alloc(length));
    applyWeights(p, step, y, p.weights, (id) => serverPart(p, id), p.value(step.out).ring);
    if (isDealt(step)) p.ring.add(y, y, p.dealt(step, [resultBlock(step, p.program)]));
  },

  client: {
    masks: (step) => step.terms.map(({ x }) => x),
    combine(t, step) {
      const { rows, columns, ring } = t.value(step.out);
      const sum = t.scratch(rows * columns, ring);
      for (const term of step.terms) addMasked(t, step, term, sum);
      const out = t.result(step);
      if (step.rotate !== null) {
        const turned = t.scratch(rows * columns, ring);
        rotateWide(t, step.rotate, turned, sum, rows, columns);
        t.wide.add(out, turned, true);
      } else if (step.centre) subtractCentred(t, out, sum, rows, columns);
      else t.wide.add(out, sum, true);
      if (isDealt(step)) t.addDealt(out, step);
    },
  },

  clear(c, step, out) {
    applyWeights(c, step, out, c.weights, (id) => c.x(id), 64);
  },
};

/** sum += mask(x)·R of one term, in wide words. */
function addMasked(t: Combination, step: Linear, { x, weight, weightId }: LinearTerm, sum: Wide): void {
  const mask = t.mask(x);
  const [{ rows, columns }, { columns: inner }] = [t.value(step.out), t.value(x)];
  if (weight.kind === "identity") return t.wide.addScaled(sum, mask, ...halves(weight.factor));
  t.weights.chunks(weightId, (words, first, count) => {
    if (weight.kind === "diagonal" || weight.kind === "mean") {
      const factor = t.temp(rows * columns);
      t.ring.copyBlock(factor, 0, columns, words, 0, 0, rows, columns);
      if (weight.kind === "diagonal") return t.wide.addProduct(sum, factor, mask);
      return subtractRowSums(t, sum, factor, mask, rows, columns);
    }
    // The transposed product, whose left operand is the public one.
    const at = { offset: 0, row: 1, column: columns };
    const left = { words, offset: 0, row: 1, column: columns };
    const right = { words: mask, offset: first, row: 1, column: inner };
    t.wide.addMatmul(sum, at, left, right, [columns, weight.kind === "outer" ? 1 : count, rows]);
  });
}

/** sum -= Σ_columns factor·x, in every column. */
function subtractRowSums(t: Combination, sum: Wide, factor: Words, x: Wide, rows: number, columns: number): void {
  const wide = sum.hi === null ? 1 : 64;
  const [products, sums] = [t.scratch(rows * columns, wide), t.scratch(rows, wide)];
  t.wide.addProduct(products, factor, x);
  t.wide.rowSum(sums, products, rows, columns);
  t.wide.each(products, sums, (to, from) => t.ring.repeat(to, from, columns));
  t.wide.add(sum, products, true);
}

/** out -= columns·y - Σ_columns y */
function subtractCentred(t: Combination, out: Wide, y: Wide, rows: number, columns: number): void {
  t.wide.addScaled(out, y, ...halves(-columns));
  const wide = out.hi !== null;
  const [sums, spread] = [t.scratch(rows, wide ? 64 : 1), t.scratch(rows * columns, wide ? 64 : 1)];
  t.wide.rowSum(sums, y, rows, columns);
  t.wide.each(spread, sums, (to, from) => t.ring.repeat(to, from, columns));
  t.wide.add(out, spread);
}

/** y = Σ_terms x·W + bias mod 2^bits, the mean removed or rows turned where the step asks. */
function applyWeights(
  s: Scope,
  step: Linear,
  y: Words,
  weights: ServerWeights,
  x: (id: number) => Words,
  bits: number,
): void {
  const { rows, columns } = s.value(step.out);
  const sum = goesOn(step) ? s.temp(y.length) : y;
  const bias = weights.bias(step);
  if (bias?.length === sum.length) s.ring.copy(sum, bias);
  else {
    s.ring.zero(sum);
    if (bias !== null) s.ring.addRow(sum, sum, bias, rows, columns);
  }
  for (const term of step.terms) {
    if (term.weight.kind === "identity") s.ring.addScaled(sum, x(term.x), ...halves(term.weight.factor));
    else weights.apply(term.weightId, sum, x(term.x), rows, bits);
  }
  goOn(s, step, y, sum);
}

/** x + r_C: what the server holds, or a value known to both less the server's own mask. */
export function serverPart(s: Scope, id: number): Words {
  const opened = s.get("public", id);
  if (!s.has("mask", id)) return opened;
  const part = s.temp(opened.length);
  s.ring.subtract(part, opened, s.get("mask", id));
  return part;
}

/**
 * sum += the client's part of an opened result times a matrix [columns, its own columns], of words, tags or keys: R is multiplied by the matrix
 * first, which costs as many columns as that has. `mask`, of the opening, is used up.
 */
export function combineColumns(t: Combination, step: Linear, mask: Wide, matrix: Words, sum: Wide): void {
  const { rows, columns } = t.value(step.out);
  const width = matrix.length / columns;
  if (isDealt(step)) t.addDealt(mask, step);
  addTimes(t, sum, mask, matrix, [rows, columns, width]);
  const after = step.centre ? centredColumns(t, matrix, columns, width) : matrix;
  const masked = t.wide.zeros(sum.lo.length, sum.hi !== null);
  for (const [index, term] of step.terms.entries()) {
    const { columns: inner } = t.value(term.x);
    const factors = t.factors(step, index, inner * width, (out) => fillFactors(t, step, term, after, out));
    addTimes(t, masked, t.mask(term.x), factors, [rows, inner, width]);
  }
  t.wide.add(sum, masked, true);
  t.wide.free(masked);
}

/** out = R·matrix of one term, mod 2^ring: small numbers times words, as weights are. */
function fillFactors(t: Combination, step: Linear, { weight, weightId }: LinearTerm, matrix: Words, out: Words): void {
  const { columns, ring: bits } = t.value(step.out);
  const width = matrix.length / columns;
  if (weight.kind === "identity") return t.ring.scale(out, matrix, ...halves(weight.factor));
  if (weight.kind === "mean" || weight.kind === "diagonal") {
    return t.weights.chunks(weightId, (r) => {
      if (weight.kind === "mean") return meanFactors(t, out, r, matrix, columns, width);
      t.ring.repeat(out, r, width);
      t.ring.multiply(out, out, matrix);
    });
  }
  const { products } = t.ring;
  // A matrix without its columns' means has numbers below the columns' count.
  const halfWords = matrix.i32();
  const numbers = new Int16Array(matrix.length);
  for (let i = 0; i < numbers.length; i++) numbers[i] = halfWords[2 * i];
  const packed = columns < 2 ** 15 ? products.packWeights(numbers, columns, width) : null;
  t.weights.chunks(weightId, (r, first, count) => {
    const part = out.part(first * width, count * width);
    if (packed === null) products.matmul(part, r, matrix, count, columns, width);
    else products.matmulNarrow(part, r, packed, count, false, bits);
  });
  if (packed !== null) products.freeWeights(packed);
  t.ring.reduce(out, out, bits);
}

/** factors[j, t] = -r_j Σ_columns matrix[., t] */
function meanFactors(t: Combination, factors: Words, r: Words, matrix: Words, columns: number, width: number): void {
  const [turned, sums] = [t.temp(matrix.length), t.temp(width)];
  t.ring.transpose(turned, matrix, columns, width);
  t.ring.rowSum(sums, turned, width, columns);
  t.ring.negate(sums, sums);
  t.ring.zero(factors);
  t.ring.addOuter(factors, r, sums, columns, width);
}

/** sum += x·factors: x [m, k] wide, factors [k, n] public. */
function addTimes(
  t: Combination,
  sum: Wide,
  x: Wide,
  factors: Words,
  [m, k, n]: readonly [number, number, number],
): void {
  if (sum.hi === null) return t.ring.products.matmul(sum.lo, x.lo, factors, m, k, n, true);
  const left = { words: factors, offset: 0, row: 1, column: n };
  t.wide.addMatmul(sum, { offset: 0, row: 1, column: n }, left, { words: x, offset: 0, row: 1, column: k }, [n, k, m]);
}

/** What a matrix becomes that is multiplied by results before their means are removed. */
function centredColumns(t: Combination, matrix: Words, columns: number, width: number): Words {
  const [turned, centred, out] = [t.temp(matrix.length), t.temp(matrix.length), t.temp(matrix.length)];
  t.ring.transpose(turned, matrix, columns, width);
  t.ring.centre(centred, turned, width, columns);
  t.ring.transpose(out, centred, width, columns);
  return out;
}
