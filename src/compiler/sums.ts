/** Pending sums of layers and norms, and how they become linear steps. */

import { log2 } from "../program/maths.ts";
import type { Rotary } from "../program/ops.ts";
import { DEFAULT_EXPONENT, magnitude, type Range, USUAL_EXPONENT } from "../program/plan.ts";
import { PlanError, ROTATION_BITS, type Rotation, type Value, type WeightRef } from "../program/steps.ts";
import { constant } from "./builder.ts";
import type { Context } from "./context.ts";
import { biasOf, type LinearHandle, type LinearPart } from "./handles.ts";
import { maskOf } from "./openings.ts";

/** Bits of a sum of tiny weights before it is opened: its readers take fewer, and what it is made from has rings as wide. */
const SUM_BITS = 34;

/** A sum that has not been emitted yet. */
export function pending(
  parts: readonly LinearPart[],
  rows: number,
  columns: number,
  name: string,
  range: Range,
): LinearHandle {
  return {
    kind: "linear",
    rows,
    columns,
    parts,
    name,
    rowsMasked: false,
    rotary: null,
    range,
    memo: null,
    held: null,
  };
}

/**
 * Emits a pending sum: all terms at one scale, biases merged, the mean removed if asked: from the weights, which costs nothing, unless
 * a term has none. With `unit` the result's scale is that scale times a power of two. `reach`: the range of what the sum is added to.
 */
export function emit(
  c: Context,
  x: LinearHandle,
  { centre = false, unit, reach = x.range }: { centre?: boolean; unit?: number; reach?: Range } = {},
): Value {
  const plain = !centre && unit === undefined;
  if (x.memo !== null && plain) return x.memo;
  const first = x.parts.find((p) => p.kind === "dense" || p.kind === "table") ?? x.parts[0];
  if (first.kind === "positions") throw new PlanError("a sum without a linear layer");
  const planned = c.plan.exponents[x.name] ?? (c.fitting.draft ? SUM_BITS : DEFAULT_EXPONENT);
  // A row on its own has no weights to be rounded.
  const alone = first.kind === "residual" && first.x.norm === null;
  const exponent = alone ? 0 : planned - Math.min(c.fitting.slack, 4) - (c.fitting.narrowed.get(x.name) ?? 0);
  const inner = first.kind === "table" ? first.x : first.x.held();
  const folded = centre && x.parts.every((p) => p.kind !== "residual" || p.x.norm !== null);
  const factor = centre && !folded ? x.columns : 1;
  const room = 2 ** (SUM_BITS - Math.ceil(log2(magnitude(reach) * (centre ? x.columns : 1))));
  const widest = Math.min(inner.scale * 2 ** exponent, Math.max(inner.scale * 2 ** USUAL_EXPONENT, room));
  const scale = unit === undefined ? widest : (unit * 2 ** Math.floor(log2((widest * factor) / unit))) / factor;
  const terms = x.parts.flatMap((part) => termsOf(c, part, x, scale, folded));
  const bias = biasOf(x.parts, scale, folded);
  if (x.rowsMasked && bias !== null) {
    terms.push(c.b.term(maskOf(c), { kind: "outer", bias }, 1, x.columns));
  }
  const shape = { rows: x.rows, columns: x.columns, scale, magnitude: magnitude(x.range) };
  const group = first.kind === "table" ? "embedding" : "linear";
  const rotate = x.rotary === null ? null : rotation(c, x.rotary, x.rows);
  const out = c.b.within(x.name, group, () =>
    c.b.linear(x.name, terms, x.rowsMasked ? null : bias, shape, { centre: centre && !folded, rotate }),
  );
  if (plain) x.memo = out;
  return out;
}

/** The angles of this turn's last `rows` rows. */
function rotation(c: Context, { heads, frequencies }: Rotary, rows: number): Rotation {
  const position = c.shape.length + c.turn - rows;
  const turns = frequencies.map((angle) => Math.round((angle / (2 * Math.PI)) * 2 ** ROTATION_BITS));
  return { heads, position, frequencies: turns };
}

function termsOf(c: Context, part: LinearPart, x: LinearHandle, scale: number, centred: boolean) {
  if (part.kind === "positions") return [];
  if (part.kind === "table") {
    const weight: WeightRef = { kind: "table", name: part.name, scale, centred };
    return [c.b.term(part.x, weight, part.rows, x.columns)];
  }
  const held = part.x.held();
  const own = scale / held.scale;
  if (part.kind === "dense") {
    const gain = part.x.norm?.name ?? null;
    const weight: WeightRef = { kind: "dense", name: part.ref.name, gain, scale: own, centred };
    return [c.b.term(held, weight, part.ref.inputs, part.ref.outputs)];
  }
  const norm = part.x.norm;
  const weights: WeightRef[] =
    norm === null
      ? [{ kind: "identity", factor: constant(own) }]
      : [
          { kind: "diagonal", name: norm.name, scale: own },
          ...(centred ? [{ kind: "mean", name: norm.name, scale: own } as const] : []),
        ];
  return weights.map((weight) => c.b.term(held, weight, 1, x.columns));
}
