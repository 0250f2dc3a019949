/** A client that judges texts with its server's model: all that any client has, without what only models that continue texts need. */

import type { Channel } from "../channels/channel.ts";
import type { TokenizedText } from "../program/spec.ts";
import type { Program, Shape } from "../program/steps.ts";
import { answerBlock } from "../protocols/cover.ts";
import { packAll } from "../protocols/packing.ts";
import type { SharedInput } from "../protocols/sides.ts";
import type { Ring } from "../ring/ring.ts";
import type { MaterialStore } from "../stores/store.ts";
import { type Answer, type Asked, ownRows, reading } from "./answer.ts";
import { type Batch, batchesOf, checkCount, type Numbered } from "./batches.ts";
import { ClientMaterial } from "./client-material.ts";
import type { Compile } from "./compiling.ts";
import { type CallOptions, Connection } from "./connection.ts";
import type { Progress, Witness } from "./engine.ts";
import { Findings } from "./findings.ts";
import { type Greeted, greet } from "./greeting.ts";
import { PartyError } from "./messages.ts";
import { OnlineRun, type RunParties } from "./online-run.ts";
import { fitsInto, shapeAt } from "./padding.ts";
import type { BatchInference, Inference, Run } from "./run.ts";
import type { SessionParts } from "./session.ts";
import { answerOf, TextInput } from "./text.ts";
import { TextClient, type TextOptions, type TextOrPair } from "./text-client.ts";

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
  /**
   * All of a run's material is made before it, none while it goes on (protocols/portions.ts). Its first answer waits for all; the dealer does not see how far a
   * continuation goes, and the online phase is measured alone.
   */
  readonly whole?: boolean;
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

/**
 * Greets the server and learns the public model; `made` makes a client of what it says. The channel is closed where that fails.
 * @throws PartyError when versions differ
 */
export async function connectedTo<C>(
  channel: Channel,
  pinned: string | undefined,
  made: (greeted: Greeted) => C | Promise<C>,
): Promise<C> {
  try {
    return await made(await greet(channel, pinned));
  } catch (error) {
    channel.close();
    throw error;
  }
}

/** A client that computes its part here. Calls may be made at any time: they run one after the other. */
export class JudgingClient extends TextClient<Inference> {
  private readonly ring: Ring;
  private readonly options: ClientOptions;
  protected readonly connection: Connection;
  private readonly material: ClientMaterial;
  private readonly parties: RunParties;
  protected readonly channel: Channel;

  /** With a server that was greeted: see `connectedTo`. */
  constructor(ring: Ring, channel: Channel, options: ClientOptions, greeted: Greeted) {
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

  /** Ends what is at work, and the connection with it: whoever waits for a peer gets `reason`. */
  abort(reason: Error): void {
    this.connection.end(reason);
  }

  close(): Promise<void> {
    return this.connection.close(async () => this.options.store?.close());
  }

  protected begin(shape: Shape, texts: number): Promise<OnlineRun> {
    return OnlineRun.begin(this.parties, () => this.material.take(shape, texts));
  }

  protected async alone(text: TokenizedText, shape: Shape, options?: CallOptions): Promise<Inference> {
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

  protected input({ program }: OnlineRun, text: TokenizedText, findings: Findings): TextInput {
    return new TextInput(this.ring, program, this.spec, text, this.material.embedder, findings);
  }
}
