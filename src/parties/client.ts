/** The client: owns the text, gets the answer. It needs no model files: the server tells all that is public. */

import type { Channel } from "../channels/channel.ts";
import type { TextTokenizer } from "../models/tokenizer.ts";
import { bucketFor } from "../program/lengths.ts";
import { isDecoder, longestText, type ModelSpec, type TokenizedText, type Weights } from "../program/spec.ts";
import { oneTurn, type Program, type Shape } from "../program/steps.ts";
import { answerBlock } from "../protocols/cover.ts";
import { packAll } from "../protocols/packing.ts";
import { ClientOffline, Party, type SharedInput } from "../protocols/sides.ts";
import { fromHex, hex } from "../ring/hex.ts";
import { Prg, randomKey } from "../ring/prg.ts";
import type { Ring } from "../ring/ring.ts";
import { Secret } from "../ring/secret.ts";
import { StoredMaterial } from "../stores/material.ts";
import type { MaterialStore } from "../stores/store.ts";
import { type Answer, reading } from "./answer.ts";
import type { Compile, CompiledProgram } from "./compiling.ts";
import { type Progress, prepareProgram, runProgram, type Witness } from "./engine.ts";
import { Findings } from "./findings.ts";
import { type Generated, type GenerateOptions, sampler, TokenStream } from "./generation.ts";
import { encoded, fetchTables, greet } from "./greeting.ts";
import * as messages from "./messages.ts";
import { type OfflineReport, PartyError, type PublicModel, parse } from "./messages.ts";
import { Meter } from "./meter.ts";
import { Programs } from "./programs.ts";
import { type BatchInference, costsOf, type Inference, peaksOf, type Run, type Totals, totals } from "./run.ts";
import { boundTo, runId, type SessionParts, sessionId } from "./session.ts";
import { answerOf, TextInput } from "./text.ts";
import { WeightMasks } from "./weights.ts";

export interface ClientOptions {
  /** The id that the server's model must have, as its operator tells it (model-identity.ts). */
  readonly model?: string;
  readonly connectDealer: () => Promise<Channel>;
  /** Material prepared ahead of time is taken from here first. Closed with the client. */
  readonly store?: MaterialStore;
  readonly progress?: (phase: "offline" | "online", ...of: Parameters<Progress>) => void;
  readonly witness?: Witness;
  /** Where programs are compiled; here unless given. */
  readonly compile?: Compile;
  /** What the dealer is told of a session, beside a seed, which is shown to nobody. */
  readonly toldDealer?: (session: SessionParts) => void;
}

interface Prepared {
  /** The session that made the material. */
  readonly session: string;
  readonly material: StoredMaterial;
  readonly program: Program;
  readonly report: OfflineReport | null;
}

/** One run, between its offline phase and its end. */
interface RunInProgress {
  readonly before: Totals;
  readonly prepared: readonly Prepared[];
  readonly meter: Meter;
  /** Seconds of the offline phase, and when the online one began. */
  readonly offline: number;
  readonly started: number;
}

/** What the client does between two turns; see `RunOptions.turn`. */
type LaterTurns = (index: number, parties: readonly Party[]) => Promise<boolean>;

/** What a helper tells its thin client before it carries. */
export interface Carrying {
  readonly program: Program;
  readonly session: string;
}

/** What it carries, and where it hands the answer. */
export interface Carried {
  readonly input: SharedInput;
  readonly answer: (packed: Uint8Array) => Promise<void>;
}

/** A client asks for what it compiles itself: it may be more than a service makes for others. */
const BOUNDS = { steps: 2_000_000 };

export class Client {
  readonly model: PublicModel;
  readonly tokenizer: TextTokenizer | null;
  private readonly ring: Ring;
  private readonly channel: Channel;
  private readonly options: ClientOptions;
  private readonly programs: Programs<CompiledProgram>;
  private tables: Weights | null = null;
  /** Material that both sides hold for this connection's next run. */
  private ready: Prepared | null = null;

