/** Local steps on shares, and what one party alone puts into them. No message. */
import type { Program, StepOf, Value } from "../program/steps.ts";
import type { Words } from "../ring/memory.ts";
import type { Ring } from "../ring/ring.ts";
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
import type { Scope } from "./scope.ts";
import type { OwnRows, Party } from "./sides.ts";

/** This party's share of a step's result. */
function shareOf(p: Party, id: number): Words {
  return p.set("share", id, p.ring.alloc(elements(p.value(id))));
}

/** Expects a share of one shape with the share that it is made of. */
function expectShareOfOne(
  expect: Expect,
  step: StepOf<"keys" | "noise">,
  program: Program,
): { readonly x: Value; readonly out: Value } {
  const [x, out] = [program.values[step.x], outOf(step, program)];
  expect(x.form === "share" && out.form === "share", "makes a share of one");
  expectSameShape(expect, x, out);
  return { x, out };
}

/** What only the text's owner knows: the helper's share is what it was given under a cover v, the server's is -v. */
export const entry: LocalRule<"entry"> = {
  ...NO_PARTS,
  waitsFor: "both",
  reads: () => [],
  needs() {},
  check: (step, program, expect) => expect(outOf(step, program).form === "share", "gives a share"),
  traffic: noTraffic,

  covered: {
    // A share's words are whole.
    block: (step, program) => ({ length: elements(outOf(step, program)), bits: 64 }),
    fill: (input, out, step) => input.fill(out, step),
  },

  run(p, step) {
    const out = shareOf(p, step.out);
    if (p.input !== null) return p.input.fill(out, step);
    const cover = p.coverOf(step, out.length);
    if (cover === null) p.ring.zero(out);
    else p.ring.negate(out, cover);
  },

  clear: (c, step, out) => c.input.fill(out, step),
};

/** Column numbers: the server's share is the number, the client's zero. */
export const iota: LocalRule<"iota"> = {
  ...NO_PARTS,
  waitsFor: "both",
  reads: () => [],
  needs() {},

  check(step, program, expect) {
    const out = outOf(step, program);
    expect(out.form === "share" && out.rows === 1, "gives a share of one row");
  },

  traffic: noTraffic,

  run(p, step) {
    const out = shareOf(p, step.out);
    if (p.isServer) columnNumbers(p, out);
    else p.ring.zero(out);
  },

  clear: (c, _step, out) => columnNumbers(c, out),
};

function columnNumbers(s: Scope, out: Words): void {
  s.ring.encode(
    out,
    Float64Array.from({ length: out.length }, (_, j) => j),
    1,
  );
}

/** Row sums of shares of [heads·queries, keys] scores, as [queries, heads]. */
export const rowSum: LocalRule<"rowSum"> = {
  ...NO_PARTS,
  waitsFor: "both",
  reads: (step) => [step.x],
  needs: (step, values, need) => need(step.x, values[step.out].ring),

  check(step, program, expect) {
    const [x, out] = [program.values[step.x], outOf(step, program)];
    expect(x.form === "share" && out.form === "share", "makes a share of one");
    expect(out.columns === step.heads && out.rows * step.heads === x.rows, "has a sum for each query and head");
    expect(sameScale(x.scale, out.scale), "keeps the scale");
  },

  traffic: noTraffic,
  run: (p, step) => rowSumInto(p, step, shareOf(p, step.out), p.get("share", step.x)),
  clear: (c, step, out) => rowSumInto(c, step, out, c.x(step.x)),
};

function rowSumInto(s: Scope, step: StepOf<"rowSum">, out: Words, x: Words): void {
  const { rows, columns } = s.value(step.x);
  const sums = s.temp(rows);
  s.ring.rowSum(sums, x, rows, columns);
  s.ring.transpose(out, sums, step.heads, rows / step.heads);
}

/** The sum of a share's rows: [1, columns]. */
export const columnSum: LocalRule<"columnSum"> = {
  ...NO_PARTS,
  waitsFor: "both",
  reads: (step) => [step.x],
  needs: (step, values, need) => need(step.x, values[step.out].ring),

  check(step, program, expect) {
    const [x, out] = [program.values[step.x], outOf(step, program)];
    expect(x.form === "share" && out.form === "share", "makes a share of one");
    expect(out.rows === 1 && out.columns === x.columns, "has a sum for each column");
    expect(sameScale(x.scale, out.scale), "keeps the scale");
  },

  traffic: noTraffic,
  run: (p, step) => columnSumInto(p, step, shareOf(p, step.out), p.get("share", step.x)),
  clear: (c, step, out) => columnSumInto(c, step, out, c.x(step.x)),
};

function columnSumInto(s: Scope, step: StepOf<"columnSum">, out: Words, x: Words): void {
  const { rows, columns } = s.value(step.x);
  s.ring.copy(out, x.part(0, columns));
  for (let row = 1; row < rows; row++) s.ring.add(out, out, x.part(row * columns, columns));
}

/**
 * Adds one constant to the columns of the keys that count, another to those beyond the text: only the client knows which, and
 * it alone adds. What causality rules out is known to both: the server's share becomes the constant, the client's zero.
 */
