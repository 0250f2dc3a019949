/** The client: owns the text, gets the answer. It needs no model files: the server tells all that is public. */

import type { Channel } from "../channels/channel.ts";
import { isDecoder, type TokenizedText } from "../program/spec.ts";
import type { Shape } from "../program/steps.ts";
import type { Party } from "../protocols/sides.ts";
import type { Ring } from "../ring/ring.ts";
import { Conversation, type ConverseOptions } from "./conversation.ts";
import { Findings } from "./findings.ts";
import {
  checkGenerateOptions,
  type Generated,
  type GeneratedPiece,
  type GenerateOptions,
  sampler,
  turnsOf,
} from "./generation.ts";
import { type ClientOptions, connectedTo, JudgingClient } from "./judging-client.ts";
import { PartyError } from "./messages.ts";
import type { LaterTurns } from "./online-run.ts";
import type { Inference, Run } from "./run.ts";
import { answerOf } from "./text.ts";
import type { TextOptions } from "./text-client.ts";
import { TokenStream } from "./token-stream.ts";

export type { ClientOptions };

/** A client of any model: it judges texts, and continues them. Calls may be made at any time: they run one after the other. */
export class Client extends JudgingClient {
  /** Greets the server and learns the public model. @throws PartyError when versions differ. */
  static connect(ring: Ring, channel: Channel, options: ClientOptions): Promise<Client> {
    return connectedTo(channel, options.model, (greeted) => new Client(ring, channel, options, greeted));
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
}
