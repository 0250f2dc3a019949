/**
 * Matrix products of two masked values, per head (ABY2.0, eprint 2020/1225; Turbospeedz, eprint 2019/080).
 *
 *   [XY] = X̂Ŷ - X̂[r_Y] - [r_X]Ŷ + [r_X r_Y]
 *
 * Local online: X̂ and Ŷ are open. The dealer sends the server its share of r_X r_Y, which has the size of the product.
 * Both operands are native in the result's ring.
 */

import type { Program, StepOf } from "../program/steps.ts";
import type { Words } from "../ring/memory.ts";
import type { Strides, Wide } from "../ring/wide.ts";
import type { Block } from "./blocks.ts";
import type { Combination } from "./combination.ts";
import { elements, type LocalRule, NO_PARTS, outOf } from "./rule.ts";
import type { Scope } from "./scope.ts";

type Matmul = StepOf<"matmul">;
type Pair = readonly [Words, Words];

/** out = Σ over the pairs of a·b (or a·bᵀ), head by head, mod 2^bits. */
function perHead(
  s: Pick<Scope, "ring" | "program" | "value" | "temp">,
  step: Matmul,
  out: Words,
  pairs: readonly Pair[],
  bits: number,
): void {
  const [a, b, y] = [s.value(step.a), s.value(step.b), s.value(step.out)];
  const { heads, sharing, transposeB } = step;
  const { m, k, n } = headShape(step, s.program);
  const width = transposeB ? k : n;
  const [left, right, result] = [s.temp(m * k), s.temp(k * n), s.temp(m * n)];
  const slice = transposeB ? s.temp(k * n) : right;
  for (let h = 0; h < heads; h++) {
    pairs.forEach(([x, w], index) => {
      if (transposeB) s.ring.copyBlock(left, 0, k, x, h * k, a.columns, m, k);
      else s.ring.copyBlock(left, 0, k, x, h * m * k, k, m, k);
      s.ring.copyBlock(slice, 0, width, w, Math.floor(h / sharing) * width, b.columns, b.rows, width);
      if (transposeB) s.ring.transpose(right, slice, b.rows, width);
      s.ring.products.matmul(result, left, right, m, k, n, index > 0, bits);
    });
    if (transposeB) s.ring.copyBlock(out, h * m * n, n, result, 0, n, m, n);
    else s.ring.copyBlock(out, h * n, y.columns, result, 0, n, m, n);
  }
}

function dealtBlock(step: Matmul, program: Program): Block {
  const out = outOf(step, program);
  return { length: elements(out), bits: out.ring };
}

/** This party's part of a mask; an input is masked by the client alone. */
function ownMask(s: Scope, id: number): Words {
  if (s.has("mask", id)) return s.get("mask", id);
  const none = s.temp(elements(s.value(id)));
  s.ring.zero(none);
  return none;
}

/** The product of one head, [m, k] · [k, n]. */
function headShape(step: Matmul, { values }: Program): { m: number; k: number; n: number } {
  const [a, b] = [values[step.a], values[step.b]];
  const width = (b.columns * step.sharing) / step.heads;
  return step.transposeB ? { m: a.rows, k: width, n: b.rows } : { m: a.rows / step.heads, k: a.columns, n: width };
}