  private constructor(
    ring: Ring,
    channel: Channel,
    options: ClientOptions,
    model: PublicModel,
    tokenizer: TextTokenizer | null,
  ) {
    this.ring = ring;
    this.channel = channel;
    const { compile } = options;
    this.programs = new Programs({
      compile,
      limits: { bounds: BOUNDS },
      mismatch: "the peer compiles another program: install the same release on both sides",
      finish: async (compiled) => compiled,
    });
    this.options = options;
    this.model = model;
    this.tokenizer = tokenizer;
  }

  /** Greets the server and learns the public model. @throws PartyError when versions differ. */
  static async connect(ring: Ring, channel: Channel, options: ClientOptions): Promise<Client> {
    try {
      const { model, tokenizer } = await greet(channel, options.model);
      return new Client(ring, channel, options, model, tokenizer);
    } catch (error) {
      channel.close();
      throw error;
    }
  }

  get spec(): ModelSpec {
    return this.model.spec;
  }

  /** Whether the connection has ended: a new client is needed. */
  get closed(): boolean {
    return this.channel.closed;
  }

  /** Most tokens a text may have. */
  get limit(): number {
    return longestText(this.spec);
  }

  /** Tokenizes here, on the client. @throws Error for an empty text, or one longer than the model takes. */
  encode(text: string, pair?: string): TokenizedText {
    return encoded(this, text, pair);
  }

  /** The private answer for one text. Material is what `makeReady` made, or taken from the store, or made now. */
  async infer(text: TokenizedText): Promise<Inference> {
    const length = bucketFor(text.ids.length, this.limit);
    const ready = this.ready?.program.shape;
    const fits = ready?.turns === 1 && !ready.scoring && ready.length >= length;
    return this.inferAt(text, fits ? ready.length : length);
  }

  /** The private answer for a text (or two) as people read it: `encode`, `infer`, and label and scores. */
  async classify(text: string, pair?: string): Promise<Answer> {
    const run = await this.infer(this.encode(text, pair));
    return { ...reading(this.spec, run.logits), ...run };
  }

  /**
   * Makes material for this connection's next run, while nobody waits: a text of at most its length then takes the online phase alone.
   * It is lost when the connection ends, or something else is asked first.
   */
  async makeReady(shape: Shape): Promise<void> {
    await this.whole(async () => {
      await this.learnTables();
      await this.drop();
      this.ready = await this.offline(shape, false);
    });
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
    const findings = new Findings();
    const result = await this.whole(async () => {
      const run = await this.begin(oneTurn(length), texts.length);
      const inputs = this.inputs(run, texts, findings);
      const logits = await this.online(run, inputs, (all) => all.map((party) => answerOf(party, findings)));
      return { logits, ...(await this.end(run)) };
    });
    findings.raise();
    return result;
  }

  /** Of a decoder: the logits after each of the text's tokens, one row of the vocabulary behind the other. */
  async score(text: TokenizedText): Promise<Inference> {
    if (!isDecoder(this.spec)) throw new PartyError("this model classifies texts: use infer");
    if (this.spec.answer !== "scores")
      throw new PartyError("this server tells the next token alone, so that texts cannot be scored");
    const length = bucketFor(text.ids.length, this.limit);
    const findings = new Findings();
    const result = await this.whole(async () => {
      const run = await this.begin({ ...oneTurn(length), scoring: true }, 1);
      const [all] = await this.online(run, this.inputs(run, [text], findings), (parties) =>
        parties.map((party) => answerOf(party, findings)),
      );
      const logits = all.slice(-text.ids.length * this.spec.labels);
      return { logits, tokens: text.ids.length, ...(await this.end(run)) };
    });
    findings.raise();
    return result;
  }

