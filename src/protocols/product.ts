/**
 * Matrix products of two masked values, per head (ABY2.0, eprint 2020/1225; Turbospeedz, eprint 2019/080).
 *
 *   [XY] = X̂Ŷ - X̂[r_Y] - [r_X]Ŷ + [r_X r_Y]
 *
 * Local online: X̂ and Ŷ are open. The dealer sends the server its share of r_X r_Y, which has the size of the product.
 * Both operands are native in the result's ring.
 */

import type { StepOf } from "../program/steps.ts";
import type { Words } from "../ring/memory.ts";
import { type Block, elements, type Protocol, type Scope } from "./protocol.ts";

type Matmul = StepOf<"matmul">;
type Pair = readonly [Words, Words];

/** out (+)= Σ over the pairs of a·b (or a·bᵀ), head by head. */
export function perHead(s: Scope, step: Matmul, out: Words, pairs: readonly Pair[]): void {
  const [a, b, y] = [s.value(step.a), s.value(step.b), s.value(step.out)];
  const { heads, sharing, transposeB } = step;
  const width = (b.columns * sharing) / heads;
  const [m, k, n] = transposeB ? [a.rows, width, b.rows] : [a.rows / heads, a.columns, width];
  const [left, right, result] = [s.temp(m * k), s.temp(k * n), s.temp(m * n)];
  const slice = transposeB ? s.temp(k * n) : right;
  for (let h = 0; h < heads; h++) {
    pairs.forEach(([x, w], index) => {
      if (transposeB) s.ring.copyBlock(left, 0, k, x, h * k, a.columns, m, k);
      else s.ring.copyBlock(left, 0, k, x, h * m * k, k, m, k);
      s.ring.copyBlock(slice, 0, width, w, Math.floor(h / sharing) * width, b.columns, b.rows, width);
      if (transposeB) s.ring.transpose(right, slice, b.rows, width);
      s.ring.matmul(result, left, right, m, k, n, index > 0);
    });
    if (transposeB) s.ring.copyBlock(out, h * m * n, n, result, 0, n, m, n);
    else s.ring.copyBlock(out, h * n, y.columns, result, 0, n, m, n);
  }
}

function dealtBlock(s: Scope, step: Matmul): Block {
  return { length: elements(s.value(step.out)), bits: s.value(step.out).ring };
}

/** This party's part of a mask; an input is masked by the client alone. */
function ownMask(s: Scope, id: number): Words {
  if (s.has("mask", id)) return s.get("mask", id);
  const none = s.temp(elements(s.value(id)));
  s.ring.zero(none);
  return none;
}

export const product: Protocol<"matmul"> = {
  traffic(step, program) {
    const out = program.values[step.out];
    return { dealt: [{ length: elements(out), bits: out.ring }] };
  },

  deal(d, step) {
    const secret = d.temp(elements(d.value(step.out)));
    perHead(d, step, secret, [[d.get("full", step.a), d.get("full", step.b)]]);
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
    perHead(p, step, out, [
      [x, first],
      [second, y],
    ]);
    p.ring.add(out, out, p.dealt(step, [dealtBlock(p, step)]));
  },
};
