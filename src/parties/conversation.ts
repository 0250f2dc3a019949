/**
 * A conversation in one run: what was said stays on the masked cache of both parties, so that a turn costs its new tokens alone. A fixed
 * number of positions is dealt at the start. Each token that is said takes one of the run's turns, as each new one does; the server sees
 * how many there are, and how long the user thinks between them.
 */
import type { TextTokenizer } from "../models/tokenizer.ts";
import type { Generated, GeneratedPiece, GenerateOptions, Sampler } from "./generation.ts";
import { PartyError, WAIT_MS } from "./messages.ts";
import type { Run } from "./run.ts";
import { TokenStream } from "./token-stream.ts";

/** One reply. */
export type Reply = Pick<Generated, "text" | "ids" | "tokens" | "ended">;

/** How a conversation is begun. */
export interface ConverseOptions extends Omit<GenerateOptions, "turns" | "stop"> {
  /** Tokens behind the first prompt, said and new ones together: material is made for all of them. */
  readonly positions: number;
  /** New tokens of one reply, at most; as many as there are positions unless given. */
  readonly maxTokens?: number;
}

/** What the run between two turns needs of a client. */
interface Line {
  readonly sampler: Sampler;
  readonly tokenizer: TextTokenizer | null;
  readonly options: ConverseOptions;
}

/** The client's side between the run and whoever speaks. The run calls `next`; the speaker calls `first`, `say` and `end`. */
export class Conversation {
  private readonly line: Line;
  /** Of the run: what it has read, and what the next turns take. */
  private readonly known: number[];
  private readonly queue: number[] = [];
  /** Answers that the run has given. */
  private answers = 0;
  private stream: TokenStream;
  /** The last new token, which the run has not read. */
  private unread: number | null = null;
  private over = false;
  private failure: unknown = null;
  private wake: () => void = () => {};
  /** Settles when the run has. */
  private running: Promise<Run> | null = null;

  constructor(line: Line, prompt: readonly number[]) {
    this.line = line;
    this.known = [...prompt];
    this.stream = this.replyTo(line.options.positions);
  }

  /** The new token of the last reply that was not read yet; whoever speaks says it first, or something else in its place. */
  get unsaid(): number | null {
    return this.unread;
  }

  /** Whether nothing more can be said: the run has ended, or its positions have. */
  get ended(): boolean {
    return this.over || this.room < 1;
  }

  /** Tokens that can be said such that one new one fits behind them. */
  get room(): number {
    return this.line.options.positions - this.answers;
  }

  /** The reply to what the conversation began with. @throws what breaks the run */
  first(): AsyncGenerator<GeneratedPiece, Reply, void> {
    return this.reply();
  }

  /**
   * Says more tokens behind all that was said and answered before, and gives the reply.
   * @throws PartyError for more than there is room for, before anything is sent; what breaks the run
   */
  say(ids: readonly number[]): AsyncGenerator<GeneratedPiece, Reply, void> {
    if (ids.length === 0) throw new PartyError("nothing was said: give at least one token");
    if (this.over || ids.length > this.room)
      throw new PartyError(`the conversation has room for ${this.over ? 0 : this.room} more tokens: begin another`);
    this.unread = null;
    this.queue.push(...ids);
    this.stream = this.replyTo(this.room - ids.length + 1);
    this.wake();
    return this.reply();
  }

  /** Nobody wants more of the reply at work: it ends where its last token was, once that has been read. */
  stop(): void {
    this.stream.cancel();
  }

  /** Ends the run; what it took. @throws what broke it */
  async end(): Promise<Run> {
    this.over = true;
    this.stream.cancel();
    this.wake();
    return this.running!;
  }

  /** For the run: the next token that it reads; null ends it. `wait` is called again and again while nobody speaks. */
  async next(logits: readonly number[], wait: () => Promise<void>): Promise<number | null> {
    this.hear(logits);
    if (this.queue.length === 0) await this.spoken(wait);
    const token = this.queue.shift();
    if (token === undefined) return null;
    this.known.push(token);
    return token;
  }

  /** For the run: the answer of its last position. */
  last(logits: readonly number[]): void {
    this.hear(logits);
    this.over = true;
  }

  /** For whoever starts the run. */
  runs(run: Promise<Run>): void {
    this.running = run;
    run.then(
      () => this.close(),
      (error: Error) => this.close(error),
    );
  }

  private close(error?: Error): void {
    this.over = true;
    this.failure = error ?? null;
    this.stream.finish(error);
  }

  /** One more answer: a new token, unless more is being said or nobody listens. */
  private hear(logits: readonly number[]): void {
    this.answers++;
    if (this.queue.length > 0) return;
    // Of a reply that was stopped all is read, and what would come next is nobody's.
    const stopped = this.stream.ended;
    const token = this.stream.choose(logits);
    if (this.stream.ended) {
      this.unread = stopped ? null : token;
      this.stream.finish();
    } else this.queue.push(token);
  }

  private async spoken(wait: () => Promise<void>): Promise<void> {
    while (this.queue.length === 0 && !this.over) {
      const heard = new Promise<void>((resolve) => {
        this.wake = resolve;
      });
      let timer: ReturnType<typeof setTimeout> | undefined;
      const late = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, WAIT_MS);
      });
      if (this.queue.length === 0 && !this.over) await Promise.race([heard, late]);
      clearTimeout(timer);
      if (this.queue.length === 0 && !this.over) await wait();
    }
  }

  private replyTo(positions: number): TokenStream {
    const { sampler, tokenizer, options } = this.line;
    const maxTokens = Math.min(options.maxTokens ?? positions, positions);
    return new TokenStream(tokenizer, [...this.known, ...this.queue], sampler, { ...options, maxTokens });
  }

  private async *reply(): AsyncGenerator<GeneratedPiece, Reply, void> {
    const { stream } = this;
    if (this.failure !== null) throw this.failure;
    yield* stream.all();
    return stream.result;
  }
}
