import { log2 } from "../program/maths.ts";
import type {
  BiasRef,
  Form,
  LinearTerm,
  OpenMode,
  Program,
  Rotation,
  Shape,
  Step,
  Value,
  WeightRef,
  WeightSlot,
} from "../program/steps.ts";
import { PlanError, ROTATION_SCALE_BITS } from "../program/steps.ts";
import { ruleOf } from "../protocols/all.ts";
import { checkProgram } from "../protocols/check.ts";
import { Budget } from "./budget.ts";
import { assignRings } from "./rings.ts";
import { schedule, turnsOf } from "./schedule.ts";

type Unnumbered<S> = S extends Step ? Omit<S, "id" | "label" | "group" | "out"> : never;

/** Collects values and steps; knows nothing of models. */
export class Builder {
  private readonly values: Value[] = [];
  private readonly steps: Step[] = [];
  private readonly slots = new Map<string, WeightSlot>();
  readonly budget: Budget;
  label = "";
  group = "";

  constructor(budget = new Budget()) {
    this.budget = budget;
    budget.begin();
  }

  value(name: string, rows: number, columns: number, scale: number, magnitude: number, form: Form): Value {
    this.budget.value(name, rows, columns);
    const bound = Math.ceil(magnitude * scale) + 2;
    const id = this.values.length;
    const value: Value = { id, name, rows, columns, scale, bound, form, ring: 0, needsMaskShares: false };
    this.values.push(value);
    return value;
  }

  /** Emits under another label, and returns to the present one. */
  within(label: string, group: string, emit: () => Value): Value {
    const before = [this.label, this.group];
    [this.label, this.group] = [label, group];
    const out = emit();
    [this.label, this.group] = before;
    return out;
  }

  add(step: Unnumbered<Step>, out: Value): Value {
    this.budget.step();
    const base = { id: this.steps.length, label: this.label, group: this.group, out: out.id };
    this.steps.push({ ...step, ...base } as Step);
    return out;
  }

  /**
   * Opens a share under a fresh mask, truncated so that its scale is at most `target`. Truncation is the opening's own
   * (protocols.md, "Truncate and reduce"): no further flight.
   */
  open(x: Value, mode: OpenMode, target: number, magnitude: number): Value {
    const shift = Math.max(0, Math.ceil(log2(x.scale / target) - 1e-9));
    const form = mode === "exchange" || mode === "forward" ? "masked" : "held";
    const out = this.value(x.name, x.rows, x.columns, x.scale / 2 ** shift, magnitude, form);
    return this.add({ kind: "open", mode, x: x.id, shift }, out);
  }

  /** XOR-shared words of `width` bits. */
  bits(name: string, rows: number, columns: number, width: number, form: "bits" | "maskedBits" = "bits"): Value {
    return Object.assign(this.value(name, rows, columns, 1, 1, form), { ring: width });
  }

  openBits(x: Value): Value {
    return this.add({ kind: "openBits", x: x.id }, this.bits(x.name, x.rows, x.columns, x.ring, "maskedBits"));
  }

  /** A linear step's operand; equal references share one masked copy at the dealer. */
  term(x: Value, weight: WeightRef, rows: number, columns: number): LinearTerm {
    if (weight.kind === "identity") return { x: x.id, weight, weightId: -1 };
    const key = JSON.stringify(weight);
    let slot = this.slots.get(key);
    if (slot === undefined) {
      slot = { id: this.slots.size, ref: weight, rows, columns };
      this.slots.set(key, slot);
    }
    return { x: x.id, weight, weightId: slot.id };
  }

  linear(
    name: string,
    terms: readonly LinearTerm[],
    bias: BiasRef | null,
    shape: { rows: number; columns: number; scale: number; magnitude: number },
    then: { readonly centre?: boolean; readonly rotate?: Rotation | null },
  ): Value {
    const { centre = false, rotate = null } = then;
    const scale = shape.scale * (centre ? shape.columns : 1) * (rotate === null ? 1 : 2 ** ROTATION_SCALE_BITS);
    const out = this.value(name, shape.rows, shape.columns, scale, shape.magnitude, "share");
    return this.add({ kind: "linear", terms, bias, centre, rotate }, out);
  }

  /** The steps so far. */
  get emitted(): readonly Step[] {
    return this.steps;
  }

  /** @throws PlanError when a value outgrows 64 bits. @throws InvalidProgram when what was emitted breaks a rule. */
  finish(shape: Shape, answers: readonly Value[], slack = 0): Program {
    const { values, steps } = this;
    assignRings(values, steps);
    const reads = steps.map((step) => ruleOf(step).reads(step));
    const flights = schedule(values, steps, reads);
    const weights = [...this.slots.values()];
    const turns = turnsOf(flights, steps);
    const told = answers.map((a) => a.id);
    const program = { shape, values, steps, reads, flights, weights, answers: told, turns, slack };
    checkProgram(program);
    return program;
  }
}

/** A constant of the integer program. @throws PlanError when it does not fit into the ring. */
export function constant(x: number): number {
  if (!Number.isFinite(x) || Math.abs(x) >= 2 ** 62)
    throw new PlanError("a constant of the plan does not fit into 64 bits: the ranges are too wide");
  return Math.round(x);
}

/** Emits at its first call, and returns the same value ever after. */
export function once(emit: () => Value): () => Value {
  let memo: Value | null = null;
  return () => {
    memo ??= emit();
    return memo;
  };
}
