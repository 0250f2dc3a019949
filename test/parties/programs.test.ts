/** What peers may have compiled: bounds before work, whose turn it is, who pays, and what is kept. */
import { afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { FairQueue } from "../../src/admission/fair-queue.ts";
import { calibrate } from "../../src/compiler/calibrate.ts";
import { randomText, randomWeights } from "../../src/models/catalog.ts";
import { baseOf } from "../../src/models/families/all.ts";
import { type Compile, compileHere } from "../../src/parties/compiling.ts";
import { type ProgramLimits, Programs } from "../../src/parties/programs.ts";
import { checkShape, lengthsOf } from "../../src/parties/shapes.ts";
import type { Plan } from "../../src/program/plan.ts";
import { oneTurn, type Program, type Shape } from "../../src/program/steps.ts";
import { TINY } from "./harness.ts";

let plan: Plan;
beforeAll(() => {
  plan = calibrate(TINY, randomWeights(TINY, 5), [randomText(TINY, 12, 1)]);
});

const DECODER = { ...TINY, ...baseOf("gpt2"), problem: "generation", labels: TINY.vocabulary } as const;

describe("shapes", () => {
  it("have the lengths of the list, the model's limit in place of what goes beyond it, or the operator's", () => {
    expect(lengthsOf({ positions: 64, positionOffset: 0 })).toEqual([8, 16, 24, 32, 48, 64]);
    expect(lengthsOf({ positions: 60, positionOffset: 2 })).toEqual([8, 16, 24, 32, 48, 58]);
    expect(lengthsOf({ positions: 2048, positionOffset: 0 }).at(-1)).toBe(512);
    for (const length of lengthsOf(TINY)) checkShape(TINY, oneTurn(length));
    for (const length of [1, 7, 9, 63])
      expect(() => checkShape(TINY, oneTurn(length))).toThrow(/not taken here: pad to/);
    checkShape(TINY, oneTurn(20), { lengths: [20] });
    expect(() => checkShape(TINY, oneTurn(8), { lengths: [20] })).toThrow(/pad to 20/);
  });

  it("have as many turns as there are positions behind the shortest text, and the operator's number at most", () => {
    const turns = (n: number): Shape => ({ ...oneTurn(16), turns: n });
    checkShape(DECODER, turns(56)); // 9 tokens and 55 more are 64.
    expect(() => checkShape(DECODER, turns(57))).toThrow(/beyond the model's 64 positions/);
    expect(() => checkShape(DECODER, turns(9), { turns: 8 })).toThrow(/up to 8 new tokens/);
    expect(() => checkShape(TINY, turns(2))).toThrow(/does not answer in that way/);
  });
});

describe("a fair queue", () => {
  it("goes from account to account, whatever one has waiting", () => {
    const queue = new FairQueue<string>();
    for (const item of ["a1", "a2", "a3", "a4"]) queue.push("a", item);
    queue.push("b", "b1");
    queue.push("c", "c1");
    queue.push("b", "b2");
    expect(queue.next()).toBe("a1");
    expect(queue.next((account) => account !== "b")).toBe("c1");
    expect([queue.next(), queue.next(), queue.next()]).toEqual(["b1", "a2", "b2"]);
    expect([queue.size, queue.sizeOf("a"), queue.sizeOf("b")]).toEqual([2, 2, 0]);
    expect(queue.drop((item) => item === "a3")).toEqual(["a3"]);
    expect([queue.next(), queue.next(), queue.size]).toEqual(["a4", undefined, 0]);
  });
});

describe("programs", () => {
  afterEach(() => {
    vi.restoreAllMocks();
  });

  /** A compiler that counts, and that goes on when it is told. */
  function counted(limits: Partial<ProgramLimits> = {}, steps = 100) {
    const begun: string[] = [];
    const gates: (() => void)[] = [];
    let open = true;
    const compile: Compile = async ({ shape }) => {
      begun.push(JSON.stringify(shape.length));
      if (!open) await new Promise<void>((resolve) => gates.push(resolve));
      const program = { shape, steps: new Array(steps).fill(null) } as unknown as Program;
      return { program, fingerprint: `f${shape.length}` };
    };
    const programs = new Programs({ compile, limits, mismatch: "other programs", finish: async (one) => one });
    const of = (account: string, length: number, fingerprint?: string) =>
      programs.of({ account, key: `${length}`, task: { spec: TINY, plan, shape: oneTurn(length) }, fingerprint });
    const close = () => {
      open = false;
    };
    return { programs, begun, gates, of, close };
  }

  it("refuses what is known to be another without compiling, also what is kept no more", async () => {
    const { of, begun } = counted({ bytes: 0 });
    await of("a", 8, "f8");
    await of("b", 16);
    await expect(of("b", 8, "other")).rejects.toThrow(/^other programs$/);
    expect(begun).toEqual(["8", "16"]);
  });

  it("remembers what cannot be compiled, and what was refused", async () => {
    let compiled = 0;
    const compile: Compile = (task) => {
      compiled++;
      return compileHere(task);
    };
    const limits = { bounds: { steps: 50 } };
    const programs = new Programs({ compile, limits, mismatch: "", finish: async (one) => one });
    const asked = { account: "a", key: "8", task: { spec: TINY, plan, shape: oneTurn(8) } };
    for (let i = 0; i < 3; i++) await expect(programs.of(asked)).rejects.toThrow(/more than 50 steps/);
    expect(compiled).toBe(1);
  });

  it("charges the account that asked for a new one: others are still served", async () => {
    const { of } = counted({ stepsPerMinute: 5000 }, 3000);
    // What was spent comes back with time, of which a busy machine may take any.
    vi.spyOn(Date, "now").mockReturnValue(0);
    await of("a", 8);
    await expect(of("a", 16)).rejects.toMatchObject({ reason: "rate" });
    await of("a", 8);
    await of("b", 16);
    await of("a", 16); // There by now: it costs nothing.
    for (let length = 20; length < 30; length++) await of("", length);
  });

  it("bounds what one account has waiting, and takes the accounts in turns", async () => {
    const { of, begun, gates, close } = counted({ waitingEach: 3, waiting: 5 });
    close();
    const all = [8, 16, 24, 32].map((length) => of("a", length));
    await expect(of("a", 48)).rejects.toMatchObject({ reason: "quota" });
    all.push(of("b", 32), of("b", 64));
    await expect(of("c", 8 * 99)).rejects.toMatchObject({ reason: "full" });
    for (let i = 0; i < all.length - 1; i++) {
      while (gates.length === 0) await new Promise((resolve) => setImmediate(resolve));
      gates.shift()!();
    }
    await Promise.all(all);
    // b's 32 is a's as well, and compiled once.
    expect(begun).toEqual(["8", "16", "32", "24", "64"]);
  });

  it("keeps so many bytes, half of them of one account, the latest used", async () => {
    const { of, programs, begun } = counted({ bytes: 400e3 });
    for (const length of [8, 16]) await of("honest", length);
    for (let length = 100; length < 120; length++) await of("greedy", length);
    expect(programs.bytes).toBeLessThanOrEqual(400e3);
    const before = begun.length;
    for (const length of [8, 16, 119]) await of("honest", length);
    expect(begun.length).toBe(before);
    await of("honest", 100);
    expect(begun.length).toBe(before + 1);
  });
});