export const keys: LocalRule<"keys"> = {
  ...NO_PARTS,
  waitsFor: "both",
  reads: (step) => [step.x],
  needs: (step, values, need) => need(step.x, values[step.out].ring),

  check(step, program, expect) {
    const { out } = expectShareOfOne(expect, step, program);
    const { causal } = step;
    expect(causal === null || out.rows % causal.queries === 0, "has whole heads of queries");
    const heads = causal === null ? 0 : out.rows / causal.queries;
    expect(step.slopes === null || step.slopes.length === heads, "has a slope for each head");
  },

  traffic: noTraffic,

  covered: {
    block: (step, program) => ({ length: keysLength(step, program.values[step.x]), bits: 64 }),
    fill: (input, out, step) => input.fillKeys(out, step),
  },

  run(p, step) {
    const out = shareOf(p, step.out);
    addOnKeys(p, step, out, p.get("share", step.x), keysRow(p, step));
    ruleOut(p, step, out, p.isServer ? step.padded : 0);
  },

  clear(c, step, out) {
    const row = c.temp(keysLength(step, c.value(step.x)));
    fillOwnKeys(c.ring, row, step, c.input);
    addOnKeys(c, step, out, c.x(step.x), row);
    ruleOut(c, step, out, step.padded);
  },
};

/** How many numbers are added: one for each column, or with slopes one for each entry. */
function keysLength({ slopes }: StepOf<"keys">, x: Value): number {
  return slopes === null ? x.columns : elements(x);
}

/** What is added to the columns of keys, where one knows which of them are the text's. */
export function fillOwnKeys(ring: Ring, out: Words, step: StepOf<"keys">, input: OwnRows): void {
  const { slopes, causal } = step;
  const rows = slopes === null || causal === null ? 1 : slopes.length * causal.queries;
  const columns = out.length / rows;
  const values = new Float64Array(out.length);
  for (let i = 0; i < rows; i++) {
    const slope = slopes === null || causal === null ? 0 : slopes[Math.floor(i / causal.queries)];
    const own = causal === null ? 0 : causal.past + (i % causal.queries);
    for (let j = 0; j < columns; j++)
      values[i * columns + j] = input.isOwn(j) ? step.kept - Math.round(slope * (own - j)) : step.padded;
  }
  ring.encode(out, values, 1);
}

/** What this party adds: the client all, the server nothing, or what undoes a cover. */
function keysRow(p: Party, step: StepOf<"keys">): Words | null {
  const length = keysLength(step, p.value(step.x));
  if (p.input === null) {
    const cover = p.coverOf(step, length);
    if (cover !== null) p.ring.negate(cover, cover);
    return cover;
  }
  const row = p.temp(length);
  p.input.fillKeys(row, step);
  return row;
}

function addOnKeys(s: Scope, step: StepOf<"keys">, out: Words, x: Words, row: Words | null): void {
  const { rows, columns } = s.value(step.x);
  if (row === null) s.ring.copy(out, x);
  else if (step.slopes !== null) s.ring.add(out, x, row);
  else s.ring.addRow(out, x, row, rows, columns);
}

/** Sets the columns behind each row's own position, and those before its window. */
function ruleOut(s: Scope, { causal, out: id }: StepOf<"keys">, out: Words, constant: number): void {
  if (causal === null) return;
  const { rows, columns } = s.value(id);
  const row = s.temp(columns);
  s.ring.encode(row, new Float64Array(columns).fill(constant), 1);
  for (let i = 0; i < rows; i++) {
    const first = causal.past + 1 + (i % causal.queries);
    if (first < columns) s.ring.copyBlock(out, i * columns + first, columns, row, 0, columns, 1, columns - first);
    const before = causal.window === null ? 0 : first - causal.window;
    if (before > 0) s.ring.copyBlock(out, i * columns, columns, row, 0, columns, 1, before);
  }
}

/**
 * Gumbel noise, from the server alone: the largest entry of x/T + noise is a sample of softmax(x/T) (Gumbel, 1954). The client
 * learns which entry it is, and neither its size nor the others.
 */
export const noise: LocalRule<"noise"> = {
  ...NO_PARTS,
  waitsFor: "both",
  reads: (step) => [step.x],
  needs: (step, values, need) => need(step.x, values[step.out].ring),

  check(step, program, expect) {
    const { x, out } = expectShareOfOne(expect, step, program);
    expect(sameScale(x.scale, out.scale), "keeps the scale");
  },

  traffic: noTraffic,

  run(p, step) {
    const out = shareOf(p, step.out);
    if (!p.isServer) return p.ring.copy(out, p.get("share", step.x));
    const drawn = p.temp(out.length);
    p.ring.encode(drawn, gumbels(out.length), step.scale);
    p.ring.add(out, p.get("share", step.x), drawn);
  },

  clear: (c, step, out) => c.ring.copy(out, c.x(step.x)),
};

/** Independent numbers of Gumbel's distribution, from the operating system's generator. */
function gumbels(count: number): Float64Array {
  const bits = new Uint32Array(count);
  for (let at = 0; at < count; at += MAX_RANDOM_WORDS) crypto.getRandomValues(bits.subarray(at, at + MAX_RANDOM_WORDS));
  return Float64Array.from(bits, (u) => -Math.log(-Math.log((u + 0.5) / 2 ** 32)));
}

/** Words that one call of the generator gives. */
const MAX_RANDOM_WORDS = 16_384;
