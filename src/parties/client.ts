/** The client: owns the text, gets the answer. It needs no model files: the server tells all that is public. */
import type { Channel } from "../channels/channel.ts";
import { compile } from "../models/calibrate.ts";
import { TextTokenizer } from "../models/tokenizer.ts";
import { weightsOf } from "../models/weights.ts";
import { FloatOps } from "../program/float.ts";
import { bucketFor } from "../program/lengths.ts";
import type { EmbeddingRef } from "../program/ops.ts";
import type { ModelSpec, NamedTensor, TokenizedText, Weights } from "../program/spec.ts";
import type { Program, StepOf, Value } from "../program/steps.ts";
import { type ClientInput, ClientOffline, elements, Party } from "../protocols/protocol.ts";
import type { Words } from "../ring/memory.ts";
import { Prg, randomKey } from "../ring/prg.ts";
import type { Ring } from "../ring/ring.ts";
import { prepareProgram, runProgram, type Witness } from "./engine.ts";
import { StoredMaterial } from "./material.ts";
import * as messages from "./messages.ts";
import { fromHex, type OfflineReport, PartyError, type PublicModel, parse } from "./messages.ts";
import { Meter, peakRssMb, type SpentByGroup } from "./meter.ts";
import { PUBLIC_TABLES } from "./server.ts";
import type { MaterialStore } from "./store.ts";
import { hex, WeightMasks } from "./weights.ts";

export interface ClientOptions {
  readonly connectDealer: () => Promise<Channel>;
  /** Material prepared ahead of time is taken from here first. */
  readonly store?: MaterialStore;
  readonly progress?: (phase: "offline" | "online", done: number, total: number) => void;
  readonly witness?: Witness;
}

/** What one run took, of one text or of several side by side. */
export interface Run {
  /** The padded length of each text. */
  readonly length: number;
  readonly seconds: { readonly online: number; readonly offline: number };
  readonly flights: number;
  readonly bytes: {
    readonly online: { readonly client_to_server: number; readonly server_to_client: number };
    readonly offline: {
      readonly dealer_to_server: number;
      readonly dealer_to_client: number;
      readonly client_to_server: number;
      readonly server_to_client: number;
    };
    readonly setup: { readonly server_to_dealer: number; readonly server_to_client: number };
  };
  readonly peakRssMb: { readonly client: number; readonly server: number; readonly dealer: number };
  /** Where the client's online time went. */
  readonly spent: SpentByGroup;
}

/** What one private inference gave and what it took. */
export interface Inference extends Run {
  /** Every label's logit (a regression's value); the winning label's index alone where the server answers with labels. */
  readonly logits: readonly number[];
  readonly tokens: number;
}

/** The same for texts that ran side by side. */
export interface BatchInference extends Run {
  readonly logits: readonly (readonly number[])[];
}

interface Prepared {
  readonly material: StoredMaterial;
  readonly program: Program;
  readonly report: OfflineReport | null;
}

export class Client {
  readonly model: PublicModel;
  readonly tokenizer: TextTokenizer | null;
  private readonly ring: Ring;
  private readonly channel: Channel;
  private readonly options: ClientOptions;
  private readonly programs = new Map<number, { program: Program; fingerprint: string }>();
  private tables: Weights | null = null;

  private constructor(
    ring: Ring,
    channel: Channel,
    options: ClientOptions,
    model: PublicModel,
    tokenizer: TextTokenizer | null,
  ) {
    this.ring = ring;
    this.channel = channel;
    this.options = options;
    this.model = model;
    this.tokenizer = tokenizer;
  }

  /** Greets the server and learns the public model. @throws PartyError when versions differ. */
  static async connect(ring: Ring, channel: Channel, options: ClientOptions): Promise<Client> {
    const { model, tokenizer } = parse(messages.welcome, await channel.receiveJson(0, 2 ** 25), "server");
    const files = Object.keys(tokenizer).length > 0 ? new TextTokenizer(tokenizer, model.spec) : null;
    return new Client(ring, channel, options, model, files);
  }

