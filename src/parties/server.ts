/** The server: owns the weights, answers clients one session each, and never sees a text. */

import type * as v from "valibot";
import type { Channel } from "../channels/channel.ts";
import { compile } from "../models/calibrate.ts";
import type { TokenizerFiles } from "../models/tokenizer.ts";
import { publicTables } from "../models/weights.ts";
import { offlineOrder } from "../program/schedule.ts";
import { isDecoder, type Weights } from "../program/spec.ts";
import type { Program, Shape } from "../program/steps.ts";
import { oneTurn } from "../program/steps.ts";
import { trafficOf } from "../protocols/all.ts";
import { blockBytes, bytesOf, costOf } from "../protocols/cost.ts";
import { Party, type ServerWeights } from "../protocols/protocol.ts";
import { randomKey } from "../ring/prg.ts";
import type { Ring } from "../ring/ring.ts";
import { runProgram, type Witness } from "./engine.ts";
import { StoredMaterial } from "./material.ts";
import * as messages from "./messages.ts";
import { PartyError, type PublicModel, parse } from "./messages.ts";
import { type Measured, Meter, peakRssMb, stopwatch } from "./meter.ts";
import type { MaterialStore } from "./store.ts";
import { keyOfVersion, versionOf } from "./version.ts";
import { hex, IntegerWeights, WeightMasks } from "./weights.ts";

export interface ServedModel {
  readonly model: PublicModel;
  /** With the weights it makes the key of R, which clients learn and the dealer never does. */
  readonly modelKey: Uint8Array;
  /** Reads the floats: asked for once for each padded length that needs other integers, and not kept. */
  readonly weights: () => Promise<Weights>;
  readonly tokenizer: TokenizerFiles;
}

export interface ServerOptions {
  readonly connectDealer: () => Promise<Channel>;
  /** Where material prepared ahead of time waits; without it, only on-demand sessions. */
  readonly store?: MaterialStore;
  readonly witness?: Witness;
  /** One line for people: what happened, never a seed, share or text. */
  readonly log?: (line: string) => void;
  /** What each phase took here. */
  readonly measured?: (phase: Measured) => void;
  /** Bytes of material that may wait for one connection's run; 8 GB unless given. */
  readonly mostWaitingBytes?: number;
}

/** One text's worth of material that waits for its run. */
interface Waiting {
  readonly compiled: Compiled;
  readonly material: StoredMaterial;
}

interface Compiled {
  readonly program: Program;
  readonly fingerprint: string;
  readonly weights: ServerWeights;
  /** Of the material of one text. */
  readonly materialBytes: number;
}

/** What may wait for one connection, unless told. */
const MOST_WAITING_BYTES = 8e9;
/** Compiled lengths kept: all buckets and a few more. */
const KEPT_PROGRAMS = 24;

type Request = v.InferOutput<typeof messages.request>;

export class ServerService {
  private readonly ring: Ring;
  private readonly served: ServedModel;
  private readonly options: ServerOptions;
  private readonly integers: IntegerWeights;
  private readonly programs = new Map<string, Promise<Compiled>>();
  private tables: readonly Float32Array[] = [];
  /** Of the weights, since they were first read. */
  private version: Uint8Array | null = null;

  constructor(ring: Ring, served: ServedModel, options: ServerOptions) {
    this.ring = ring;
    this.served = served;
    this.options = options;
    this.integers = new IntegerWeights(ring);
  }

  /** Compiles one length and makes its integer weights, before the first client asks. */
  async warm(length: number): Promise<void> {
    await this.compiled(oneTurn(length));
  }

  /** Serves one client's connection until it closes. */
  async serve(channel: Channel): Promise<void> {
    const { model, tokenizer } = this.served;
    const waiting: Waiting[] = [];
    try {
      await channel.sendJson(0, { version: messages.PROTOCOL_VERSION, model, tokenizer });
      for (;;) {
        const message = await channel.receiveJson(0);
        if (message !== null && typeof message === "object" && "bye" in message) break;
        await this.answer(parse(messages.request, message, "client"), channel, waiting);
      }
      channel.close();
    } catch (error) {
      const line = error instanceof Error ? error.message : "the session failed";
      await channel.sendJson(0, { error: line }).catch(() => {});
      channel.close();
      throw error;
    }
  }

  private async answer(request: Request, channel: Channel, waiting: Waiting[]): Promise<void> {
    if (request.request === "tables") return this.sendTables(channel);
    if (request.request === "run") return this.online(channel, waiting.splice(0), request.texts);
    if (waiting.length >= messages.MOST_TEXTS)
      throw new PartyError(`at most ${messages.MOST_TEXTS} texts run together: ask in smaller groups`);
    const compiled = await this.compiled(request.shape);
    if (compiled.fingerprint !== request.program) {
      throw new PartyError("client and server compile different programs: install the same release on both sides");
    }
    // Before any is made: a peer must not fill this machine's memory.
    const bytes = waiting.reduce((sum, w) => sum + w.compiled.materialBytes, compiled.materialBytes);
    if (bytes > (this.options.mostWaitingBytes ?? MOST_WAITING_BYTES))
      throw new PartyError(
        "the material of so many texts is more than this server holds for one run: ask about fewer at once",
      );
    if (request.request === "use") {
      waiting.push({ compiled, material: await this.claim(request.session, compiled) });
      return channel.sendJson(0, { accepted: true });
    }
    const session = hex(randomKey());
    await channel.sendJson(0, { session, modelKey: hex(this.weightsKey()) });
    const measured = stopwatch("offline");
    const material = await this.offline(channel, session, compiled);
    this.options.measured?.(measured());
    if (!request.prepare) {
      waiting.push({ compiled, material });
      return;
    }
    if (this.options.store === undefined)
      throw new PartyError("the server keeps no material: start it with --store DIR");
    await this.options.store.put(session, { key: this.storeKey(compiled), parts: material.parts() });
    await channel.sendJson(0, { accepted: true });
    this.options.log?.(`kept material for ${messages.described(compiled.program.shape)}`);
  }

