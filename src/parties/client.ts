/** The client: owns the text, gets the answer. It needs no model files: the server tells all that is public. */

import type { Channel } from "../channels/channel.ts";
import { isDecoder, type TokenizedText } from "../program/spec.ts";
import type { Program, Shape } from "../program/steps.ts";
import { answerBlock } from "../protocols/cover.ts";
import { packAll } from "../protocols/packing.ts";
import type { Party, SharedInput } from "../protocols/sides.ts";
import type { Ring } from "../ring/ring.ts";
import type { MaterialStore } from "../stores/store.ts";
import { type Answer, type Asked, ownRows, reading } from "./answer.ts";
import { type Batch, batchesOf, checkCount, type Numbered } from "./batches.ts";
import { ClientMaterial } from "./client-material.ts";
import type { Compile } from "./compiling.ts";
import { type CallOptions, Connection } from "./connection.ts";
import { Conversation, type ConverseOptions } from "./conversation.ts";
import type { Progress, Witness } from "./engine.ts";
import { Findings } from "./findings.ts";
import {
  checkGenerateOptions,
  type Generated,
  type GeneratedPiece,
  type GenerateOptions,
  sampler,
  turnsOf,
} from "./generation.ts";
import { type Greeted, greet } from "./greeting.ts";
import { PartyError } from "./messages.ts";
import { type LaterTurns, OnlineRun, type RunParties } from "./online-run.ts";
import { fitsInto, shapeAt } from "./padding.ts";
import type { BatchInference, Inference, Run } from "./run.ts";
import type { SessionParts } from "./session.ts";
import { answerOf, TextInput } from "./text.ts";
import { TextClient, type TextOptions, type TextOrPair } from "./text-client.ts";
import { TokenStream } from "./token-stream.ts";

export interface ClientOptions {
  /** The id that the server's model must have, as its operator tells it (model-identity.ts). */
  readonly model?: string;
  readonly connectDealer: () => Promise<Channel>;
  /** The padded lengths that the server takes, smallest first; those that every server takes unless given. */
  readonly lengths?: readonly number[];
  /** Material prepared ahead of time is taken from here first. Closed with the client. */
  readonly store?: MaterialStore;
  readonly progress?: (phase: "offline" | "online", ...of: Parameters<Progress>) => void;
  readonly witness?: Witness;
  /** Where programs are compiled; here unless given. */
  readonly compile?: Compile;
  /** What the dealer is told of a session, beside a seed, which is shown to nobody. */
  readonly toldDealer?: (session: SessionParts) => void;
}

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

/** One run of several texts, and what was found of each. */
interface Together {
  readonly logits: readonly (readonly number[])[];
  readonly findings: readonly Findings[];
  readonly run: Run;
}

/** A client that computes its part here. Calls may be made at any time: they run one after the other. */
export class Client extends TextClient<Inference> {
  private readonly ring: Ring;
  private readonly options: ClientOptions;
  private readonly connection: Connection;
  private readonly material: ClientMaterial;
  private readonly parties: RunParties;
  private readonly channel: Channel;

  private constructor(ring: Ring, channel: Channel, options: ClientOptions, greeted: Greeted) {
    super(greeted, options.lengths);
    this.ring = ring;
    this.channel = channel;
    this.options = options;
    this.connection = new Connection(channel);
    const progress = (phase: "offline" | "online"): Progress => {
      return (...of) => options.progress?.(phase, ...of);
    };
    this.parties = { ring, channel, witness: options.witness, progress: progress("online") };
    const { connection, model } = this;
    const { verified } = greeted;
    this.material = new ClientMaterial({
      ...options,
      verified,
      ring,
      channel,
      connection,
      model,
      progress: progress("offline"),
    });
  }

  /** Greets the server and learns the public model. @throws PartyError when versions differ. */
  static async connect(ring: Ring, channel: Channel, options: ClientOptions): Promise<Client> {
    try {
      return new Client(ring, channel, options, await greet(channel, options.model));
    } catch (error) {
      channel.close();
      throw error;
    }
  }

  get closed(): boolean {
    return this.connection.closed;
  }

