/** Attention: remembered keys, scores, the steps of softmax, and the weighted mean of values. */

import { fewestTokens } from "../program/lengths.ts";
import { log, log2 } from "../program/maths.ts";
import { type Heads, type RelativeRef, scoreDivisor } from "../program/ops.ts";
import { magnitude, type Range } from "../program/plan.ts";
import { PlanError, type Value } from "../program/steps.ts";
import { constant } from "./builder.ts";
import { counting, farthest, onKeys } from "./causal.ts";
import { type NearMax, nearMax, rowMax } from "./comparison.ts";
import { type Context, ROOT_BITS, SCORE_BITS, SCORE_UNIT_BITS } from "./context.ts";
import { withDistances } from "./distances.ts";
import {
  type Causal,
  type Handle,
  type KeysHandle,
  labelOf,
  plainShare,
  rangeOf,
  type ShareHandle,
  shareOf,
} from "./handles.ts";
import { maskFactorOf, relieved, shifted } from "./openings.ts";
import { lifted, polynomial, rootOfRows } from "./roots.ts";
import { masked, openedAt } from "./rows.ts";
import { inverseOf } from "./wide-roots.ts";

/** Bits below 1 of a query's or key's unit times the largest key or query. */
const FACTOR_UNIT_BITS = 6;
/** Bits after the point of the products that are scores: enough, however small keys and queries are. */
const PRODUCT_BITS = 28;
const MEAN_BITS = 18;
/** Bits of a weight of attention: of the least mean weight's; of a causal row, of the least total's. */
const WEIGHT_BITS = 8;
const CAUSAL_WEIGHT_BITS = 11;
/** The least row of a weighted mean keeps this many bits of the result's range. */
const LEAST_MEAN_BITS = 11;
/** How far below the smallest calibrated score the range of scores begins where padded keys must vanish from exact softmax. */
const PADDED_BELOW = 12;
/** How far above that a padded key is put: rounding makes keys that are zero a little more or less, and below its range one would count as the row's largest. */
const PADDED_ROOM = 1;

/** How far from a row's maximum what is subtracted may be: its power of e, as a power of the plan's margin. */
const NEAR_MAX = 0.75;

/** Adds a turn's keys or values to those of the turns before. */
export function remember(c: Context, before: Handle | null, x: Handle): Handle {
  c.next(labelOf(x), "attention");
  const range = rangeOf(x);
  const value = factorOf(c, x, undefined, isValues(x) ? "values" : "keys");
  if (before === null) return { kind: "keys", value, filled: value.rows, range };
  const { value: earlier, filled } = keysOf(before);
  if (earlier.scale !== value.scale) throw new PlanError("what is remembered must keep its scale from turn to turn");
  // All turns see as many rows as the last one will: flights and messages stay the same.
  const all = c.b.value(value.name, c.positions, value.columns, value.scale, magnitude(range), "masked");
  c.b.add({ kind: "place", x: earlier.id, y: value.id, row: filled }, all);
  return { kind: "keys", value: all, filled: filled + value.rows, range };
}

/** Scaled products of queries and keys, a block of rows for each head. */
export function scoresOf(c: Context, q: Handle, k: Handle, heads: Heads, relative: RelativeRef | null = null): Handle {
  const op = c.next(labelOf(q), "attention");
  const range = c.ranges.signed(op, heads.slopes === undefined ? "out" : "products");
  // Keys and queries so small that all scores are next to nothing need no more.
  const keyScale = k.kind === "keys" ? k.value.scale : c.target(rangeOf(k), SCORE_BITS, 12);
  const qm = factorOf(c, q, 2 ** PRODUCT_BITS / keyScale);
  const keys = k.kind === "keys" ? k : allKeys(c, k);
  const scale = qm.scale * keys.value.scale * scoreDivisor(qm.columns / heads.queries, relative, heads.scale);
  const columns = keys.value.rows;
  const out = c.b.value("scores", heads.queries * qm.rows, columns, scale, magnitude(range), "share");
  const sharing = heads.queries / heads.keys;
  const operands = { a: qm.id, b: keys.value.id, transposeB: true, heads: heads.queries, sharing };
  c.b.add({ kind: "matmul", ...operands }, out);
  const window = heads.window === undefined || heads.window >= c.positions ? null : heads.window;
  const causal = heads.causal ? { past: keys.filled - qm.rows, queries: qm.rows, window } : null;
  const slopes = heads.slopes ?? null;
  const handle: ShareHandle = {
    ...{ kind: "share", value: out, range, group: "softmax", causal, behind: "nothing", beyond: null, slopes },
  };
  if (relative === null) return handle;
  const from = causal?.past ?? 0;
  const value = withDistances(c.b, c.ranges, op, out, {
    relative,
    heads: heads.queries,
    from,
    q: qm,
    k: keys.value,
  });
  return { ...handle, value, beyond: c.ranges.signed(op, "distances") };
}

