/** What every client offers to whoever asks about texts, however it is computed. */
import * as v from "valibot";
import type { ZeroShot } from "../answers/zero-shot.ts";
import type { TextTokenizer } from "../models/tokenizer.ts";
import { longestText, type ModelSpec, type TokenizedText } from "../program/spec.ts";
import type { Shape } from "../program/steps.ts";
import { type Reading, reading } from "./answer.ts";
import { abortSignal, checkArguments, mustBe } from "./arguments.ts";
import type { CallOptions } from "./connection.ts";
import { encoded, type Greeted } from "./greeting.ts";
import { PartyError, type PublicModel } from "./messages.ts";
import { paddedShape } from "./padding.ts";

export type { ZeroShot };

/** A text as people write it; of a pair, with the second one. */
export type TextOrPair = string | readonly [text: string, pair: string];

/** How a text is asked about. */
export interface TextOptions extends CallOptions {
  /**
   * The padded length, whatever the text: server and dealer see this number alone. Without it they see the smallest of the list that
   * holds the text's tokens, and so something of the text, by the server's own tokenizer. A longer text is refused before anything is sent.
   */
  readonly length?: number;
}

export interface ClassifyOptions extends TextOptions {
  /** The second text of a pair. */
  readonly pair?: string;
}

/** How a text is asked about with labels of one's own. */
export interface ClassifyAsOptions extends TextOptions {
  /** The sentence about a label, which goes where `{}` stands; "This example is {}." unless told. */
  readonly template?: string;
  /** Whether labels may hold together; otherwise their scores sum to 1. */
  readonly several?: boolean;
}

const classifyAsSchema = v.strictObject({
  template: v.optional(v.string(mustBe("a text"))),
  several: v.optional(v.boolean(mustBe("true or false"))),
  length: v.optional(v.number(mustBe("a number"))),
  signal: abortSignal,
});

const classifySchema = v.strictObject({
  pair: v.optional(v.string(mustBe("the second text of a pair"))),
  length: v.optional(v.number(mustBe("a number"))),
  signal: abortSignal,
});

export abstract class TextClient<R extends { readonly logits: readonly number[] }> {
  readonly model: PublicModel;
  /** Null where the server takes token ids only. */
  readonly tokenizer: TextTokenizer | null;

  /** The padded lengths that the server takes, where its profile names them. */
  private readonly lengths: readonly number[] | undefined;

  protected constructor({ model, tokenizer }: Greeted, lengths?: readonly number[]) {
    this.model = model;
    this.tokenizer = tokenizer;
    this.lengths = lengths;
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

  /**
   * In which shape texts of so many tokens are asked about: padded to `length`, or to the smallest that the server takes.
   * @throws PartyError, PlanError for a text that is longer, and a length that the model has not: before anything is sent.
   */
  shapeFor(tokens: readonly number[], length?: number): Shape {
    return paddedShape(tokens, this.limit, length, this.lengths);
  }

  /** Tokenizes here, on the client. @throws Error for an empty text, or one longer than the model takes. */
  encode(text: string, pair?: string): TokenizedText {
    return encoded(this, text, pair);
  }

  /** The private answer for one text. @throws PartyError, ChannelError, AbortError */
  abstract infer(text: TokenizedText, options?: TextOptions): Promise<R>;

  /**
   * The private answer for a text (or two) as people read it: `encode`, `infer`, and label and scores.
   * @throws PartyError, ChannelError, AbortError
   */
  async classify(text: string, asked: string | ClassifyOptions = {}): Promise<R & Reading> {
    if (typeof asked !== "string") checkArguments(classifySchema, asked, "classify");
    const { pair, ...options } = typeof asked === "string" ? { pair: asked } : asked;
    const encoded = this.encode(text, pair);
    const run = await this.infer(encoded, options);
    const { tokenizer } = this;
    return { ...reading(this.spec, run.logits, { text, pair, encoded, tokenizer }), ...run };
  }

  /**
   * The private answers for many texts, in their order: what `Promise.allSettled` gives of `classify`. A text that has no answer (too
   * long, beyond the plan) has its error as `reason`, and costs the others nothing.
   */
  async classifyAll(
    texts: readonly TextOrPair[],
    options: TextOptions = {},
  ): Promise<PromiseSettledResult<R & Reading>[]> {
    const answers = texts.map((given) => {
      const [text, pair] = typeof given === "string" ? [given] : given;
      return this.classify(text, { ...options, pair });
    });
    return Promise.allSettled(answers);
  }

  /**
   * Which of these labels fits a text, by a model of entailment (labels such as CONTRADICTION and ENTAILMENT): a private answer for
   * each label. Server and dealer see how many labels there are.
   * @throws as `classify` does; Error for a model that does not judge entailment, and for a `template` without `{}`.
   */
  async classifyAs(text: string, labels: readonly string[], asked: ClassifyAsOptions = {}): Promise<ZeroShot> {
    checkArguments(classifyAsSchema, asked, "classifyAs");
    const { entailmentIn, sentencesAbout, USUAL_SENTENCE, zeroShotOf } = await import("../answers/zero-shot.ts");
    const { template = USUAL_SENTENCE, several = false, ...options } = asked;
    const { problem, answer, labelNames } = this.spec;
    const entailment = entailmentIn(labelNames);
    if (problem !== "classification" || answer !== "scores")
      throw new PartyError("labels of one's own need a model of entailment that tells all scores: ask another server");
    const pairs = sentencesAbout(labels, template).map((sentence): TextOrPair => [text, sentence]);
    const answers = await this.classifyAll(pairs, options);
    const logits = answers.map((one) => {
      if (one.status === "rejected") throw one.reason;
      return one.value.logits;
    });
    return zeroShotOf(labels, logits, entailment, several);
  }

  /**
   * The private vectors of texts, in their order, from a model that embeds them. Texts of one padded length share a run's flights.
   * Server and dealer see how many texts there are, and their padded lengths.
   * @throws as `classify` does, the first error of any text; Error for a model of another kind.
   * @example const [first, second] = await client.embed(["a text", "another"]);
   */
  async embed(texts: readonly string[], options: TextOptions = {}): Promise<number[][]> {
    if (this.spec.problem !== "vector")
      throw new PartyError("this model does not embed texts: ask a server with a model of sentence-transformers");
    const answers = await this.classifyAll(texts, options);
    return answers.map((one) => {
      if (one.status === "rejected") throw one.reason;
      return [...one.value.logits];
    });
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
