/** Sessions in this process, with one constant text: their messages, and what each party holds after its openings. */
import { randomText } from "../../src/models/catalog.ts";
import type { Witness } from "../../src/parties/engine.ts";
import type { SimulationInputs } from "../../src/parties/simulate.ts";
import type { Choose } from "../../src/protocols/clear.ts";
import type { Harness } from "../parties/harness.ts";
import type { Frame } from "../parties/tapped.ts";
import type { Views } from "./statistics.ts";
import { watchOpenings } from "./watch.ts";
import { partsOf, wireTable } from "./wire.ts";

export interface CollectOptions {
  /** Of a decoder: what it goes on with. */
  readonly choose?: Choose;
  /** A planted fault may also void the answer; what was seen counts all the same. */
  readonly broken?: boolean;
}

/** Two witnesses that write frames down: of what crosses the wire online, and of what dealer and client send ahead. */
export function witnesses(frames: Frame[]): {
  online: Witness;
  offline: NonNullable<SimulationInputs["offlineWitness"]>;
} {
  return {
    online: (step, from, payload) => {
      const to = from === "client" ? "server" : "client";
      frames.push({ from, to, phase: "online", step, payload: payload.slice() });
    },
    offline: (from, step, payload) =>
      void frames.push({ from, to: "server", phase: "offline", step, payload: payload.slice() }),
  };
}

/** The messages of one session. */
export async function framesOf(h: Harness, { choose, broken = false }: CollectOptions = {}): Promise<Frame[]> {
  const frames: Frame[] = [];
  const { online, offline } = witnesses(frames);
  try {
    const verify = h.program.shape.verified ? 1 : 0;
    (await h.secure(randomText(h.spec, 11, 3), online, offline, choose, verify)).run.close();
  } catch (error) {
    if (!broken) throw error;
  }
  return frames;
}

const table = wireTable();

/** What all these sessions show, by kind of message and by step. */
export async function collect(h: Harness, sessions: number, options: CollectOptions = {}): Promise<Views> {
  const views = new Map<string, Uint8Array[]>();
  const see = (name: string, bytes: Uint8Array) => views.set(name, [...(views.get(name) ?? []), bytes]);
  const undo = watchOpenings(see);
  try {
    for (let i = 0; i < sessions; i++)
      for (const frame of await framesOf(h, options))
        for (const { name, bytes } of partsOf(frame, h.program, table)) see(name, bytes);
  } finally {
    undo();
  }
  return views;
}
