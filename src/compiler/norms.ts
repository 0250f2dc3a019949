/** Norms of layers and of root mean squares. */

import { log2 } from "../program/maths.ts";
import type { NormRef } from "../program/ops.ts";
import { magnitude, type Range } from "../program/plan.ts";
import { PlanError, type Value } from "../program/steps.ts";
import { constant, once } from "./builder.ts";
import { type Context, ROOT_BITS, STREAM_CAP } from "./context.ts";
import { type Handle, LEAST_BITS, type LinearHandle, linearOf, type RowsHandle } from "./handles.ts";
import { maskFactorOf, openIn, relieved, shifted } from "./openings.ts";
import { lifted, polynomial, rootOfRows } from "./roots.ts";
import { rowsFor } from "./rows.ts";
import { emit, pending } from "./sums.ts";
import { inverseOf } from "./wide-roots.ts";

/** Bits of a row's sum of squares. */
const SQUARES_BITS = 58;
/** Units of what is squared in the least root mean square: rounding adds less than 2^-11 of it to the squares' mean. */
const ROOT_UNITS = 48;
const NORM_BITS = 14;
const NORM_OUT_BITS = 12;

/** A norm of a layer's sum, a share or a residual stream. */
export function layerNorm(c: Context, x: Handle, ref: NormRef): Handle {
  const op = c.next(ref.name, "norm");
  if (x.kind === "share") {
    const { rows, columns } = x.value;
    const sum = pending([{ kind: "residual", x: rowsFor(c, x) }], rows, columns, ref.name, x.range);
    return normalise(c, sum, ref, op);
  }
  if (x.kind !== "stream") return normalise(c, linearOf(x, "layerNorm"), ref, op);
  if (x.centred !== (ref.kind === "layer"))
    throw new PlanError("a residual stream is read by norms of one kind: this model's structure is not supported");
  return scaled(c, coarse(c, x.opened(), x.range), x.rows, ref, op);
}

/** (x - mean) / sqrt(variance + epsilon), zero on padded rows; gain and bias wait for the next linear layer. */
export function normalise(c: Context, x: LinearHandle, ref: NormRef, op: string): RowsHandle {
  const range = c.ranges.signed(op, "centred");
  if (ref.kind === "layer" && (ref.groups ?? 1) > 1)
    throw new PlanError("heads are normalised by root mean squares alone: this model's structure is not supported");
  const sum = emit(c, { ...x, range }, { centre: ref.kind === "layer" });
  c.b.label = ref.name;
  c.b.group = "norm";
  const centred = openIn(c, range, sum, "forward", c.activationScale(range));
  return scaled(c, centred, x.rows, ref, op);
}

/** An opened stream with as many bits as its norm's readers need: the fewer, the narrower the rings before it. */
function coarse(c: Context, x: Value, range: Range): Value {
  return shifted(c, x, Math.max(c.target(range, NORM_BITS + c.finer, STREAM_CAP), c.least("norm")));
}

/** An opened value over the root of its rows' mean squares, opened to the server. */
function scaled(c: Context, x: Value, rows: number, ref: NormRef, op: string): RowsHandle {
  const variance = c.ranges.positive(op, "variance");
  const { width, groups = 1 } = ref;
  const mask = rows === c.shape.length && rows > 1 ? maskFactorOf(c, groups) : null;
  c.b.label = ref.name;
  c.b.group = "norm";
  // Few values far beyond the others leave their squares no room for all bits; and rounding needs no more than a part of the least root.
  const room = 2 ** Math.floor((SQUARES_BITS - log2(variance[1] * width)) / 2);
  const enough = Math.min(room, 2 ** Math.ceil(log2(ROOT_UNITS / Math.sqrt(variance[0]))));
  const coarse = x.scale > enough ? shifted(c, x, enough) : x;
  const squares = c.b.value("variance", rows, groups, coarse.scale * coarse.scale * width, variance[1], "share");
  const epsilon = constant(ref.epsilon * squares.scale);
  polynomial(c.b, [lifted(coarse)], [{ coefficient: 1, degrees: [2] }], epsilon, squares, true);
  const inverse = inverseOf(c.b, "inverseSqrt", squares, variance, mask, ROOT_BITS + c.finer + c.more("roots"));
  const most = normed(c, width, variance, op);
  const out = c.b.value(ref.name, rows, x.columns, x.scale * inverse.scale, most, "share");
  polynomial(c.b, [lifted(x), rootOfRows(c.b, inverse, width)], [{ coefficient: 1, degrees: [1, 1] }], 0, out);
  const usual = 2 ** Math.max(NORM_OUT_BITS + c.finer, LEAST_BITS - Math.ceil(log2(most)));
  const unit = Math.max(usual, c.least("norm"));
  const { label, group } = c.b;
  const held = once(() =>
    c.b.within(label, group, () => c.b.open(relieved(c, out, unit, most), "toServer", unit, most)),
  );
  return {
    kind: "rows",
    rows,
    columns: x.columns,
    norm: ref,
    held,
    share: () => out,
    range: () => c.ranges.signed(op, "out"),
  };
}

/** The largest entry of a row of mean square 1, or less where epsilon is much of the variance. */
function normed(c: Context, columns: number, [least]: Range, op: string): number {
  const reach = magnitude(c.ranges.signed(op, "centred")) / Math.sqrt(least);
  return reach < 1 ? reach : Math.sqrt(columns);
}
