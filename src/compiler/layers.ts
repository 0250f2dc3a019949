/** Linear layers, sums of their results, and the residual streams that they flow on. */

import type { EmbeddingRef, LinearRef, Rotary } from "../program/ops.ts";
import { magnitude, type Range } from "../program/plan.ts";
import { PlanError, type Value } from "../program/steps.ts";
import { constant, once } from "./builder.ts";
import type { Context } from "./context.ts";
import { type Handle, type LinearHandle, labelOf, linearOf, rowsOf, type StreamHandle } from "./handles.ts";
import { openIn } from "./openings.ts";
import { lifted } from "./roots.ts";
import { rowsFor } from "./rows.ts";
import { emit, pending } from "./sums.ts";

/** A layer on rows that the server holds. */
export function linear(c: Context, x: Handle, ref: LinearRef): Handle {
  const op = c.next(ref.name, "linear");
  const range = c.ranges.signed(op, "out");
  return pending([{ kind: "dense", x: rowsFor(c, x), ref }], rowsOf(x), ref.outputs, ref.name, range);
}

/** A layer's result on top of a residual. */
export function addOf(c: Context, x: Handle, y: Handle): Handle {
  const op = c.next(null, "linear");
  const isBranch = x.kind === "linear" || (x.kind === "rows" && x.norm !== null && y.kind !== "linear");
  const [first, second] = isBranch ? [x, y] : [y, x];
  const sum = linearOf(first, "add");
  if (second.kind === "stream") return flowOn(c, sum, second, op);
  if (second.kind !== "linear" && second.kind !== "rows")
    throw new PlanError("add takes a linear layer's result and a residual: this model's structure is not supported");
  // What was opened for a layer is not computed once more.
  const residual = second.kind === "linear" ? second.held : second;
  const parts =
    second.kind === "linear" && residual === null
      ? second.parts
      : [{ kind: "residual", x: residual ?? rowsFor(c, second) } as const];
  const range = c.ranges.signed(op, "out");
  return pending([...sum.parts, ...parts], sum.rows, sum.columns, sum.name, range);
}

/** Rotary positions, as the layer's own last step. */
export function rotate(c: Context, x: Handle, rotary: Rotary): Handle {
  const op = c.next(labelOf(x), "linear");
  return { ...linearOf(x, "rotate"), rotary, range: c.ranges.signed(op, "out"), memo: null, held: null };
}

/** What a model's layers begin with: rows, or a residual stream. */
export function begun(c: Context, ref: EmbeddingRef, range: Range, value: () => Value): Handle {
  const shape = { rows: c.turnRows, columns: ref.width };
  if (ref.readers === "layers") return { kind: "rows", ...shape, norm: null, held: value };
  return { kind: "stream", ...shape, range, centred: ref.readers === "centred stream", opened: value };
}

/**
 * A layer's result on top of a residual stream: the stream's opened value is lifted, so that its own ring stays narrow,
 * and the sum is opened for its readers.
 */
function flowOn(c: Context, branch: LinearHandle, stream: StreamHandle, op: string): StreamHandle {
  const { centred, rows, columns } = stream;
  const range = c.ranges.signed(op, centred ? "centred" : "out");
  const { label, group } = c.b;
  const opened = once(() => {
    const before = stream.opened();
    const y = emit(c, branch, { centre: centred, unit: before.scale, reach: range });
    return c.b.within(label, group, () => {
      const sum = c.b.value(branch.name, rows, columns, y.scale, magnitude(range), "share");
      const monomials = [{ coefficient: constant(y.scale / before.scale), degrees: [1] }];
      const addends = [{ x: y.id, coefficient: 1, repeat: 1 }];
      const variables = [lifted(before)];
      c.b.add({ kind: "polynomial", variables, monomials, addends, constant: 0, rowSum: false }, sum);
      return openIn(c, range, sum, "exchange", c.streamScale(range));
    });
  });
  return { kind: "stream", rows, columns, range, centred, opened };
}
