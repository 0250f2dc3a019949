/** The server: owns the weights, answers clients one session each, and never sees a text. */

import type * as v from "valibot";
import { Admission, type Limits, type Place } from "../admission/admission.ts";
import { Quota } from "../admission/quota.ts";
import type { Channel } from "../channels/channel.ts";
import { oneTurn, type Program } from "../program/steps.ts";
import { Party } from "../protocols/sides.ts";
import { dueChecks, sampled, type Verify } from "../protocols/verify/sampling.ts";
import { fromHex } from "../ring/hex.ts";
import type { Ring } from "../ring/ring.ts";
import { Secret } from "../ring/secret.ts";
import type { MaterialStore } from "../stores/store.ts";
import { runProgram, type Witness } from "./engine.ts";
import type { Log } from "./events.ts";
import { type Compiled, HeldModel, type ServedModel } from "./held-model.ts";
import { LentCovers } from "./lent-covers.ts";
import * as messages from "./messages.ts";
import { Deviation, PartyError, parse } from "./messages.ts";
import { type Measured, Meter, peakRssMb, stopwatch } from "./meter.ts";
import { SharedPace } from "./pace.ts";
import { Patience } from "./patience.ts";
import type { ProgramsOptions } from "./programs.ts";
import type { Proof } from "./proving.ts";
import { type Made, ServerOffline } from "./server-offline.ts";
import { serverProof } from "./server-proving.ts";
import { ServerStock } from "./server-stock.ts";
import { nextMessage, serving, WHOLE_MS, within } from "./serving.ts";
import { boundTo, runId } from "./session.ts";
import { checkShape, type ShapeBounds } from "./shapes.ts";
import { Strikes } from "./strikes.ts";

export interface ServerOptions {
  readonly connectDealer: () => Promise<Channel>;
  /** Where material prepared ahead of time waits; without it, only on-demand sessions. */
  readonly store?: MaterialStore;
  readonly witness?: Witness;
  readonly log?: Log;
  readonly limits?: Partial<Limits>;
  /** How programs are compiled, and how many are kept. */
  readonly programs?: Pick<ProgramsOptions<never>, "compile" | "limits">;
  /** The shapes that clients may ask for. */
  readonly shapes?: ShapeBounds;
  /** Milliseconds that one request may take in all, however lively its client; half an hour unless given. */
  readonly wholeMs?: number;
  /** Milliseconds that a client may keep one run waiting in all, beside what its bytes take on a slow network; a minute unless given. */
  readonly graceMs?: number;
  /** Milliseconds beside that for which a conversation may wait for its user in all; ten minutes unless given. */
  readonly pausesMs?: number;
  /** What each phase took here. */
  readonly measured?: (phase: Measured) => void;
  /** Bytes of material in this process's memory, being made or waiting for its run; 16 GB unless given. Half of it for one key. */
  readonly mostWaitingBytes?: number;
  /** Bytes of prepared material that wait in the store for one account; 4 GB unless given. */
  readonly mostStockBytes?: number;
  /** Of how many of a client's openings one is checked before an answer (docs/verification.md): 1 for all, 0, unless given, for none. */
  readonly verify?: Verify;
  /** Failed checks until a key is shut out; 3 unless given. */
  readonly strikes?: number;
  /** Whether the holder of a key (its fingerprint) may make runs; everybody unless given. Others bring their texts through helpers who may. */
  readonly runs?: (fingerprint: string) => boolean;
}

/** The same while it waits for its run. */
interface Waiting extends Made {
  readonly compiled: Compiled;
  /** Gives its place in memory back. */
  readonly free: () => void;
}

/** What may wait in all, unless told. */
const MOST_WAITING_BYTES = 16e9;

type Request = v.InferOutput<typeof messages.request>;

export class ServerService {
  private readonly ring: Ring;
  private readonly options: ServerOptions;
  private readonly model: HeldModel;
  private readonly offline: ServerOffline;
  private readonly stock: ServerStock;
  /** Who is served now, who waits, who is refused. */
  readonly admission: Admission;
  /** Bytes of material in memory, and the bound on them. */
  private readonly inMemory: Quota;
  readonly mostMaterialBytes: number;
  /** Connections between two requests, and those whose material waits for its run. */
  private readonly idle = new Set<Channel>();
  private readonly pledged = new Set<Channel>();
  private redeemed: () => void = () => {};
  /** Of texts that helpers carry. */
  private readonly covers = new LentCovers();
  private readonly strikes: Strikes;

