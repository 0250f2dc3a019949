import type { Flight, Step, Value, ValueId } from "../program/steps.ts";
import { ruleOf } from "../protocols/all.ts";

/**
 * Puts every opening into the earliest flight in which its input is there, and every local step before the flight that
 * needs it. A flight is one one-way latency; in it each party sends at most one message with all its openings.
 *
 * The parties are tracked apart: what the client sends to the server alone does not wait for what the server computes.
 */
export function schedule(
  values: readonly Value[],
  steps: readonly Step[],
  reads: readonly (readonly ValueId[])[],
): Flight[] {
  const server = new Float64Array(values.length);
  const client = new Float64Array(values.length);
  const local: number[][] = [];
  const opens: number[][] = [];
  const put = (table: number[][], flight: number, id: number) => {
    while (table.length <= flight) table.push([]);
    table[flight].push(id);
  };
  for (const step of steps) {
    const atServer = Math.max(0, ...reads[step.id].map((id) => server[id]));
    const atClient = Math.max(0, ...reads[step.id].map((id) => client[id]));
    const both = Math.max(atServer, atClient);
    const rule = ruleOf(step);
    if ("sentBy" in rule) {
      const flight = { both, client: atClient, server: atServer }[rule.sentBy(step)];
      put(opens, flight, step.id);
      server[step.out] = client[step.out] = flight + 1;
    } else if (rule.waitsFor === "server") {
      put(local, atServer, step.id);
      server[step.out] = atServer;
    } else {
      put(local, both, step.id);
      server[step.out] = client[step.out] = both;
    }
  }
  const count = Math.max(local.length, opens.length);
  return Array.from({ length: count }, (_, i) => ({ local: local[i] ?? [], opens: opens[i] ?? [] }));
}

/** The flight in which each turn begins. */
export function turnsOf(flights: readonly Flight[], steps: readonly Step[]): number[] {
  const begins = flights.flatMap(({ opens }, flight) => (opens.some((id) => isNext(steps[id])) ? [flight] : []));
  return [0, ...begins];
}

/** Whether a step takes the token that a later turn begins with. */
function isNext(step: Step): boolean {
  return step.kind === "input" && step.after !== null;
}
