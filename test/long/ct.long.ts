/**
 * Whether a kernel's time depends on what it works on: every kernel that touches secrets, in WebAssembly and at each native level that
 * is here, on zeros, ones, extremes and random words in turns (timing.ts). Prints the table of docs/security-results.md.
 *
 * First the check is checked: kernels that leak must be seen, and two sets of random words must not; where it is blind, all fails.
 * MPCFORMER_CT_ROUNDS sets how often each class is measured (4,000), MPCFORMER_CT_ONLY picks kernels by a part of their name.
 */
import { existsSync } from "node:fs";
import asc from "assemblyscript/asc";
import { beforeAll, describe, expect, it } from "vitest";
import { loadLevel, NATIVE_LEVELS, nativeUrl } from "../../src/platform/native.ts";
import { type Kernels, loadWasm } from "../../src/ring/kernels.ts";
import { Memory } from "../../src/ring/memory.ts";
import { polynomialTables } from "../../src/ring/polynomial.ts";
import { Ring } from "../../src/ring/ring.ts";
import { type Comparison, compare, measure, THRESHOLD } from "../ring/timing.ts";

const ROUNDS = Number(process.env.MPCFORMER_CT_ROUNDS ?? 4000);
const ONLY = process.env.MPCFORMER_CT_ONLY ?? "";
/** A difference counts when this many measurements in a row show it, in one direction. */
const REPEATS = 3;
/** Below this part of a kernel's time two sets of random words differ as well, on a machine with other work. */
const LEAST = 0.002;
/** A kernel runs so often in one measurement that clock and call are small beside it. */
const BATCH_NS = 20_000;
/** What the faint control adds to its work. */
const FAINT = 0.01;

const N = 1024;
const POOL = 64;
const memory = new Memory();
const place = (words: number) => memory.allocate(8 * words);
const [X, OUT, SCRATCH] = [place(2 * N), place(32 * N), place(1 << 16)];
const Y = X + 8 * N;

/** What a class's words are, given random ones; masked to their bits afterwards. */
type Fill = (random: bigint, bits: number) => bigint;

const RANDOM: Fill = (random) => random;
const CLASSES: Record<string, Fill> = {
  zeros: () => 0n,
  ones: () => -1n,
  // The largest number and the smallest.
  extremes: (random, bits) => 2n ** BigInt(bits - 1) - (random & 1n),
};

/** Sets of words of one class, more than a processor's predictors learn by heart. */
function pool(fill: Fill, bits: number, ones: bigint): BigUint64Array[] {
  return Array.from({ length: POOL }, () =>
    crypto.getRandomValues(new BigUint64Array(2 * N)).map((random) => BigInt.asUintN(bits, fill(random, bits)) | ones),
  );
}

interface Case {
  readonly name: string;
  /** Bits of the words that it takes. */
  readonly bits?: number;
  /** Bits set in all of them: doubles from 1 to 2 have the exponent of 1. */
  readonly ones?: bigint;
  readonly run: (k: Kernels) => void;
}

/** 8-column panels of weights, and the tables of a polynomial: public, made once. */
const [weights, tables] = [place(N), await polynomial()];
const factors = place(18);
new Float64Array(memory.wasm.buffer, factors, 18).forEach((_, i, all) => {
  all[i] = 4096 / (i + 1);
});

async function polynomial() {
  const ring = await Ring.create();
  const at = (pointer: number) => Object.defineProperty(ring.alloc(N), "pointer", { value: pointer });
  const variables = [
    { x: at(X), repeat: 1, ring: 40, kind: 1 },
    { x: at(Y), repeat: 1, ring: 64, kind: 0 },
    { x: at(Y), repeat: 1, ring: 1, kind: 2 },
  ];
  const monomials = [{ constant: [-3, 77] as const, degrees: [2, 1, 1] }];
  const secret = (powers: number[], bits: number[]) => ({ share: at(Y), repeat: 1, powers, bits });
  const secrets = [0, 1, 2].flatMap((p) =>
    [0, 1].flatMap((q) => [0, 1].flatMap((b) => [secret([p, q, 0], [0, 0, b]), secret([p, q, 0], [1, 0, b])])),
  );
  const t = polynomialTables(true, variables, monomials, secrets);
  const [v, terms, pairs] = [t.variables, t.terms, t.pairs].map((entries) => {
    const pointer = memory.allocate(4 * entries.length);
    new Int32Array(memory.wasm.buffer, pointer, entries.length).set(entries);
    return pointer;
  });
  return { v, terms, count: t.termCount, pairs };
}

const wasm = await loadWasm(memory);
const settle = () => {
  for (let i = 0; i < 4; i++) wasm.multiply(SCRATCH, SCRATCH, SCRATCH, N);
};

