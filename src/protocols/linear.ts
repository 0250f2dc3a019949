/**
 * Linear layers whose weights the server owns (lineage: MiniONN, CCS 2017; DELPHI, USENIX Security 2020).
 *
 *   The server holds x + r_C. The dealer has W - R and sends G = -r_C(W - R) - T; the client keeps y_C = -r_C·R + T.
 *   The server computes y_S = (x + r_C)·W + bias + G. Sum: xW + bias.
 *
 * No online message at all: what the server needs of the input came with its opening. No weight is opened per inference;
 * the client's share is known before the text. R is fixed for one version of the weights, T is new for each run.
 */

import { inputsOf } from "../program/order.ts";
import type { Program, StepOf } from "../program/steps.ts";
import type { Words } from "../ring/memory.ts";
import {
  type ClientOffline,
  type Dealer,
  elements,
  type MaskedWeights,
  type Protocol,
  type Scope,
  type ServerWeights,
} from "./protocol.ts";
import { rotateInto } from "./rotate.ts";

type Linear = StepOf<"linear">;

const readOnline = new WeakMap<Program, ReadonlySet<number>>();

/** Whether the client needs its share of the result online; else it left entirely with the opening's offline message. */
export function clientShareIsRead(program: Program, step: Linear): boolean {
  let read = readOnline.get(program);
  if (read === undefined) {
    const readers = program.steps.filter((s) => s.kind !== "open" || (s.mode !== "forward" && s.mode !== "reveal"));
    read = new Set(readers.flatMap(inputsOf));
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
    if (weight.kind === "identity") return;
    const masks = steps.map((step) => mask(step.terms[index].x));
    weights.chunks(weightId, (w, first, count) => {
      if (weight.kind === "dense" || weight.kind === "table") addProducts(s, steps, sums, masks, w, first, count);
      else {
        steps.forEach((step, i) => {
          const { rows, columns } = s.value(step.out);
          if (weight.kind === "diagonal") s.ring.scaleColumns(sums[i], masks[i], w, rows, columns);
          else s.ring.addOuter(sums[i], masks[i], w, rows, columns);
        });
      }
    });
  });
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
  const rows = steps.map((step) => s.value(step.out).rows);
  if (steps.length === 1 && masks[0].length === rows[0] * count)
    return s.ring.matmul(sums[0], masks[0], w, rows[0], count, columns, true);
  const all = rows.reduce((a, b) => a + b, 0);
  const [left, product] = [s.ring.alloc(all * count), s.ring.alloc(all * columns)];
  let at = 0;
  masks.forEach((mask, i) => {
    s.ring.copyBlock(left, at * count, count, mask, first, mask.length / rows[i], rows[i], count);
    at += rows[i];
  });
  s.ring.matmul(product, left, w, all, count, columns);
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

export const linear: Protocol<"linear"> = {
  traffic(step, program) {
    const out = program.values[step.out];
    return isDealt(step) ? { dealt: [{ length: elements(out), bits: out.ring }] } : {};
  },

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
      if (term.weight.kind === "identity") c.ring.addScaled(sum, c.get("mask", term.x), ...split(term.weight.factor));
    }
    const y = c.set("share", step.out, c.ring.alloc(sum.length));
    c.ring.negate(y, finished(c, step, sum));
    if (isDealt(step)) c.ring.add(y, y, c.dealt(step, [{ length: y.length, bits: out.ring }]));
    c.ring.reduce(y, y, out.ring);
    return null;
  },

  run(p, step) {
    const out = p.value(step.out);
    if (p.weights === null) {
      if (clientShareIsRead(p.program, step))
        p.material.share(p.ring, step, p.set("share", step.out, p.ring.alloc(elements(out))));
      return;
    }
    const y = p.set("share", step.out, p.ring.alloc(elements(out)));
    applyWeights(p, step, y, p.weights, (id) => serverPart(p, id));
    if (isDealt(step)) p.ring.add(y, y, p.dealt(step, [{ length: y.length, bits: out.ring }]));
  },
};

/** y = Σ_terms x·W + bias, the mean removed or rows turned where the step asks. */
export function applyWeights(s: Scope, step: Linear, y: Words, weights: ServerWeights, x: (id: number) => Words): void {
  const { rows, columns } = s.value(step.out);
  const sum = goesOn(step) ? s.temp(y.length) : y;
  const bias = weights.bias(step);
  if (bias?.length === sum.length) s.ring.copy(sum, bias);
  else {
    s.ring.zero(sum);
    if (bias !== null) s.ring.addRow(sum, sum, bias, rows, columns);
  }
  for (const term of step.terms) {
    if (term.weight.kind === "identity") s.ring.addScaled(sum, x(term.x), ...split(term.weight.factor));
    else weights.apply(term.weightId, sum, x(term.x), rows);
  }
  goOn(s, step, y, sum);
}

/** x + r_C: what the server holds, or a value known to both less the server's own mask. */
function serverPart(s: Scope, id: number): Words {
  const opened = s.get("public", id);
  if (!s.has("mask", id)) return opened;
  const part = s.temp(opened.length);
  s.ring.subtract(part, opened, s.get("mask", id));
  return part;
}

/** A 64-bit constant as two's-complement halves. */
export function split(constant: number): [number, number] {
  const high = Math.floor(constant / 2 ** 32);
  return [(constant - high * 2 ** 32) | 0, high | 0];
}