  /** The private answer for one text. Material is what `makeReady` made, or taken from the store, or made now. */
  async infer(text: TokenizedText, options: TextOptions = {}): Promise<Inference> {
    const own = this.shapeFor([text.ids.length], options.length);
    const { readyShape } = this.material;
    const usesReady = options.length === undefined && readyShape !== null && fitsInto(readyShape, text.ids.length);
    return this.alone(text, usesReady ? readyShape : own, options);
  }

  /** As `infer`, at a given padded length. */
  async inferAt(text: TokenizedText, length: number, options?: CallOptions): Promise<Inference> {
    return this.alone(text, shapeAt([text.ids.length], length, this.limit), options);
  }

  /**
   * The private answers for several texts in one run: they share its flights, and each its padded length (the longest text's
   * unless given). One that is void leaves none: `classifyAll` keeps the others'.
   * @throws PartyError for more texts than a run takes, and for a padded length that does not hold them.
   */
  async inferAll(texts: readonly TokenizedText[], length?: number, options?: CallOptions): Promise<BatchInference> {
    checkCount(texts);
    const tokens = texts.map(({ ids }) => ids.length);
    const shape = length === undefined ? this.shapeFor(tokens) : shapeAt(tokens, length, this.limit);
    const { logits, findings, run } = await this.together(texts, shape, options);
    for (const one of findings) one.raise();
    return { logits, ...run };
  }

  /** As every client's; here texts of one padded length share a run's flights, and each answer has the figures of its run. */
  override async classifyAll(
    texts: readonly TextOrPair[],
    options?: TextOptions,
  ): Promise<PromiseSettledResult<Answer>[]> {
    const results: PromiseSettledResult<Answer>[] = new Array(texts.length);
    const encoded: Numbered[] = [];
    const asked: Asked[] = new Array(texts.length);
    for (const [at, given] of texts.entries()) {
      try {
        const [text, pair] = typeof given === "string" ? [given] : given;
        const own = this.encode(text, pair);
        asked[at] = { text, pair, encoded: own, tokenizer: this.tokenizer };
        encoded.push({ at, text: own, shape: this.shapeFor([own.ids.length], options?.length) });
      } catch (reason) {
        results[at] = { status: "rejected", reason };
      }
    }
    for (const batch of batchesOf(encoded)) {
      const answers = await this.settled(batch, asked, options);
      for (const [i, { at }] of batch.texts.entries()) results[at] = answers[i];
    }
    return results;
  }

  /** Of a decoder: the logits after each of the text's tokens, one row of the vocabulary behind the other. */
  async score(text: TokenizedText, options?: TextOptions): Promise<Inference> {
    if (!isDecoder(this.spec)) throw new PartyError("this model classifies texts: use infer");
    if (this.spec.answer !== "scores")
      throw new PartyError("this server tells the next token alone, so that texts cannot be scored");
    const shape = { ...this.shapeFor([text.ids.length], options?.length), scoring: true };
    const { logits, ...run } = await this.alone(text, shape, options);
    return { ...run, logits: logits.slice(-text.ids.length * this.spec.labels) };
  }

  /**
   * Continues a text with a decoder, token by token as they are chosen: by this client from the logits, or under MPC where the
   * server tells tokens alone. The server learns the padded length, `maxTokens` and how many tokens were taken; with `length` and `turns`
   * those two numbers alone, since the run goes on behind the text's end.
   *
   * Nothing is sent before the first piece is asked for. Ends at `maxTokens`, at a token of `stopAt`, at a text of `stop`, or when the
   * consumer stops listening. Returns the whole text and what the run took. @throws what breaks the run, after the tokens that were
   * chosen before; what a `stop` function threw, after a run that ended as any other.
   */
  async *generate(
    prompt: string | TokenizedText,
    options: GenerateOptions,
  ): AsyncGenerator<GeneratedPiece, Generated, void> {
    checkGenerateOptions(options);
    if (!isDecoder(this.spec)) throw new PartyError("this model classifies texts: use infer");
    const text = typeof prompt === "string" ? this.encode(prompt) : prompt;
    const shape = this.generationShape(text.ids.length, options);
    const { maxTokens, fixed } = turnsOf(options);
    const stream = new TokenStream(this.tokenizer, text.ids, sampler(this.spec, options), { ...options, maxTokens });
    const findings = new Findings();
    const running = this.connection.call(() => this.continued(shape, text, stream, { findings, fixed }), options);
    running.then(
      () => stream.finish(),
      (error: Error) => stream.finish(error),
    );
    try {
      yield* stream.all();
    } finally {
      // Also when nobody listens any more: the connection is to serve the next request.
      stream.cancel();
    }
    const run = await running;
    findings.raise();
    return { ...stream.result, ...run };
  }

