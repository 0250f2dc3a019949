import { inputsOf, isNext } from "../program/order.ts";
import type { Slot, Step, Value } from "../program/steps.ts";

/**
 * Puts every opening into the earliest flight in which its input is there, and every local step before the flight that
 * needs it. A flight is one one-way latency; in it each party sends at most one message with all its openings.
 *
 * The parties are tracked apart: what the client sends to the server alone does not wait for what the server computes.
 */
export function schedule(values: readonly Value[], steps: readonly Step[]): Slot[] {
  const server = new Float64Array(values.length);
  const client = new Float64Array(values.length);
  const local: number[][] = [];
  const opens: number[][] = [];
  const put = (table: number[][], slot: number, id: number) => {
    while (table.length <= slot) table.push([]);
    table[slot].push(id);
  };
  for (const step of steps) {
    const inputs = inputsOf(step);
    const atServer = Math.max(0, ...inputs.map((id) => server[id]));
    const atClient = Math.max(0, ...inputs.map((id) => client[id]));
    const both = Math.max(atServer, atClient);
    const slot = openingSlot(step, atServer, atClient);
    if (slot !== null) {
      put(opens, slot, step.id);
      server[step.out] = client[step.out] = slot + 1;
    } else if (step.kind === "linear") {
      // The server's alone: the client's part is known before the text.
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
export function turnsOf(slots: readonly Slot[], steps: readonly Step[]): number[] {
  const begins = slots.flatMap(({ opens }, flight) => {
    const next = opens.some((id) => isNext(steps[id]));
    return next ? [flight] : [];
  });
  return [0, ...begins];
}

/** The flight in which an opening's messages leave; null for local steps. */
function openingSlot(step: Step, atServer: number, atClient: number): number | null {
  if (step.kind === "input") return atClient;
  if (step.kind === "openBits") return Math.max(atServer, atClient);
  if (step.kind !== "open") return null;
  if (step.mode === "exchange") return Math.max(atServer, atClient);
  return step.mode === "toServer" ? atClient : atServer;
}
