/** The server: owns the weights, answers clients one session each, and never sees a text. */

import type * as v from "valibot";
import { Admission, type Limits, type Place } from "../admission/admission.ts";
import { Quota, Refused } from "../admission/quota.ts";
import { type Channel, jsonBytes } from "../channels/channel.ts";
import { InternalError } from "../errors.ts";
import type { TokenizerFiles } from "../models/tokenizer.ts";
import { publicTables } from "../models/weights.ts";
import { offlineOrder } from "../program/order.ts";
import type { Weights } from "../program/spec.ts";
import type { Program, Shape } from "../program/steps.ts";
import { oneTurn } from "../program/steps.ts";
import { trafficOf } from "../protocols/all.ts";
import { blockBytes, bytesOf, materialBytes } from "../protocols/cost.ts";
import { Party, type ServerWeights } from "../protocols/sides.ts";
import { fromHex, hex } from "../ring/hex.ts";
import { randomKey } from "../ring/prg.ts";
import type { Ring } from "../ring/ring.ts";
import { Secret } from "../ring/secret.ts";
import { StoredMaterial } from "../stores/material.ts";
import type { MaterialStore } from "../stores/store.ts";
import type { CompiledProgram } from "./compiling.ts";
import { runProgram, type Witness } from "./engine.ts";
import type { Log } from "./events.ts";
import { LentCovers } from "./lent-covers.ts";
import * as messages from "./messages.ts";
import { PartyError, type PublicModel, parse } from "./messages.ts";
import { type Measured, Meter, peakRssMb, stopwatch } from "./meter.ts";
import { SharedPace } from "./pace.ts";
import { Patience } from "./patience.ts";
import { Programs, type ProgramsOptions } from "./programs.ts";
import { nextMessage, serving, WHOLE_MS, within } from "./serving.ts";
import { boundTo, runId, type SessionParts, sessionId } from "./session.ts";
import { checkShape, type ShapeBounds } from "./shapes.ts";
import { keyOfVersion, versionOf } from "./version.ts";
import { digestOf, IntegerWeights, WeightMasks } from "./weights.ts";

export interface ServedModel {
  readonly model: PublicModel;
  /** With the weights it makes the key of R, which clients learn and the dealer never does. */
  readonly modelKey: Secret;
  /** Reads the floats: asked for once for each padded length that needs other integers, and not kept. */
  readonly weights: () => Promise<Weights>;
  readonly tokenizer: TokenizerFiles;
}

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
  /** What each phase took here. */
  readonly measured?: (phase: Measured) => void;
  /** Bytes of material in this process's memory, being made or waiting for its run; 16 GB unless given. Half of it for one key. */
  readonly mostWaitingBytes?: number;
  /** Bytes of prepared material that wait in the store for one account; 4 GB unless given. */
  readonly mostStockBytes?: number;
}

/** One text's worth of material, and the session that made it. */
interface Made {
  readonly session: string;
  readonly material: StoredMaterial;
}

/** The same while it waits for its run. */
interface Waiting extends Made {
  readonly compiled: Compiled;
  /** Gives its place in memory back. */
  readonly free: () => void;
}

interface Compiled extends CompiledProgram {
  readonly weights: ServerWeights;
  /** Of the material of one text. */
  readonly materialBytes: number;
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

/** What may wait in all, unless told. */
const MOST_WAITING_BYTES = 16e9;
/** What may wait in the store for one account, unless told. */
const MOST_STOCK_BYTES = 4e9;

const STOCK_FULL = "as much material waits here as may be prepared for you: use some of it first";

type Request = v.InferOutput<typeof messages.request>;

export class ServerService {
  private readonly ring: Ring;
  private readonly served: ServedModel;
  private readonly options: ServerOptions;
  private readonly integers: IntegerWeights;
  private readonly programs: Programs<Compiled>;
  private tables: readonly Float32Array[] = [];
  /** What every client is told first, made once. */
  private readonly welcome: Uint8Array;
  /** Who is served now, who waits, who is refused. */
  readonly admission: Admission;
  /** Bytes of material in memory, and the bound on them. */
  private readonly inMemory: Quota;
  readonly mostMaterialBytes: number;
  /** Bytes on their way into the store, by account. */
  private readonly preparing: Quota;
  /** Connections between two requests, and those whose material waits for its run. */
  private readonly idle = new Set<Channel>();
  private readonly pledged = new Set<Channel>();
  private redeemed: () => void = () => {};
  /** Of texts that helpers carry. */
  private readonly covers = new LentCovers();
  /** Of the weights, since they were first read. */
  private version: Uint8Array | null = null;

