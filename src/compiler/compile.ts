/** From a model, a plan and a shape to the program that all parties run. */
import { turnsOf } from "../models/model.ts";
import type { Plan } from "../program/plan.ts";
import type { ModelSpec } from "../program/spec.ts";
import { PlanError, type Program, RingOverflow, type Shape } from "../program/steps.ts";
import { Budget, DEFAULT_BOUNDS } from "./budget.ts";
import { Compiler } from "./compiler.ts";
import { everyLayers } from "./emitter.ts";
import type { Handle } from "./handles.ts";

/** Most bits of precision given up for a plan to fit. */
const MOST_SLACK = 5;
/** Values that can be lifted instead: norms, and the weights of attention. */
const RELIEVED = /norm$|^scores$/;

/**
 * The program of a model for one shape, as precise as 64 bits allow: what is read in a wide ring is lifted to it,
 * which takes a flight; if that is not enough, all values give up bits.
 * @throws PlanError when the plan does not fit. @throws TooLarge when the program goes beyond `bounds`.
 */
export function compile(spec: ModelSpec, plan: Plan, shape: Shape, bounds = DEFAULT_BOUNDS): Program {
  if (shape.scoring && spec.answer === "label")
    throw new PlanError("a model that tells the next token alone gives no scores of a text's positions");
  const budget = new Budget(bounds);
  const relief = new Set<string>();
  for (let slack = 0; ; ) {
    try {
      const compiler = new Compiler(spec, plan, shape, { slack, relief, budget });
      const answers: Handle[] = [];
      for (const logits of turnsOf(compiler, spec)) if (answers.push(logits) === shape.turns) break;
      return compiler.finish(answers);
    } catch (error) {
      if (!(error instanceof RingOverflow)) throw error;
      const name = everyLayers(error.value);
      if (RELIEVED.test(name) && !relief.has(name)) relief.add(name);
      else if (slack++ === MOST_SLACK) throw error;
    }
  }
}
