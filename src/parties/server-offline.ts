/** The server's offline phase: material for one text, from the dealer and the client at once. */

import type { Channel } from "../channels/channel.ts";
import type { Program, Step } from "../program/steps.ts";
import { trafficOf } from "../protocols/all.ts";
import { blockBytes, bytesOf } from "../protocols/cost.ts";
import { portionsOf } from "../protocols/portions.ts";
import { keyedWords, paddingBytes, sampled } from "../protocols/verify/sampling.ts";
import { keyBytes, type WordSet } from "../protocols/verify/words.ts";
import { fromHex, hex } from "../ring/hex.ts";
import { randomKey } from "../ring/prg.ts";
import { Secret } from "../ring/secret.ts";
import { StoredMaterial } from "../stores/material.ts";
import type { Log } from "./events.ts";
import type { Compiled, HeldModel } from "./held-model.ts";
import * as messages from "./messages.ts";
import { parse } from "./messages.ts";
import { Patience } from "./patience.ts";
import { WHOLE_MS, within } from "./serving.ts";
import { boundTo, type SessionParts, sessionId } from "./session.ts";

/** What of a server's options concerns this phase. */
export interface OfflineOptions {
  readonly connectDealer: () => Promise<Channel>;
  readonly log?: Log;
  readonly wholeMs?: number;
  readonly graceMs?: number;
}

/** One text's worth of material, and the session that made it. */
export interface Made {
  readonly session: string;
  readonly material: StoredMaterial;
  /** What makes the later portions; null where all are there. */
  readonly making: ServerMaking | null;
}

export class ServerOffline {
  private readonly model: HeldModel;
  private readonly options: OfflineOptions;

  constructor(model: HeldModel, options: OfflineOptions) {
    this.model = model;
    this.options = options;
  }

  /** Material of a whole run, or the first portion of it. What makes the others is to be closed. */
  async make(channel: Channel, clientNonce: string, { program, fingerprint }: Compiled, whole: boolean): Promise<Made> {
    const material = new StoredMaterial("server", program, new Secret(randomKey()));
    // First: a client is not granted what cannot be dealt.
    const dealer = await this.options.connectDealer();
    const making = new ServerMaking(this.model, this.options, { channel, dealer, program, material });
    try {
      const serverNonce = hex(randomKey());
      await channel.sendJson(0, { nonce: serverNonce, modelKey: hex(this.model.weightsKey().expose()) });
      const [version, model] = [messages.PROTOCOL_VERSION, this.model.model.id];
      const { own: server, peer: client } = channel.identities;
      const identities = { client, server, dealer: dealer.identities.peer };
      const parts = { version, model, program: fingerprint, clientNonce, serverNonce, ...identities };
      const session = await sessionId(parts);
      await boundTo(channel, session, async () => {
        await making.first(parts, session);
        if (whole) while (!making.ended) await making.next();
      });
      if (!making.ended) making.askAhead();
      return { session, material, making: making.ended ? null : making };
    } catch (error) {
      making.close();
      throw error;
    }
  }
}

/** With whom a session's material is made, and what it is. */
interface Session {
  readonly channel: Channel;
  readonly dealer: Channel;
  readonly program: Program;
  readonly material: StoredMaterial;
}

/**
 * The server's part of the offline phase of one session: portion by portion, the dealer's corrections and the client's messages at once. The
 * dealer deals the next portion while the run uses the one before.
 */
class ServerMaking {
  private readonly model: HeldModel;
  private readonly options: OfflineOptions;
  private readonly session: Session;
  private readonly keyed: WordSet;
  private readonly paddings: readonly number[] | null;
  /** The portion to be made next. */
  private index = 0;
  /** The same, where the dealer was asked for it before the client was. */
  private coming: Promise<messages.OfflineReport> | null = null;
  private waiting: ReturnType<typeof setInterval> | undefined;

  constructor(model: HeldModel, options: OfflineOptions, session: Session) {
    const { program, material } = session;
    const chosen = sampled(model.ring, program, material.withDealer, model.verify);
    this.model = model;
    this.options = options;
    this.session = session;
    this.keyed = model.verify === 0 ? new Map() : keyedWords(program, chosen);
    this.paddings = paddingBytes(program, chosen, model.verify);
  }

  /** Whether nothing is left to be made. */
  get ended(): boolean {
    return this.index === portionsOf(this.session.program).length;
  }

