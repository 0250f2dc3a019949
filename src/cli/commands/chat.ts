/** `chat`: a private conversation in the terminal, whose history stays behind masks between turns. */
import { createInterface } from "node:readline";
import type { Command } from "commander";
import { conversationText } from "../../models/chat-template.ts";
import { Talk } from "../../parties/talk.ts";
import { openClient } from "../client.ts";
import { checkContinues } from "../continuation.ts";
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
  let client = await openClient(options, progress);
  checkContinues(client);
  const connected = async () => {
    if (client.closed) client = await openClient(options, progress);
    return client;
  };
  const { system, positions, maxTokens, temperature, topP, seed } = options;
  const found = ({ message }: Error) => note(`mpcformer: ${message}`);
  const choice = { system, positions, maxTokens, temperature, topP, seed };
  const talk = new Talk(connected, { ...choice, write: conversationText, found });
  try {
    for await (const message of messages()) {
      if (message.trim() === "") continue;
      const { reply, read, again } = await talk.about(message, (text) => {
        progress.stop();
        if (!options.json) write(text);
      });
      progress.stop();
      if (options.json) printJson({ message, reply: reply.text, tokens: reply.tokens, read: read.length, again });
      else {
        print();
        note(`${read.length} tokens read, ${reply.tokens} new${again ? "; a run of its own was begun" : ""}`);
      }
    }
  } finally {
    progress.stop();
    await talk.leave();
    await client.close();
  }
}

/** What the user says, until the input ends. */
async function* messages(): AsyncGenerator<string> {
  if (hasPrompt()) yield* ask("> ");
  else yield* createInterface({ input: process.stdin });
}