  /**
   * Continues a text with a decoder, token by token as they are chosen: by this client from the logits, or under MPC where the
   * server tells tokens alone. The server learns the padded length, `maxTokens` and how many tokens were taken.
   *
   * Ends at `maxTokens`, at a token of `stopAt`, when `options.stop` says so, or when the consumer stops listening. Returns
   * what the run took. @throws what breaks the run, after the tokens that were chosen before.
   */
  async *generate(text: TokenizedText, options: GenerateOptions): AsyncGenerator<number, Generated, void> {
    if (!isDecoder(this.spec)) throw new PartyError("this model classifies texts: use infer");
    const shape = this.generationShape(text.ids.length, options);
    const run = await this.whole(() => this.begin(shape, 1));
    const tokens = new TokenStream(sampler(this.spec, options), options);
    const findings = new Findings();
    const [input] = this.inputs(run, [text], findings);
    const later: LaterTurns = async (index, [party]) => {
      const token = tokens.choose(answerOf(party, findings, index - 1));
      // Decided once: while the word travels, the listener may leave.
      const goesOn = !tokens.ended;
      await this.channel.sendJson(0, { next: goesOn });
      input.take(token);
      return goesOn;
    };
    const last = ([party]: readonly Party[]) => {
      if (!tokens.ended) tokens.choose(answerOf(party, findings));
    };
    const online = this.whole(() => this.online(run, [input], last, later));
    online.then(
      () => tokens.finish(),
      (error: Error) => tokens.finish(error),
    );
    let report: Run | null = null;
    try {
      yield* tokens.all();
    } finally {
      // Also when nobody listens any more: the connection is to serve the next request.
      tokens.cancel();
      report = await online.then(
        () => this.end(run),
        () => null,
      );
    }
    if (report === null) throw new PartyError("the run broke off");
    findings.raise();
    const secondsToToken = tokens.chosenAt.map((at) => (at - run.started) / 1000);
    return { tokens: tokens.count, secondsToToken, ...report };
  }

  /**
   * A helper's part (helper.ts): makes material, hears from `given` what to put in for that session, and hands on what comes out. Of the
   * text it learns its padded length. @throws PartyError when the owner has compiled another program than `program`.
   */
  async carry(shape: Shape, program: string, given: (ready: Carrying) => Promise<Carried>): Promise<Run> {
    // Before any material is made for what cannot be carried.
    if ((await this.program(shape)).fingerprint !== program)
      throw new PartyError("thin client and helper compile different programs: install the same release on both sides");
    return this.whole(async () => {
      const run = await this.begin(shape, 1);
      const [{ program: compiled, session }] = run.prepared;
      const { input, answer } = await given({ program: compiled, session });
      const packed = await this.online(run, [input], ([party]) => {
        const words = party.get("public", compiled.answers[0]);
        return packAll(this.ring, [words], [answerBlock(compiled)]);
      });
      await answer(packed);
      return this.end(run);
    });
  }

  /** Makes material for one run of this shape and keeps it on both sides. */
  async prepare(shape: Shape): Promise<void> {
    const store = this.options.store;
    if (store === undefined) throw new PartyError("there is no place to keep material: give --store DIR");
    const { fingerprint } = await this.program(shape);
    const { material, session } = await this.whole(async () => {
      const made = await this.offline(shape, true);
      parse(messages.accepted, await this.channel.receiveJson(0), "server");
      return made;
    });
    await store.put(session, { key: this.storeKey(fingerprint), parts: material.parts() });
  }

  /** Makes material until `count` runs of this shape are prepared: while nobody waits, so that the next one does not. */
  async prepareUpTo(shape: Shape, count: number): Promise<void> {
    while ((await this.prepared(shape)) < count) await this.prepare(shape);
  }

  /** How many runs of this shape are prepared. */
  async prepared(shape: Shape): Promise<number> {
    return (await this.options.store?.count(this.storeKey((await this.program(shape)).fingerprint))) ?? 0;
  }

