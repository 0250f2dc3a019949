/**
 * The thin client: for phones, and for whoever would rather not compute. It shares its text between a helper, which plays the client of
 * the protocol on covered inputs, and the server, which gets the covers' seed (protocols/cover.ts). No two of helper, server and dealer
 * may pool what they know. Costs the text once as masked integers to the helper, 16 bytes to the server, and the answer.
 */

import type { Channel } from "../channels/channel.ts";
import { compile } from "../compiler/compile.ts";
import { isDecoder, type TokenizedText } from "../program/spec.ts";
import type { Program, Shape } from "../program/steps.ts";
import { bytesOf } from "../protocols/cost.ts";
import { answerBlock, coveredBlock, coveredSteps, coverInput, uncoverAnswer } from "../protocols/cover.ts";
import { packAll } from "../protocols/packing.ts";
import { hex } from "../ring/hex.ts";
import type { Words } from "../ring/memory.ts";
import { Prg, randomKey } from "../ring/prg.ts";
import type { Ring } from "../ring/ring.ts";
import { ownRows, type Reading } from "./answer.ts";
import { Connection } from "./connection.ts";
import { Findings } from "./findings.ts";
import { type Greeted, greet } from "./greeting.ts";
import * as messages from "./messages.ts";
import { PartyError, parse } from "./messages.ts";
import { boundTo } from "./session.ts";
import { decodedAnswer, type Embedder, TextInput } from "./text.ts";
import { TextClient, type TextOptions } from "./text-client.ts";

/** What an answer took, as the helper measured it; and bytes at this end. */
export interface ThinRun {
  readonly length: number;
  readonly tokens: number;
  readonly logits: readonly number[];
  readonly seconds: { readonly online: number; readonly offline: number };
  readonly flights: number;
  readonly bytes: { readonly sent: number; readonly received: number };
}

export interface ThinAnswer extends ThinRun, Reading {}

export class ThinClient extends TextClient<ThinRun> {
  private readonly ring: Ring;
  private readonly server: Channel;
  private readonly helper: Channel;
  private readonly connection: Connection;
  /** Whether the server checks what its client side opens. */
  private readonly verified: boolean;
  /** Sees what the helper gets, for those who want to look. */
  witness: ((covered: Uint8Array) => void) | null = null;
  private embedder: Embedder | null = null;

  private constructor(
    ring: Ring,
    { server, helper }: { server: Channel; helper: Channel },
    greeted: Greeted,
    lengths?: readonly number[],
  ) {
    super(greeted, lengths);
    this.verified = greeted.verified;
    this.ring = ring;
    this.server = server;
    this.helper = helper;
    this.connection = new Connection(helper, server);
  }

  /** Greets both; what is open is closed when one fails. @throws PartyError when versions differ, or the model is not the `pinned` one. */
  static async connect(
    ring: Ring,
    server: Channel,
    connectHelper: () => Promise<Channel>,
    pinned?: string,
    lengths?: readonly number[],
  ): Promise<ThinClient> {
    let helper: Channel | null = null;
    try {
      const greeted = await greet(server, pinned);
      helper = await connectHelper();
      await helper.sendJson(0, { version: messages.PROTOCOL_VERSION });
      parse(messages.helperWelcome, await helper.receiveJson(0), "helper");
      return new ThinClient(ring, { server, helper }, greeted, lengths);
    } catch (error) {
      server.close();
      helper?.close();
      throw error;
    }
  }

  get closed(): boolean {
    return this.connection.closed;
  }

  /** @throws PartyError for a model that continues texts; ChannelError, AbortError */
  async infer(text: TokenizedText, options: TextOptions = {}): Promise<ThinRun> {
    if (isDecoder(this.spec))
      throw new PartyError("a helper carries texts to be judged, not to be continued: ask without one");
    const shape = { ...this.shapeFor([text.ids.length], options.length), carried: true, verified: this.verified };
    const findings = new Findings();
    const run = await this.connection.call(() => this.asked(text, shape, findings), options);
    findings.raise();
    return run;
  }

  abort(reason: Error): void {
    this.connection.end(reason);
  }

  close(): Promise<void> {
    return this.connection.close();
  }

  private async asked(text: TokenizedText, shape: Shape, findings: Findings): Promise<ThinRun> {
    const before = this.traffic();
    if (this.spec.embedding === "public") this.embedder ??= await this.fetched();
    const program = compile(this.spec, this.model.plan, shape);
    const { length, anyLength } = shape;
    await this.helper.sendJson(0, {
      request: "carry",
      length,
      anyLength,
      program: await messages.fingerprint(program),
    });
    const { session, model } = parse(messages.carried, await this.helper.receiveJson(0), "helper");
    if (model !== this.model.id)
      throw new PartyError("the helper asks another model than this server's: name another, or ask again");
    const seed = randomKey();
    await this.server.sendJson(0, { request: "lend", session, seed: hex(seed) });
    parse(messages.accepted, await this.server.receiveJson(0), "server");
    const cover = new Prg(seed);
    const input = new TextInput(this.ring, program, this.spec, text, this.embedder, findings);
    const answer = await boundTo(this.helper, session, async () => {
      const covered = this.covered(program, cover, input);
      this.witness?.(covered);
      await this.helper.send("online", 0, [covered]);
      return this.helper.receive("online", 1, bytesOf([answerBlock(program)]));
    });
    const logits = ownRows(this.spec, text, this.uncovered(program, cover, answer, findings));
    const { seconds, flights } = parse(messages.helped, await this.helper.receiveJson(0), "helper");
    const { sent, received } = this.traffic();
    const bytes = { sent: sent - before.sent, received: received - before.received };
    return { length, tokens: text.ids.length, logits, seconds, flights, bytes };
  }

  private async fetched(): Promise<Embedder> {
    const { fetchEmbedder } = await import("./public-tables.ts");
    return fetchEmbedder(this.server, this.model);
  }

  /** The text as the helper gets it. */
  private covered(program: Program, cover: Prg, input: TextInput): Uint8Array {
    const steps = coveredSteps(program);
    const words: Words[] = [];
    try {
      for (const step of steps) words.push(coverInput(this.ring, program, cover, input, step));
      return packAll(
        this.ring,
        words,
        steps.map((step) => coveredBlock(step, program)),
      );
    } finally {
      for (const one of words) this.ring.free(one);
    }
  }

  private uncovered(program: Program, cover: Prg, packed: Uint8Array, findings: Findings): number[] {
    const { length, bits } = answerBlock(program);
    const words = this.ring.alloc(length);
    try {
      this.ring.unpackBits(words, packed, bits);
      uncoverAnswer(this.ring, program, cover, words);
      return decodedAnswer(this.ring, program.values[program.answers[0]], words, findings);
    } finally {
      this.ring.free(words);
    }
  }

  private traffic(): { sent: number; received: number } {
    const sum = (traffic: Channel["sent"]) => Object.values(traffic).reduce((all, { bytes }) => all + bytes, 0);
    const both = [this.server, this.helper];
    return {
      sent: both.reduce((all, { sent }) => all + sum(sent), 0),
      received: both.reduce((all, { received }) => all + sum(received), 0),
    };
  }
}
