/** What a program costs, before it is run: the same declarations that the parties send and expect by. */
import { fewestTokens } from "../program/lengths.ts";
import type { Flight, Program, Shape, Step } from "../program/steps.ts";
import { ruleOf, trafficOf } from "./all.ts";
import type { Block } from "./blocks.ts";
import type { Product } from "./rule.ts";

/** Bytes of one frame's header on every channel. */
export const FRAME_HEADER = 40;

export function blockBytes(block: Block): number {
  return Math.ceil((block.length * block.bits) / 8);
}

export function bytesOf(blocks: readonly Block[]): number {
  return blocks.reduce((sum, b) => sum + blockBytes(b), 0);
}

export interface StepCost {
  readonly step: number;
  readonly label: string;
  readonly group: string;
  readonly kind: string;
  /** Bits that an opening sends for each element; 0 for local steps. */
  readonly bits: number;
  readonly online: { readonly client_to_server: number; readonly server_to_client: number };
  readonly offline: { readonly dealer_to_server: number; readonly client_to_server: number };
  /** Multiplications of the server's online matrix products. */
  readonly macs: number;
}

/** What crosses the wire online. */
export interface OnlineCost {
  readonly flights: number;
  readonly bytes: { readonly client_to_server: number; readonly server_to_client: number };
}

export interface Cost {
  readonly shape: Shape;
  readonly shortest: number;
  readonly online: OnlineCost;
  /** The same by turn, without the words of a few bytes by which a client goes on to the next one. */
  readonly turns: readonly OnlineCost[];
  readonly offline: {
    readonly bytes: {
      readonly dealer_to_server: number;
      readonly dealer_to_client: number;
      readonly client_to_server: number;
      readonly server_to_client: number;
    };
  };
  /** Once for a model: W - R, from the server to the dealer, without frame headers. */
  readonly setup: { readonly bytes: { readonly server_to_dealer: number } };
  readonly macs: number;
  /** Bits of precision that every value gave up for the rings to have 64. */
  readonly slack: number;
  /** The server's online matrix products by shape: what no implementation of these steps can leave out. */
  readonly products: readonly Product[];
  readonly steps: readonly StepCost[];
}

/** Predicted flights and bytes, frame headers included: exactly what the channels will count. */
export function costOf(program: Program): Cost {
  const steps = program.steps.map((step) => stepCost(step, program));
  const turns = program.turns.map((first, turn) =>
    onlineCost(program.flights.slice(first, program.turns[turn + 1]), program),
  );
  const sum = (f: (c: StepCost) => number) => steps.reduce((total, c) => total + f(c), 0);
  return {
    shape: program.shape,
    shortest: fewestTokens(program.shape),
    online: onlineCost(program.flights, program),
    turns,
    offline: {
      bytes: {
        dealer_to_server: sum((c) => framed(c.offline.dealer_to_server)),
        dealer_to_client: 0,
        client_to_server: sum((c) => framed(c.offline.client_to_server)),
        server_to_client: 0,
      },
    },
    setup: { bytes: { server_to_dealer: program.weights.reduce((t, w) => t + w.rows * w.columns * 8, 0) } },
    macs: sum((c) => c.macs),
    slack: program.slack,
    products: together(program.steps.flatMap((step) => productsOf(step, program)).filter(({ k }) => k > 1)),
    steps,
  };
}

/** Which forms the compiler chose for what takes most flights. */
export interface Forms {
  /** Roots of rows that begin with a dealt spline, those that begin with a polynomial, and the Newton steps of all. */
  readonly splines: number;
  readonly polynomials: number;
  readonly newtonSteps: number;
  /** Rows' maxima that are found by counting, and the levels of the others' tournaments. */
  readonly counted: number;
  readonly levels: number;
}