  /** The portion that all sessions begin with; the dealer first gets what names the session. */
  async first(parts: SessionParts, session: string): Promise<void> {
    const { dealer, program, material } = this.session;
    const [{ shape }, { model, verify }, seed] = [program, this.model, hex(material.seed.expose())];
    await dealer.sendJson(0, { role: "server", session: parts, shape, seed, model, verify });
    dealer.bind(fromHex(session));
    let begun = () => {};
    const dealing = new Promise<void>((resolve) => {
      begun = resolve;
    });
    const dealt = this.inTime(async () => {
      const { missing } = parse(messages.missing, await dealer.receiveJson(0, 2 ** 22), "dealer");
      begun();
      // The dealer deals what it can while later weights are still on their way.
      return allOrFirstError([this.takeDealt(), this.upload(missing)]);
    });
    // Not before: a client that waits for the dealer keeps nobody waiting.
    await this.portion(dealt, dealing);
  }

  /** The next portion, from the dealer and the client. */
  async next(): Promise<void> {
    const dealt = this.coming ?? this.asked();
    this.coming = null;
    await this.portion(dealt, Promise.resolve());
  }

  /** The next portion, for a run that needs it now; the dealer then begins the one behind it. */
  async goOn(): Promise<void> {
    await this.next();
    if (!this.ended) this.askAhead();
  }

  /** Lets the dealer begin the next portion, which nobody waits for yet. */
  askAhead(): void {
    const { dealer } = this.session;
    const last = this.index + 1 === portionsOf(this.session.program).length;
    this.coming = this.asked().then((report) => {
      const wait = () => void dealer.sendJson(0, { next: "wait" }).catch(() => {});
      if (!last && !dealer.closed) this.waiting = setInterval(wait, messages.WAIT_MS);
      return report;
    });
    // Told to whoever waits for it; a run that ends before has no use for it.
    this.coming.catch(() => {});
  }

  /** Lets go of the dealer: nothing more is made. */
  close(): void {
    clearInterval(this.waiting);
    this.session.dealer.close();
  }

  private async portion(dealt: Promise<messages.OfflineReport>, begun: Promise<void>): Promise<void> {
    const { channel } = this.session;
    const fromClient = this.fromClient();
    const report = await allOrFirstError([
      dealt,
      fromClient,
      begun.then(() => new Patience(channel, this.options.graceMs).during(fromClient)),
    ]);
    this.index++;
    await channel.sendJson(0, report);
    if (this.ended) this.close();
  }

  /** The dealer's part of the next portion: it waits to be asked for. */
  private asked(): Promise<messages.OfflineReport> {
    clearInterval(this.waiting);
    return this.inTime(async () => {
      await this.session.dealer.sendJson(0, { next: true });
      return this.takeDealt();
    });
  }

  private inTime<T>(work: () => Promise<T>): Promise<T> {
    return within(this.session.dealer, this.options.wholeMs ?? WHOLE_MS, work);
  }

  private async takeDealt(): Promise<messages.OfflineReport> {
    const { dealer, program, material } = this.session;
    const { index, keyed } = this;
    for (const step of portionsOf(program)[index].steps.flat()) {
      const size = bytesOf(trafficOf(step, program).dealt ?? []) + keyBytes(step, program, keyed);
      if (size > 0) putDealt(material, program, step, await dealer.receive("offline", step.id, size));
    }
    if (this.paddings !== null) await dealer.receive("offline", program.steps.length, this.paddings[index]);
    return parse(messages.offlineReport, await dealer.receiveJson(0), "dealer");
  }

  private async fromClient(): Promise<void> {
    const { channel, program, material } = this.session;
    for (const step of portionsOf(program)[this.index].steps.flat()) {
      const block = trafficOf(step, program).ahead;
      if (block) material.put("ahead", step.id, await channel.receive("offline", step.id, blockBytes(block)));
    }
  }

  private async upload(missing: readonly number[]): Promise<void> {
    if (missing.length === 0) return;
    await this.model.upload(this.session.dealer, this.session.program, missing);
    this.options.log?.({ event: "weights sent", count: missing.length });
  }
}

/** Keeps what the dealer sent of one step: the server's shares, and the keys behind them. */
export function putDealt(material: StoredMaterial, program: Program, step: Step, packed: Uint8Array): void {
  const size = bytesOf(trafficOf(step, program).dealt ?? []);
  if (size > 0) material.put("dealt", step.id, packed.subarray(0, size));
  if (packed.length > size) material.put("keys", step.id, packed.subarray(size));
}

/** Waits for all; the first result, or the first error without waiting for the other. */
async function allOrFirstError<T>(all: readonly [Promise<T>, ...Promise<unknown>[]]): Promise<T> {
  const [result] = await Promise.all(all);
  return result;
}