/** Adds `kept` to scores of the text's own keys, `padded` to the others. */
export function addOnKeys(c: Context, s: Handle, kept: number, padded: number): Handle {
  const op = c.next(null, "softmax");
  const x = shareOf(s);
  const known = c.ranges.signed(op, "out");
  const [least, most] = x.beyond ?? [0, 0];
  // Keys beyond the text vanish by their distance, or weigh what they may: then they are not counted in the sum of weights.
  if (padded !== Number.NEGATIVE_INFINITY && x.beyond !== null) return onKeys(c, x, kept, kept, known);
  // Calibration has not seen what slopes take in a longer text; of keys beyond the text they take nothing.
  const lowest = x.slopes === null ? known[0] : x.range[0] + kept;
  const reach = x.slopes === null ? known[0] : Math.min(known[0], lowest - farthest(c, x));
  const vanishes = padded === Number.NEGATIVE_INFINITY;
  const begin = vanishes ? lowest - PADDED_BELOW - most : padded;
  const range: Range = [Math.min(reach, begin + least), Math.max(known[1], begin)];
  return { ...onKeys(c, x, kept, vanishes ? begin + PADDED_ROOM : padded, range), beyond: null };
}

/** Scores less about the largest of their row. */
export function subtractRowMax(c: Context, s: Handle): Handle {
  c.next(null, "softmax");
  const x = counting(c, shareOf(s));
  const all = c.b.open(x.value, "exchange", scoreScale(c, x.range), magnitude(x.range));
  // Any number near the maximum serves: e^x then lies within the plan's margin of its own range.
  const unit = log(c.plan.margin) * NEAR_MAX;
  const near = nearMax(c.b, all, x.range, unit);
  if (near !== null) return lessNearMax(c, x, all, near, unit);
  const coarse = shifted(c, all, Math.min(all.scale, 2 ** Math.ceil(-log2(unit / 2))));
  const max = rowMax(c.b, coarse);
  const range: Range = [x.range[0] - x.range[1], 2 / coarse.scale];
  const out = c.b.value("scores", all.rows, all.columns, all.scale, magnitude(range), "share");
  const variables = [lifted(all), lifted(max, all.columns)];
  const monomials = [
    { coefficient: 1, degrees: [1, 0] },
    { coefficient: -all.scale / max.scale, degrees: [0, 1] },
  ];
  polynomial(c.b, variables, monomials, 0, out);
  return { ...x, value: out, range, behind: "known" };
}

/** The same for a maximum that is a share, and up to `unit` too small or too large. */
function lessNearMax(c: Context, x: ShareHandle, all: Value, { above, least }: NearMax, unit: number): Handle {
  const range: Range = [x.range[0] - x.range[1] - unit, unit];
  const value = c.b.value("scores", all.rows, all.columns, all.scale, magnitude(range), "share");
  const monomials = [{ coefficient: 1, degrees: [1] }];
  const addends = [{ x: above.id, coefficient: -all.scale / above.scale, repeat: all.columns }];
  const variables = [lifted(all)];
  const negative = constant(-least * all.scale);
  c.b.add({ kind: "polynomial", variables, monomials, addends, constant: negative, rowSum: false }, value);
  return { ...x, value, range, behind: "known" };
}

