/** Local steps on shares, and what one party alone puts into them. No message. */
import type { Program, StepOf, Value } from "../program/steps.ts";
import type { Words } from "../ring/memory.ts";
import {
  type Expect,
  elements,
  expectSameShape,
  halves,
  type LocalRule,
  NO_PARTS,
  noTraffic,
  outOf,
  sameScale,
} from "./rule.ts";
import type { Scope } from "./scope.ts";
import type { Party } from "./sides.ts";

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

  client: {
    masks: () => [],
    combine: (t, step) => void t.result(step),
  },

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

  client: {
    masks: () => [],
    combine(t, step) {
      const { rows, columns } = t.value(step.x);
      const out = t.result(step);
      const sums = t.scratch(rows, t.value(step.out).ring);
      t.wide.rowSum(sums, t.share(step.x), rows, columns);
      t.wide.each(out, sums, (to, from) => t.ring.transpose(to, from, step.heads, rows / step.heads));
    },
  },

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

  client: {
    masks: () => [],
    combine(t, step) {
      const { rows, columns } = t.value(step.x);
      const turned = t.scratch(rows * columns, t.value(step.out).ring);
      t.wide.each(turned, t.share(step.x), (to, from) => t.ring.transpose(to, from, rows, columns));
      t.wide.rowSum(t.result(step), turned, columns, rows);
    },
  },

  run: (p, step) => columnSumInto(p, step, shareOf(p, step.out), p.get("share", step.x)),
  clear: (c, step, out) => columnSumInto(c, step, out, c.x(step.x)),
};

function columnSumInto(s: Scope, step: StepOf<"columnSum">, out: Words, x: Words): void {
  const { rows, columns } = s.value(step.x);
  s.ring.copy(out, x.part(0, columns));
  for (let row = 1; row < rows; row++) s.ring.add(out, out, x.part(row * columns, columns));
}

/**
 * Adds one constant to the columns of the keys that count, less what their distance takes, another to those beyond the text: padded +
 * (kept - padded)·m, m the opened mask of ones and zeros, each party its part. What causality rules out is known to both: the server's share
 * becomes the constant, the client's zero. Columns beyond the mask's rows are of tokens that came since, which count.
 */
export const keys: LocalRule<"keys"> = {
  ...NO_PARTS,
  waitsFor: "both",
  reads: (step) => (step.mask === null ? [step.x] : [step.x, step.mask]),

  needs(step, values, need) {
    need(step.x, values[step.out].ring);
    if (step.mask === null) return;
    need(step.mask, values[step.out].ring);
    values[step.mask].needsMaskShares = true;
  },

  check(step, program, expect) {
    const { out } = expectShareOfOne(expect, step, program);
    const { causal } = step;
    expect(causal === null || out.rows % causal.queries === 0, "has whole heads of queries");
    const heads = causal === null ? 0 : out.rows / causal.queries;
    expect(step.slopes === null || step.slopes.length === heads, "has a slope for each head");
    const alike = step.kept === step.padded && step.slopes === null;
    if (step.mask === null) return expect(alike, "has a mask where constants differ");
    const mask = program.values[step.mask];
    const fits = mask.form === "masked" && mask.columns === 1 && mask.rows <= out.columns && mask.scale === 1;
    expect(fits, "has a masked one or zero for each column");
  },

  traffic: noTraffic,

  run(p, step) {
    const out = shareOf(p, step.out);
    addOnKeys(p, step, out, p.get("share", step.x), maskPart(p, step), p.isServer);
    ruleOut(p, step, out, p.isServer ? step.padded : 0);
  },

  client: {
    masks: (step) => (step.mask === null ? [] : [step.mask]),
    combine(t, step) {
      const out = t.result(step);
      t.wide.add(out, t.share(step.x));
      const { rows, columns, ring } = t.value(step.out);
      if (step.mask !== null) {
        const factors = t.temp(rows * columns);
        fillDifferences(t, step, factors);
        t.ring.negate(factors, factors);
        const spread = t.scratch(rows * columns, ring);
        const { rows: own } = t.value(step.mask);
        const mask = t.mask(step.mask);
        t.wide.each(spread, mask, (to, from) => t.ring.copyBlock(to, 0, columns, from, 0, 0, rows, own));
        t.wide.addProduct(out, factors, spread);
      }
      for (const plane of out.hi === null ? [out.lo] : [out.lo, out.hi]) ruleOut(t, step, plane, 0);
    },
  },

  clear(c, step, out) {
    addOnKeys(c, step, out, c.x(step.x), step.mask === null ? null : c.x(step.mask), true);
    ruleOut(c, step, out, step.padded);
  },
};

type Temporaries = Pick<Scope, "ring" | "temp" | "value">;

/** kept - padded of each entry, less what its distance takes. */
function fillDifferences(s: Temporaries, step: StepOf<"keys">, out: Words): void {
  const { rows, columns } = s.value(step.out);
  const { slopes, causal } = step;
  const values = new Float64Array(rows * columns).fill(step.kept - step.padded);
  if (slopes !== null && causal !== null) {
    for (let i = 0; i < rows; i++) {
      const [slope, own] = [slopes[Math.floor(i / causal.queries)], causal.past + (i % causal.queries)];
      for (let j = 0; j < columns; j++) values[i * columns + j] -= Math.round(slope * (own - j));
    }
  }
  s.ring.encode(out, values, 1);
}

/** This party's part of the mask: the server has what is opened, less its own. */
function maskPart(p: Party, step: StepOf<"keys">): Words | null {
  if (step.mask === null) return null;
  const part = p.temp(elements(p.value(step.mask)));
  if (p.has("mask", step.mask)) p.ring.negate(part, p.get("mask", step.mask));
  else p.ring.zero(part);
  if (p.isServer) p.ring.add(part, part, p.get("public", step.mask));
  return part;
}

/** out = x + (kept - padded)·mask, and of whom constants are the part those as well; columns beyond the mask have ones. */
function addOnKeys(
  s: Temporaries,
  step: StepOf<"keys">,
  out: Words,
  x: Words,
  mask: Words | null,
  constants: boolean,
): void {
  const { rows, columns } = s.value(step.out);
  s.ring.copy(out, x);
  if (constants) s.ring.addConstant(out, out, ...halves(step.padded));
  if (mask === null) return;
  const row = constantRow(s, columns, constants ? 1 : 0);
  s.ring.copy(row.part(0, mask.length), mask);
  const [spread, factors] = [s.temp(rows * columns), s.temp(rows * columns)];
  s.ring.copyBlock(spread, 0, columns, row, 0, 0, rows, columns);
  fillDifferences(s, step, factors);
  s.ring.multiply(spread, spread, factors);
  s.ring.add(out, out, spread);
}

function constantRow(s: Temporaries, columns: number, constant: number): Words {
  const row = s.temp(columns);
  s.ring.zero(row);
  s.ring.addConstant(row, row, ...halves(constant));
  return row;
}

/** Sets the columns behind each row's own position, and those before its window. */
function ruleOut(s: Temporaries, { causal, out: id }: StepOf<"keys">, out: Words, constant: number): void {
  if (causal === null) return;
  const { rows, columns } = s.value(id);
  const row = constantRow(s, columns, constant);
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

  client: {
    masks: () => [],
    combine: (t, step) => t.wide.add(t.result(step), t.share(step.x)),
  },

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