  get spec(): ModelSpec {
    return this.model.spec;
  }

  /** Most tokens a text may have. */
  get limit(): number {
    return this.spec.positions - this.spec.positionOffset;
  }

  /** Tokenizes here, on the client. @throws Error for an empty text, or one longer than the model takes. */
  encode(text: string, pair?: string): TokenizedText {
    if (this.tokenizer === null) throw new PartyError("this server has no tokenizer: it serves token ids only");
    return this.tokenizer.encode(text, pair);
  }

  /** The private answer for one text. Material is taken from the store, or made now. */
  async infer(text: TokenizedText): Promise<Inference> {
    return this.inferAt(text, bucketFor(text.ids.length, this.limit));
  }

  /** As `infer`, at a given padded length. */
  async inferAt(text: TokenizedText, length: number): Promise<Inference> {
    const { logits, ...run } = await this.inferAll([text], length);
    return { logits: logits[0], tokens: text.ids.length, ...run };
  }

  /**
   * The private answers for several texts in one run: they share its flights, and each its padded length (the longest text's
   * unless given). @throws PartyError for more texts than a run takes.
   */
  async inferAll(texts: readonly TokenizedText[], length = this.lengthOf(texts)): Promise<BatchInference> {
    if (texts.length === 0 || texts.length > messages.MOST_TEXTS)
      throw new PartyError(`a run takes 1 to ${messages.MOST_TEXTS} texts, not ${texts.length}`);
    const before = totals(this.channel);
    const startedOffline = performance.now();
    if (this.spec.embedding === "public") await this.fetchTables();
    const prepared: Prepared[] = [];
    for (const _ of texts) prepared.push((await this.fromStore(length)) ?? (await this.offline(length, false)));
    const offline = (performance.now() - startedOffline) / 1000;
    const [meter, started] = [new Meter(), performance.now()];
    const logits = await this.online(prepared, texts, meter);
    const online = (performance.now() - started) / 1000;
    const { peakRssMb } = parse(messages.finished, await this.channel.receiveJson(0), "server");
    const { spent } = meter;
    return { logits, ...this.account(before, prepared, { length, seconds: { online, offline }, peakRssMb, spent }) };
  }

  /** Makes material for one text of this padded length and keeps it on both sides. */
  async prepare(length: number): Promise<void> {
    const store = this.options.store;
    if (store === undefined) throw new PartyError("there is no place to keep material: give --store DIR");
    const { material, session, fingerprint } = await this.offline(length, true);
    parse(messages.accepted, await this.channel.receiveJson(0), "server");
    await store.put(session, { key: this.storeKey(fingerprint), parts: material.parts() });
  }

  /** Makes material until `count` texts of this padded length are prepared: while nobody waits, so that the next one does not. */
  async prepareUpTo(length: number, count: number): Promise<void> {
    while ((await this.prepared(length)) < count) await this.prepare(length);
  }

  /** How many texts of this padded length are prepared. */
  async prepared(length: number): Promise<number> {
    return (await this.options.store?.count(this.storeKey((await this.program(length)).fingerprint))) ?? 0;
  }

  async close(): Promise<void> {
    await this.channel.sendJson(0, { bye: true }).catch(() => {});
    this.channel.close();
  }

  private lengthOf(texts: readonly TokenizedText[]): number {
    return bucketFor(Math.max(...texts.map((t) => t.ids.length)), this.limit);
  }

  private storeKey(fingerprint: string): string {
    return `${this.model.id}${fingerprint}`;
  }

  private async program(length: number): Promise<{ program: Program; fingerprint: string }> {
    let known = this.programs.get(length);
    if (known === undefined) {
      const program = compile(this.spec, this.model.plan, length);
      known = { program, fingerprint: await messages.fingerprint(program) };
      this.programs.set(length, known);
    }
    return known;
  }