const CASES: Case[] = [
  { name: "add", run: (k) => k.add(OUT, X, Y, N) },
  { name: "subtract", run: (k) => k.subtract(OUT, X, Y, N) },
  { name: "negate", run: (k) => k.negate(OUT, X, N) },
  { name: "multiply", run: (k) => k.multiply(OUT, X, Y, N) },
  { name: "addScaled", run: (k) => k.addScaled(OUT, X, -7, 99, N) },
  { name: "scaleColumns", run: (k) => k.scaleColumns(OUT, X, Y, 8, N / 8) },
  { name: "rowSum", run: (k) => k.rowSum(OUT, X, 8, N / 8) },
  { name: "centre", run: (k) => k.centre(OUT, X, 8, N / 8) },
  { name: "reduce", run: (k) => k.reduce(OUT, X, 37, N) },
  { name: "truncate", run: (k) => k.truncate(OUT, X, 49, 12, 37, N) },
  { name: "msb", run: (k) => k.msb(OUT, X, 37, N) },
  { name: "transpose", run: (k) => k.transpose(OUT, X, 32, N / 32) },
  { name: "xorWords", run: (k) => k.xorWords(OUT, X, Y, N) },
  { name: "packBits 20", run: (k) => k.packBits(OUT, X, 20, N) },
  { name: "packBits 37", run: (k) => k.packBits(OUT, X, 37, N) },
  { name: "unpackBits 20", run: (k) => k.unpackBits(OUT, X, 20, N) },
  { name: "unpackBits 61", run: (k) => k.unpackBits(OUT, X, 61, N) },
  { name: "matmul 8x32x32", run: (k) => k.matmul(OUT, X, Y, SCRATCH, 8, 32, 32, 0, 64) },
  { name: "matmul 8x32x32, 52 bits", run: (k) => k.matmul(OUT, X, Y, SCRATCH, 8, 32, 32, 0, 52) },
  { name: "matmulNarrow 8x32x32", run: (k) => k.matmulNarrow(OUT, X, weights, SCRATCH, 8, 32, 32, 2, 0, 64) },
  {
    name: "matmulNarrow 8x32x32, 52 bits",
    run: (k) => k.matmulNarrow(OUT, X, weights, SCRATCH, 8, 32, 32, 2, 0, 52),
  },
  {
    name: "polynomialEvaluate",
    run: (k) => k.polynomialEvaluate(OUT, N, tables.v, 3, tables.terms, tables.count, tables.pairs, SCRATCH),
  },
  { name: "fourierSecrets", bits: 20, run: (k) => k.fourierSecrets(OUT, X, N, 20, 9, 2, 14) },
  { name: "fourierEvaluate", bits: 20, run: (k) => k.fourierEvaluate(OUT, X, N / 32, 20, 9, 2, factors, Y) },
  { name: "lessThanSecrets", run: (k) => k.lessThanSecrets(OUT, X, N, 25, 6) },
  { name: "lessThanLeaves", run: (k) => k.lessThanLeaves(OUT, X, Y, N / 2, 25, 6, 1) },
  { name: "carrySecrets", run: (k) => k.carrySecrets(OUT, X, N, 6) },
  { name: "carryLevel", run: (k) => k.carryLevel(OUT, X, Y, Y, N, 6, 1) },
  { name: "keystream", run: (k) => k.keystream(OUT, 4096, X, 1, 2, SCRATCH) },
  { name: "encodeF64", bits: 52, ones: 0x3ffn << 52n, run: (k) => k.encodeF64(OUT, X, 2 ** 40, N) },
];

/** Measures `work` on words of both kinds, which lie at the same place. */
function once(run: () => void, fills: readonly [Fill, Fill], bits: number, ones = 0n): Comparison {
  const [warm] = measure([{ prepare: () => {}, work: run }], 200);
  const count = Math.ceil(BATCH_NS / warm.sort()[100]);
  const work = () => {
    for (let i = 0; i < count; i++) run();
  };
  const inputs = new BigUint64Array(memory.wasm.buffer, X, 2 * N);
  const classes = fills.map((fill) => {
    const sets = pool(fill, bits, ones);
    let next = 0;
    const prepare = () => {
      inputs.set(sets[next++ % POOL]);
      // The same work before every class: whatever copying left behind is gone.
      settle();
    };
    return { prepare, work };
  });
  const [first, second] = measure(classes, ROUNDS);
  const { mean, ...found } = compare(first, second);
  return { mean: mean / count, ...found };
}

