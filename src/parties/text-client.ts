/** What every client offers to whoever asks about texts, however it is computed. */
import type { TextTokenizer } from "../models/tokenizer.ts";
import { longestText, type ModelSpec, type TokenizedText } from "../program/spec.ts";
import { type Reading, reading } from "./answer.ts";
import type { CallOptions } from "./connection.ts";
import { encoded, type Greeted } from "./greeting.ts";
import type { PublicModel } from "./messages.ts";

/** A text as people write it; of a pair, with the second one. */
export type TextOrPair = string | readonly [text: string, pair: string];

export interface ClassifyOptions extends CallOptions {
  /** The second text of a pair. */
  readonly pair?: string;
}

export abstract class TextClient<R extends { readonly logits: readonly number[] }> {
  readonly model: PublicModel;
  /** Null where the server takes token ids only. */
  readonly tokenizer: TextTokenizer | null;

  protected constructor({ model, tokenizer }: Greeted) {
    this.model = model;
    this.tokenizer = tokenizer;
  }

  get spec(): ModelSpec {
    return this.model.spec;
  }

  /** Most tokens a text may have. */
  get limit(): number {
    return longestText(this.spec);
  }

  /** Whether the connection has ended: a new client is needed. */
  abstract get closed(): boolean;

  /** Tokenizes here, on the client. @throws Error for an empty text, or one longer than the model takes. */
  encode(text: string, pair?: string): TokenizedText {
    return encoded(this, text, pair);
  }

  /** The private answer for one text. @throws PartyError, ChannelError, AbortError */
  abstract infer(text: TokenizedText, options?: CallOptions): Promise<R>;

  /**
   * The private answer for a text (or two) as people read it: `encode`, `infer`, and label and scores.
   * @throws PartyError, ChannelError, AbortError
   */
  async classify(text: string, asked: string | ClassifyOptions = {}): Promise<R & Reading> {
    const { pair, ...options } = typeof asked === "string" ? { pair: asked } : asked;
    const run = await this.infer(this.encode(text, pair), options);
    return { ...reading(this.spec, run.logits), ...run };
  }

  /**
   * The private answers for many texts, in their order: what `Promise.allSettled` gives of `classify`. A text that has no answer (too
   * long, beyond the plan) has its error as `reason`, and costs the others nothing.
   */
  async classifyAll(
    texts: readonly TextOrPair[],
    options: CallOptions = {},
  ): Promise<PromiseSettledResult<R & Reading>[]> {
    const answers = texts.map((given) => {
      const [text, pair] = typeof given === "string" ? [given] : given;
      return this.classify(text, { ...options, pair });
    });
    return Promise.allSettled(answers);
  }

  /** Ends what is at work, and the connection with it: whoever waits gets `reason`. */
  abstract abort(reason: Error): void;

  /** Lets the calls end that were asked for, then closes. Safe to call again. */
  abstract close(): Promise<void>;

  /** `close`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
