/** From handles to the values that other operations read: rows held by the server, masked values known to both. */

import { magnitude } from "../program/plan.ts";
import { PlanError, type Value } from "../program/steps.ts";
import { once } from "./builder.ts";
import type { Context } from "./context.ts";
import {
  groupOf,
  type Handle,
  LEAST_BITS,
  type LinearHandle,
  linearOf,
  type RowsHandle,
  rangeOf,
  rowsOf,
  shareOf,
} from "./handles.ts";
import { openIn, relieved } from "./openings.ts";
import { emit } from "./sums.ts";

/** A handle as rows for a linear layer; shares are opened to the server. */
export function rowsFor(c: Context, x: Handle): RowsHandle {
  if (x.kind === "rows") return x;
  if (x.kind === "linear") return rowsOfSum(c, x);
  const { value } = shareOf(x);
  const [label, group] = [c.b.label, groupOf(x)];
  const held = once(() =>
    c.b.within(label, group, () => {
      const scale = c.activationScale(x.range);
      return openIn(c, x.range, relieved(c, value, scale, magnitude(x.range)), "toServer", scale);
    }),
  );
  return {
    kind: "rows",
    rows: value.rows,
    columns: value.columns,
    norm: null,
    held,
    share: () => value,
  };
}

/** A linear layer directly on another: the sum is opened between them, for the server's part of a message that goes ahead. */
function rowsOfSum(c: Context, x: LinearHandle): RowsHandle {
  if (!x.rowsMasked && c.turn === 0)
    throw new PlanError("a linear layer directly on a linear layer: multiply their weights, or mask the rows between");
  const [label, group] = [x.name, "linear"];
  // Of a sum that layers read and add to, as many bits as of a stream.
  const isStream = x.parts.some((part) => part.kind === "residual");
  const scale = isStream ? c.streamScale(x.range) : c.activationScale(x.range);
  const held = once(() => c.b.within(label, group, () => openIn(c, x.range, emit(c, x), "forward", scale)));
  x.held ??= { kind: "rows", rows: x.rows, columns: x.columns, norm: null, held };
  return x.held;
}

/** One of rows that the server holds. */
function oneRow(c: Context, rows: RowsHandle, index: number): RowsHandle {
  return { ...rows, rows: 1, held: rowOf(c, rows.held, index), share: undefined };
}

/** One row of a value, cut when it is first read. */
function rowOf(c: Context, all: () => Value, index: number): () => Value {
  const { label, group } = c.b;
  return once(() => {
    const from = all();
    return c.b.within(label, group, () => {
      const row = c.b.value(`${from.name}[${index}]`, 1, from.columns, from.scale, from.bound / from.scale, from.form);
      return c.b.add({ kind: "slice", x: from.id, row: index, column: 0 }, row);
    });
  });
}

/** A handle's value, masked and known to both parties, with `bits` significant bits, and `least` of a small one. */
export function masked(c: Context, x: Handle, bits: number, cap = 12, least = LEAST_BITS + c.finer): Value {
  return openedAt(c, x, c.target(rangeOf(x), bits, cap, least));
}

/** The same at a given scale. */
export function openedAt(c: Context, x: Handle, scale: number): Value {
  if (x.kind === "linear") return openIn(c, x.range, emit(c, x), "forward", scale);
  if (x.kind === "rows") return openedAt(c, linearOf(x, "an opening"), scale);
  const { value, range } = shareOf(x);
  return openIn(c, range, value, "exchange", scale);
}

/** Zero on padded rows. */
export function maskRows(c: Context, x: Handle): Handle {
  c.next(null, "linear");
  const sum = linearOf(x, "maskRows");
  // The one row of a later turn is never padding.
  return c.turn > 0 ? sum : { ...sum, rowsMasked: true, memo: null, held: null };
}

/** The first row alone. */
export function firstRow(c: Context, x: Handle): Handle {
  c.next(null, "linear");
  if (x.kind === "stream") return { ...x, rows: 1, opened: rowOf(c, x.opened, 0) };
  return oneRow(c, rowsFor(c, x), 0);
}

/** The rows whose logits are asked for: the last, or all when a text is scored. */
export function askedRows(c: Context, x: Handle): Handle {
  c.next(null, "linear");
  const rows = rowsOf(x);
  if (c.shape.scoring || rows === 1) return x;
  if (x.kind === "stream") return { ...x, rows: 1, opened: rowOf(c, x.opened, rows - 1) };
  return oneRow(c, rowsFor(c, x), rows - 1);
}
