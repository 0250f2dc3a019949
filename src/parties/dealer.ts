/** The dealer: takes both seeds of a session and the server's masked weights, and deals. It never sees a text. */

import type * as v from "valibot";
import type { Channel } from "../channels/channel.ts";
import { compile } from "../models/calibrate.ts";
import type { Program, Step, WeightSlot } from "../program/steps.ts";
import { Dealer } from "../protocols/protocol.ts";
import type { Words } from "../ring/memory.ts";
import { Prg } from "../ring/prg.ts";
import type { Ring } from "../ring/ring.ts";
import { dealProgram } from "./engine.ts";
import type { Meeting } from "./meeting.ts";
import { type accepted, described, fingerprint, fromHex, PartyError, parse, toDealer } from "./messages.ts";
import { type Measured, peakRssMb, stopwatch } from "./meter.ts";
import { StoredWeights, setupParts, slotKey } from "./weights.ts";

type Message = v.InferOutput<typeof toDealer>;
type FromServer = Extract<Message, { role: "server" }>;
type FromClient = Extract<Message, { role: "client" }>;

/** One side of a session that waits for the other. */
interface Waiting<M> {
  readonly message: M;
  readonly channel: Channel;
  readonly finish: (error?: Error) => void;
}

/** The client's side as a session needs it, whichever process its connection is at. */
interface ClientSide {
  readonly message: FromClient;
  accept(): Promise<void>;
}

export interface DealerOptions {
  /** Where sides meet that reach different processes; without it, all sessions meet in this one. */
  readonly meeting?: Meeting;
  /** One line for people: sessions begun and ended; never a seed. */
  readonly log?: (line: string) => void;
  /** What each session took here. */
  readonly measured?: (phase: Measured) => void;
}

/**
 * Ended sessions that are refused when someone begins them again. A mistake is caught soon or never: the guard of once-only is
 * elsewhere (docs/threat-model.md), so that this needs no disk, and must not grow for ever.
 */
const REMEMBERED = 1 << 17;
const ACCEPTED = { accepted: true } satisfies v.InferOutput<typeof accepted>;

export class DealerService {
  private readonly ring: Ring;
  private readonly options: DealerOptions;
  private readonly servers = new Map<string, Waiting<FromServer>>();
  private readonly clients = new Map<string, Waiting<FromClient>>();
  private readonly weights = new Map<string, Words>();
  private readonly seen = new Set<string>();

  constructor(ring: Ring, options: DealerOptions = {}) {
    this.ring = ring;
    this.options = options;
  }

  /** Serves one connection: a server's or a client's side of one session. Ends when the session is dealt. */
  async serve(channel: Channel): Promise<void> {
    try {
      const message = parse(toDealer, await channel.receiveJson(0, 2 ** 22), "peer");
      if (this.options.meeting !== undefined) await this.meetElsewhere(this.options.meeting, message, channel);
      else
        await new Promise<void>((resolve, reject) => {
          const finish = (error?: Error) => (error === undefined ? resolve() : reject(error));
          this.meet(message, channel, finish);
        });
    } catch (error) {
      const line = error instanceof Error ? error.message : "the session failed";
      await channel.sendJson(0, { error: line }).catch(() => {});
      channel.close();
      throw error;
    }
    channel.close();
  }

  private meet(message: Message, channel: Channel, finish: (error?: Error) => void): void {
    const { session } = message;
    const mine = message.role === "server" ? this.servers : this.clients;
    if (mine.has(session) || this.seen.has(`${message.role}:${session}`)) {
      finish(new PartyError("this session was dealt before: material is made once only"));
      return;
    }
    this.seen.add(`${message.role}:${session}`);
    if (this.seen.size > REMEMBERED) this.seen.delete(this.seen.values().next().value!);
    if (message.role === "server") this.servers.set(session, { message, channel, finish });
    else this.clients.set(session, { message, channel, finish });
    const server = this.servers.get(session);
    const client = this.clients.get(session);
    if (server === undefined || client === undefined) return;
    this.servers.delete(session);
    this.clients.delete(session);
    const accept = () => client.channel.sendJson(0, ACCEPTED);
    this.session(server, { message: client.message, accept }).then(
      () => [server, client].map((s) => s.finish()),
      (error: Error) => [server, client].map((s) => s.finish(error)),
    );
  }