  /** What a continuation of a text of so many tokens needs material of. @throws PartyError beyond the model's positions. */
  generationShape(tokens: number, { maxTokens, temperature = 0 }: GenerateOptions): Shape {
    if (!(Number.isInteger(maxTokens) && maxTokens >= 1 && maxTokens <= messages.MOST_TURNS))
      throw new PartyError(`a run gives 1 to ${messages.MOST_TURNS} new tokens`);
    if (tokens + maxTokens - 1 > this.limit)
      throw new PartyError(
        `the text has ${tokens} tokens and is to have ${maxTokens} more, the model takes ${this.limit}: ask for fewer`,
      );
    const noise = this.spec.answer === "label" ? temperature : 0;
    return {
      length: bucketFor(tokens, this.limit),
      turns: maxTokens,
      scoring: false,
      temperature: noise,
      carried: false,
    };
  }

  /** Ends what is at work, and the connection with it: whoever waits gets `reason`. */
  abort(reason: Error): void {
    this.channel.close(reason);
  }

  async close(): Promise<void> {
    await this.channel.sendJson(0, { bye: true }).catch(() => {});
    this.channel.close();
    await this.options.store?.close();
  }

  private lengthOf(texts: readonly TokenizedText[]): number {
    return bucketFor(Math.max(...texts.map((t) => t.ids.length)), this.limit);
  }

  private storeKey(fingerprint: string): string {
    return `${this.model.id}${fingerprint}`;
  }

  private program(shape: Shape): Promise<CompiledProgram> {
    const task = { spec: this.spec, plan: this.model.plan, shape };
    return this.programs.of({ account: "", key: JSON.stringify(shape), task });
  }

