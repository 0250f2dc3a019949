/**
 * Views at strength: 2^20 words of each kind of message, and what is held after each opening, chi-square on every byte position;
 * 2,000 sessions of two texts. Prints the tables of docs/security-results.md.
 */
import { expect, it } from "vitest";
import type { Builder } from "../../src/compiler/builder.ts";
import { notNegative } from "../../src/compiler/comparison.ts";
import { randomText } from "../../src/models/catalog.ts";
import type { OpenMode, Program, Value } from "../../src/program/steps.ts";
import { Ring } from "../../src/ring/ring.ts";
import { harness } from "../parties/harness.ts";
import { type Frame, tapped } from "../parties/tapped.ts";
import { bench, run, shareOf } from "../protocols/bench.ts";
import { framesOf, witnesses } from "../protocols/collect.ts";
import { FAMILIES, type Family } from "../protocols/families.ts";
import { familyThreshold } from "../protocols/statistics.ts";
import { twins } from "../protocols/twins.ts";
import { watchOpenings } from "../protocols/watch.ts";
import { partsOf, wireTable } from "../protocols/wire.ts";
import { Positions } from "./positions.ts";

const WORDS = 2 ** 20;
const MODEL_SESSIONS = 150;
const TWIN_SESSIONS = 2000;
/** Of all tests of a table together. */
const FAMILY_ERROR = 1e-6;
/** Elements of the programs that send the kinds of which a model sends few. */
const WIDE = 2 ** 16;
const BOUND = 2 ** 20;

const table = wireTable();
const ring = await Ring.create();
const kinds = new Map<string, Positions>();

function kind(name: string): Positions {
  const positions = kinds.get(name) ?? new Positions(ring);
  kinds.set(name, positions);
  return positions;
}

function note(source: string, frames: readonly Frame[], program: Program): void {
  for (const frame of frames)
    for (const { row, name, block, bytes } of partsOf(frame, program, table))
      kind(`\`${row.kind}\` | ${row.phase} | ${row.way}`).add(`${source}: ${name}`, bytes, block);
}

/** Calls `sessions` with everything that is held after an opening written down. */
async function withOpenings(source: string, program: Program, sessions: () => Promise<void>): Promise<void> {
  const undo = watchOpenings((name, bytes) => {
    const [, opening, step, holder] = /^(\w+) (\d+), seen by (\w+)$/.exec(name)!;
    const { rows, columns, ring: bits } = program.values[program.steps[Number(step)].out];
    kind(`\`${opening}\` | held after it | ${holder}`).add(`${source}: ${name}`, bytes, {
      length: rows * columns,
      bits,
    });
  });
  try {
    await sessions();
  } finally {
    undo();
  }
}

/** Sessions of a model with one constant text. */
async function model({ name, spec, shape }: Family): Promise<void> {
  const h = await harness(spec, shape);
  await withOpenings(name, h.program, async () => {
    for (let i = 0; i < MODEL_SESSIONS; i++) note(name, await framesOf(h, { choose: () => 7 }), h.program);
  });
}

/** Sessions of a program of a few wide steps, with constant numbers. */
async function wide(name: string, build: (b: Builder, x: Value) => Value): Promise<void> {
  const { program, input } = bench(WIDE, BOUND, build);
  const inputs = new Map([[input.id, Array.from({ length: WIDE }, (_, i) => BigInt(i % 7))]]);
  await withOpenings(name, program, async () => {
    for (let i = 0; i < WORDS / WIDE; i++) {
      const frames: Frame[] = [];
      const { online, offline } = witnesses(frames);
      (await run(ring, program, inputs, online, offline)).close();
      note(name, frames, program);
    }
  });
}

/** x as a linear step's result, which the client knows its part of ahead. */
function linearOf(b: Builder, x: Value): Value {
  const term = b.term(x, { kind: "identity", factor: 1 }, 1, 1);
  return b.linear("y", [term], null, { rows: 1, columns: WIDE, scale: 1, magnitude: BOUND }, {});
}

const opened = (mode: OpenMode, of: (b: Builder, x: Value) => Value) => (b: Builder, x: Value) => {
  const out = b.open(of(b, x), mode, 2 ** -4, BOUND);
  // Nobody reads it on: its ring would have no bits.
  return Object.assign(out, { ring: 24, needsMaskShares: mode === "exchange" });
};

/** W - R under new keys, until there are words enough. */
async function weights(): Promise<void> {
  const h = await harness({}, 8);
  const setup = kind("`weights` | setup | server to dealer");
  while (setup.words < WORDS) {
    const world = await tapped(h);
    const client = await world.connect();
    await client.infer(randomText(h.spec, 7, 1));
    await client.close();
    for (const { phase, step, payload } of world.frames)
      if (phase === "setup") setup.add(`operand ${step}`, payload, { length: payload.length / 8, bits: 64 });
  }
}

it("2^20 words of each kind of message are uniform at every byte, and so are differences between sessions", async () => {
  for (const family of FAMILIES) await model(family);
  for (const mode of ["exchange", "toServer", "toClient"] as const) await wide(mode, opened(mode, shareOf));
  for (const mode of ["forward", "reveal"] as const) await wide(mode, opened(mode, linearOf));
  await wide("sign", (b, x) => notNegative(b, b.open(shareOf(b, x), "exchange", 1, BOUND)));
  await weights();
  const results = [...kinds].map(([name, positions]) => ({ name, positions, tests: positions.deviations() }));
  const tests = results.reduce((sum, r) => sum + r.tests.length, 0);
  // Too even counts as well as too uneven ones.
  const threshold = familyThreshold(2 * tests, FAMILY_ERROR);
  console.log(`\n${tests} tests, threshold ${threshold.toFixed(2)} standard deviations\n`);
  console.log("| step | phase | way | words | tests | largest deviation |\n|---|---|---|---|---|---|");
  for (const { name, positions, tests: all } of results.sort((a, b) => (a.name < b.name ? -1 : 1)))
    console.log(`| ${name} | ${positions.words} | ${all.length} | ${Math.max(...all.map((t) => t.z)).toFixed(2)} |`);
  for (const row of table.rows.filter((r) => r.kind !== "tables"))
    expect(kinds.get(`\`${row.kind}\` | ${row.phase} | ${row.way}`)?.words, row.kind).toBeGreaterThanOrEqual(WORDS);
  for (const { name, tests: all } of results)
    for (const test of all) expect(test.z, `${name}: ${test.name}`).toBeLessThan(threshold);
});

it("two texts of one padded length look alike in 2,000 sessions", async () => {
  const { shapes, frames, server, dealer } = await twins(await harness({ layers: 1 }, 16), TWIN_SESSIONS);
  // Both sides, two views.
  const threshold = familyThreshold(4, FAMILY_ERROR);
  console.log(`\n${TWIN_SESSIONS} sessions, ${frames} frames: shapes ${shapes}\n`);
  console.log("| view | AUC | where chance stays |\n|---|---|---|");
  for (const [name, { auc, deviation }] of [
    ["server", server],
    ["dealer", dealer],
  ] as const) {
    const [low, high] = [0.5 - threshold * deviation, 0.5 + threshold * deviation];
    console.log(`| ${name} | ${auc.toFixed(3)} | ${low.toFixed(3)} to ${high.toFixed(3)} |`);
  }
  expect(shapes).toBe(1);
  for (const { auc, deviation } of [server, dealer]) expect(Math.abs(auc - 0.5)).toBeLessThan(threshold * deviation);
});