  /** Both senders at once: the dealer's corrections and the client's offline messages. */
  private async offline(channel: Channel, session: string, compiled: Compiled): Promise<StoredMaterial> {
    const { program, fingerprint } = compiled;
    const material = new StoredMaterial("server", program, randomKey());
    const dealer = await this.options.connectDealer();
    try {
      const report = await allOrFirstError([
        this.fromDealer(dealer, session, compiled, material, fingerprint),
        this.fromClient(channel, program, material),
      ]);
      await channel.sendJson(0, report);
      return material;
    } finally {
      dealer.close();
    }
  }

  private async fromDealer(
    dealer: Channel,
    session: string,
    { program }: Compiled,
    material: StoredMaterial,
    fingerprint: string,
  ): Promise<messages.OfflineReport> {
    await dealer.sendJson(0, {
      version: messages.PROTOCOL_VERSION,
      role: "server",
      session,
      program: fingerprint,
      shape: program.shape,
      seed: hex(material.seed),
      model: this.served.model,
    } satisfies v.InferOutput<typeof messages.toDealer>);
    const { missing } = parse(messages.missing, await dealer.receiveJson(0, 2 ** 22), "dealer");
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
      this.integers.mask(slot, masks, (part) => sent.push(dealer.send("setup", slot.id, [part])));
      await Promise.all(sent);
    }
    this.options.log?.(`the dealer has ${missing.length} masked weights more`);
  }

  /** Answers as many texts as wait, all of one program. */
  private async online(channel: Channel, waiting: readonly Waiting[], texts: number): Promise<void> {
    const [first] = waiting;
    if (waiting.length !== texts || waiting.some((w) => w.compiled.fingerprint !== first.compiled.fingerprint)) {
      throw new PartyError("a run takes all material that waits, one for each text, of one padded length");
    }
    const { program, weights } = first.compiled;
    if (texts > 1 && program.shape.turns > 1) throw new PartyError("texts are continued one by one, not together");
    const parties = waiting.map(
      ({ material }) =>
        new Party(this.ring, program, { role: "server", withDealer: material.withDealer, material, weights }),
    );
    const [meter, measured] = [new Meter(), stopwatch("online")];
    try {
      const turn = () => messages.goesOn(channel);
      await runProgram(parties, channel, { witness: this.options.witness, meter, turn });
    } finally {
      for (const party of parties) party.close();
    }
    await channel.sendJson(0, { peakRssMb: peakRssMb() });
    this.options.measured?.(measured(meter));
    this.options.log?.(`answered${texts === 1 ? "" : ` ${texts} times`} ${messages.described(program.shape)}`);
  }

  /** Material prepared earlier: marked as used on disk before the first online byte leaves. */
  private async claim(session: string, compiled: Compiled): Promise<StoredMaterial> {
    const item = await this.options.store?.claim(this.storeKey(compiled), session);
    if (item === undefined) throw new PartyError("the server has no such material, or it was used: prepare more");
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
  private weightsKey(): Uint8Array {
    if (this.version === null) throw new Error("the key of R is asked for before the weights were read");
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

  /** @throws PartyError for a shape that this model has not, or that would tell more than its answer. */
  private check({ length, turns, scoring, temperature }: Shape): void {
    const { spec } = this.served.model;
    const limit = spec.positions - spec.positionOffset;
    if (length > limit) throw new PartyError(`the padded length ${length} is beyond the model's ${limit} positions`);
    if (isDecoder(spec) ? scoring && spec.answer === "label" : turns > 1 || scoring || temperature > 0)
      throw new PartyError("this model does not answer in that way");
    if (temperature > 0 && spec.answer === "scores")
      throw new PartyError("whoever learns the scores chooses from them: ask without a temperature");
  }

  private compiled(shape: Shape): Promise<Compiled> {
    const key = JSON.stringify(shape);
    const known = this.programs.get(key);
    if (known !== undefined) return known;
    const { model } = this.served;
    this.check(shape);
    if (this.programs.size >= KEPT_PROGRAMS) this.programs.delete(this.programs.keys().next().value!);
    const promise = (async () => {
      const program = compile(model.spec, model.plan, shape);
      const { dealer_to_server, client_to_server } = costOf(program).offline.bytes;
      return {
        program,
        materialBytes: dealer_to_server + client_to_server,
        fingerprint: await messages.fingerprint(program),
        weights: await this.integers.for(program, () => this.floats()),
      };
    })();
    promise.catch(() => this.programs.delete(key));
    this.programs.set(key, promise);
    return promise;
  }
}

/** Waits for both; the first result, or the first error without waiting for the other. */
async function allOrFirstError<T>(both: readonly [Promise<T>, Promise<unknown>]): Promise<T> {
  const [result] = await Promise.all(both);
  return result;
}