  /** A request that broke off leaves both ends at different places: the connection ends with it. */
  private async whole<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      this.channel.close(error instanceof Error ? error : undefined);
      throw error;
    }
  }

  /** Everything that a run of so many texts needs before they are told. */
  private async begin(shape: Shape, texts: number): Promise<RunInProgress> {
    const before = totals(this.channel);
    const started = performance.now();
    await this.learnTables();
    const prepared = await this.takeReady(shape, texts);
    for (let i = prepared.length; i < texts; i++)
      prepared.push((await this.fromStore(shape)) ?? (await this.offline(shape, false)));
    const ready = performance.now();
    return { before, prepared, offline: (ready - started) / 1000, started: ready, meter: new Meter() };
  }

  /** Once, where the embedding is public. */
  private async learnTables(): Promise<void> {
    if (this.spec.embedding === "public") this.tables ??= await fetchTables(this.channel, this.model);
  }

  /** What is ready for exactly this, if anything is. */
  private async takeReady(shape: Shape, texts: number): Promise<Prepared[]> {
    const { ready } = this;
    if (ready === null || texts > 1 || JSON.stringify(ready.program.shape) !== JSON.stringify(shape)) {
      await this.drop();
      return [];
    }
    this.ready = null;
    return [ready];
  }

  /** Both sides forget what is ready. */
  private async drop(): Promise<void> {
    if (this.ready === null) return;
    this.ready = null;
    await this.channel.sendJson(0, { request: "drop" });
    parse(messages.accepted, await this.channel.receiveJson(0), "server");
  }

  private async end(run: RunInProgress): Promise<Run> {
    const online = (performance.now() - run.started) / 1000;
    const { peakRssMb } = parse(messages.finished, await this.channel.receiveJson(0), "server");
    const reports = run.prepared.flatMap(({ report }) => report ?? []);
    return {
      length: run.prepared[0].program.shape.length,
      seconds: { online, offline: run.offline },
      ...costsOf(totals(this.channel), run.before, reports),
      peakRssMb: peaksOf(peakRssMb, reports),
      spent: run.meter.spent,
    };
  }

  private async offline(shape: Shape, prepare: boolean): Promise<Prepared> {
    const { program, fingerprint } = await this.program(shape);
    const material = new StoredMaterial("client", program, new Secret(randomKey()));
    const dealer = await this.options.connectDealer();
    try {
      const nonce = hex(randomKey());
      await this.channel.sendJson(0, { request: "session", shape, program: fingerprint, prepare, nonce });
      const granted = parse(messages.granted, await this.channel.receiveJson(0), "server");
      const parts = this.sessionParts(fingerprint, nonce, granted.nonce, dealer);
      const session = await sessionId(parts);
      this.options.toldDealer?.(parts);
      await tellDealer(dealer, parts, session, material.seed);
      const masks = await WeightMasks.create(this.ring, program, new Secret(fromHex(granted.modelKey)));
      const report = await boundTo(this.channel, session, () => this.sendAhead(material, program, masks));
      return { material, program, report, session };
    } finally {
      dealer.close();
    }
  }

  private sessionParts(program: string, clientNonce: string, serverNonce: string, dealer: Channel): SessionParts {
    const { own, peer } = this.channel.identities;
    const [version, model] = [messages.PROTOCOL_VERSION, this.model.id];
    const identities = { client: own, server: peer, dealer: dealer.identities.peer };
    return { version, model, program, clientNonce, serverNonce, ...identities };
  }

  /** The client's share of the offline phase: what it sends to the server, and what it keeps. */
  private async sendAhead(material: StoredMaterial, program: Program, masks: WeightMasks): Promise<OfflineReport> {
    const client = new ClientOffline(this.ring, program, new Prg(material.seed.expose()), masks);
    try {
      await prepareProgram(
        client,
        (step, packed) => this.channel.send("offline", step.id, [packed]),
        (step, packed) => material.put("share", step.id, packed),
        (...of) => this.options.progress?.("offline", ...of),
      );
    } finally {
      client.close();
    }
    return parse(messages.offlineReport, await this.channel.receiveJson(0), "server");
  }

  /** Claims an item here first, durably, then at the server: a crash in between burns it. */
  private async fromStore(shape: Shape): Promise<Prepared | null> {
    const { program, fingerprint } = await this.program(shape);
    const item = await this.options.store?.claim(this.storeKey(fingerprint));
    if (item === undefined) return null;
    try {
      const material = StoredMaterial.parse("client", program, await item.bytes());
      await this.channel.sendJson(0, { request: "use", session: item.id, shape, program: fingerprint });
      parse(messages.accepted, await this.channel.receiveJson(0), "server");
      return { material, program, report: null, session: item.id };
    } finally {
      await item.discard();
    }
  }

  /** What each text puts into a run. */
  private inputs(
    { prepared: [{ program }] }: RunInProgress,
    texts: readonly TokenizedText[],
    findings: Findings,
  ): TextInput[] {
    return texts.map((text) => new TextInput(this.ring, program, this.spec, text, this.tables, findings));
  }

  /** Runs the online phase and reads its answers, then forgets every share. */
  private async online<A>(
    { prepared, meter }: RunInProgress,
    inputs: readonly SharedInput[],
    read: (parties: readonly Party[]) => A,
    later?: LaterTurns,
  ): Promise<A> {
    const [{ program }] = prepared;
    await this.channel.sendJson(0, { request: "run", texts: inputs.length });
    const parties = prepared.map(({ material }, i) => {
      const { withDealer } = material;
      return new Party(this.ring, program, { role: "client", withDealer, material, input: inputs[i] });
    });
    const progress: Progress = (...of) => this.options.progress?.("online", ...of);
    const turn = later && ((index: number) => later(index, parties));
    const run = { progress, witness: this.options.witness, meter, turn };
    try {
      const id = await runId(prepared.map(({ session }) => session));
      await boundTo(this.channel, id, () => runProgram(parties, this.channel, run));
      return read(parties);
    } finally {
      for (const party of parties) party.close();
    }
  }
}

async function tellDealer(dealer: Channel, parts: SessionParts, session: string, seed: Secret): Promise<void> {
  await dealer.sendJson(0, { role: "client", session: parts, seed: hex(seed.expose()) });
  await boundTo(dealer, session, async () => parse(messages.accepted, await dealer.receiveJson(0), "dealer"));
}