  constructor(ring: Ring, served: ServedModel, options: ServerOptions) {
    this.ring = ring;
    this.served = served;
    this.options = options;
    this.integers = new IntegerWeights(ring);
    const { model, tokenizer } = served;
    this.welcome = jsonBytes({ version: messages.PROTOCOL_VERSION, model, tokenizer });
    this.admission = new Admission(options.limits);
    this.programs = new Programs({
      ...options.programs,
      mismatch: "client and server compile different programs: install the same release on both sides",
      finish: (compiled) => this.finished(compiled),
    });
    this.mostMaterialBytes = options.mostWaitingBytes ?? MOST_WAITING_BYTES;
    const each = options.mostStockBytes ?? MOST_STOCK_BYTES;
    this.preparing = new Quota({ most: Number.POSITIVE_INFINITY, each, full: STOCK_FULL, own: STOCK_FULL });
    this.inMemory = new Quota({
      most: this.mostMaterialBytes,
      each: this.mostMaterialBytes / 2,
      full: "this server has no memory for that much material now: ask about fewer at once, or again in a moment",
      own: "your runs take all the memory that one key may have here: ask about fewer at once, or again in a moment",
    });
  }

  /**
   * Keeps room in the store for what an account prepares; the result gives it back, when the item is in the store and counted there.
   * @throws Refused when the account's stock is full.
   */
  private async roomFor(account: string, bytes: number): Promise<() => void> {
    const { store, mostStockBytes = MOST_STOCK_BYTES } = this.options;
    if (store === undefined) throw new PartyError("the server keeps no material: start it with --store DIR");
    if (account === "") return () => {};
    const free = this.preparing.take(account, bytes);
    const stock = await store.stockOf(await digestOf(account));
    if (stock + this.preparing.takenBy(account) <= mostStockBytes) return free;
    free();
    throw new Refused("quota", STOCK_FULL);
  }

  /** Of material in this process's memory, being made or waiting for its run. */
  get materialBytes(): number {
    return this.inMemory.taken;
  }

  /** Compiles one length and makes its integer weights, before the first client asks. */
  async warm(length: number): Promise<void> {
    const shape = oneTurn(length);
    checkShape(this.served.model.spec, shape, { ...this.options.shapes, lengths: [length] });
    await this.compiled(shape, "");
  }

  /** The programs compiled by now, and what counts the material that waits for each: null without a store. */
  async compiledNow(): Promise<readonly { program: Program; stock: () => Promise<number | null> }[]> {
    const { store } = this.options;
    return (await this.programs.ready()).map((one) => ({
      program: one.program,
      stock: async () => (store === undefined ? null : store.count(this.storeKey(one))),
    }));
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
    this.admission.greet(channel.account, this.welcome.length);
    await channel.send("control", 0, [this.welcome]);
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
    if (request.request === "tables") return this.sendTables(channel);
    if (request.request === "lend") return this.lend(request, channel);
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
    checkShape(this.served.model.spec, request.shape, this.options.shapes);
    const compiled = await this.compiled(request.shape, account, request.program);
    // Before any is made: peers must not fill this machine's memory.
    const free = this.inMemory.take(account, compiled.materialBytes);
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
      const material = await this.claim(session, compiled);
      await channel.sendJson(0, { accepted: true });
      return { session, material };
    }
    const [{ store }, { account }] = [this.options, channel];
    // Before any is made: it must not fill the disk.
    const free = request.prepare ? await this.roomFor(account, compiled.materialBytes) : () => {};
    try {
      const measured = stopwatch("offline");
      const made = await this.offline(channel, request.nonce, compiled);
      this.options.measured?.(measured());
      if (!request.prepare) return made;
      const owner = account === "" ? undefined : await digestOf(account);
      await store!.put(made.session, { key: this.storeKey(compiled), owner, parts: made.material.parts() });
    } finally {
      free();
    }
    await channel.sendJson(0, { accepted: true });
    this.options.log?.({ event: "prepared", shape: compiled.program.shape });
    return null;
  }