  constructor(ring: Ring, served: ServedModel, options: ServerOptions) {
    this.ring = ring;
    this.options = options;
    this.model = new HeldModel(ring, served, options.programs, options.verify);
    this.strikes = new Strikes(options.strikes);
    this.offline = new ServerOffline(this.model, options);
    this.stock = new ServerStock(this.model, options.store, options.mostStockBytes);
    this.admission = new Admission(options.limits);
    this.mostMaterialBytes = options.mostWaitingBytes ?? MOST_WAITING_BYTES;
    this.inMemory = new Quota({
      most: this.mostMaterialBytes,
      each: this.mostMaterialBytes / 2,
      full: "this server has no memory for that much material now: ask about fewer at once, or again in a moment",
      own: "your runs take all the memory that one key may have here: ask about fewer at once, or again in a moment",
    });
  }

  /** Of material in this process's memory, being made or waiting for its run. */
  get materialBytes(): number {
    return this.inMemory.taken;
  }

  /** Compiles one length and makes its integer weights, before the first client asks. */
  async warm(length: number): Promise<void> {
    const shape = { ...oneTurn(length), verified: this.model.verify > 0 };
    checkShape(this.model.model.spec, shape, { ...this.options.shapes, lengths: [length] });
    await this.model.compiled(shape, "");
  }

  /** The programs compiled by now, and what counts the material that waits for each: null without a store. */
  async compiledNow(): Promise<readonly { program: Program; stock: () => Promise<number | null> }[]> {
    return (await this.model.ready()).map((one) => ({ program: one.program, stock: () => this.stock.count(one) }));
  }

  /** Serves one client's connection until it closes. @throws what ended it, once the client was told. */
  async serve(channel: Channel): Promise<void> {
    await serving(channel, this.admission, this.options.log, () => this.requests(channel)).finally(() =>
      this.redeem(channel),
    );
  }

  private redeem(channel: Channel): void {
    if (this.pledged.delete(channel)) this.redeemed();
  }

  /** Nothing begins any more; resolves when what runs, or has its material ready to run, has been answered. */
  async drain(): Promise<void> {
    const drained = this.admission.drain();
    for (const channel of this.idle)
      if (!this.pledged.has(channel)) void channel.refuse("this server is going down: ask another, or later");
    await drained;
    while (this.pledged.size > 0)
      await new Promise<void>((resolve) => {
        this.redeemed = resolve;
      });
  }

  private async requests(channel: Channel): Promise<void> {
    parse(messages.hello, await channel.receiveJson(0), "client");
    this.strikes.check(channel.account);
    this.admission.greet(channel.account, this.model.welcome.length);
    await channel.send("control", 0, [this.model.welcome]);
    const waiting: Waiting[] = [];
    try {
      while (await this.next(channel, waiting));
    } finally {
      release(waiting);
      this.covers.end(channel);
    }
  }

  /** One request, from its arrival to its answer; false when the client said that there are no more. */
  private async next(channel: Channel, waiting: Waiting[]): Promise<boolean> {
    this.idle.add(channel);
    const message = await nextMessage(channel).finally(() => this.idle.delete(channel));
    if (message === null) return false;
    const request = parse(messages.request, message, "client");
    const goesOn = request.request === "run" && waiting.length > 0;
    const place = await this.admission.turn(channel.account, { goesOn });
    try {
      await within(channel, this.options.wholeMs ?? WHOLE_MS, () => this.answer(request, channel, waiting, place));
      if (waiting.length > 0) this.pledged.add(channel);
      else this.redeem(channel);
    } finally {
      place.end();
    }
    return true;
  }

  private async answer(request: Request, channel: Channel, waiting: Waiting[], place: Place): Promise<void> {
    this.strikes.check(channel.account);
    if (request.request === "tables") return this.model.sendTables(channel);
    if (request.request === "lend") return this.lend(request, channel);
    if (this.options.runs?.(channel.identities.peer) === false)
      throw new PartyError("this server takes runs from its helpers alone: ask through one of them (--helper)");
    if (request.request === "drop") {
      release(waiting);
      return channel.sendJson(0, { accepted: true });
    }
    if (request.request === "run") {
      const taken = waiting.splice(0);
      return this.online(channel, taken, request.texts, place).finally(() => release(taken));
    }
    if (waiting.length >= messages.MOST_TEXTS)
      throw new PartyError(`at most ${messages.MOST_TEXTS} texts run together: ask in smaller groups`);
    // From here on others have the word, and what they send is only kept.
    place.pause();
    const { account } = channel;
    checkShape(this.model.model.spec, request.shape, this.options.shapes);
    if (request.shape.verified !== this.model.verify > 0)
      throw new PartyError("the server says whether openings are checked, and does not do it otherwise");
    const compiled = await this.model.compiled(request.shape, account, request.program);
    // Before any is made: peers must not fill this machine's memory.
    const bytes = request.request === "session" && !isWhole(request) ? compiled.heldBytes : compiled.materialBytes;
    const free = this.inMemory.take(account, bytes);
    let made: Made | null = null;
    try {
      made = await this.made(request, channel, compiled);
    } finally {
      if (made === null) free();
    }
    if (made !== null) waiting.push({ ...made, compiled, free });
  }

