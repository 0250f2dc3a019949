/** What scores hold where they do not count: padded keys, and keys behind a causal row. */

import { magnitude, type Range } from "../program/plan.ts";
import { constant } from "./builder.ts";
import type { Context } from "./context.ts";
import type { Handle, ShareHandle } from "./handles.ts";
import { maskFactorOf } from "./openings.ts";

/** Causal scores with something known where they don't count, or zeros; everything else as it is. */
export function counting<H extends Handle>(c: Context, x: H, needed: "known" | "zero" = "known"): H | ShareHandle {
  if (x.kind !== "share" || x.causal === null || x.behind === "zero" || x.behind === needed) return x;
  return onKeys(c, x, 0, 0, [Math.min(x.range[0] - farthest(c, x), 0), Math.max(x.range[1], 0)]);
}

/** Adds one constant to scores that count, another to those that do not, and takes the slopes' part. */
export function onKeys(c: Context, x: ShareHandle, kept: number, padded: number, range: Range): ShareHandle {
  const { rows, columns, scale } = x.value;
  const out = c.b.value("scores", rows, columns, scale, magnitude(range), "share");
  const int = (c: number) => constant(c * scale);
  const slopes = x.slopes?.map((slope) => slope * scale) ?? null;
  const mask = kept === padded && slopes === null ? null : maskFactorOf(c, 1).id;
  const constants = { kept: int(kept), padded: int(padded), causal: x.causal, slopes };
  c.b.add({ kind: "keys", x: x.value.id, mask, ...constants }, out);
  return { ...x, value: out, range, behind: padded === 0 ? "zero" : "known", slopes: null };
}

/** The most that a score is still to lose by its distance. */
export function farthest(c: Context, { slopes, causal }: ShareHandle): number {
  if (slopes === null) return 0;
  return Math.max(...slopes) * (Math.min(c.positions, causal?.window ?? c.positions) - 1);
}
