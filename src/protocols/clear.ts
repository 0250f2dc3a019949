/**
 * The program in the clear in fixed point: the same integers, scales and truncations, nothing shared. It separates the
 * error of fixed point from that of an approximation, and finds values outside their planned range, which a private run
 * cannot see.
 */
import type { Program, ValueId } from "../program/steps.ts";
import type { Prg } from "../ring/prg.ts";
import type { Ring } from "../ring/ring.ts";
import { ruleOf } from "./all.ts";
import { elements } from "./rule.ts";
import { ClearScope, type ClientInput, type ServerWeights, type Violation } from "./sides.ts";

export interface ClearRun {
  /** Of the last turn. */
  readonly logits: readonly number[];
  readonly violations: readonly Violation[];
}

/** The client's choice after a turn's logits; null ends the run. */
export type Choose = (logits: readonly number[]) => number | null;

export interface ClearOptions {
  readonly choose?: Choose;
  /** Values are rounded as two parties round their shares of them, which this draws; without it they are rounded down. */
  readonly rounding?: Prg;
}

/** Runs the program on one text. Every opened value is checked against its range. */
export function runClear(
  ring: Ring,
  program: Program,
  weights: ServerWeights,
  input: ClientInput,
  { choose = () => null, rounding }: ClearOptions = {},
): ClearRun {
  const run = new ClearScope(ring, program, weights, input, rounding ?? null);
  let logits: number[] = [];
  let turn = 0;
  try {
    for (const step of program.steps) {
      if (step.kind === "input" && step.after !== null && step.after === program.answers[turn]) {
        turn++;
        const token = choose(logits);
        if (token === null) break;
        input.take(token);
      }
      ruleOf(step).clear(run, step, run.set("share", step.out, ring.alloc(elements(program.values[step.out]))));
      if (step.out === program.answers[turn]) logits = decoded(run, step.out);
      run.done(step);
    }
    return { logits, violations: run.violations };
  } finally {
    run.close();
  }
}

function decoded(run: ClearScope, id: ValueId): number[] {
  return [...run.ring.decode(run.x(id), 64, run.value(id).scale)];
}
