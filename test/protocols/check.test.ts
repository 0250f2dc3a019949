/** The validator of programs: what the compiler makes passes, and each planted fault is named. */
import { describe, expect, it } from "vitest";
import { compile } from "../../src/compiler/compile.ts";
import { PlanError, type Program, type Step, type StepKind } from "../../src/program/steps.ts";
import { STEP_KINDS } from "../../src/protocols/all.ts";
import { checkProgram, InvalidProgram } from "../../src/protocols/check.ts";
import { harness } from "../parties/harness.ts";
import { FAMILIES } from "./families.ts";

/** A copy that a test may spoil. */
function copied(program: Program): Program {
  return structuredClone(program);
}

const programs = await Promise.all(
  FAMILIES.map(async ({ spec, shape }) => {
    const h = await harness(spec, shape);
    return compile(h.spec, h.plan, h.program.shape);
  }),
);

/** The first step of a kind in any of the programs, in a copy of its program. */
function withStep(kind: StepKind): { program: Program; step: Step } {
  for (const program of programs) {
    const found = program.steps.find((step) => step.kind === kind);
    if (found !== undefined) {
      const copy = copied(program);
      return { program: copy, step: copy.steps[found.id] };
    }
  }
  throw new Error(`no family has a step of kind ${kind}`);
}

function spoil(object: object, change: Record<string, unknown>): void {
  Object.assign(object, change);
}

const refused = (program: Program, what: RegExp) => {
  expect(() => checkProgram(program)).toThrow(InvalidProgram);
  expect(() => checkProgram(program)).toThrow(what);
};

it("what the compiler makes passes", () => {
  for (const program of programs) expect(() => checkProgram(copied(program))).not.toThrow();
});

describe("a planted fault is named", () => {
  it.each(STEP_KINDS)("%s: a result of a form that it does not make", (kind) => {
    const { program, step } = withStep(kind);
    spoil(program.values[step.out], { form: "none" });
    refused(program, /must hold/);
  });

  // What the client puts in has the shape that its readers expect.
  it.each(STEP_KINDS.filter((kind) => kind !== "input" && kind !== "entry"))(
    "%s: a result of another shape",
    (kind) => {
      const { program, step } = withStep(kind);
      spoil(program.values[step.out], { rows: 5, columns: 7919 });
      refused(program, /must hold/);
    },
  );

  it.each(STEP_KINDS.filter((kind) => kind !== "entry" && kind !== "iota"))(
    "%s: an operand's ring too narrow",
    (kind) => {
      const { program, step } = withStep(kind);
      for (const id of program.reads[step.id]) {
        const before = program.values[id].ring;
        program.values[id].ring = 0;
        refused(program, /must hold/);
        program.values[id].ring = before;
      }
    },
  );

  it("a value that is read before it is written", () => {
    const program = copied(programs[0]);
    const step = program.steps.find(({ kind }) => kind === "open")!;
    spoil(program, { reads: program.reads.map((ids, id) => (id === step.id ? [program.steps.at(-1)!.out] : ids)) });
    refused(program, /must hold/);
  });

  it("a value that two steps write", () => {
    const program = copied(programs[0]);
    const [first, second] = program.steps.filter(({ kind }) => kind === "input");
    spoil(second, { out: first.out });
    refused(program, /only one to write/);
  });

  it("an answer that nobody writes, and a turn without one", () => {
    const unwritten = copied(programs[0]);
    const { length } = unwritten.values;
    spoil(unwritten, { values: [...unwritten.values, { ...unwritten.values[0], id: length }], answers: [length] });
    refused(unwritten, /never written/);
    refused({ ...copied(programs[0]), turns: [0, 1] }, /answers/);
  });

  it("a step that runs twice, never, or before what it reads", () => {
    const twice = copied(programs[0]);
    spoil(twice.flights[1], { local: [...twice.flights[1].local, twice.flights[0].opens[0]] });
    refused(twice, /in one flight/);
    const never = copied(programs[0]);
    spoil(never.flights.at(-1)!, { opens: [] });
    refused(never, /is in a flight/);
    const early = copied(programs[0]);
    const flight = early.flights.findLastIndex(({ local }) =>
      local.some((id) => early.steps[id].kind === "polynomial"),
    );
    const id = early.flights[flight].local.find((one) => early.steps[one].kind === "polynomial")!;
    spoil(early.flights[flight], { local: early.flights[flight].local.filter((one) => one !== id) });
    spoil(early.flights[0], { local: [...early.flights[0].local, id] });
    refused(early, /after what it reads/);
  });

  it("scales and bounds that are no numbers", () => {
    const broken = copied(programs[0]);
    spoil(broken.values[3], { rows: 1.5 });
    refused(broken, /shape/);
    // They come from a plan's ranges, so that the plan is at fault.
    for (const change of [{ scale: 0 }, { scale: Number.NaN }, { bound: Number.POSITIVE_INFINITY }]) {
      const program = copied(programs[0]);
      spoil(program.values[3], change);
      expect(() => checkProgram(program)).toThrow(PlanError);
    }
  });
});
