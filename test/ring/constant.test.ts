/** No kernel's time depends on a secret: checked on the compiled WebAssembly, without a clock. `npm run long -- ct` has the clock. */
import { readFileSync } from "node:fs";
import asc from "assemblyscript/asc";
import { describe, expect, it } from "vitest";
import type { Kernels } from "../../src/ring/kernels.ts";
import { type Signature, Taint } from "./taint.ts";

interface Expected {
  readonly signature: Signature;
  /** Arithmetic on floats, whose results are never denormal: fourier.ts. */
  readonly floats?: true;
  /** Findings that are known, and why they do not matter. */
  readonly known?: RegExp;
}

const of = (signature: Signature, rest: Omit<Expected, "signature"> = {}): Expected => ({ signature, ...rest });

/** Every kernel. `p` are pointers to what is public: tables made from the program, and values that are open. */
const KERNELS: Record<keyof Kernels, Expected> = {
  add: of("sssn"),
  subtract: of("sssn"),
  negate: of("ssn"),
  multiply: of("sssn"),
  addConstant: of("ssnnn"),
  scale: of("ssnnn"),
  addScaled: of("ssnnn"),
  addRow: of("sssnn"),
  scaleColumns: of("sssnn"),
  addOuter: of("sssnn"),
  rowSum: of("ssnn"),
  centre: of("ssnn"),
  reduce: of("ssnn"),
  truncate: of("ssnnnn"),
  signExtend: of("ssnn"),
  arithmeticShift: of("ssnn"),
  msb: of("ssnn"),
  transpose: of("ssnn"),
  copyBlock: of("snsnnn"),
  encodeF64: of("ssnn", { floats: true }),
  // The client's own answer, behind its last message or before it chooses the next token.
  decodeF64: of("ssnnn", { floats: true, known: /^an instruction of varying time/ }),
  matmulScratch: of("nn"),
  matmul: of("ssssnnnn"),
  narrowBytes: of("nn"),
  narrowScratch: of("nn"),
  narrowPack: of("ssnn"),
  narrowUnpack: of("ssnnnn"),
  matmulNarrow: of("ssssnnnnn"),
  packBits: of("ssnn"),
  unpackBits: of("ssnn"),
  matmulF32Scratch: of("n"),
  // The float reference: the provider's own texts and weights, in calibration and training.
  matmulF32: of("ssssnnnn", { floats: true }),
  polynomialScratch: of(""),
  polynomialEvaluate: of("snpnpnps"),
  repeatWords: of("ssnn"),
  fourierSecrets: of("ssnnnnn", { floats: true }),
  fourierEvaluate: of("ssnnnnps", { floats: true }),
  fourierClear: of("ssnnnnpn", { floats: true }),
  lessThanSecrets: of("ssnnn"),
  // The opened value's digits choose among the 32 bytes of a table.
  lessThanLeaves: of("spsnnnn"),
  carrySecrets: of("ssnn"),
  carryLevel: of("ssssnnn"),
  oneHotLanes: of("ssnnn"),
  subtractLanes: of("ssnn"),
  // The turns are opened.
  addTurnedLanes: of("sspnnnn"),
  xorWords: of("sssn"),
  wideAdd: of("ssssnn"),
  wideMultiplyAdd: of("sspssn"),
  wideSubtractScaled: of("ssssn"),
  wideRowSum: of("ssssnn"),
  wideMatmul: of("ssnnpnnssnnnnn"),
  widePolynomial: of("ssnpnpnps"),
  wideFourier: of("sspnnnnpss", { floats: true }),
  wideTallyBytes: of(""),
  // Which sums an element enters is a challenge's choice: public.
  wideTally: of("ssspnn"),
  xorTally: of("sspn"),
  tallied: of("ssn"),
  aesScratch: of(""),
  keystream: of("snsnns"),
};

const read = (name: string) => new Taint(readFileSync(new URL(`../../src/ring/${name}.wasm`, import.meta.url)));

describe.each(["kernels", "kernels-shared"])("%s.wasm", (name) => {
  const taint = read(name);

  it("has no kernel beside those that are looked at", () => {
    expect(taint.exports.sort()).toEqual(Object.keys(KERNELS).sort());
  });

  it.each(Object.entries(KERNELS))("%s", (kernel, { signature, floats, known }) => {
    const findings = taint.of(kernel, signature, floats !== true);
    expect(findings.filter((finding) => known?.test(finding) !== true)).toEqual([]);
    if (known !== undefined) expect(findings).not.toEqual([]);
  });
});

