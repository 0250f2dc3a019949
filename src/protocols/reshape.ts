/** Local steps on masked values and shares: no message, no secret beyond what the value has already. */

import type { StepOf } from "../program/steps.ts";
import type { Words } from "../ring/memory.ts";
import type { Ring } from "../ring/ring.ts";
import { coverOf } from "./cover.ts";
import { elements, type OwnRows, type Party, type Protocol, type Scope, type Slot } from "./protocol.ts";

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
  const offset = step.row * width + step.column;
  each(s, step.x, step.out, slots, (out, a) => s.ring.copyBlock(out, 0, columns, a, offset, width, rows, columns));
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

/** A masked value with rows of another one; a row of neither is a public zero, under no mask. */
export const place: Protocol<"place"> = {
  traffic: free,
  deal: (d, step) => placeIn(d, step, ["full"]),
  run: (p, step) => placeIn(p, step, ["public", "mask"]),
};

function placeIn(s: Scope, step: StepOf<"place">, slots: readonly Slot[]): void {
  for (const slot of slots) {
    if (!s.has(slot, step.x) || !s.has(slot, step.y)) continue;
    const out = s.set(slot, step.out, s.ring.alloc(elements(s.value(step.out))));
    placeInto(s, step, out, s.get(slot, step.x), s.get(slot, step.y));
  }
}

export function placeInto(s: Scope, step: StepOf<"place">, out: Words, x: Words, y: Words): void {
  const { columns } = s.value(step.out);
  s.ring.copy(out.part(0, x.length), x);
  if (out.length > x.length) s.ring.zero(out.part(x.length, out.length - x.length));
  s.ring.copy(out.part(step.row * columns, y.length), y);
}

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

/** What only the text's owner knows: the helper's share is what it was given under a cover v, the server's is -v. */
export const entry: Protocol<"entry"> = {
  traffic: free,
  run(p, step) {
    const out = p.set("share", step.out, p.ring.alloc(elements(p.value(step.out))));
    if (p.input !== null) return p.input.fill(out, step);
    const cover = coverOf(p, step, out.length);
    if (cover === null) p.ring.zero(out);
    else p.ring.negate(out, cover);
  },
};

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

/**
 * Adds one constant to the columns of the keys that count, another to those beyond the text: only the client knows which, and
 * it alone adds. What causality rules out is known to both: the server's share becomes the constant, the client's zero.
 */
export const keys: Protocol<"keys"> = {
  traffic: free,
  run(p, step) {
    const out = p.set("share", step.out, p.ring.alloc(elements(p.value(step.out))));
    const x = p.get("share", step.x);
    addOnKeys(p, step, out, x, keysRow(p, step));
    ruleOut(p, step, out, p.isServer ? step.padded : 0);
  },
};

export function keysInto(s: Scope, step: StepOf<"keys">, out: Words, x: Words, input: OwnRows): void {
  const row = s.temp(s.value(step.x).columns);
  fillOwnKeys(s.ring, row, step, input);
  addOnKeys(s, step, out, x, row);
  ruleOut(s, step, out, step.padded);
}

/** What is added to the columns of keys, where one knows which of them are the text's. */
export function fillOwnKeys(ring: Ring, out: Words, step: StepOf<"keys">, input: OwnRows): void {
  const values = Float64Array.from({ length: out.length }, (_, j) => (input.isOwn(j) ? step.kept : step.padded));
  ring.encode(out, values, 1);
}

/** What this party adds: the client all, the server nothing, or what undoes a cover. */
function keysRow(p: Party, step: StepOf<"keys">): Words | null {
  const { columns } = p.value(step.x);
  if (p.input === null) {
    const cover = coverOf(p, step, columns);
    if (cover !== null) p.ring.negate(cover, cover);
    return cover;
  }
  const row = p.temp(columns);
  p.input.fillKeys(row, step);
  return row;
}

function addOnKeys(s: Scope, step: StepOf<"keys">, out: Words, x: Words, row: Words | null): void {
  const { rows, columns } = s.value(step.x);
  if (row === null) s.ring.copy(out, x);
  else s.ring.addRow(out, x, row, rows, columns);
}

/** Sets the columns behind each row's own position. */
function ruleOut(s: Scope, { causal, out: id }: StepOf<"keys">, out: Words, constant: number): void {
  if (causal === null) return;
  const { rows, columns } = s.value(id);
  const row = constants(s, columns, () => constant);
  for (let i = 0; i < rows; i++) {
    const first = causal.past + 1 + (i % causal.queries);
    if (first < columns) s.ring.copyBlock(out, i * columns + first, columns, row, 0, columns, 1, columns - first);
  }
}

function constants(s: Scope, columns: number, at: (j: number) => number): Words {
  const row = s.temp(columns);
  s.ring.encode(
    row,
    Float64Array.from({ length: columns }, (_, j) => at(j)),
    1,
  );
  return row;
}

/**
 * Gumbel noise, from the server alone: the largest entry of x/T + noise is a sample of softmax(x/T) (Gumbel, 1954). The client
 * learns which entry it is, and neither its size nor the others.
 */
export const noise: Protocol<"noise"> = {
  traffic: free,
  run(p, step) {
    const x = p.get("share", step.x);
    const out = p.set("share", step.out, p.ring.alloc(x.length));
    if (!p.isServer) return p.ring.copy(out, x);
    const drawn = p.temp(x.length);
    p.ring.encode(drawn, gumbels(x.length), step.scale);
    p.ring.add(out, x, drawn);
  },
};

/** Independent numbers of Gumbel's distribution, from the operating system's generator. */
function gumbels(count: number): Float64Array {
  const bits = new Uint32Array(count);
  for (let at = 0; at < count; at += MOST_RANDOM) crypto.getRandomValues(bits.subarray(at, at + MOST_RANDOM));
  return Float64Array.from(bits, (u) => -Math.log(-Math.log((u + 0.5) / 2 ** 32)));
}

/** Words that one call of the generator gives. */
const MOST_RANDOM = 16_384;
