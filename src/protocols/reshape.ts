/** Local steps on masked values: what is done to x̂ is done to its mask. No message. */
import { liftBits } from "../program/lift.ts";
import type { Program, Step, StepOf } from "../program/steps.ts";
import type { Words } from "../ring/memory.ts";
import { CLIENT_MASK } from "./blocks.ts";
import {
  type Expect,
  elements,
  expectSameShape,
  type LocalRule,
  NO_PARTS,
  noTraffic,
  outOf,
  sameScale,
} from "./rule.ts";
import type { Scope, Slot } from "./scope.ts";
import type { ClearScope } from "./sides.ts";

/** Applies one function to every tensor that this party has of a masked value. */
function each(s: Scope, from: number, to: number, slots: readonly Slot[], f: (out: Words, a: Words) => void): void {
  for (const slot of slots) {
    if (!s.has(slot, from)) continue;
    f(s.set(slot, to, s.ring.alloc(elements(s.value(to)))), s.get(slot, from));
  }
}

function expectMasked(expect: Expect, program: Program, step: Step): void {
  const forms = [step.out, ...program.reads[step.id]].map((id) => program.values[id].form);
  expect(
    forms.every((form) => form === "masked"),
    "makes masked values of masked ones",
  );
}

/** Some rows and columns of a masked value; its mask is cut alike. */
export const slice: LocalRule<"slice"> = {
  ...NO_PARTS,
  waitsFor: "both",
  reads: (step) => [step.x],

  needs(step, values, need) {
    const out = values[step.out];
    need(step.x, out.ring);
    if (out.needsMaskShares) values[step.x].needsMaskShares = true;
  },

  check(step, program, expect) {
    const [x, out] = [program.values[step.x], outOf(step, program)];
    expect(out.form === x.form && (x.form === "masked" || x.form === "held"), "keeps the form of what is open");
    const inside = step.row + out.rows <= x.rows && step.column + out.columns <= x.columns;
    expect(inside && step.row >= 0 && step.column >= 0, "cuts within its operand");
    expect(sameScale(x.scale, out.scale), "keeps the scale");
  },

  traffic: noTraffic,
  deal: (d, step) => each(d, step.x, step.out, ["client", "full"], (out, a) => sliceInto(d, step, out, a)),
  prepare: (c, step) => {
    each(c, step.x, step.out, ["mask"], (out, a) => sliceInto(c, step, out, a));
    return null;
  },
  run: (p, step) => each(p, step.x, step.out, ["public", "mask"], (out, a) => sliceInto(p, step, out, a)),
  clear: (c, step, out) => sliceInto(c, step, out, c.x(step.x)),
};

function sliceInto(s: Scope, step: StepOf<"slice">, out: Words, x: Words): void {
  const { rows, columns } = s.value(step.out);
  const width = s.value(step.x).columns;
  s.ring.copyBlock(out, 0, columns, x, step.row * width + step.column, width, rows, columns);
}

/** A masked value with rows of another one; a row of neither is a public zero, under no mask. */
export const place: LocalRule<"place"> = {
  ...NO_PARTS,
  waitsFor: "both",
  reads: (step) => [step.x, step.y],

  needs(step, values, need) {
    const out = values[step.out];
    for (const id of [step.x, step.y]) {
      need(id, out.ring);
      if (out.needsMaskShares) values[id].needsMaskShares = true;
    }
  },

  check(step, program, expect) {
    const [x, y, out] = [program.values[step.x], program.values[step.y], outOf(step, program)];
    expectMasked(expect, program, step);
    expect(x.columns === out.columns && y.columns === out.columns, "has operands of one width");
    expect(x.rows <= out.rows && step.row >= 0 && step.row + y.rows <= out.rows, "places rows within its result");
    expect(sameScale(x.scale, out.scale) && sameScale(y.scale, out.scale), "keeps the scale");
  },

  traffic: noTraffic,
  deal: (d, step) => placeEach(d, step, ["full"]),
  run: (p, step) => placeEach(p, step, ["public", "mask"]),
  clear: (c, step, out) => placeInto(c, step, out, c.x(step.x), c.x(step.y)),
};