  private async offline(
    length: number,
    prepare: boolean,
  ): Promise<Prepared & { session: string; fingerprint: string }> {
    const { program, fingerprint } = await this.program(length);
    await this.channel.sendJson(0, { request: "session", length, program: fingerprint, prepare });
    const { session, modelKey } = parse(messages.granted, await this.channel.receiveJson(0), "server");
    const material = new StoredMaterial("client", program, randomKey());
    await this.tellDealer(session, fingerprint, material.seed);
    const masks = await WeightMasks.create(this.ring, program, fromHex(modelKey));
    const client = new ClientOffline(this.ring, program, new Prg(material.seed), masks);
    try {
      await prepareProgram(
        client,
        (step, packed) => this.channel.send("offline", step.id, [packed]),
        (step, packed) => material.put("share", step.id, packed),
        (done, total) => this.options.progress?.("offline", done, total),
      );
    } finally {
      client.close();
    }
    const report = parse(messages.offlineReport, await this.channel.receiveJson(0), "server");
    return { material, program, report, session, fingerprint };
  }

  private async tellDealer(session: string, fingerprint: string, seed: Uint8Array): Promise<void> {
    const dealer = await this.options.connectDealer();
    try {
      await dealer.sendJson(0, {
        version: messages.PROTOCOL_VERSION,
        role: "client",
        session,
        model: this.model.id,
        program: fingerprint,
        seed: hex(seed),
      });
      parse(messages.accepted, await dealer.receiveJson(0), "dealer");
    } finally {
      dealer.close();
    }
  }

  /** Claims an item here first, durably, then at the server: a crash in between burns it. */
  private async fromStore(length: number): Promise<Prepared | null> {
    const { program, fingerprint } = await this.program(length);
    const item = await this.options.store?.claim(this.storeKey(fingerprint));
    if (item === undefined) return null;
    try {
      const material = StoredMaterial.parse("client", program, await item.bytes());
      await this.channel.sendJson(0, { request: "use", session: item.id, length, program: fingerprint });
      parse(messages.accepted, await this.channel.receiveJson(0), "server");
      return { material, program, report: null };
    } finally {
      await item.discard();
    }
  }

  private async online(
    prepared: readonly Prepared[],
    texts: readonly TokenizedText[],
    meter: Meter,
  ): Promise<number[][]> {
    const [{ program }] = prepared;
    await this.channel.sendJson(0, { request: "run", texts: texts.length });
    const parties = prepared.map(({ material }, i) => {
      const input = new TextInput(this.ring, program, this.spec, texts[i], this.tables);
      return new Party(this.ring, program, { role: "client", withDealer: material.withDealer, material, input });
    });
    const progress = (done: number, total: number) => this.options.progress?.("online", done, total);
    try {
      await runProgram(parties, this.channel, { progress, witness: this.options.witness, meter });
      return parties.map(answerOf);
    } finally {
      for (const party of parties) party.close();
    }
  }

  private async fetchTables(): Promise<void> {
    if (this.tables !== null) return;
    const { vocabulary, positions, types, hidden } = this.spec;
    const shapes = [[vocabulary, hidden], [positions, hidden], [types, hidden], [hidden], [hidden]];
    await this.channel.sendJson(0, { request: "tables" });
    const tables = new Map<string, NamedTensor>();
    for (const [i, name] of PUBLIC_TABLES.entries()) {
      const size = shapes[i].reduce((a, b) => a * b, 4);
      const bytes = await this.channel.receive("setup", i, size);
      tables.set(name, { shape: shapes[i], data: new Float32Array(bytes.slice().buffer) });
    }
    this.tables = weightsOf(tables);
  }

