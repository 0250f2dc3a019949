/** The helper: computes for thin clients, and learns of their texts no more than their padded length. See thin.ts. */

import { Admission, type Limits } from "../admission/admission.ts";
import type { Channel } from "../channels/channel.ts";
import { oneTurn, type Program } from "../program/steps.ts";
import { lengthOf } from "../protocols/blocks.ts";
import { bytesOf } from "../protocols/cost.ts";
import { CarriedInput, coveredBlock, coveredSteps } from "../protocols/cover.ts";
import { partsOf, unpackAll } from "../protocols/packing.ts";
import type { Words } from "../ring/memory.ts";
import type { Ring } from "../ring/ring.ts";
import { Client } from "./client.ts";
import type { Compile } from "./compiling.ts";
import type { Log } from "./events.ts";
import * as messages from "./messages.ts";
import { PartyError, parse } from "./messages.ts";
import { nextMessage, serving, WHOLE_MS, within } from "./serving.ts";
import { boundTo } from "./session.ts";
import { checkShape } from "./shapes.ts";

/** What one thin client may take of a helper, whose own quotas at the server all of them share. */
const LIMITS: Partial<Limits> = { connectionsEach: 8, each: 4 };
/** What a connection costs, about: the greeting is short, the handshake is not. */
const GREETING_BYTES = 1 << 16;
/** How long a thin client may take to bring its text once its material is there. */
const INPUT_MS = 60_000;

export interface HelperOptions {
  readonly connectServer: () => Promise<Channel>;
  readonly connectDealer: () => Promise<Channel>;
  /** The id that the server's model must have. */
  readonly model?: string;
  readonly log?: Log;
  readonly limits?: Partial<Limits>;
  /** Where programs are compiled; here unless given. */
  readonly compile?: Compile;
}

export class HelperService {
  private readonly ring: Ring;
  private readonly options: HelperOptions;
  /** Whom it helps now, who waits, who is refused. */
  readonly admission: Admission;

  constructor(ring: Ring, options: HelperOptions) {
    this.ring = ring;
    this.options = options;
    this.admission = new Admission({ ...LIMITS, ...options.limits });
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
    this.admission.greet(channel.account, GREETING_BYTES);
    await channel.sendJson(0, { version: messages.PROTOCOL_VERSION });
    // Made with the first text: who only connects takes nothing of the server's.
    let client: Client | null = null;
    try {
      for (;;) {
        const message = await nextMessage(channel);
        if (message === null) return;
        const request = parse(messages.carry, message, "client");
        const place = await this.admission.turn(channel.account);
        try {
          client ??= await this.connected();
          const ready = client;
          await within(channel, WHOLE_MS, () => this.carry(channel, ready, request));
        } finally {
          place.end();
        }
      }
    } finally {
      await client?.close();
    }
  }

  /** @throws PartyError that names no address of ours: thin clients need not know them. */
  private async connected(): Promise<Client> {
    const { connectServer, connectDealer, compile, model } = this.options;
    // Who serves the thin client tells of it.
    const reached = (peer: string) => () => {
      throw new PartyError(`the helper cannot reach the ${peer}: try again later`);
    };
    const server = await connectServer().catch(reached("server"));
    return Client.connect(this.ring, server, {
      compile,
      model,
      connectDealer: () => connectDealer().catch(reached("dealer")),
    });
  }

  private async carry(channel: Channel, client: Client, { length, anyLength, program }: messages.Carry): Promise<void> {
    const shape = { ...oneTurn(length), anyLength, carried: true };
    checkShape(client.spec, shape);
    const given: Words[] = [];
    try {
      const run = await client.carry(shape, program, async (ready) => {
        await channel.sendJson(0, { session: ready.session, model: client.model.id });
        const answer = (packed: Uint8Array) =>
          boundTo(channel, ready.session, () => channel.send("online", 1, [packed]));
        const take = () => boundTo(channel, ready.session, () => this.take(channel, ready.program, given));
        // A place is not kept for one who takes his time.
        return { input: await within(channel, INPUT_MS, take), answer };
      });
      await channel.sendJson(0, { seconds: run.seconds, flights: run.flights });
      this.options.log?.({ event: "answered", shape, texts: 1, seconds: run.seconds.online });
    } finally {
      for (const words of given) this.ring.free(words);
    }
  }

  /** The covered inputs of all steps, in one message. */
  private async take(channel: Channel, program: Program, given: Words[]): Promise<CarriedInput> {
    const steps = coveredSteps(program);
    const blocks = steps.map((step) => coveredBlock(step, program));
    const packed = await channel.receive("online", 0, bytesOf(blocks));
    const all = this.ring.alloc(lengthOf(blocks));
    given.push(all);
    unpackAll(this.ring, all, packed, blocks);
    const parts = partsOf(all, blocks);
    return new CarriedInput(this.ring, new Map(steps.map((step, i) => [step.id, parts[i]])));
  }
}
