/** How a text's vector is made of its states: the mean of the rows that only the client knows, and a row over its length. */
import { log2 } from "../program/maths.ts";
import { magnitude, type Range } from "../program/plan.ts";
import type { Shape, Value } from "../program/steps.ts";
import type { Builder } from "./builder.ts";
import { lifted, polynomial, root } from "./roots.ts";

/** A vector is one row: its entries are small beside 1, and few. */
export const VECTOR_BITS = 16;
export const VECTOR_CAP = 20;
/** Significant bits of one over the number of tokens, at least. */
const PART_BITS = 15;
const PRODUCT = [{ coefficient: 1, degrees: [1, 1] }];

/**
 * The mean of the text's rows, held by the server. `all` is zero beyond the text, so that its sum is the text's; the client puts in
 * one over the number of tokens. Three flights: the sum is opened under both masks, multiplied, and opened to the server.
 */
export function meanOf(b: Builder, all: Value, shape: Shape): Value {
  const most = all.bound / all.scale;
  const sum = b.value("pooled", 1, all.columns, all.scale, most * all.rows, "share");
  b.add({ kind: "columnSum", x: all.id }, sum);
  const opened = b.open(sum, "exchange", 2 ** VECTOR_BITS, most * all.rows);
  const part = partOf(b, shape);
  const mean = b.value("pooled", 1, all.columns, opened.scale * part.scale, most, "share");
  polynomial(b, [lifted(opened), lifted(part, all.columns)], PRODUCT, 0, mean);
  return b.open(mean, "toServer", 2 ** VECTOR_BITS, most);
}

/**
 * One of the rows, held by the server: which, the client alone knows, and puts in as a row of zeros and one 1. Two flights: all rows
 * are opened under both masks, multiplied, and the one is opened to the server.
 */
export function pickedOf(b: Builder, all: Value, { length, carried }: Shape): Value {
  const most = all.bound / all.scale;
  const opened = b.open(all, "exchange", 2 ** VECTOR_BITS, most);
  const value = (form: "share" | "masked") => b.value("place", 1, length, 1, 1, form);
  const place = carried
    ? b.open(b.add({ kind: "entry", source: "place", after: null }, value("share")), "exchange", 1, 1)
    : b.add({ kind: "input", source: "place", after: null }, value("masked"));
  const row = b.value("picked", 1, all.columns, opened.scale, most, "share");
  b.add({ kind: "matmul", a: place.id, b: opened.id, transposeB: false, heads: 1, sharing: 1 }, row);
  return b.open(row, "toServer", 2 ** VECTOR_BITS, most);
}

/** One over the number of the text's tokens. Of a carried text it is a share, opened under both masks: a helper would read it. */
function partOf(b: Builder, { length, carried }: Shape): Value {
  const scale = 2 ** (PART_BITS + Math.ceil(log2(length)));
  const value = (form: "share" | "masked") => b.value("part", 1, 1, scale, 1, form);
  if (!carried) return b.add({ kind: "input", source: "part", after: null }, value("masked"));
  return b.open(b.add({ kind: "entry", source: "part", after: null }, value("share")), "exchange", scale, 1);
}

/** An opened row over the root of its sum of squares, which lies in `square`; entries of the result lie in `range`. */
export function unitOf(b: Builder, x: Value, square: Range, range: Range): Value {
  const sum = b.value("square", 1, 1, x.scale * x.scale, square[1], "share");
  polynomial(b, [lifted(x)], [{ coefficient: 1, degrees: [2] }], 0, sum, true);
  const inverse = root(b, "inverseSqrt", sum, square, null, VECTOR_BITS);
  const out = b.value("unit", 1, x.columns, x.scale * inverse.scale, magnitude(range), "share");
  return polynomial(b, [lifted(x), lifted(inverse, x.columns)], PRODUCT, 0, out);
}