/** The comparison that is nearest to none of several. */
function repeated(
  work: () => void,
  fills: readonly [Fill, Fill],
  bits: number,
  ones = 0n,
): Comparison & { differs: boolean } {
  const all: Comparison[] = [];
  while (all.length < REPEATS) {
    all.push(once(work, fills, bits, ones));
    const last = all.at(-1)!;
    if (Math.abs(last.t) <= THRESHOLD || Math.abs(last.effect) <= LEAST || last.t * all[0].t < 0)
      return { ...last, differs: false };
  }
  const least = all.reduce((a, b) => (Math.abs(a.t) < Math.abs(b.t) ? a : b));
  return { ...least, differs: true };
}

const percent = (x: number) => `${(100 * x).toFixed(2)}%`;
const row = (level: string, name: string, classes: string, c: Comparison) =>
  console.log(
    `| ${level} | ${name} | ${classes} | ${(c.mean / 1000).toFixed(2)} µs | ${c.t.toFixed(1)} | ${percent(c.effect)} | ${percent(c.visible)} |`,
  );

/** Kernels that leak on purpose. The choice is 0.7's, of the dealer's cosines and sines. */
const LEAKS = `
  export function choice(out: usize, a: usize, n: i32): void {
    for (let i: i32 = 0; i < n; i++) {
      const x = load<u64>(a + (<usize>i << 3));
      const f = <f64>(<i64>(x & 0xfffff)) * (1.0 / 1048576.0);
      const q = nearest(4 * f);
      const quarter = <i64>q;
      const t = f - q * 0.25;
      const u = 1 - t * t;
      const along = quarter & 1 ? t : u;
      const across = quarter & 1 ? u : t;
      store<f64>(out + (<usize>i << 4), (quarter + 1) & 2 ? -along : along);
      store<f64>(out + (<usize>i << 4), quarter & 2 ? -across : across, 8);
    }
  }
  export function earlyEnd(out: usize, a: usize, n: i32): void {
    for (let i: i32 = 0; i < n; i++) if (load<u64>(a + (<usize>i << 3)) != 0) return store<i32>(out, i);
  }
  export function faint(out: usize, a: usize, n: i32, extra: i32): void {
    if (load<u64>(a) != 0) n += extra;
    for (let i: i32 = 0; i < n; i++) {
      let x = <u64>i;
      for (let j: i32 = 0; j < 16; j++) x = x * 0x9e3779b97f4a7c15 + 1;
      store<u64>(out + (<usize>i << 3), x);
    }
  }`;

beforeAll(async () => {
  const { binary } = await asc.compileString(LEAKS, { optimizeLevel: 3, runtime: "stub", importMemory: true });
  const imports = { env: { memory: memory.wasm, abort: () => {} } };
  const { instance } = await WebAssembly.instantiate(binary as Uint8Array<ArrayBuffer>, imports);
  const leak = instance.exports as Record<string, (...numbers: number[]) => void>;
  console.log(
    `\n${ROUNDS} rounds; |t| > ${THRESHOLD} and ${percent(LEAST)} in ${REPEATS} measurements in a row is a difference\n`,
  );
  console.log("| kernels | kernel | classes | mean | t | difference | visible from |\n|---|---|---|---|---|---|---|");
  const controls: [string, () => void][] = [
    ["control: a choice between floats", () => leak.choice(OUT, X, N)],
    ["control: an early end", () => leak.earlyEnd(OUT, X, N)],
    [`control: ${percent(FAINT)} more work`, () => leak.faint(OUT, X, N, Math.ceil(FAINT * N))],
  ];
  for (const [name, work] of controls) {
    const seen = repeated(work, [CLASSES.zeros, RANDOM], 64);
    row("wasm", name, "zeros, random", seen);
    if (!seen.differs) throw new Error(`blind: ${name} is not seen; more rounds, or a quieter machine`);
  }
  const same = repeated(() => wasm.multiply(OUT, X, Y, N), [RANDOM, RANDOM], 64);
  row("wasm", "control: no difference", "random, random", same);
  if (same.differs) throw new Error("blind: random words differ from random words on this machine");
});

const levels = ["wasm", ...NATIVE_LEVELS.filter((level) => existsSync(nativeUrl(level)))] as const;

describe.each(levels)("%s", (level) => {
  it.each(CASES.filter(({ name }) => name.includes(ONLY)))("$name", async ({ name, bits = 64, ones, run }) => {
    let kernels = wasm;
    if (level !== "wasm") {
      const { attach, ...own } = await loadLevel(level as (typeof NATIVE_LEVELS)[number]);
      attach(new Uint8Array(memory.wasm.buffer));
      if (!(name.split(" ")[0] in own)) return;
      kernels = { ...wasm, ...own } as Kernels;
    }
    const found: string[] = [];
    for (const other of Object.keys(CLASSES)) {
      const comparison = repeated(() => run(kernels), [CLASSES[other], RANDOM], bits, ones);
      row(level, name, `${other}, random`, comparison);
      if (comparison.differs) found.push(other);
    }
    expect(found).toEqual([]);
  });
});