  /** Deals where the server's side is; the client's message comes there, and the answer goes back. */
  private async meetElsewhere(meeting: Meeting, message: Message, channel: Channel): Promise<void> {
    const { session } = message;
    if (message.role === "client") {
      await meeting.offer(session, JSON.stringify(message));
      return channel.sendJson(0, ACCEPTED);
    }
    const found = parse(toDealer, JSON.parse(await meeting.take(session)), "other dealer");
    if (found.role !== "client")
      throw new PartyError("another dealer process speaks otherwise: install the same release");
    try {
      await this.session({ message, channel }, { message: found, accept: () => meeting.answer(session) });
    } catch (error) {
      await meeting.answer(session, error instanceof Error ? error.message : "the session failed");
      throw error;
    }
  }

  private async session(server: Pick<Waiting<FromServer>, "message" | "channel">, client: ClientSide): Promise<void> {
    const { message, channel } = server;
    if (message.model.id !== client.message.model) throw new PartyError("client and server name different models");
    if (message.program !== client.message.program) throw new PartyError("client and server run different programs");
    const program = compile(message.model.spec, message.model.plan, message.shape);
    if ((await fingerprint(program)) !== message.program) {
      throw new PartyError("the dealer compiles another program: install the same release everywhere");
    }
    const measured = stopwatch("offline");
    await client.accept();
    const arriving = await this.setup(channel, message.model.id, program);
    const weights = new StoredWeights(arriving.words, program.weights);
    const dealer = new Dealer(
      this.ring,
      program,
      new Prg(fromHex(client.message.seed)),
      new Prg(fromHex(message.seed)),
      weights,
    );
    try {
      const emit = (step: Step, packed: Uint8Array) => channel.send("offline", step.id, [packed]);
      await dealProgram(dealer, emit, (step) => arriving.until(step));
    } finally {
      dealer.close();
    }
    const phase = measured();
    const { seconds } = phase;
    const bytes = channel.sent.offline.bytes;
    await channel.sendJson(0, {
      seconds,
      dealer: { bytes, setupBytes: channel.received.setup.bytes, peakRssMb: peakRssMb() },
    });
    this.options.measured?.(phase);
    this.options.log?.(
      `dealt a session of ${described(program.shape)}: ${(bytes / 1e6).toFixed(1)} MB in ${seconds.toFixed(1)} s`,
    );
  }

  /**
   * Asks the server for the masked weights that are not here yet. They arrive in the order of their use while the first
   * steps are dealt already.
   */
  private async setup(channel: Channel, model: string, program: Program): Promise<ArrivingWeights> {
    const keys: string[] = [];
    for (const slot of program.weights) keys.push(`${model}:${await slotKey(slot.ref)}`);
    const lacking = program.weights.filter((slot) => !this.weights.has(keys[slot.id]));
    await channel.sendJson(0, { missing: lacking.map((s) => s.id) });
    const words = keys.map((key) => this.weights.get(key));
    const until = async (step: Step) => {
      const last = step.kind === "linear" ? Math.max(...step.terms.map((t) => t.weightId)) : -1;
      while (lacking.length > 0 && lacking[0].id <= last) {
        const slot = lacking.shift()!;
        words[slot.id] = await this.take(channel, slot, keys[slot.id]);
      }
    };
    return { words, until };
  }

  private async take(channel: Channel, slot: WeightSlot, key: string): Promise<Words> {
    const words = this.ring.alloc(slot.rows * slot.columns);
    try {
      let at = 0;
      for (const size of setupParts(slot)) {
        const part = await channel.receive("setup", slot.id, size);
        // Only now: while it came, another session may have made the memory grow and move.
        words.bytes().set(part, at);
        at += size;
      }
    } catch (error) {
      this.ring.free(words);
      throw error;
    }
    const known = this.weights.get(key);
    if (known === undefined) {
      this.weights.set(key, words);
      return words;
    }
    // Another session brought the same operand meanwhile.
    this.ring.free(words);
    return known;
  }
}

interface ArrivingWeights {
  /** By slot; filled as they come. */
  readonly words: readonly (Words | undefined)[];
  /** Resolves when everything that a step needs is here. */
  until(step: Step): Promise<void>;
}