  private async lend({ session, seed }: Extract<Request, { request: "lend" }>, channel: Channel): Promise<void> {
    this.covers.lend(channel, session, new Secret(fromHex(seed)));
    await channel.sendJson(0, { accepted: true });
  }

  /** Material for one text, from the store or new; null when it went to the store. */
  private async made(
    request: Extract<Request, { request: "session" | "use" }>,
    channel: Channel,
    compiled: Compiled,
  ): Promise<Made | null> {
    if (request.request === "use") {
      const { session } = request;
      const material = await this.stock.claim(session, compiled);
      await channel.sendJson(0, { accepted: true });
      return { session, material, making: null };
    }
    const { account } = channel;
    // Before any is made: it must not fill the disk.
    const free = request.prepare ? await this.stock.roomFor(account, compiled.materialBytes) : () => {};
    try {
      const measured = stopwatch("offline");
      const made = await this.offline.make(channel, request.nonce, compiled, isWhole(request));
      this.options.measured?.(measured());
      if (!request.prepare) return made;
      await this.stock.put(made, compiled, account);
    } finally {
      free();
    }
    await channel.sendJson(0, { accepted: true });
    this.options.log?.({ event: "prepared", shape: compiled.program.shape });
    return null;
  }

  /** Answers as many texts as wait, all of one program. */
  private async online(channel: Channel, waiting: readonly Waiting[], texts: number, place: Place): Promise<void> {
    const [first] = waiting;
    if (waiting.length !== texts || waiting.some((w) => w.compiled.fingerprint !== first.compiled.fingerprint)) {
      throw new PartyError("a run takes all material that waits, one for each text, of one padded length");
    }
    const { program, weights } = first.compiled;
    const { verify } = this.model;
    if (texts > 1 && program.shape.turns > 1) throw new PartyError("texts are continued one by one, not together");
    const covers = waiting.map(({ session }) => this.covers.take(session));
    // Without its covers a carried text would be computed on as noise, and answered as noise.
    if (covers.some((cover) => (cover !== undefined) !== program.shape.carried))
      throw new PartyError(
        "the covers of a carried text are not here: its owner must reach this server, and ask again",
      );
    const parties = waiting.map(({ material }, i) => {
      const { withDealer } = material;
      const cover = covers[i];
      const checks = verify === 0 ? undefined : dueChecks(program, sampled(this.ring, program, withDealer, verify));
      return new Party(this.ring, program, { role: "server", withDealer, material, weights, cover, checks });
    });
    const proof = verify === 0 ? undefined : await this.proof(channel, parties, waiting);
    const [meter, measured] = [new Meter(), stopwatch("online")];
    const { account } = channel;
    try {
      const patience = new Patience(channel, this.options.graceMs, this.options.pausesMs);
      const turn = () => messages.goesOn(channel, () => patience.pause());
      const portion = async () => {
        for (const { making } of waiting) await making?.goOn();
      };
      const id = await runId(waiting.map(({ session }) => session));
      const { processor } = this.admission;
      const shared = { processor, account, place, patience };
      await SharedPace.during(shared, (pace) => {
        const run = { witness: this.options.witness, meter, turn, portion, pace, proof };
        return boundTo(channel, id, () => runProgram(parties, channel, run));
      });
    } catch (error) {
      if (error instanceof Deviation) this.strikes.add(account);
      throw error;
    } finally {
      for (const party of parties) party.close();
    }
    await channel.sendJson(0, { peakRssMb: peakRssMb() });
    const phase = measured(meter);
    this.options.measured?.(phase);
    this.options.log?.({ event: "answered", shape: program.shape, texts, seconds: phase.seconds });
  }

  /** The check before each answer of one run. */
  private async proof(channel: Channel, parties: readonly Party[], waiting: readonly Waiting[]): Promise<Proof> {
    const { program } = waiting[0].compiled;
    const texts = waiting.map(({ material }, i) => ({ party: parties[i], material }));
    const [weights, { verify }] = [await this.model.weightMasks(program), this.model];
    return serverProof(this.ring, channel, texts, { weights, verify });
  }
}

/** What is kept is kept whole. */
function isWhole({ whole, prepare }: Extract<Request, { request: "session" }>): boolean {
  return whole || prepare;
}

/** Lets go of material that waited. */
function release(waiting: Waiting[]): void {
  for (const { free, making } of waiting.splice(0)) {
    making?.close();
    free();
  }
}
