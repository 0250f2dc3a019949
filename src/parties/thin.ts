/**
 * The thin client: for phones, and for whoever would rather not compute. It shares its text between a helper, which plays the client of
 * the protocol on covered inputs, and the server, which gets the covers' seed (protocols/cover.ts). No two of helper, server and dealer
 * may pool what they know. Costs the text once as masked integers to the helper, 16 bytes to the server, and the answer.
 */

import type { Channel } from "../channels/channel.ts";
import { compile } from "../compiler/compile.ts";
import type { TextTokenizer } from "../models/tokenizer.ts";
import { bucketFor } from "../program/lengths.ts";
import { isDecoder, longestText, type ModelSpec, type TokenizedText, type Weights } from "../program/spec.ts";
import { oneTurn, type Program } from "../program/steps.ts";
import { bytesOf } from "../protocols/cost.ts";
import { answerBlock, coveredBlock, coveredSteps, coverInput, uncoverAnswer } from "../protocols/cover.ts";
import { packAll } from "../protocols/packing.ts";
import { hex } from "../ring/hex.ts";
import type { Words } from "../ring/memory.ts";
import { Prg, randomKey } from "../ring/prg.ts";
import type { Ring } from "../ring/ring.ts";
import { type Reading, reading } from "./answer.ts";
import { Findings } from "./findings.ts";
import { encoded, fetchTables, greet } from "./greeting.ts";
import * as messages from "./messages.ts";
import { PartyError, type PublicModel, parse } from "./messages.ts";
import { boundTo } from "./session.ts";
import { decodedAnswer, TextInput } from "./text.ts";

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

export class ThinClient {
  readonly model: PublicModel;
  readonly tokenizer: TextTokenizer | null;
  private readonly ring: Ring;
  private readonly server: Channel;
  private readonly helper: Channel;
  /** Sees what the helper gets, for those who want to look. */
  witness: ((covered: Uint8Array) => void) | null = null;
  private tables: Weights | null = null;

  private constructor(
    ring: Ring,
    channels: { server: Channel; helper: Channel },
    model: PublicModel,
    tokenizer: TextTokenizer | null,
  ) {
    this.ring = ring;
    this.server = channels.server;
    this.helper = channels.helper;
    this.model = model;
    this.tokenizer = tokenizer;
  }

  /** Greets both; what is open is closed when one fails. @throws PartyError when versions differ, or the model is not the `pinned` one. */
  static async connect(
    ring: Ring,
    server: Channel,
    connectHelper: () => Promise<Channel>,
    pinned?: string,
  ): Promise<ThinClient> {
    let helper: Channel | null = null;
    try {
      const { model, tokenizer } = await greet(server, pinned);
      helper = await connectHelper();
      await helper.sendJson(0, { version: messages.PROTOCOL_VERSION });
      parse(messages.helperWelcome, await helper.receiveJson(0), "helper");
      return new ThinClient(ring, { server, helper }, model, tokenizer);
    } catch (error) {
      server.close();
      helper?.close();
      throw error;
    }
  }

  get spec(): ModelSpec {
    return this.model.spec;
  }

  /** Most tokens a text may have. */
  get limit(): number {
    return longestText(this.spec);
  }

  /** Whether a connection has ended: a new client is needed. */
  get closed(): boolean {
    return this.server.closed || this.helper.closed;
  }

  /** Tokenizes here. @throws Error for an empty text, or one longer than the model takes. */
  encode(text: string, pair?: string): TokenizedText {
    return encoded(this, text, pair);
  }

  async classify(text: string, pair?: string): Promise<ThinAnswer> {
    const run = await this.infer(this.encode(text, pair));
    return { ...reading(this.spec, run.logits), ...run };
  }

  /** The private answer for one text. @throws PartyError for a model that continues texts. */
  async infer(text: TokenizedText): Promise<ThinRun> {
    if (isDecoder(this.spec))
      throw new PartyError("a helper carries texts to be judged, not to be continued: ask without one");
    const findings = new Findings();
    const run = await this.whole(() => this.asked(text, findings));
    findings.raise();
    return run;
  }

  private async whole<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      // A request that broke off leaves the ends at different places.
      for (const channel of [this.server, this.helper]) channel.close(error instanceof Error ? error : undefined);
      throw error;
    }
  }

  async close(): Promise<void> {
    for (const channel of [this.helper, this.server]) {
      await channel.sendJson(0, { bye: true }).catch(() => {});
      channel.close();
    }
  }

  private async asked(text: TokenizedText, findings: Findings): Promise<ThinRun> {
    const before = this.traffic();
    if (this.spec.embedding === "public") this.tables ??= await fetchTables(this.server, this.model);
    const length = bucketFor(text.ids.length, this.limit);
    const program = compile(this.spec, this.model.plan, { ...oneTurn(length), carried: true });
    await this.helper.sendJson(0, { request: "carry", length, program: await messages.fingerprint(program) });
    const { session, model } = parse(messages.carried, await this.helper.receiveJson(0), "helper");
    if (model !== this.model.id)
      throw new PartyError("the helper asks another model than this server's: name another, or ask again");
    const seed = randomKey();
    await this.server.sendJson(0, { request: "lend", session, seed: hex(seed) });
    parse(messages.accepted, await this.server.receiveJson(0), "server");
    const cover = new Prg(seed);
    const input = new TextInput(this.ring, program, this.spec, text, this.tables, findings);
    const answer = await boundTo(this.helper, session, async () => {
      const covered = this.covered(program, cover, input);
      this.witness?.(covered);
      await this.helper.send("online", 0, [covered]);
      return this.helper.receive("online", 1, bytesOf([answerBlock(program)]));
    });
    const logits = this.uncovered(program, cover, answer, findings);
    const { seconds, flights } = parse(messages.helped, await this.helper.receiveJson(0), "helper");
    const { sent, received } = this.traffic();
    const bytes = { sent: sent - before.sent, received: received - before.received };
    return { length, tokens: text.ids.length, logits, seconds, flights, bytes };
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
