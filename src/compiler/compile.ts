/** From a model, a plan and a shape to the program that all parties run. */
import { turnsOf } from "../models/model.ts";
import type { Plan } from "../program/plan.ts";
import type { ModelSpec } from "../program/spec.ts";
import { oneTurn, PlanError, type Program, RingOverflow, type Shape, type StepOf } from "../program/steps.ts";
import { Budget, DEFAULT_BOUNDS } from "./budget.ts";
import { Compiler } from "./compiler.ts";
import { everyLayers } from "./context.ts";
import type { Handle } from "./handles.ts";

/** Most bits of precision given up for a plan to fit. */
const MOST_SLACK = 5;
/** Most bits that one layer's weights give up for their result's ring to fit, before all values do. */
const MOST_NARROWED = 3;
/** Values that can be lifted instead: norms, the weights of attention, and what layers read of attention and activations. */
const RELIEVED = /norm$|^(scores|attended|product|relu|silu|gelu(-tanh)?)$/;

/**
 * The program of a model for one shape, as precise as 64 bits allow: what is read in a wide ring is lifted to it,
 * which takes a flight; a layer whose result is too wide gives up bits of its weights; if that is not enough, all values give up bits,
 * unless the plan asks for them.
 * @throws PlanError when the plan does not fit. @throws TooLarge when the program goes beyond `bounds`.
 */
export function compile(spec: ModelSpec, plan: Plan, shape: Shape, bounds = DEFAULT_BOUNDS): Program {
  if (shape.scoring && spec.answer === "label")
    throw new PlanError("a model that tells the next token alone gives no scores of a text's positions");
  const budget = new Budget(bounds);
  const relief = new Set<string>();
  const narrowed = new Map<string, number>();
  for (let slack = 0; ; ) {
    try {
      const compiler = new Compiler(spec, plan, shape, { slack, relief, narrowed, budget, draft: false });
      return compiler.finish(answersOf(compiler, spec, shape));
    } catch (error) {
      if (!(error instanceof RingOverflow)) throw error;
      const name = everyLayers(error.value);
      const given = narrowed.get(error.value) ?? 0;
      if (RELIEVED.test(name) && !relief.has(name)) relief.add(name);
      else if (plan.exponents[error.value] !== undefined && given < MOST_NARROWED) narrowed.set(error.value, given + 1);
      // Bits that a plan asks for are not given up in silence.
      else if (plan.precision !== undefined || slack++ === MOST_SLACK) throw error;
    }
  }
}

/** The linear steps of a model whose plan says nothing of its weights' bits yet: what weights they are made of, not how precise. */
export function linearSteps(spec: ModelSpec, plan: Plan): StepOf<"linear">[] {
  const shape = oneTurn(8);
  const fitting = {
    slack: 0,
    relief: new Set<string>(),
    narrowed: new Map<string, number>(),
    budget: new Budget(),
    draft: true,
  };
  const compiler = new Compiler(spec, plan, shape, fitting);
  return compiler.drafted(answersOf(compiler, spec, shape)).filter((step) => step.kind === "linear");
}

function answersOf(compiler: Compiler, spec: ModelSpec, shape: Shape): Handle[] {
  const answers: Handle[] = [];
  for (const logits of turnsOf(compiler, spec)) if (answers.push(logits) === shape.turns) break;
  return answers;
}
