/** The helper: computes for thin clients, and learns of their texts no more than their padded length. See thin.ts. */
import type { Channel } from "../channels/channel.ts";
import { oneTurn, type Program } from "../program/steps.ts";
import { bytesOf } from "../protocols/cost.ts";
import { CoveredInput, coveredBlock, coveredSteps } from "../protocols/cover.ts";
import { lengthOf } from "../protocols/protocol.ts";
import type { Words } from "../ring/memory.ts";
import type { Ring } from "../ring/ring.ts";
import { Admission, type Limits } from "./admission.ts";
import { Client } from "./client.ts";
import { unpackAll } from "./engine.ts";
import type { Log } from "./events.ts";
import * as messages from "./messages.ts";
import { PartyError, parse } from "./messages.ts";
import { serving, WHOLE_MS, within } from "./serving.ts";
import { boundTo } from "./session.ts";

export interface HelperOptions {
  readonly connectServer: () => Promise<Channel>;
  readonly connectDealer: () => Promise<Channel>;
  readonly log?: Log;
  readonly limits?: Partial<Limits>;
}

export class HelperService {
  private readonly ring: Ring;
  private readonly options: HelperOptions;
  /** Whom it helps now, who waits, who is refused. */
  readonly admission: Admission;

  constructor(ring: Ring, options: HelperOptions) {
    this.ring = ring;
    this.options = options;
    this.admission = new Admission(options.limits);
  }

  /** Serves one thin client's connection until it closes, over a connection to the server of its own. */
  async serve(channel: Channel): Promise<void> {
    await serving(channel, this.admission, this.options.log, () => this.requests(channel));
  }

  /** Nothing begins any more; resolves when what runs has been answered. */
  drain(): Promise<void> {
    return this.admission.drain();
  }

  private async requests(channel: Channel): Promise<void> {
    parse(messages.hello, await channel.receiveJson(0), "client");
    const { connectServer, connectDealer } = this.options;
    const client = await Client.connect(this.ring, await connectServer(), { connectDealer });
    try {
      await channel.sendJson(0, { version: messages.PROTOCOL_VERSION, model: client.model.id });
      for (;;) {
        const message = await channel.receiveJson(0);
        if (message !== null && typeof message === "object" && "bye" in message) return;
        const request = parse(messages.carry, message, "client");
        const done = await this.admission.turn(channel.identities.peer);
        try {
          await within(channel, WHOLE_MS, () => this.carry(channel, client, request));
        } finally {
          done();
        }
      }
    } finally {
      await client.close();
    }
  }

  private async carry(channel: Channel, client: Client, { length, program }: messages.Carry): Promise<void> {
    if (length > client.limit)
      throw new PartyError(`the padded length ${length} is beyond the model's ${client.limit} positions`);
    const given: Words[] = [];
    const shape = { ...oneTurn(length), carried: true };
    try {
      const run = await client.carry(shape, async (compiled) => {
        if (compiled.fingerprint !== program)
          throw new PartyError(
            "thin client and helper compile different programs: install the same release on both sides",
          );
        await channel.sendJson(0, { session: compiled.session });
        const answer = (packed: Uint8Array) =>
          boundTo(channel, compiled.session, () => channel.send("online", 1, [packed]));
        const input = await boundTo(channel, compiled.session, () => this.take(channel, compiled.program, given));
        return { input, answer };
      });
      await channel.sendJson(0, { seconds: run.seconds, flights: run.flights });
      this.options.log?.({ event: "answered", shape, texts: 1, seconds: run.seconds.online });
    } finally {
      for (const words of given) this.ring.free(words);
    }
  }

  /** The covered inputs of all steps, in one message. */
  private async take(channel: Channel, program: Program, given: Words[]): Promise<CoveredInput> {
    const steps = coveredSteps(program);
    const blocks = steps.map((step) => coveredBlock(step, program));
    const packed = await channel.receive("online", 0, bytesOf(blocks));
    const all = this.ring.alloc(lengthOf(blocks));
    given.push(all);
    unpackAll(this.ring, all, packed, blocks);
    let at = 0;
    const parts = new Map<number, Words>();
    steps.forEach((step, i) => {
      parts.set(step.id, all.part(at, blocks[i].length));
      at += blocks[i].length;
    });
    return new CoveredInput(this.ring, parts);
  }
}