  /**
   * Begins a conversation with a decoder (conversation.ts): the reply to `text` comes first, and what is said behind it costs its own
   * tokens alone. The connection is busy until it ends. Nothing is dealt for more than `positions` tokens.
   * @throws PartyError for a model that judges texts, and for more positions than it has: before anything is sent
   */
  converse(text: TokenizedText, options: ConverseOptions): Conversation {
    if (!isDecoder(this.spec)) throw new PartyError("this model classifies texts: use infer");
    const { positions, ...choice } = options;
    const shape = this.generationShape(text.ids.length, { ...choice, maxTokens: positions, turns: positions });
    const line = { sampler: sampler(this.spec, choice), tokenizer: this.tokenizer, options };
    const conversation = new Conversation(line, text.ids);
    conversation.runs(this.connection.call(() => this.conversed(shape, text, conversation), options));
    return conversation;
  }

  /**
   * A helper's part (helper.ts): makes material, hears from `given` what to put in for that session, and hands on what comes out. Of the
   * text it learns its padded length. @throws PartyError when the owner has compiled another program than `program`.
   */
  async carry(shape: Shape, program: string, given: (ready: Carrying) => Promise<Carried>): Promise<Run> {
    // Before any material is made for what cannot be carried.
    if ((await this.material.program(shape)).fingerprint !== program)
      throw new PartyError("thin client and helper compile different programs: install the same release on both sides");
    return this.connection.call(async () => {
      const run = await this.begin(shape, 1);
      const { program: compiled, session } = run;
      const { input, answer } = await given({ program: compiled, session });
      const packed = await run.online([input], ([party]) => {
        const words = party.get("public", compiled.answers[0]);
        return packAll(this.ring, [words], [answerBlock(compiled)]);
      });
      await answer(packed);
      return run.end();
    });
  }

  /**
   * Makes material for this connection's next run, while nobody waits: a text of at most its length then takes the online phase alone.
   * It is lost when the connection ends, or something else is asked first.
   */
  async makeReady(shape: Shape, options?: CallOptions): Promise<void> {
    await this.connection.call(() => this.material.makeReady(shape), options);
  }

  /** Makes material for one run of this shape and keeps it on both sides. */
  async prepare(shape: Shape, options?: CallOptions): Promise<void> {
    if (this.options.store === undefined) throw new PartyError("there is no place to keep material: give --store DIR");
    await this.material.program(shape);
    const keep = await this.connection.call(() => this.material.prepare(shape), options);
    await keep();
  }

  /** Makes material until `count` runs of this shape are prepared: while nobody waits, so that the next one does not. */
  async prepareUpTo(shape: Shape, count: number, options?: CallOptions): Promise<void> {
    while ((await this.prepared(shape)) < count) await this.prepare(shape, options);
  }

  /** How many runs of this shape are prepared. */
  prepared(shape: Shape): Promise<number> {
    return this.material.prepared(shape);
  }

  /** What a continuation of a text of so many tokens needs material of. @throws PartyError beyond the model's positions. */
  generationShape(tokens: number, options: GenerateOptions): Shape {
    const { temperature = 0, length } = options;
    const { turns } = turnsOf(options);
    if (tokens + turns - 1 > this.limit)
      throw new PartyError(
        `the text has ${tokens} tokens and is to have ${turns} more, the model takes ${this.limit}: ask for fewer`,
      );
    const noise = this.spec.answer === "label" ? temperature : 0;
    return { ...this.shapeFor([tokens], length), turns, temperature: noise };
  }

