import { liftBits } from "../program/lift.ts";
import { log2 } from "../program/maths.ts";
import type { Range } from "../program/plan.ts";
import type { Value, Variable } from "../program/steps.ts";
import { treeBits } from "../protocols/compare.ts";
import { countBits } from "../protocols/count.ts";
import type { Builder } from "./builder.ts";
import { lifted, polynomial } from "./roots.ts";

/** [x >= 0] as a masked bit: a carry tree over blocks of four bits, one flight a level (protocols/compare.ts). */
export function notNegative(b: Builder, x: Value): Value {
  const blocks = Math.ceil((liftBits(x) - 1) / 4);
  const bits = (nodes: number) => b.bits("carry", x.rows, x.columns, treeBits(nodes));
  let tree = b.add({ kind: "lessThan", x: x.id, blocks }, bits(blocks));
  for (let nodes = blocks; nodes > 1; nodes = Math.ceil(nodes / 2)) {
    const opened = b.openBits(tree);
    tree = b.add({ kind: "carry", x: opened.id, nodes }, bits(Math.ceil(nodes / 2)));
  }
  return b.openBits(tree);
}

/** Places that a near maximum may have, and lanes that the dealer may send for one. */
const MOST_PLACES = 2 ** 12;
const MOST_LANES = 2 ** 27;

/** A row's largest entry less what is public of it: a share, and the number that it stands for where it is zero. */
export interface NearMax {
  readonly above: Value;
  readonly least: number;
}

/**
 * The largest entry of each row of a masked value within `range`, to less than `unit` up or down: two flights, whatever the row's
 * length (protocols/count.ts). null where that takes too many places: the range is too wide for the unit.
 */
export function nearMax(b: Builder, x: Value, range: Range, unit: number): NearMax | null {
  const unitBits = Math.floor(log2(unit * x.scale));
  const least = Math.floor(range[0] * x.scale);
  // One place more for what carries.
  const placeBits = Math.ceil(log2((Math.ceil(range[1] * x.scale) - least + 1) / 2 ** unitBits + 1));
  const bits = Math.max(placeBits, 3) + unitBits;
  const places = 2 ** (bits - unitBits);
  if (unitBits < 1 || places > MOST_PLACES || x.rows * x.columns * places > MOST_LANES) return null;
  const most = x.columns;
  const share = b.value("counts", x.rows, places - 1, 1, most, "share");
  b.add({ kind: "counts", x: x.id, bits, unitBits, least }, share);
  const opened = b.open(share, "exchange", 1, most);
  const some = b.bits("some", x.rows, places - 1, 1);
  const bit = b.openBits(b.add({ kind: "nonzero", x: opened.id, bits: countBits(most) }, some));
  const above = b.value("maximum", x.rows, 1, x.scale / 2 ** unitBits, (places * 2 ** unitBits) / x.scale, "share");
  const variable = { x: bit.id, kind: "bit", repeat: 1, room: 0 } as const;
  polynomial(b, [variable], [{ coefficient: 1, degrees: [1] }], 0, above, true);
  return { above, least: least / x.scale };
}

/** The largest entry of each row of a masked value, as a masked value of one column. */
export function rowMax(b: Builder, x: Value): Value {
  let current = x;
  while (current.columns > 1) {
    const [left, right] = halves(b, current);
    const { apart, bit } = compared(b, left, right);
    current = larger(b, apart, bit, right);
  }
  return current;
}

/** The index of the largest entry of one masked row, as a share; of equal ones any. Indices travel beside the entries. */
export function argmax(b: Builder, x: Value): Value {
  const index = (columns: number) => b.value("index", 1, columns, 1, x.columns, "share");
  let entries = x;
  let share = b.add({ kind: "iota" }, index(x.columns));
  while (entries.columns > 1) {
    const indices = halves(b, b.open(share, "exchange", 1, x.columns));
    const [left, right] = halves(b, entries);
    const { apart, bit } = compared(b, left, right);
    const winner = index(right.columns);
    const chosen = [
      { coefficient: 1, degrees: [1, 0, 1] },
      { coefficient: -1, degrees: [0, 1, 1] },
      { coefficient: 1, degrees: [0, 1, 0] },
    ];
    share = polynomial(b, [lifted(indices[0]), lifted(indices[1]), bit], chosen, 0, winner);
    if (right.columns === 1) break;
    entries = larger(b, apart, bit, right);
  }
  return share;
}

/** Left and right half of the columns; they overlap by one column when the number is odd. */
function halves(b: Builder, x: Value): [Value, Value] {
  const columns = Math.ceil(x.columns / 2);
  const part = (column: number) =>
    b.add(
      { kind: "slice", x: x.id, row: 0, column },
      b.value("half", x.rows, columns, x.scale, x.bound / x.scale, "masked"),
    );
  return [part(0), part(x.columns - columns)];
}

/** x - y, and the bit [x >= y] as a variable of polynomials. */
function compared(b: Builder, x: Value, y: Value): { apart: Value; bit: Variable } {
  const apart = b.value("difference", x.rows, x.columns, x.scale, (2 * x.bound) / x.scale, "masked");
  b.add({ kind: "difference", x: x.id, y: y.id }, apart);
  return { apart, bit: { x: notNegative(b, apart).id, kind: "bit", repeat: 1, room: 0 } };
}

/** max(x, y) = y + (x - y)·[x >= y], opened. */
function larger(b: Builder, apart: Value, bit: Variable, y: Value): Value {
  const size = y.bound / y.scale;
  const monomials = [
    { coefficient: 1, degrees: [1, 1, 0] },
    { coefficient: 1, degrees: [0, 0, 1] },
  ];
  const out = b.value("maximum", y.rows, y.columns, y.scale, size, "share");
  return b.open(polynomial(b, [lifted(apart), bit, lifted(y)], monomials, 0, out), "exchange", y.scale, size);
}
