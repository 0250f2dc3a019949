import type { Program, Slot, Step, Value } from "./steps.ts";

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

function isNext(step: Step): boolean {
  return step.kind === "input" && step.after !== null;
}

const offlineOrders = new WeakMap<Program, readonly (readonly Step[])[]>();

/**
 * The order of the offline phase: steps one by one, and those that the later turns of a decoder have in common side by side.
 * Before the text nothing depends on what is chosen, so a layer's weights need to be gone through only once for all turns.
 */
export function offlineOrder(program: Program): readonly (readonly Step[])[] {
  let order = offlineOrders.get(program);
  if (order === undefined) {
    order = sideBySide(program);
    offlineOrders.set(program, order);
  }
  return order;
}

function sideBySide({ steps }: Program): readonly (readonly Step[])[] {
  const turns: Step[][] = [[]];
  for (const [i, step] of steps.entries()) {
    const begins = isNext(step) && !isNext(steps[i - 1]);
    if (begins) turns.push([]);
    turns[turns.length - 1].push(step);
  }
  const [first, second = [], ...others] = turns;
  const alike = others.every(
    (turn) => turn.length === second.length && turn.every((s, k) => s.kind === second[k].kind),
  );
  const later = alike
    ? second.map((step, k) => [step, ...others.map((turn) => turn[k])])
    : turns
        .slice(1)
        .flat()
        .map((s) => [s]);
  return [...first.map((s) => [s]), ...later];
}

/** The flight in which an opening's messages leave; null for local steps. */
function openingSlot(step: Step, atServer: number, atClient: number): number | null {
  if (step.kind === "input") return atClient;
  if (step.kind === "openBits") return Math.max(atServer, atClient);
  if (step.kind !== "open") return null;
  if (step.mode === "exchange") return Math.max(atServer, atClient);
  return step.mode === "toServer" ? atClient : atServer;
}

/** The values a step reads. */
export function inputsOf(step: Step): number[] {
  switch (step.kind) {
    case "entry":
    case "ramp":
      return [];
    case "input":
      return step.after === null ? [] : [step.after];
    case "linear":
      return step.terms.map((t) => t.x);
    case "matmul":
      return [step.a, step.b];
    case "difference":
    case "place":
      return [step.x, step.y];
    case "polynomial":
      return [...step.variables.map((v) => v.x), ...step.addends.map((a) => a.x)];
    default:
      return [step.x];
  }
}
