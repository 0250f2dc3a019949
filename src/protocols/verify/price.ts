/** What checking clients costs, before it is run: keys, the challenge and its answer, and products. */
import type { Program, Step } from "../../program/steps.ts";
import { ruleOf } from "../all.ts";
import { FRAME_HEADER } from "../cost.ts";
import { answerBytes, CHECKED_COLUMNS, combinedLayer } from "./check.ts";
import { checkable, checksOf, mostNamed, sessionKeyBytes, type Verify } from "./sampling.ts";
import { coneOf } from "./words.ts";

/** Of one text's session, frame headers included. */
export interface CheckCost {
  /** One opening in so many is checked. */
  readonly verify: Verify;
  readonly checks: number;
  readonly offline: { readonly bytes: { readonly dealer_to_server: number } };
  readonly online: {
    /** One way each: a challenge and its answer. */
    readonly flights: number;
    readonly bytes: { readonly client_to_server: number; readonly server_to_client: number };
  };
  /** Multiplications of either party's sums, in the mean; of more than 64 bits where a tag has them. */
  readonly macs: number;
}

/** The cost of checking a program that was compiled for it. */
export function checkCost(program: Program, verify: Verify): CheckCost {
  const checks = checksOf(program).length;
  const named = mostNamed(program, verify);
  const challenges = named.map((ids) => JSON.stringify({ seed: "0".repeat(32), openings: [ids] }).length);
  return {
    verify,
    checks,
    offline: { bytes: { dealer_to_server: sessionKeyBytes(program, verify) } },
    online: {
      flights: 2 * checks,
      bytes: {
        client_to_server: checks * (answerBytes(program) + FRAME_HEADER),
        server_to_client: challenges.reduce((sum, bytes) => sum + bytes + FRAME_HEADER, 0),
      },
    },
    macs: macsOf(program) / verify,
  };
}

/** Seconds that its messages take online, as `secondsOver` counts them. */
export function secondsOfCheck(
  { online: { flights, bytes } }: CheckCost,
  link: { readonly roundTrip: number; readonly megabits: number },
): number {
  return (
    (flights * link.roundTrip) / 2000 + (8 * (bytes.client_to_server + bytes.server_to_client)) / (link.megabits * 1e6)
  );
}

/** Of sums over one kind of words of all openings. */
function macsOf(program: Program): number {
  const all = checkable(program);
  const layers = all.flatMap((step) => combinedLayer(step, program) ?? []);
  const plain = all.filter((step) => combinedLayer(step, program) === null);
  const sum = (steps: readonly Step[], of: (step: Step) => number) => steps.reduce((total, s) => total + of(s), 0);
  const own = (step: Step) =>
    (ruleOf(step).products?.(step, program) ?? []).reduce((n, p) => n + p.m * p.k * p.n * p.times, 0);
  // A share's products are as many as the server's own of the step.
  return sum(layers, (layer) => combinedMacs(layer, program)) + sum(coneOf(program, plain).steps, own);
}

/** Of a layer whose columns are combined before R is multiplied. */
function combinedMacs(step: Step, program: Program): number {
  if (step.kind !== "linear") return 0;
  const { rows, columns } = program.values[step.out];
  const inner = step.terms.map(({ weightId }) => (weightId < 0 ? 1 : program.weights[weightId].rows));
  return inner.reduce((sum, k) => sum + (columns + rows) * k * CHECKED_COLUMNS, rows * columns * CHECKED_COLUMNS);
}