/** The mean of values under a row's weights, and their sum's reciprocal, for each head. */
export function weightedMean(c: Context, given: Handle, v: Handle, heads: Heads): Handle {
  const op = c.next(labelOf(v), "softmax");
  const e = counting(c, shareOf(given), "zero");
  const weights = e.value;
  const sums = c.ranges.positive(op, "sum");
  const out = c.ranges.signed(op, "out");
  const queries = weights.rows / heads.queries;
  const { total: range, mixed: reach } = e.causal === null ? meanRanges(c, op) : causalRanges(c, op, e.causal);
  // Σe before e is rounded; per query and head.
  const isCounted = e.beyond === null;
  const total = isCounted ? c.b.value("sum", queries, heads.queries, weights.scale, range[1], "share") : null;
  if (total !== null) c.b.add({ kind: "rowSum", x: weights.id, heads: heads.queries }, total);
  // A causal row may have one key: its weight is the total.
  const unit =
    e.causal === null ? sums[0] * 2 ** -WEIGHT_BITS : range[0] * 2 ** -(CAUSAL_WEIGHT_BITS + c.more("weighted"));
  const scale = 2 ** Math.ceil(-log2(unit));
  const opened = c.b.open(relieved(c, weights, scale, magnitude(e.range)), "exchange", scale, magnitude(e.range));
  const { value: vm } = v.kind === "keys" ? v : allKeys(c, v);
  c.b.group = "attention";
  const sharing = heads.queries / heads.keys;
  const columns = vm.columns * sharing;
  const raw = c.b.value("mixed", queries, columns, opened.scale * vm.scale, reach, "share");
  c.b.add({ kind: "matmul", a: opened.id, b: vm.id, transposeB: false, heads: heads.queries, sharing }, raw);
  const least = 2 ** Math.ceil(log2(2 ** LEAST_MEAN_BITS / (range[0] * magnitude(out))));
  const mixed = c.b.open(
    raw,
    "exchange",
    Math.max(c.target([-reach, reach], MEAN_BITS + c.more("weighted"), 20), least),
    reach,
  );
  c.b.group = "softmax";
  const inverse = inverseOf(
    c.b,
    "reciprocal",
    total ?? ownTotal(c, opened, queries, heads, range),
    range,
    null,
    ROOT_BITS + c.finer + c.more("roots"),
  );
  const result = c.b.value("attended", queries, columns, mixed.scale * inverse.scale, magnitude(out), "share");
  polynomial(
    c.b,
    [lifted(mixed), rootOfRows(c.b, inverse, columns / heads.queries)],
    [{ coefficient: 1, degrees: [1, 1] }],
    0,
    result,
  );
  return plainShare(result, out, "attention");
}

/** The sum of each row's weights of the text's own keys, of opened weights: one flight later than that of all. */
function ownTotal(c: Context, weights: Value, queries: number, { queries: heads }: Heads, range: Range): Value {
  const total = c.b.value("sum", queries, heads, weights.scale, range[1], "share");
  const operands = { a: weights.id, b: maskFactorOf(c, 1).id, transposeB: false, heads, sharing: heads };
  return c.b.add({ kind: "matmul", ...operands }, total);
}

function allKeys(c: Context, x: Handle): KeysHandle {
  const value = masked(c, x, SCORE_BITS);
  return { kind: "keys", value, filled: value.rows, range: rangeOf(x) };
}

/** Of a row's sum of weights, and of e·v: n keys have n times what calibration saw of one. */
function meanRanges(c: Context, op: string): { total: Range; mixed: number } {
  const { length } = c.shape;
  const sums = c.ranges.positive(op, "sum");
  const mixed = magnitude(c.ranges.signed(op, "mean")) * length;
  return { total: [sums[0] * fewestTokens(c.shape), sums[1] * length], mixed };
}

/** The same where a row may have any number of keys; more than calibration saw have proportionally more. */
function causalRanges(c: Context, op: string, { window }: Causal): { total: Range; mixed: number } {
  const most = Math.min(c.positions, window ?? c.positions);
  const growth = Math.max(1, most / c.ranges.seen(op, "keys")[1]);
  const [least, largest] = c.ranges.positive(op, "total");
  return { total: [least, largest * growth], mixed: magnitude(c.ranges.signed(op, "mixed")) * growth };
}

/** A query or key, opened for products that become scores, at a scale of at most `most`. */
function factorOf(c: Context, x: Handle, most = Number.POSITIVE_INFINITY, kind: "keys" | "values" = "keys"): Value {
  const range = rangeOf(x);
  const bits = Math.max(SCORE_BITS, Math.ceil(2 * log2(magnitude(range))) + FACTOR_UNIT_BITS + c.finer);
  const more = c.more(kind);
  return openedAt(c, x, Math.min(most, c.target(range, bits + more, 12 + more)));
}

function scoreScale(c: Context, range: Range): number {
  const more = c.more("scores");
  return Math.max(c.target(range, SCORE_BITS, 12), 2 ** (SCORE_UNIT_BITS + c.finer + more));
}

/** Whether these are values of attention, not keys. */
function isValues(x: Handle): boolean {
  return labelOf(x)?.endsWith(".value") === true;
}

/** @throws PlanError for what was not remembered. */
function keysOf(x: Handle): KeysHandle {
  if (x.kind !== "keys") throw new PlanError("only what was remembered can be gone on with");
  return x;
}
