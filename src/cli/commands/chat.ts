/** `chat`: a private conversation in the terminal, whose history stays behind masks between turns. */
import { createInterface } from "node:readline";
import type { Command } from "commander";
import { type ChatMessage, conversationText } from "../../models/chat-template.ts";
import type { Client } from "../../parties/client.ts";
import type { Conversation, Reply } from "../../parties/conversation.ts";
import type { GeneratedPiece } from "../../parties/generation.ts";
import { openClient } from "../client.ts";
import { checkContinues } from "../continuation.ts";
import { Failure } from "../failure.ts";
import { keepDays, network, output, type PeerOptions, peers } from "../options.ts";
import { Progress } from "../progress.ts";
import { ask, hasPrompt, note, print, printJson, write } from "../terminal.ts";
import { decimal, whole } from "../values.ts";

interface ChatOptions extends PeerOptions {
  readonly system?: string;
  readonly positions: number;
  readonly maxTokens: number;
  readonly temperature?: number;
  readonly topP?: number;
  readonly seed?: number;
}

export function addChat(program: Command): void {
  const command = program
    .command("chat")
    .description("a private conversation: messages from the terminal, or a line of standard input each")
    .optionsGroup("Conversation:")
    .option("--system <text>", "what the model is told first")
    .addOption(
      whole(
        "--positions <n>",
        "tokens behind the first message, said and answered together: material is made for all of them before it",
      ).default(128),
    )
    .addOption(whole("--max-tokens <n>", "tokens of one answer, at most").default(64))
    .addOption(decimal("--temperature <t>", "0: always the likeliest token (default: 0)", 0, 100))
    .addOption(decimal("--top-p <p>", "choose among the likeliest tokens of this probability together", 0, 1))
    .addOption(whole("--seed <n>", "draws the same random numbers again", 0))
    .option("--store <where>", "use material prepared here (folder, or redis://host:port/db), if there is any")
    .addOption(keepDays());
  output(network(peers(command))).action(chat);
}

/** Answers one message after the other, until there are no more. */
async function chat(options: ChatOptions): Promise<void> {
  const progress = new Progress(options.json ?? false);
  const connect = () => openClient(options, progress);
  const talk = new Talk(await connect(), connect, options);
  try {
    for await (const message of messages()) {
      if (message.trim() === "") continue;
      const { reply, read, again } = await talk.about(message, (text) => {
        progress.stop();
        if (!options.json) write(text);
      });
      progress.stop();
      if (options.json) printJson({ message, reply: reply.text, tokens: reply.tokens, read, again });
      else {
        print();
        note(`${read} tokens read, ${reply.tokens} new${again ? "; a run of its own was begun" : ""}`);
      }
    }
  } finally {
    progress.stop();
    await talk.close();
  }
}

/** What the user says, until the input ends. */
async function* messages(): AsyncGenerator<string> {
  if (hasPrompt()) yield* ask("> ");
  else yield* createInterface({ input: process.stdin });
}

/** One answer, and what it took. */
interface Answered {
  readonly reply: Reply;
  /** Tokens that the parties had not read before. */
  readonly read: number;
  /** Whether all of the history was read anew. */
  readonly again: boolean;
}

/** A conversation over as many runs as it takes: one goes on as long as it has positions, and as its template only adds to what it wrote. */
class Talk {
  private client: Client;
  private readonly connect: () => Promise<Client>;
  private readonly options: ChatOptions;
  private readonly said: ChatMessage[] = [];
  private run: Conversation | null = null;
  /** What the template wrote for the last reply, and that reply. */
  private written = "";
  private last: Reply | null = null;

  constructor(client: Client, connect: () => Promise<Client>, options: ChatOptions) {
    this.client = client;
    this.connect = connect;
    this.options = options;
    checkContinues(client);
    if (options.system !== undefined) this.said.push({ role: "system", content: options.system });
  }

  /** @throws Failure where no more fits into the model; what breaks the run */
  async about(message: string, show: (text: string) => void): Promise<Answered> {
    const tokenizer = checkContinues(this.client);
    this.said.push({ role: "user", content: message });
    const text = conversationText(tokenizer, this.said);
    const more = this.behindLast(text);
    this.written = text;
    if (more !== null && this.run !== null) return this.heard(this.run.say(more), more.length, false, show);
    const again = this.run !== null;
    await this.leave();
    if (this.client.closed) this.client = await this.connect();
    const whole = tokenizer.encode(text, undefined, { bare: true });
    const positions = Math.min(this.options.positions, this.client.limit - whole.ids.length + 1);
    if (positions < 1) throw new Failure("the conversation is as long as the model takes: begin another");
    const { maxTokens, temperature, topP, seed } = this.options;
    this.run = this.client.converse(whole, { positions, maxTokens, temperature, topP, seed });
    return this.heard(this.run.first(), whole.ids.length, again, show);
  }

  async close(): Promise<void> {
    await this.leave();
    await this.client.close();
  }

  /** The tokens behind all that the run knows; null where it knows another text, has ended, or has no room for them. */
  private behindLast(text: string): readonly number[] | null {
    const { run, last, client } = this;
    if (run === null || last === null || run.ended || client.closed) return null;
    const known = this.written + last.text;
    if (!text.startsWith(known)) return null;
    const { ids } = client.tokenizer!.encode(text.slice(known.length), undefined, { bare: true });
    // A reply that was cut off ends with a token that was not read; another's end is the template's.
    const all = last.ended === "length" && run.unsaid !== null ? [run.unsaid, ...ids] : ids;
    return all.length <= run.room ? all : null;
  }

  private async heard(
    stream: AsyncGenerator<GeneratedPiece, Reply, void>,
    read: number,
    again: boolean,
    show: (text: string) => void,
  ): Promise<Answered> {
    let step = await stream.next();
    for (; step.done !== true; step = await stream.next()) show(step.value.text);
    const reply = step.value;
    this.last = reply;
    this.said.push({ role: "assistant", content: reply.text });
    return { reply, read, again };
  }

  /** Lets the run end, unless it was lost meanwhile. */
  private async leave(): Promise<void> {
    const { run } = this;
    this.run = null;
    await run?.end().catch((error: Error) => {
      // A server waits for nobody for ever. What is wrong with values is told, and ends nothing.
      if (!this.client.closed) note(`mpcformer: ${error.message}`);
    });
  }
}
