/**
 * The program in the clear in fixed point: the same integers, scales and truncations, nothing shared. It separates the
 * error of fixed point from that of an approximation, and finds values outside their planned range, which a private run
 * cannot see.
 */
import type { Program, Step, StepOf, Value } from "../program/steps.ts";
import type { Words } from "../ring/memory.ts";
import type { Ring } from "../ring/ring.ts";
import { applyWeights, split } from "./linear.ts";
import { factors } from "./periodic.ts";
import { perHead } from "./product.ts";
import { type ClientInput, elements, Scope, type ServerWeights } from "./protocol.ts";
import { keysInto, placeInto, rampInto, rowSumInto } from "./reshape.ts";

/** A value that left its planned range: the private run of this text would be wrong. */
export interface Violation {
  readonly step: number;
  readonly label: string;
  readonly name: string;
  /** Largest magnitude seen, over the planned one. */
  readonly excess: number;
}

export interface ClearRun {
  /** Of the last turn. */
  readonly logits: readonly number[];
  readonly violations: readonly Violation[];
}

/** The client's choice after a turn's logits; null ends the run. */
export type Choose = (logits: readonly number[]) => number | null;

/** Runs the program on one text. Every opened value is checked against its range. */
export function runClear(
  ring: Ring,
  program: Program,
  weights: ServerWeights,
  input: ClientInput,
  choose: Choose = () => null,
): ClearRun {
  const run = new ClearScope(ring, program, weights, input);
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
      run.execute(step);
      if (step.out === program.answers[turn]) logits = run.answer(step.out);
      run.done(step);
    }
    return { logits, violations: run.violations };
  } finally {
    run.close();
  }
}

class ClearScope extends Scope {
  readonly violations: Violation[] = [];
  private readonly weights: ServerWeights;
  private readonly input: ClientInput;

  constructor(ring: Ring, program: Program, weights: ServerWeights, input: ClientInput) {
    super(ring, program);
    this.weights = weights;
    this.input = input;
  }

  answer(id: number): number[] {
    const value = this.value(id);
    return [...this.ring.decode(this.x(value.id), 64, value.scale)];
  }

  execute(step: Step): void {
    const out = this.set("share", step.out, this.ring.alloc(elements(this.value(step.out))));
    switch (step.kind) {
      case "entry":
      case "input":
        return this.input.fill(out, step);
      case "linear":
        return applyWeights(this, step, out, this.weights, (id) => this.x(id));
      case "open":
        this.ring.arithmeticShift(out, this.x(step.x), step.shift);
        return this.check(step, out);
      case "shift":
        return this.ring.arithmeticShift(out, this.x(step.x), step.shift);
      case "slice": {
        const { rows, columns } = this.value(step.out);
        const width = this.value(step.x).columns;
        const offset = step.row * width + step.column;
        return this.ring.copyBlock(out, 0, columns, this.x(step.x), offset, width, rows, columns);
      }
      case "place":
        return placeInto(this, step, out, this.x(step.x), this.x(step.y));
      case "difference":
        return this.ring.subtract(out, this.x(step.x), this.x(step.y));
      case "matmul":
        return perHead(this, step, out, [[this.x(step.a), this.x(step.b)]]);
      case "polynomial":
        return this.polynomial(step, out);
      case "ramp":
        return rampInto(this, out);
      case "rowSum":
        return rowSumInto(this, step, out, this.x(step.x));
      case "keys":
        return keysInto(this, step, out, this.x(step.x), this.input);
      case "noise":
        return this.ring.copy(out, this.x(step.x));
      case "fourier":
        this.ring.fourierClear(out, this.x(step.x), step.periodBits, step.stride, factors(step), step.trigBits);
        return this.ring.addConstant(out, out, ...split(step.constant));
      case "lessThan":
        // The finished bit at once; the tree above it only passes it on.
        this.ring.msb(out, this.x(step.x), 64);
        this.ring.negate(out, out);
        return this.ring.addConstant(out, out, 1, 0);
      case "carry":
      case "openBits":
        return this.ring.copy(out, this.x(step.x));
    }
  }

  private x(id: number): Words {
    return this.get("share", id);
  }

  private polynomial(step: StepOf<"polynomial">, out: Words): void {
    const reads = [...step.variables, ...step.addends];
    const size = Math.max(...reads.map((r) => elements(this.value(r.x)) * r.repeat));
    const sum = this.temp(size);
    const variables = step.variables.map((v) => ({ x: this.x(v.x), repeat: v.repeat, ring: 64, kind: 0 }));
    const monomials = step.monomials.map((m) => ({ constant: split(m.coefficient), degrees: m.degrees }));
    this.ring.polynomial(sum, true, variables, monomials, []);
    for (const a of step.addends) this.ring.addScaled(sum, this.x(a.x), ...split(a.coefficient));
    if (step.rowSum) this.ring.rowSum(out, sum, out.length, size / out.length);
    else this.ring.copy(out, sum);
    this.ring.addConstant(out, out, ...split(step.constant));
  }

  /** Compares the text's own rows of an opened value with the plan; padded rows may hold anything. */
  private check(step: Step, out: Words): void {
    const value: Value = this.value(step.out);
    const { length } = this.program.shape;
    const padded = value.rows >= length && value.rows % length === 0;
    const numbers = this.ring.decode(out, 64, 1);
    let largest = 0;
    for (let i = 0; i < numbers.length; i++) {
      const row = Math.floor(i / value.columns) % length;
      if (padded && !this.input.isOwn(row)) continue;
      largest = Math.max(largest, Math.abs(numbers[i]));
    }
    if (largest > value.bound) {
      this.violations.push({ step: step.id, label: step.label, name: value.name, excess: largest / value.bound });
    }
  }
}