  /** Ends what is at work, and the connection with it: whoever waits for a peer gets `reason`. */
  abort(reason: Error): void {
    this.connection.end(reason);
  }

  close(): Promise<void> {
    return this.connection.close(async () => this.options.store?.close());
  }

  private begin(shape: Shape, texts: number): Promise<OnlineRun> {
    return OnlineRun.begin(this.parties, () => this.material.take(shape, texts));
  }

  private async alone(text: TokenizedText, shape: Shape, options?: CallOptions): Promise<Inference> {
    const { logits, findings, run } = await this.together([text], shape, options);
    findings[0].raise();
    return { logits: logits[0], tokens: text.ids.length, ...run };
  }

  /** Several texts in one run. What was found of each is told to nobody yet. */
  private async together(texts: readonly TokenizedText[], shape: Shape, options?: CallOptions): Promise<Together> {
    const findings = texts.map(() => new Findings());
    return this.connection.call(async () => {
      const run = await this.begin(shape, texts.length);
      const inputs = texts.map((text, i) => this.input(run, text, findings[i]));
      const logits = await run.online(inputs, (all) =>
        all.map((party, i) => ownRows(this.spec, texts[i], answerOf(party, findings[i]))),
      );
      return { logits, findings, run: await run.end() };
    }, options);
  }

  /** Each answer of one run, or why it has none. */
  private async settled(
    { texts, shape }: Batch,
    asked: readonly Asked[],
    options?: CallOptions,
  ): Promise<readonly PromiseSettledResult<Answer>[]> {
    const answered = this.together(
      texts.map(({ text }) => text),
      shape,
      options,
    );
    return Promise.allSettled(
      texts.map(async ({ at, text }, i) => {
        const { logits, findings, run } = await answered;
        findings[i].raise();
        return { ...reading(this.spec, logits[i], asked[at]), logits: logits[i], tokens: text.ids.length, ...run };
      }),
    );
  }

  /** A continuation's whole run. */
  private async continued(
    shape: Shape,
    text: TokenizedText,
    stream: TokenStream,
    { findings, fixed }: { readonly findings: Findings; readonly fixed: boolean },
  ): Promise<Run & { readonly secondsToToken: readonly number[] }> {
    const run = await this.begin(shape, 1);
    const input = this.input(run, text, findings);
    const later: LaterTurns = async (index, [party]) => {
      const token = stream.choose(answerOf(party, findings, index - 1));
      if (stream.ended) findings.close();
      // Decided once: while the word travels, the listener may leave.
      const goesOn = fixed || !stream.ended;
      await this.channel.sendJson(0, { next: goesOn });
      input.take(token);
      return goesOn;
    };
    const last = ([party]: readonly Party[]) => {
      // A run that ended with its text has no later answer.
      if (fixed || !stream.ended) stream.choose(answerOf(party, findings));
    };
    await run.online([input], last, later);
    const secondsToToken = stream.chosenAt.map((at) => (at - run.started) / 1000);
    return { secondsToToken, ...(await run.end()) };
  }

  /** A conversation's whole run. */
  private async conversed(shape: Shape, text: TokenizedText, conversation: Conversation): Promise<Run> {
    const findings = new Findings();
    const run = await this.begin(shape, 1);
    const input = this.input(run, text, findings);
    const wait = () => this.channel.sendJson(0, { next: "wait" });
    let whole = true;
    const later: LaterTurns = async (index, [party]) => {
      const token = await conversation.next(answerOf(party, findings, index - 1), wait);
      whole = token !== null;
      await this.channel.sendJson(0, { next: whole });
      if (token !== null) input.take(token);
      return whole;
    };
    await run.online([input], ([party]) => (whole ? conversation.last(answerOf(party, findings)) : undefined), later);
    const took = await run.end();
    findings.raise();
    return took;
  }

  private input({ program }: OnlineRun, text: TokenizedText, findings: Findings): TextInput {
    return new TextInput(this.ring, program, this.spec, text, this.material.tables, findings);
  }
}