describe("what the check must find", () => {
  const LEAKS: [string, string, Signature, RegExp][] = [
    ["a branch", "if (load<u64>(a) & 1) store<u64>(out, 7);", "ssn", /^a branch/],
    [
      "an early end",
      "for (let i = 0; i < n; i++) { if (load<u8>(a + i) != load<u8>(out + i)) return; }",
      "ssn",
      /^a branch/,
    ],
    ["a loop's length", "for (let x = load<u64>(a); x > 0; x >>= 1) store<u64>(out, x);", "ssn", /^a branch/],
    [
      "a choice between floats",
      "store<f64>(out, select<f64>(1.5, 2.5, i32(load<u64>(a) & 1)));",
      "ssn",
      /^a (choice|branch)/,
    ],
    ["a table", "store<u8>(out, load<u8>(a + load<u8>(a)));", "ssn", /^an address/],
    ["a public table at a secret place", "store<u8>(out, load<u8>(a + load<u8>(out)));", "spn", /^an address/],
    ["a store at a secret place", "store<u8>(out + load<u8>(a), 1);", "ssn", /^an address/],
    ["a size", "memory.copy(out, a, load<u32>(a));", "ssn", /^a size/],
    ["a division", "store<u64>(out, load<u64>(a) / 7);", "ssn", /^an instruction of varying time/],
    ["a square root", "store<f64>(out, Math.sqrt(load<f64>(a)));", "ssn", /^an instruction of varying time/],
    ["a rounding", "store<i64>(out, <i64>load<f64>(a));", "ssn", /^an instruction of varying time/],
    ["a shift", "store<u64>(out, 5 << load<u64>(a));", "ssn", /^a shift/],
    ["floats", "store<f64>(out, load<f64>(a) * 3.0);", "ssn", /^arithmetic/],
    [
      "a secret that passed through memory",
      "store<u8>(out, load<u8>(a)); if (load<u8>(out)) store<u8>(a, 1);",
      "ssn",
      /^a branch/,
    ],
    [
      "a secret in public data",
      "store<u8>(out, load<u8>(a)); if (load<u8>(out)) store<u8>(a, 1);",
      "psn",
      /^a store into public data/,
    ],
    [
      "a secret that passed through a global",
      "g = load<u64>(a); step(); if (g > 5) store<u8>(out, 1);",
      "ssn",
      /^a branch/,
    ],
    ["a secret in a function", "if (first(a)) store<u8>(out, 1);", "ssn", /^a branch/],
    ["a pointer found in public data", "if (load<u64>(load<usize>(a))) store<u8>(out, 1);", "spn", /^a branch/],
  ];

  it("in kernels that leak", async () => {
    const names = LEAKS.map((_, i) => `leak${i}`);
    const source = LEAKS.map(
      ([, body], i) => `export function ${names[i]}(out: usize, a: usize, n: i32): void { ${body} }`,
    );
    const shared =
      "let g: u64 = 0;\nfunction step(): void { g += 1; }\nfunction first(a: usize): u8 { return load<u8>(a); }\n";
    const { binary, error } = await asc.compileString(shared + source.join("\n"), {
      optimizeLevel: 3,
      runtime: "stub",
    });
    expect(error).toBe(null);
    const taint = new Taint(binary!);
    LEAKS.forEach(([what, , signature, expected], i) => {
      expect(
        taint.of(names[i], signature).some((finding) => expected.test(finding)),
        what,
      ).toBe(true);
    });
  });

  it("and leaves public ones alone", async () => {
    const bodies = [
      "if (load<u64>(a)) store<u64>(out, load<u64>(out + load<u32>(a, 8)));",
      "for (let i = 0; i < n; i++) store<u64>(out + i * 8, load<u64>(out) & (0 - (load<u64>(out) & 1)));",
    ];
    const source = bodies.map((body, i) => `export function f${i}(out: usize, a: usize, n: i32): void { ${body} }`);
    const { binary } = await asc.compileString(source.join("\n"), { optimizeLevel: 3, runtime: "stub" });
    const taint = new Taint(binary!);
    expect(bodies.flatMap((_, i) => taint.of(`f${i}`, "spn"))).toEqual([]);
  });
});