/** The forms of a program's roots and maxima. */
export function formsOf({ steps, values }: Program): Forms {
  const count = (holds: (step: Step) => boolean) => steps.filter(holds).length;
  const rooted = (variables: (n: number) => boolean) =>
    count(
      (s) =>
        s.kind === "polynomial" &&
        /^(reciprocal|inverseSqrt)$/.test(values[s.out].name) &&
        variables(s.variables.length),
    );
  return {
    splines: count((s) => s.kind === "spline"),
    polynomials: rooted((n) => n === 1),
    newtonSteps: rooted((n) => n > 1),
    counted: count((s) => s.kind === "counts"),
    levels: count((s) => s.kind === "open" && values[s.x].name === "maximum"),
  };
}

/**
 * Seconds that a run's messages take online: each flight one way, and the longer of its two messages at the link's rate. What the
 * parties compute comes on top.
 */
export function secondsOver(program: Program, link: { readonly roundTrip: number; readonly megabits: number }): number {
  let seconds = 0;
  for (const flight of program.flights) {
    const { bytes, flights } = onlineCost([flight], program);
    const longest = Math.max(bytes.client_to_server, bytes.server_to_client);
    seconds += (flights * link.roundTrip) / 2000 + (8 * longest) / (link.megabits * 1e6);
  }
  return seconds;
}

/** What the server gets offline for one run, frame headers included: the material that it keeps until then. */
export function materialBytes(program: Program): number {
  return program.steps.reduce((sum, step) => sum + materialOf(step, program), 0);
}

/** The same of one step. */
export function materialOf(step: Step, program: Program): number {
  const { dealt, ahead } = trafficOf(step, program);
  return framed(bytesOf(dealt ?? [])) + framed(ahead ? blockBytes(ahead) : 0);
}

function framed(bytes: number): number {
  return bytes > 0 ? bytes + FRAME_HEADER : 0;
}

function onlineCost(crossing: readonly Flight[], program: Program): OnlineCost {
  const bytes = { client_to_server: 0, server_to_client: 0 };
  let flights = 0;
  for (const { opens } of crossing) {
    const sent = flightTraffic(opens, program);
    if (sent.fromClient.length > 0) bytes.client_to_server += FRAME_HEADER + bytesOf(sent.fromClient);
    if (sent.fromServer.length > 0) bytes.server_to_client += FRAME_HEADER + bytesOf(sent.fromServer);
    if (sent.fromClient.length + sent.fromServer.length > 0) flights++;
  }
  return { flights, bytes };
}

/** The blocks of one flight, by sender, in the order in which they are packed. */
export function flightTraffic(
  opens: readonly number[],
  program: Program,
): { fromClient: Block[]; fromServer: Block[] } {
  const fromClient: Block[] = [];
  const fromServer: Block[] = [];
  for (const id of opens) {
    const traffic = trafficOf(program.steps[id], program);
    if (traffic.fromClient) fromClient.push(traffic.fromClient);
    if (traffic.fromServer) fromServer.push(traffic.fromServer);
  }
  return { fromClient, fromServer };
}

function stepCost(step: Step, program: Program): StepCost {
  const t = trafficOf(step, program);
  const one = (b: Block | undefined) => (b ? blockBytes(b) : 0);
  return {
    step: step.id,
    label: step.label,
    group: step.group,
    kind: step.kind === "open" ? `open ${step.mode}` : step.kind,
    bits: t.fromClient?.bits ?? t.fromServer?.bits ?? 0,
    online: { client_to_server: one(t.fromClient), server_to_client: one(t.fromServer) },
    offline: { dealer_to_server: bytesOf(t.dealt ?? []), client_to_server: one(t.ahead) },
    macs: macsOf(step, program),
  };
}

function macsOf(step: Step, program: Program): number {
  return productsOf(step, program).reduce((sum, { m, k, n, times }) => sum + m * k * n * times, 0);
}

function productsOf(step: Step, program: Program): readonly Product[] {
  return ruleOf(step).products?.(step, program) ?? [];
}

function together(products: readonly Product[]): Product[] {
  const shapes = new Map<string, Product>();
  for (const p of products) {
    const key = `${p.m},${p.k},${p.n},${p.narrow},${p.bits}`;
    shapes.set(key, { ...p, times: p.times + (shapes.get(key)?.times ?? 0) });
  }
  return [...shapes.values()];
}