export const product: LocalRule<"matmul"> = {
  ...NO_PARTS,
  waitsFor: "both",
  reads: (step) => [step.a, step.b],

  needs(step, values, need) {
    for (const id of [step.a, step.b]) {
      need(id, values[step.out].ring);
      values[id].needsMaskShares = true;
    }
  },

  check(step, program, expect) {
    const [a, b, out] = [program.values[step.a], program.values[step.b], outOf(step, program)];
    expect(a.form === "masked" && b.form === "masked" && out.form === "share", "multiplies masked values to a share");
    expect(step.heads % step.sharing === 0, "has heads that share keys evenly");
    const { m, k, n } = headShape(step, program);
    const inner = step.transposeB ? a.columns / step.heads : b.rows;
    expect(k === inner && [m, k, n].every(Number.isInteger), "has operands whose inner sizes agree");
    const [rows, columns] = step.transposeB ? [m * step.heads, n] : [m, n * step.heads];
    expect(out.rows === rows && out.columns === columns, "has a result of its operands' outer sizes");
  },

  traffic: (step, program) => ({ dealt: [dealtBlock(step, program)] }),

  // X̂(Ŷ - r_Y) and r_X·Ŷ.
  products(step, program) {
    const { ring: bits } = outOf(step, program);
    return [{ ...headShape(step, program), times: 2 * step.heads, narrow: false, bits }];
  },

  deal(d, step) {
    const secret = d.temp(elements(d.value(step.out)));
    perHead(d, step, secret, [[d.get("full", step.a), d.get("full", step.b)]], d.value(step.out).ring);
    d.deal(step, secret);
  },

  run(p, step) {
    const [x, y] = [p.get("public", step.a), p.get("public", step.b)];
    const [rx, ry] = [ownMask(p, step.a), ownMask(p, step.b)];
    const out = p.set("share", step.out, p.ring.alloc(elements(p.value(step.out))));
    // Server: X̂(Ŷ - r_Y) - r_X·Ŷ; client: -X̂·r_Y - r_X·Ŷ.
    const first = p.temp(y.length);
    if (p.isServer) p.ring.subtract(first, y, ry);
    else p.ring.negate(first, ry);
    const second = p.temp(rx.length);
    p.ring.negate(second, rx);
    perHead(
      p,
      step,
      out,
      [
        [x, first],
        [second, y],
      ],
      p.value(step.out).ring,
    );
    p.ring.add(out, out, p.dealt(step, [dealtBlock(step, p.program)]));
  },

  client: {
    masks: (step) => [step.a, step.b],
    combine(t, step) {
      const [x, y] = [t.opened(step.a), t.opened(step.b)];
      const [rx, ry] = [t.mask(step.a), t.mask(step.b)];
      const out = t.result(step);
      const { rows, columns, ring } = t.value(step.out);
      const sum = t.scratch(rows * columns, ring);
      if (sum.hi === null) {
        perHead(
          t,
          step,
          sum.lo,
          [
            [x, ry.lo],
            [rx.lo, y],
          ],
          64,
        );
      } else wideHeads(t, step, sum, { x, y, rx, ry });
      t.wide.add(out, sum, true);
      t.addDealt(out, step);
    },
  },

  clear(c, step, out) {
    perHead(c, step, out, [[c.x(step.a), c.x(step.b)]], 64);
  },
};

/** sum += X̂·r_Y + r_X·Ŷ, head by head. */
function wideHeads(
  t: Combination,
  step: Matmul,
  sum: Wide,
  of: { readonly x: Words; readonly y: Words; readonly rx: Wide; readonly ry: Wide },
): void {
  const { m, k, n } = headShape(step, t.program);
  const [a, b, out] = [t.value(step.a).columns, t.value(step.b).columns, t.value(step.out).columns];
  const { transposeB, heads, sharing } = step;
  for (let h = 0; h < heads; h++) {
    const shared = Math.floor(h / sharing) * (transposeB ? k : n);
    const left = transposeB ? { offset: h * k, row: a, column: 1 } : { offset: h * m * k, row: k, column: 1 };
    const right = transposeB ? { offset: shared, row: 1, column: b } : { offset: shared, row: b, column: 1 };
    const at = transposeB ? { offset: h * m * n, row: n, column: 1 } : { offset: h * n, row: out, column: 1 };
    t.wide.addMatmul(sum, at, { words: of.x, ...left }, { words: of.ry, ...right }, [m, k, n]);
    // The second is public: the transposed product.
    t.wide.addMatmul(sum, turned(at), { words: of.y, ...turned(right) }, { words: of.rx, ...turned(left) }, [n, k, m]);
  }
}

/** The same block, transposed. */
function turned({ offset, row, column }: Strides): Strides {
  return { offset, row: column, column: row };
}
