/** Roots of values whose range is too wide for one spline: a few rows may be thousands of times as large as all others. */
import { log2 } from "../program/maths.ts";
import type { Range } from "../program/plan.ts";
import type { Value, Variable } from "../program/steps.ts";
import type { Builder } from "./builder.ts";
import { constant } from "./builder.ts";
import { notNegative } from "./comparison.ts";
import type { RootKind } from "./newton.ts";
import { lifted, polynomial, root } from "./roots.ts";
import { planSpline } from "./splines.ts";

/** Doublings of a piece: a spline has few enough intervals for it. An even number, so that a piece's root is scaled by a power of two. */
const PIECE_BITS = [8, 6, 4] as const;
const MOST_PIECES = 6;
/** Bits that x's smallest value has where it is scaled, and that a threshold has where it is compared. */
const LEAST_BITS = 14;
const THRESHOLD_BITS = 5;
/** How far a piece reaches beyond its thresholds: what is compared is rounded. */
const BEYOND = 1 + 2 ** -3;

/**
 * As `root`, for any range. One that no spline fits is cut into pieces by powers of two: x is compared with where they meet, all at once; a
 * bit each scales x into the first piece, whose spline gives the root, which the same bits scale back. About nine flights, whatever
 * the range, where Newton steps from a polynomial's guess take one for every factor of two. (docs/protocols.md, "Roots".)
 */
export function inverseOf(b: Builder, kind: RootKind, x: Value, range: Range, mask: Value | null, bits: number): Value {
  const [lo, hi] = range;
  const size = x.rows * x.columns;
  if (planSpline(kind, hi / lo, size, bits) !== null) return root(b, kind, x, range, mask, bits);
  const pieceBits = PIECE_BITS.find((one) => planSpline(kind, 2 ** one * BEYOND * BEYOND, size, bits) !== null);
  const pieces = pieceBits === undefined ? 0 : Math.ceil(log2(hi / lo) / pieceBits);
  if (pieceBits === undefined || pieces > MOST_PIECES || x.scale * lo < 2 ** LEAST_BITS)
    return root(b, kind, x, range, mask, bits);
  const ends = Array.from({ length: pieces - 1 }, (_, i) => lo * 2 ** (pieceBits * (i + 1)));
  const beyond = ends.map((end) => ({ x: atLeast(b, x, end, hi).id, kind: "bit", repeat: 1, room: 0 }) as const);
  const fine = b.open(x, "exchange", 2 ** LEAST_BITS / lo, hi);
  const first: Range = [lo / BEYOND, lo * 2 ** pieceBits * BEYOND];
  const within = scaledBy(b, fine, beyond, pieceBits, { name: x.name, most: first[1], mask: null });
  const found = root(b, kind, within, first, null, bits);
  const power = kind === "reciprocal" ? pieceBits : pieceBits / 2;
  const most = found.bound / found.scale;
  const back = scaledBy(b, found, beyond, power, { name: kind, most, mask });
  const top = kind === "reciprocal" ? 1 / hi : 1 / Math.sqrt(hi);
  return b.open(back, "exchange", 2 ** bits / top, most);
}

/** [x >= end] as a masked bit, to a part of `end` in 2^5. */
function atLeast(b: Builder, x: Value, end: number, hi: number): Value {
  const apart = b.value("apart", x.rows, x.columns, x.scale, hi, "share");
  const addends = [{ x: x.id, coefficient: 1, repeat: 1 }];
  const negative = constant(-end * x.scale);
  b.add({ kind: "polynomial", variables: [], monomials: [], addends, constant: negative, rowSum: false }, apart);
  return notNegative(b, b.open(apart, "exchange", 2 ** THRESHOLD_BITS / end, hi));
}

/** x·2^-(power·n) where n of the bits are 1, the lower ones first, and times `mask`. */
function scaledBy(
  b: Builder,
  x: Value,
  bits: readonly Variable[],
  power: number,
  { name, most, mask }: { readonly name: string; readonly most: number; readonly mask: Value | null },
): Value {
  const tail = mask === null ? [] : [1];
  const factor = (i: number) => 2 ** (power * (bits.length - i));
  const none = bits.map(() => 0);
  const monomials = [
    { coefficient: factor(0), degrees: [1, ...none, ...tail] },
    ...bits.map((_, i) => ({
      coefficient: factor(i + 1) - factor(i),
      degrees: [1, ...none.map((_zero, j) => (j === i ? 1 : 0)), ...tail],
    })),
  ];
  const variables: Variable[] = [lifted(x), ...bits];
  if (mask !== null) variables.push({ x: mask.id, kind: "native", repeat: 1, room: 0 });
  return polynomial(b, variables, monomials, 0, b.value(name, x.rows, x.columns, x.scale * factor(0), most, "share"));
}
