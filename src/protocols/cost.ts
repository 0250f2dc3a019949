/** What a program costs, before it is run: the same declarations that the parties send and expect by. */
import { shortest } from "../program/lengths.ts";
import type { Program, Step } from "../program/steps.ts";
import { trafficOf } from "./all.ts";
import { type Block, elements } from "./protocol.ts";

/** Bytes of one frame's header on every channel. */
export const FRAME_HEADER = 16;

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

export interface Cost {
  readonly length: number;
  readonly shortest: number;
  readonly online: {
    readonly flights: number;
    readonly bytes: { readonly client_to_server: number; readonly server_to_client: number };
  };
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
  readonly steps: readonly StepCost[];
}

/** Predicted flights and bytes, frame headers included: exactly what the channels will count. */
export function costOf(program: Program): Cost {
  const steps = program.steps.map((step) => stepCost(step, program));
  const online = { client_to_server: 0, server_to_client: 0 };
  let flights = 0;
  for (const slot of program.slots) {
    const sent = slotTraffic(slot.opens, program);
    if (sent.fromClient.length > 0) online.client_to_server += FRAME_HEADER + bytesOf(sent.fromClient);
    if (sent.fromServer.length > 0) online.server_to_client += FRAME_HEADER + bytesOf(sent.fromServer);
    if (sent.fromClient.length + sent.fromServer.length > 0) flights++;
  }
  const framed = (bytes: number) => (bytes > 0 ? bytes + FRAME_HEADER : 0);
  const sum = (f: (c: StepCost) => number) => steps.reduce((total, c) => total + f(c), 0);
  return {
    length: program.length,
    shortest: shortest(program.length),
    online: { flights, bytes: online },
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
    steps,
  };
}

/** The blocks of one flight, by sender, in the order in which they are packed. */
export function slotTraffic(opens: readonly number[], program: Program): { fromClient: Block[]; fromServer: Block[] } {
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
    offline: { dealer_to_server: one(t.dealt), client_to_server: one(t.ahead) },
    macs: macsOf(step, program),
  };
}

function macsOf(step: Step, program: Program): number {
  const out = elements(program.values[step.out]);
  if (step.kind === "linear") {
    return step.terms.reduce((sum, t) => sum + out * (t.weightId < 0 ? 1 : program.weights[t.weightId].rows), 0);
  }
  if (step.kind !== "matmul") return 0;
  const inner = step.transposeB ? program.values[step.a].columns / step.heads : program.values[step.a].columns;
  return 2 * out * inner;
}