  private account(
    before: Totals,
    prepared: readonly Prepared[],
    run: Pick<Run, "length" | "seconds" | "spent"> & { readonly peakRssMb: number },
  ): Run {
    const now = totals(this.channel);
    const since = (key: keyof Totals) => now[key] - before[key];
    const dealt = prepared.flatMap((p) => (p.report === null ? [] : [p.report.dealer]));
    const sum = (f: (d: OfflineReport["dealer"]) => number) => dealt.reduce((total, d) => total + f(d), 0);
    return {
      length: run.length,
      seconds: run.seconds,
      flights: prepared[0].program.slots.filter((s) => s.opens.length > 0).length,
      bytes: {
        online: { client_to_server: since("onlineOut"), server_to_client: since("onlineIn") },
        offline: {
          dealer_to_server: sum((d) => d.bytes),
          dealer_to_client: 0,
          client_to_server: since("offlineOut"),
          server_to_client: since("offlineIn"),
        },
        setup: { server_to_dealer: sum((d) => d.setupBytes), server_to_client: since("setupIn") },
      },
      peakRssMb: {
        client: peakRssMb(),
        server: run.peakRssMb,
        dealer: Math.max(0, ...dealt.map((d) => d.peakRssMb)),
      },
      spent: run.spent,
    };
  }
}

interface Totals {
  readonly onlineOut: number;
  readonly onlineIn: number;
  readonly offlineOut: number;
  readonly offlineIn: number;
  readonly setupIn: number;
}

function totals(channel: Channel): Totals {
  const { sent, received } = channel;
  return {
    onlineOut: sent.online.bytes,
    onlineIn: received.online.bytes,
    offlineOut: sent.offline.bytes,
    offlineIn: received.offline.bytes,
    setupIn: received.setup.bytes,
  };
}

/** The logits. @throws PartyError when one lies beyond the plan: then a value inside left its range and the answer is void. */
export function answerOf(party: Party): number[] {
  const value = party.value(party.program.answer);
  const logits = [...party.ring.decode(party.get("public", value.id), value.ring, value.scale)];
  if (logits.some((x) => Math.abs(x) * value.scale > value.bound)) {
    throw new PartyError(
      "the answer lies outside the plan's range, so it is void: ask the provider to calibrate on texts like yours, or with a larger margin",
    );
  }
  return logits;
}

/** The client's secret integers for each input step. */
export class TextInput implements ClientInput {
  readonly tokens: number;
  private readonly ring: Ring;
  private readonly program: Program;
  private readonly spec: ModelSpec;
  private readonly text: TokenizedText;
  private readonly tables: Weights | null;

  /** `tables`: the public embedding's, where it is public. */
  constructor(ring: Ring, program: Program, spec: ModelSpec, text: TokenizedText, tables: Weights | null) {
    this.ring = ring;
    this.program = program;
    this.spec = spec;
    this.text = text;
    this.tables = tables;
    this.tokens = text.ids.length;
  }

  fill(out: Words, step: StepOf<"input">): void {
    const value = this.program.values[step.out];
    const values = this.values(step, value);
    if (values.some((x) => Math.abs(x) * value.scale > value.bound)) {
      throw new PartyError("the text lies outside the plan's range: ask the provider to calibrate on texts like yours");
    }
    this.ring.encode(out, values, value.scale);
  }

  private values(step: StepOf<"input">, value: Value): Float32Array {
    if (step.source === "embedding") return this.embedded(value);
    const out = new Float32Array(elements(value));
    if (step.source === "mask") out.fill(1, 0, this.tokens);
    else {
      const rows = step.source === "words" ? this.text.ids : this.text.types;
      rows.forEach((id, i) => {
        out[i * value.columns + id] = 1;
      });
    }
    return out;
  }

  /** The public embedding, computed here in floats; padded rows are zero. */
  private embedded(value: Value): Float32Array {
    if (this.tables === null) throw new PartyError("the embedding tables have not been fetched");
    const ops = new FloatOps(this.tables, this.text, value.rows);
    const data = ops.embed(this.embeddingRef(value.columns)).data.slice();
    return data.fill(0, this.tokens * value.columns);
  }

  private embeddingRef(width: number): EmbeddingRef {
    const { vocabulary, types, positionOffset, epsilon } = this.spec;
    const norm = { name: "embeddings.norm", width, epsilon };
    const tables = { word: "embeddings.word", position: "embeddings.position", type: "embeddings.type" };
    return { ...tables, vocabulary, types, width, positionOffset, norm };
  }
}
