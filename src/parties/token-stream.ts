/** New tokens and their text, between the run that chooses them and whoever listens. */
import type { TextTokenizer } from "../models/tokenizer.ts";
import { ContinuedText } from "./continued-text.ts";
import type { Generated, GeneratedPiece, GenerateOptions, Sampler } from "./generation.ts";
import { logprobsOf } from "./logprobs.ts";
import { PartyError } from "./messages.ts";

export class TokenStream {
  /** Whether the text has ended, or nobody listens any more. */
  ended = false;
  private readonly sampler: Sampler;
  private readonly maxTokens: number;
  private readonly stopAt: readonly number[];
  private readonly logprobs: number | undefined;
  private readonly stop: (tokens: readonly number[]) => boolean;
  private readonly going: ContinuedText | null;
  private readonly chosen: number[] = [];
  private readonly pieces: GeneratedPiece[] = [];
  private readonly times: number[] = [];
  private shown = "";
  private stopped = false;
  private finished = false;
  private failure: unknown = null;
  private wake: () => void = () => {};

  /** @throws PartyError for texts that end it where there is no tokenizer. */
  constructor(
    tokenizer: TextTokenizer | null,
    prompt: readonly number[],
    choose: Sampler,
    {
      maxTokens,
      stop = [],
      stopAt = tokenizer?.endIds ?? [],
      logprobs,
    }: GenerateOptions & { readonly maxTokens: number },
  ) {
    this.sampler = choose;
    this.maxTokens = maxTokens;
    this.stopAt = stopAt;
    this.logprobs = logprobs;
    const stops = typeof stop === "function" ? [] : [stop].flat();
    if (stops.includes("")) throw new PartyError("a text that ends the continuation has at least one letter");
    if (stops.length > 0 && tokenizer === null)
      throw new PartyError("this server has no tokenizer: end its texts by tokens (stopAt)");
    this.going = tokenizer === null ? null : new ContinuedText(tokenizer, prompt, stops);
    this.stop = typeof stop === "function" ? stop : () => false;
  }

  /** When each token was chosen, on this process's clock. */
  get chosenAt(): readonly number[] {
    return this.times;
  }

  get result(): Pick<Generated, "text" | "ids" | "tokens" | "ended"> {
    const { chosen, shown, stopped } = this;
    return { text: shown, ids: chosen, tokens: chosen.length, ended: stopped ? "stop" : "length" };
  }

  /**
   * The next token, handed to the listener; sets `ended` if the text ends with it. Behind the end a token all the same, for a run that
   * goes on, and handed to nobody. Never throws for what `stop` does.
   */
  choose(logits: readonly number[]): number {
    const token = this.sampler(logits);
    // Behind the end as well: the peers see how long a turn takes.
    this.going?.take(token);
    const { text = "", stopped = false } = this.going ?? {};
    if (this.ended) return token;
    this.chosen.push(token);
    this.times.push(performance.now());
    this.stopped = stopped || this.stopAt.includes(token) || this.stops();
    this.ended ||= this.stopped || this.chosen.length === this.maxTokens;
    const told = this.logprobs === undefined ? {} : { logprobs: logprobsOf(logits, token, this.logprobs) };
    this.pieces.push({ token, text: this.added(text), ...told });
    this.wake();
    return token;
  }

  /** Nobody listens any more: the run ends at its next turn. */
  cancel(): void {
    this.ended = true;
  }

  /** The run is over. */
  finish(error?: unknown): void {
    this.finished = true;
    this.failure ??= error ?? null;
    this.wake();
  }

  /** Every token once; then the failure, if the run broke. */
  async *all(): AsyncGenerator<GeneratedPiece, void, void> {
    for (let at = 0; ; ) {
      while (at < this.pieces.length) yield this.pieces[at++];
      if (this.finished) {
        if (this.failure !== null) throw this.failure;
        return;
      }
      await new Promise<void>((resolve) => {
        this.wake = resolve;
        if (this.finished || at < this.pieces.length) resolve();
      });
    }
  }

  /** A `stop` that throws ends the text as one that is true does: the run must not end half way. */
  private stops(): boolean {
    try {
      return this.stop(this.chosen);
    } catch (error) {
      this.failure = error;
      return true;
    }
  }

  /** What is new of the text so far; of one that has ended, with what was held back. */
  private added(text: string): string {
    if (this.ended) this.going?.finish();
    const now = this.ended ? (this.going?.text ?? "") : text;
    const added = now.slice(this.shown.length);
    this.shown = now;
    return added;
  }
}
