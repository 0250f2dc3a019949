/** The seam at which a party has programs compiled: here, or in a thread (compile-thread.ts). */
import { type Bounds, DEFAULT_BOUNDS } from "../compiler/budget.ts";
import { compile } from "../compiler/compile.ts";
import type { Plan } from "../program/plan.ts";
import type { ModelSpec } from "../program/spec.ts";
import type { Program, Shape } from "../program/steps.ts";
import { fingerprint } from "./messages.ts";

export interface CompileTask {
  readonly spec: ModelSpec;
  readonly plan: Plan;
  readonly shape: Shape;
  readonly bounds: Bounds;
}

export interface CompiledProgram {
  readonly program: Program;
  readonly fingerprint: string;
}

/** Compiles one program. @throws PlanError when it does not fit, or goes beyond its bounds. */
export type Compile = (task: CompileTask) => Promise<CompiledProgram>;

/** Before anything else can run: for a process that serves nobody but its user, and for browsers, whose parties are in a worker already. */
export const compileHere: Compile = async ({ spec, plan, shape, bounds }) => {
  const program = compile(spec, plan, shape, bounds);
  return { program, fingerprint: await fingerprint(program) };
};

export { type Bounds, DEFAULT_BOUNDS };