function placeEach(s: Scope, step: StepOf<"place">, slots: readonly Slot[]): void {
  for (const slot of slots) {
    if (!s.has(slot, step.x) || !s.has(slot, step.y)) continue;
    const out = s.set(slot, step.out, s.ring.alloc(elements(s.value(step.out))));
    placeInto(s, step, out, s.get(slot, step.x), s.get(slot, step.y));
  }
}

function placeInto(s: Scope, step: StepOf<"place">, out: Words, x: Words, y: Words): void {
  const { columns } = s.value(step.out);
  s.ring.copy(out.part(0, x.length), x);
  if (out.length > x.length) s.ring.zero(out.part(x.length, out.length - x.length));
  s.ring.copy(out.part(step.row * columns, y.length), y);
}

/** x̂ >> t is x >> t under the mask r >> t: a coarser copy of an opened value. */
export const shift: LocalRule<"shift"> = {
  ...NO_PARTS,
  waitsFor: "both",
  reads: (step) => [step.x],
  needs: (step, values, need) => need(step.x, values[step.out].ring + step.shift),

  check(step, program, expect) {
    const [x, out] = [program.values[step.x], outOf(step, program)];
    expectMasked(expect, program, step);
    expectSameShape(expect, x, out);
    expect(!out.needsMaskShares, "gives no parts of its mask");
    expect(step.shift >= 0 && sameScale(x.scale / 2 ** step.shift, out.scale), "divides the scale by what it shifts");
  },

  traffic: noTraffic,
  deal: (d, step) => shiftEach(d, step, ["full"]),
  run: (p, step) => shiftEach(p, step, ["public"]),
  clear: shiftWhole,
};

/** In the clear; as shares are rounded, the mask is drawn and shifted as x̂ is. */
function shiftWhole(c: ClearScope, step: StepOf<"shift">, out: Words): void {
  const { ring, rounding } = c;
  if (rounding === null) return ring.arithmeticShift(out, c.x(step.x), step.shift);
  const mask = c.temp(out.length);
  rounding.words(ring, mask, step.id, CLIENT_MASK);
  ring.add(out, c.x(step.x), mask);
  for (const words of [out, mask]) ring.truncate(words, words, 64, step.shift, 64 - step.shift);
  ring.subtract(out, out, mask);
  ring.signExtend(out, out, 64 - step.shift);
}

function shiftEach(s: Scope, step: StepOf<"shift">, slots: readonly Slot[]): void {
  const [from, to] = [s.value(step.x).ring, s.value(step.out).ring];
  each(s, step.x, step.out, slots, (out, a) => s.ring.truncate(out, a, from, step.shift, to));
}

/** x̂ - ŷ masks x - y with r_x - r_y. */
export const difference: LocalRule<"difference"> = {
  ...NO_PARTS,
  waitsFor: "both",
  reads: (step) => [step.x, step.y],

  needs(step, values, need) {
    const out = values[step.out];
    for (const id of [step.x, step.y]) need(id, Math.max(out.ring, liftBits(out)));
    need(step.out, liftBits(out));
  },

  check(step, program, expect) {
    const [x, y, out] = [program.values[step.x], program.values[step.y], outOf(step, program)];
    expectMasked(expect, program, step);
    expectSameShape(expect, x, y);
    expectSameShape(expect, x, out);
    expect(!out.needsMaskShares, "gives no parts of its mask");
    expect(sameScale(x.scale, out.scale) && sameScale(y.scale, out.scale), "subtracts values of one scale");
  },

  traffic: noTraffic,
  deal: (d, step) => differenceInto(d, step, "full"),
  run: (p, step) => differenceInto(p, step, "public"),
  clear: (c, step, out) => c.ring.subtract(out, c.x(step.x), c.x(step.y)),
};

function differenceInto(s: Scope, step: StepOf<"difference">, slot: Slot): void {
  const out = s.set(slot, step.out, s.ring.alloc(elements(s.value(step.out))));
  s.ring.subtract(out, s.get(slot, step.x), s.get(slot, step.y));
  s.ring.reduce(out, out, s.value(step.out).ring);
}
