/** The server's offline phase: material for one text, from the dealer and the client at once. */

import type { Channel } from "../channels/channel.ts";
import { offlineOrder } from "../program/order.ts";
import type { Program, Step } from "../program/steps.ts";
import { trafficOf } from "../protocols/all.ts";
import { blockBytes, bytesOf } from "../protocols/cost.ts";
import { keyedWords, paddingBytes, sampled } from "../protocols/verify/sampling.ts";
import { keyBytes } from "../protocols/verify/words.ts";
import { hex } from "../ring/hex.ts";
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
}

/** What a session is made of while it is dealt. */
interface Dealing {
  readonly parts: SessionParts;
  readonly session: string;
  readonly program: Program;
  readonly material: StoredMaterial;
  /** To be called when the dealer has both sides. */
  readonly begun: () => void;
}

export class ServerOffline {
  private readonly model: HeldModel;
  private readonly options: OfflineOptions;

  constructor(model: HeldModel, options: OfflineOptions) {
    this.model = model;
    this.options = options;
  }

  /** Both senders at once: the dealer's corrections and the client's offline messages. */
  async make(channel: Channel, clientNonce: string, { program, fingerprint }: Compiled): Promise<Made> {
    const material = new StoredMaterial("server", program, new Secret(randomKey()));
    // First: a client is not granted what cannot be dealt.
    const dealer = await this.options.connectDealer();
    try {
      const serverNonce = hex(randomKey());
      await channel.sendJson(0, { nonce: serverNonce, modelKey: hex(this.model.weightsKey().expose()) });
      const [version, model] = [messages.PROTOCOL_VERSION, this.model.model.id];
      const { own: server, peer: client } = channel.identities;
      const identities = { client, server, dealer: dealer.identities.peer };
      const parts = { version, model, program: fingerprint, clientNonce, serverNonce, ...identities };
      const session = await sessionId(parts);
      await boundTo(channel, session, async () => {
        let begun = () => {};
        const dealing = new Promise<void>((resolve) => {
          begun = resolve;
        });
        const fromClient = this.fromClient(channel, program, material);
        const report = await allOrFirstError([
          this.fromDealer(dealer, { parts, session, program, material, begun }),
          fromClient,
          // Not before: a client that waits for the dealer keeps nobody waiting.
          dealing.then(() => new Patience(channel, this.options.graceMs).during(fromClient)),
        ]);
        await channel.sendJson(0, report);
      });
      return { session, material };
    } finally {
      dealer.close();
    }
  }

  private async fromDealer(
    dealer: Channel,
    { parts, session, program, material, begun }: Dealing,
  ): Promise<messages.OfflineReport> {
    const [{ shape }, { model, verify }, seed] = [program, this.model, hex(material.seed.expose())];
    await dealer.sendJson(0, { role: "server", session: parts, shape, seed, model, verify });
    const whole = this.options.wholeMs ?? WHOLE_MS;
    return within(dealer, whole, () =>
      boundTo(dealer, session, () => this.takeDealt(dealer, { program, material, begun })),
    );
  }

  private async takeDealt(
    dealer: Channel,
    { program, material, begun }: Pick<Dealing, "program" | "material" | "begun">,
  ): Promise<messages.OfflineReport> {
    const { missing } = parse(messages.missing, await dealer.receiveJson(0, 2 ** 22), "dealer");
    begun();
    const chosen = sampled(this.model.ring, program, material.withDealer, this.model.verify);
    const keyed = this.model.verify === 0 ? new Map() : keyedWords(program, chosen);
    const take = async () => {
      for (const step of offlineOrder(program).flat()) {
        const size = bytesOf(trafficOf(step, program).dealt ?? []) + keyBytes(step, program, keyed);
        if (size > 0) putDealt(material, program, step, await dealer.receive("offline", step.id, size));
      }
      const padding = paddingBytes(program, chosen, this.model.verify);
      if (padding !== null) await dealer.receive("offline", program.steps.length, padding);
    };
    // The dealer deals what it can while later weights are still on their way.
    await allOrFirstError([take(), missing.length > 0 ? this.upload(dealer, program, missing) : Promise.resolve()]);
    return parse(messages.offlineReport, await dealer.receiveJson(0), "dealer");
  }

  private async fromClient(channel: Channel, program: Program, material: StoredMaterial): Promise<void> {
    for (const step of offlineOrder(program).flat()) {
      const block = trafficOf(step, program).ahead;
      if (block) material.put("ahead", step.id, await channel.receive("offline", step.id, blockBytes(block)));
    }
  }

  private async upload(dealer: Channel, program: Program, missing: readonly number[]): Promise<void> {
    await this.model.upload(dealer, program, missing);
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
