/** A conversation in words, over as many runs as it takes: one goes on as long as it has positions, and as the template only adds to what it wrote. */
import type { ChatMessage } from "../models/chat-template.ts";
import type { TextTokenizer } from "../models/tokenizer.ts";
import type { Client } from "./client.ts";
import type { Conversation, ConverseOptions, Reply } from "./conversation.ts";
import type { GeneratedPiece } from "./generation.ts";
import { PartyError } from "./messages.ts";

export interface TalkOptions
  extends Pick<ConverseOptions, "positions" | "maxTokens" | "temperature" | "topP" | "seed"> {
  /** What the model is told first. */
  readonly system?: string;
  /** A conversation as the model reads it: `conversationText`, which not every program carries. */
  readonly write: (tokenizer: TextTokenizer, messages: readonly ChatMessage[]) => string;
  /** What was found of values when a run ended, which ends nothing. */
  readonly found?: (error: Error) => void;
}

/** One answer, and what it took. */
export interface Answered {
  readonly reply: Reply;
  /** The tokens that the parties had not read before. */
  readonly read: readonly number[];
  /** Whether all of the history was read anew. */
  readonly again: boolean;
}

/** The tokens that are to be read, and by which run: one at work, or a new one. */
interface Said {
  readonly ids: readonly number[];
  readonly replies: AsyncGenerator<GeneratedPiece, Reply, void>;
  readonly again: boolean;
}

/** Messages and answers in turn, one at a time. */
export class Talk {
  private readonly connect: () => Promise<Client>;
  private readonly options: TalkOptions;
  private readonly said: ChatMessage[] = [];
  private client: Client | null = null;
  private run: Conversation | null = null;
  /** What the template wrote for the last reply, and that reply. */
  private written = "";
  private last: Reply | null = null;

  /** @param connect a client that is connected: the same as before as long as that one is */
  constructor(connect: () => Promise<Client>, options: TalkOptions) {
    this.connect = connect;
    this.options = options;
    if (options.system !== undefined) this.said.push({ role: "system", content: options.system });
  }

  /** @throws PartyError where no more fits into the model; what breaks the run: the message is then as if it had not been said */
  async about(
    message: string,
    show: (text: string) => void,
    read?: (ids: readonly number[]) => void,
  ): Promise<Answered> {
    this.said.push({ role: "user", content: message });
    try {
      const { ids, replies, again } = await this.asked();
      read?.(ids);
      let step = await replies.next();
      for (; step.done !== true; step = await replies.next()) show(step.value.text);
      const reply = step.value;
      this.last = reply;
      this.said.push({ role: "assistant", content: reply.text });
      return { reply, read: ids, again };
    } catch (error) {
      this.said.pop();
      throw error;
    }
  }

  /** Ends the reply at work after its next token: what was said of it stays said. */
  stop(): void {
    this.run?.stop();
  }

  /** Lets the run end, unless it was lost meanwhile; the connection stays. */
  async leave(): Promise<void> {
    const { run, client } = this;
    this.run = null;
    await run?.end().catch((error: Error) => {
      // A server waits for nobody for ever. What is wrong with values is told, and ends nothing.
      if (client?.closed === false) this.options.found?.(error);
    });
  }

  private async asked(): Promise<Said> {
    const { said, run } = this;
    const { positions: most, write, maxTokens, temperature, topP, seed } = this.options;
    this.client = await this.connect();
    const { tokenizer, limit } = this.client;
    if (tokenizer === null) throw new PartyError("this server has no tokenizer: it takes token ids only");
    const text = write(tokenizer, said);
    const more = this.behindLast(tokenizer, text);
    this.written = text;
    if (more !== null && run !== null) return { ids: more, replies: run.say(more), again: false };
    await this.leave();
    const whole = tokenizer.encode(text, undefined, { bare: true });
    const positions = Math.min(most, limit - whole.ids.length + 1);
    if (positions < 1) throw new PartyError("the conversation is as long as the model takes: begin another");
    this.run = this.client.converse(whole, { positions, maxTokens, temperature, topP, seed });
    return { ids: whole.ids, replies: this.run.first(), again: run !== null };
  }

  /** The tokens behind all that the run knows; null where it knows another text, has ended, or has no room for them. */
  private behindLast(tokenizer: TextTokenizer, text: string): readonly number[] | null {
    const { run, last } = this;
    if (run === null || last === null || run.ended || this.client?.closed !== false) return null;
    const known = this.written + last.text;
    if (!text.startsWith(known)) return null;
    const { ids } = tokenizer.encode(text.slice(known.length), undefined, { bare: true });
    // A reply that was cut off ends with a token that was not read; another's end is the template's.
    const all = last.ended === "length" && run.unsaid !== null ? [run.unsaid, ...ids] : ids;
    return all.length <= run.room ? all : null;
  }
}
