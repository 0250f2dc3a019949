/** Local steps on masked values and shares: no message, no secret beyond what the value has already. */

import type { StepOf } from "../program/steps.ts";
import type { Words } from "../ring/memory.ts";
import { elements, type Protocol, type Scope, type Slot } from "./protocol.ts";

const free = () => ({});

/** Applies one function to every tensor that this party has of a masked value: x̂ and the masks go the same way. */
function each(s: Scope, from: number, to: number, slots: readonly Slot[], f: (out: Words, a: Words) => void): void {
  for (const slot of slots) {
    if (!s.has(slot, from)) continue;
    f(s.set(slot, to, s.ring.alloc(elements(s.value(to)))), s.get(slot, from));
  }
}

function sliceInto(s: Scope, step: StepOf<"slice">, slots: readonly Slot[]): void {
  const { rows, columns } = s.value(step.out);
  const width = s.value(step.x).columns;
  each(s, step.x, step.out, slots, (out, a) => s.ring.copyBlock(out, 0, columns, a, step.offset, width, rows, columns));
}

/** Some rows and columns of a masked value; its mask is cut alike. */
export const slice: Protocol<"slice"> = {
  traffic: free,
  deal: (d, step) => sliceInto(d, step, ["client", "full"]),
  prepare: (c, step) => {
    sliceInto(c, step, ["mask"]);
    return null;
  },
  run: (p, step) => sliceInto(p, step, ["public", "mask"]),
};

/** x̂ >> t is x >> t under the mask r >> t: a coarser copy of an opened value, local. */
export const shift: Protocol<"shift"> = {
  traffic: free,
  deal: (d, step) => shiftInto(d, step, ["full"]),
  run: (p, step) => shiftInto(p, step, ["public"]),
};

function shiftInto(s: Scope, step: StepOf<"shift">, slots: readonly Slot[]): void {
  const [from, to] = [s.value(step.x).ring, s.value(step.out).ring];
  each(s, step.x, step.out, slots, (out, a) => s.ring.truncate(out, a, from, step.shift, to));
}

/** x̂ - ŷ masks x - y with r_x - r_y. */
export const difference: Protocol<"difference"> = {
  traffic: free,
  deal: (d, step) => differenceInto(d, step, "full"),
  run: (p, step) => differenceInto(p, step, "public"),
};

function differenceInto(s: Scope, step: StepOf<"difference">, slot: Slot): void {
  const out = s.set(slot, step.out, s.ring.alloc(elements(s.value(step.out))));
  s.ring.subtract(out, s.get(slot, step.x), s.get(slot, step.y));
  s.ring.reduce(out, out, s.value(step.out).ring);
}

/** Column numbers: the server's share is the number, the client's zero. */
export const ramp: Protocol<"ramp"> = {
  traffic: free,
  run(p, step) {
    const out = p.set("share", step.out, p.ring.alloc(elements(p.value(step.out))));
    if (p.isServer) rampInto(p, out);
    else p.ring.zero(out);
  },
};

export function rampInto(s: Scope, out: Words): void {
  s.ring.encode(
    out,
    Float64Array.from({ length: out.length }, (_, j) => j),
    1,
  );
}

/** Row sums of shares of [heads·queries, keys] scores, as [queries, heads]. */
export const rowSum: Protocol<"rowSum"> = {
  traffic: free,
  run: (p, step) =>
    rowSumInto(p, step, p.set("share", step.out, p.ring.alloc(p.value(step.x).rows)), p.get("share", step.x)),
};

export function rowSumInto(s: Scope, step: StepOf<"rowSum">, out: Words, x: Words): void {
  const { rows, columns } = s.value(step.x);
  const sums = s.temp(rows);
  s.ring.rowSum(sums, x, rows, columns);
  s.ring.transpose(out, sums, step.heads, rows / step.heads);
}

/** Adds one constant to the columns of the text's keys, another to those beyond: only the client knows which, and it alone adds. */
export const keys: Protocol<"keys"> = {
  traffic: free,
  run(p, step) {
    const out = p.set("share", step.out, p.ring.alloc(elements(p.value(step.out))));
    if (p.input === null) p.ring.copy(out, p.get("share", step.x));
    else keysInto(p, step, out, p.get("share", step.x), p.input.tokens);
  },
};

export function keysInto(s: Scope, step: StepOf<"keys">, out: Words, x: Words, tokens: number): void {
  const { rows, columns } = s.value(step.x);
  const row = s.temp(columns);
  s.ring.encode(
    row,
    Float64Array.from({ length: columns }, (_, j) => (j < tokens ? step.kept : step.padded)),
    1,
  );
  s.ring.addRow(out, x, row, rows, columns);
}
