/** Openings of shares at the scale of who reads them, and the mask of a text's rows. */

import { log2 } from "../program/maths.ts";
import { magnitude, type Range } from "../program/plan.ts";
import { type OpenMode, PlanError, type Value } from "../program/steps.ts";
import { type Context, everyLayers } from "./context.ts";
import { LEAST_BITS } from "./handles.ts";
import { lifted, polynomial } from "./roots.ts";

/**
 * Opens a share whose values lie in `range` at a scale that `target` gave.
 * @throws PlanError when the share itself has not the least of bits: what has been summed was too coarse for it.
 */
export function openIn(c: Context, range: Range, x: Value, mode: OpenMode, scale: number): Value {
  const most = magnitude(range);
  const out = c.b.open(x, mode, scale, most);
  // A bit for the slack, a bit for a scale that is no power of two.
  if (out.scale < scale / 4 && out.scale * most < 2 ** (LEAST_BITS - 2))
    throw new PlanError(
      `"${x.name}" at ${c.b.label} is too small beside what it is summed from: it reaches ${most.toPrecision(2)}, in steps of ` +
        `${(1 / out.scale).toPrecision(2)}: rescale the layer's weights`,
    );
  return out;
}

/** A masked value at a scale of at most `scale`: a local shift. */
export function shifted(c: Context, x: Value, scale: number): Value {
  const shift = Math.max(0, Math.ceil(log2(x.scale / scale)));
  const out = c.b.value(x.name, x.rows, x.columns, x.scale / 2 ** shift, x.bound / x.scale, "masked");
  return c.b.add({ kind: "shift", x: x.id, shift }, out);
}

/** A share, opened narrow and lifted if its reader's ring is too wide for what comes before it. */
export function relieved(c: Context, x: Value, scale: number, most: number): Value {
  if (!c.fitting.relief.has(everyLayers(x.name))) return x;
  const narrow = c.b.open(x, "exchange", scale, most);
  const wide = c.b.value(x.name, x.rows, x.columns, narrow.scale, most, "share");
  return polynomial(c.b, [lifted(narrow)], [{ coefficient: 1, degrees: [1] }], 0, wide);
}

/** 1 on the text's rows, 0 on padded ones, as linear steps read it: the server has it masked, and the client side is not asked online. */
export function maskOf(c: Context): Value {
  c.mask ??= c.b.add(
    { kind: "input", source: "mask", after: null },
    c.b.value("mask", c.shape.length, 1, 1, 1, "masked"),
  );
  return c.mask;
}

/**
 * The same as factors read it, once for each of a row's norms, for which both parties need the masked value. A helper would read the
 * text's length off the client's one: of a carried text it is a share, opened under both masks.
 */
export function maskFactorOf(c: Context, columns: number): Value {
  if (columns === 1 && !c.shape.carried) return maskOf(c);
  const known = c.maskFactors.get(columns);
  if (known !== undefined) return known;
  const value = (form: "share" | "masked") => c.b.value("mask", c.shape.length, columns, 1, 1, form);
  const input = { source: "mask", after: null } as const;
  const factor = c.shape.carried
    ? c.b.open(c.b.add({ kind: "entry", ...input }, value("share")), "exchange", 1, 1)
    : c.b.add({ kind: "input", ...input }, value("masked"));
  c.maskFactors.set(columns, factor);
  return factor;
}