  /** Both senders at once: the dealer's corrections and the client's offline messages. */
  private async offline(channel: Channel, clientNonce: string, { program, fingerprint }: Compiled): Promise<Made> {
    const material = new StoredMaterial("server", program, new Secret(randomKey()));
    // First: a client is not granted what cannot be dealt.
    const dealer = await this.options.connectDealer();
    try {
      const serverNonce = hex(randomKey());
      await channel.sendJson(0, { nonce: serverNonce, modelKey: hex(this.weightsKey().expose()) });
      const [version, model] = [messages.PROTOCOL_VERSION, this.served.model.id];
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
          dealing.then(() => this.patience(channel).during(fromClient)),
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
    const [{ shape }, { model }, seed] = [program, this.served, hex(material.seed.expose())];
    await dealer.sendJson(0, { role: "server", session: parts, shape, seed, model });
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
    const take = async () => {
      for (const step of offlineOrder(program).flat()) {
        const size = bytesOf(trafficOf(step, program).dealt ?? []);
        if (size > 0) material.put("dealt", step.id, await dealer.receive("offline", step.id, size));
      }
    };
    // The dealer deals what it can while later weights are still on their way.
    await allOrFirstError([
      take(),
      missing.length > 0 ? this.uploadWeights(dealer, program, missing) : Promise.resolve(),
    ]);
    return parse(messages.offlineReport, await dealer.receiveJson(0), "dealer");
  }

  private async fromClient(channel: Channel, program: Program, material: StoredMaterial): Promise<void> {
    for (const step of offlineOrder(program).flat()) {
      const block = trafficOf(step, program).ahead;
      if (block) material.put("ahead", step.id, await channel.receive("offline", step.id, blockBytes(block)));
    }
  }

  private async uploadWeights(dealer: Channel, program: Program, missing: readonly number[]): Promise<void> {
    const masks = await WeightMasks.create(this.ring, program, this.weightsKey());
    for (const id of missing) {
      const slot = program.weights[id];
      if (slot === undefined) throw new PartyError("the dealer asks for a weight that the program has not");
      const sent: Promise<void>[] = [];
      this.integers.mask(slot, masks, (part) => {
        const sending = dealer.send("setup", slot.id, [part]);
        sending.catch(() => {}); // Awaited below, unless the masking itself fails first.
        sent.push(sending);
      });
      await Promise.all(sent);
    }
    this.options.log?.({ event: "weights sent", count: missing.length });
  }

  /** Answers as many texts as wait, all of one program. */
  private async online(channel: Channel, waiting: readonly Waiting[], texts: number, place: Place): Promise<void> {
    const [first] = waiting;
    if (waiting.length !== texts || waiting.some((w) => w.compiled.fingerprint !== first.compiled.fingerprint)) {
      throw new PartyError("a run takes all material that waits, one for each text, of one padded length");
    }
    const { program, weights } = first.compiled;
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
      return new Party(this.ring, program, { role: "server", withDealer, material, weights, cover });
    });
    const [meter, measured] = [new Meter(), stopwatch("online")];
    try {
      const turn = () => messages.goesOn(channel);
      const id = await runId(waiting.map(({ session }) => session));
      const [{ processor }, { account }] = [this.admission, channel];
      const shared = { processor, account, place, patience: this.patience(channel) };
      await SharedPace.during(shared, (pace) => {
        const run = { witness: this.options.witness, meter, turn, pace };
        return boundTo(channel, id, () => runProgram(parties, channel, run));
      });
    } finally {
      for (const party of parties) party.close();
    }
    await channel.sendJson(0, { peakRssMb: peakRssMb() });
    const phase = measured(meter);
    this.options.measured?.(phase);
    this.options.log?.({ event: "answered", shape: program.shape, texts, seconds: phase.seconds });
  }

  private patience(channel: Channel): Patience {
    return new Patience(channel, this.options.graceMs);
  }

  /** Material prepared earlier: marked as used on disk before the first online byte leaves. */
  private async claim(session: string, compiled: Compiled): Promise<StoredMaterial> {
    const item = await this.options.store?.claim(this.storeKey(compiled), session);
    if (item === undefined)
      throw new PartyError("the server has no such material, or it was used or is too old: prepare more");
    try {
      return StoredMaterial.parse("server", compiled.program, await item.bytes());
    } finally {
      await item.discard();
    }
  }

  private storeKey(compiled: Compiled): string {
    return `${this.served.model.id}${compiled.fingerprint}`;
  }

  private async sendTables(channel: Channel): Promise<void> {
    if (this.served.model.spec.embedding !== "public")
      throw new PartyError("the embedding tables of this model are private");
    if (this.tables.length === 0) await this.floats();
    let step = 0;
    for (const data of this.tables) {
      await channel.send("setup", step++, [new Uint8Array(data.buffer, data.byteOffset, data.byteLength)]);
    }
  }

  /** The key of R for these weights; they were read when the program was compiled. */
  private weightsKey(): Secret {
    if (this.version === null) throw new InternalError("the key of R is asked for before the weights were read");
    return keyOfVersion(this.served.modelKey, this.version);
  }

  /** The floats; what clients may have of them stays. @throws PartyError when they are not those of the first time. */
  private async floats(): Promise<Weights> {
    const weights = await this.served.weights();
    const version = versionOf(this.served.model.spec, weights);
    if (hex(this.version ?? version) !== hex(version))
      throw new PartyError("the model's weights have changed since the server started: start it again");
    this.version = version;
    if (this.served.model.spec.embedding === "public")
      this.tables = publicTables(this.served.model.spec).map(([name]) => weights.get(name).data);
    return weights;
  }

  /** @throws PartyError when the client has compiled another program than this one. */
  private compiled(shape: Shape, account: string, fingerprint?: string): Promise<Compiled> {
    const { spec, plan } = this.served.model;
    return this.programs.of({ account, key: JSON.stringify(shape), task: { spec, plan, shape }, fingerprint });
  }

  private async finished(compiled: CompiledProgram): Promise<Compiled> {
    const { program } = compiled;
    const weights = await this.integers.for(program, () => this.floats());
    return { ...compiled, weights, materialBytes: materialBytes(program) };
  }
}

/** Lets go of material that waited. */
function release(waiting: Waiting[]): void {
  for (const { free } of waiting.splice(0)) free();
}

/** Waits for all; the first result, or the first error without waiting for the other. */
async function allOrFirstError<T>(all: readonly [Promise<T>, ...Promise<unknown>[]]): Promise<T> {
  const [result] = await Promise.all(all);
  return result;
}
