/** The three services in one process, joined by channels on which every frame is written down as it arrives. */

import type { Channel } from "../../src/channels/channel.ts";
import { HEADER_BYTES, type Phase } from "../../src/channels/frame.ts";
import { memoryPair } from "../../src/channels/memory.ts";
import type { TokenizerFiles } from "../../src/models/tokenizer.ts";
import { Client, type ClientOptions } from "../../src/parties/client.ts";
import { DealerService } from "../../src/parties/dealer.ts";
import { lineOf, type ServiceEvent } from "../../src/parties/events.ts";
import { publicModel } from "../../src/parties/model-identity.ts";
import { ServerService } from "../../src/parties/server.ts";
import { hex } from "../../src/ring/hex.ts";
import { randomKey } from "../../src/ring/prg.ts";
import { Ring } from "../../src/ring/ring.ts";
import { Secret } from "../../src/ring/secret.ts";
import type { MaterialStore } from "../../src/stores/store.ts";
import type { Harness } from "./harness.ts";

type Name = "client" | "server" | "dealer";

/** One message as the wire has it. */
export interface Frame {
  readonly from: Name;
  readonly to: Name;
  readonly phase: Phase;
  readonly step: number;
  readonly payload: Uint8Array;
}

const PHASES: readonly Phase[] = ["control", "setup", "offline", "online"];

export interface TappedOptions {
  /** The files of the server's tokenizer; without any it takes ids alone. */
  readonly tokenizer?: TokenizerFiles;
  readonly identity?: { readonly id: string; readonly key: Secret };
  readonly stores?: { readonly client: MaterialStore; readonly server: MaterialStore };
  /** Of how many openings one is checked; all unless told, where the harness's program says that they are. */
  readonly verify?: number;
}

export interface Tapped {
  /** In the order of their arrival, over all wires. */
  readonly frames: Frame[];
  /** What the services told people, and how their sessions failed. */
  readonly logs: string[];
  connect(options?: Partial<ClientOptions>): Promise<Client>;
}

/** A dealer, a server with the harness's model, and clients as many as are asked for. */
export async function tapped(h: Harness, options: TappedOptions = {}): Promise<Tapped> {
  const { identity, stores, tokenizer = {}, verify = h.program.shape.verified ? 1 : 0 } = options;
  const frames: Frame[] = [];
  const logs: string[] = [];
  const log = (line: string) => void logs.push(line);
  const serving = (end: Promise<void>) => void end.catch((error: Error) => log(error.message));
  const told = (event: ServiceEvent) => log(`${lineOf(event)} ${JSON.stringify(event)}`);
  const telling = { log: told, measured: (phase: unknown) => log(JSON.stringify(phase)) };
  const dealer = new DealerService(await Ring.create(), telling);
  const toDealer = (from: Name) => async () => {
    const [mine, theirs] = pair(from, "dealer", frames);
    serving(dealer.serve(theirs));
    return mine;
  };
  const { id, key } = identity ?? { id: hex(randomKey()), key: new Secret(randomKey()) };
  const model = await publicModel({ spec: h.spec, plan: h.plan, tokenizer, commitment: id }, h.weights);
  const server = new ServerService(
    await Ring.create(),
    { model, modelKey: key, weights: async () => h.weights, tokenizer },
    { ...telling, verify, connectDealer: toDealer("server"), store: stores?.server },
  );
  const clientOptions: ClientOptions = { connectDealer: toDealer("client"), store: stores?.client };
  const connect = (others: Partial<ClientOptions> = {}) => {
    const [mine, theirs] = pair("client", "server", frames);
    serving(server.serve(theirs));
    return Client.connect(h.ring, mine, { ...clientOptions, ...others });
  };
  return { frames, logs, connect };
}

function pair(left: Name, right: Name, frames: Frame[]): [Channel, Channel] {
  const ends = memoryPair();
  tap(ends[0], right, left, frames);
  tap(ends[1], left, right, frames);
  return ends;
}

/** Reads the frames of what comes to one end, before that end does. */
function tap(end: Channel, from: Name, to: Name, frames: Frame[]): void {
  const feed = end.feed.bind(end);
  let pending: Buffer = Buffer.alloc(0);
  end.feed = (chunk) => {
    pending = Buffer.concat([pending, chunk]);
    while (pending.length >= HEADER_BYTES) {
      const length = pending.readUInt32LE(0);
      if (pending.length < HEADER_BYTES + length) break;
      const payload = Uint8Array.from(pending.subarray(HEADER_BYTES, HEADER_BYTES + length));
      frames.push({ from, to, phase: PHASES[pending[4]], step: pending.readUInt32LE(8), payload });
      pending = pending.subarray(HEADER_BYTES + length);
    }
    feed(chunk);
  };
}

/** What everybody between the parties sees of frames. */
function seen(frames: readonly Frame[]): string[] {
  return frames.map((frame) => `${frame.from} ${frame.to} ${frame.phase} ${frame.step} ${sizeOf(frame)}`);
}

/** Server's and dealer's reports hold their own seconds and memory, whose decimals are as long as they happen to be. */
function sizeOf({ from, phase, payload }: Frame): number | string {
  if (from === "client" || phase !== "control") return payload.length;
  const fields = Object.keys(JSON.parse(new TextDecoder().decode(payload)));
  return fields.includes("seconds") || fields.includes("peakRssMb") ? `report of ${fields}` : payload.length;
}

/** The frames of each wire in their order: what crosses two wires at once may come either way round. */
export function byWire(frames: readonly Frame[]): string[][] {
  const wires = [...new Set(frames.map(({ from, to }) => `${from} ${to}`))].sort();
  return wires.map((wire) => seen(frames.filter(({ from, to }) => `${from} ${to}` === wire)));
}
