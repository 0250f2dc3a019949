/** A continued text: how it is chosen, shown as it comes, and summed up. */
import type { Command } from "commander";
import { type ChatMessage, conversationText } from "../models/chat-template.ts";
import type { TextTokenizer } from "../models/tokenizer.ts";
import type { Client } from "../parties/client.ts";
import type { Generated, GeneratedPiece, GenerateOptions } from "../parties/generation.ts";
import { isDecoder, type TokenizedText } from "../program/spec.ts";
import { LENGTH } from "./client.ts";
import { Failure } from "./failure.ts";
import { formatBytes } from "./format.ts";
import type { Progress } from "./progress.ts";
import { note, print, write } from "./terminal.ts";
import { decimal, whole } from "./values.ts";

/** How a text is continued. */
export interface ChoiceOptions {
  readonly maxTokens: number;
  readonly temperature?: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly seed?: number;
  readonly stop?: readonly string[];
  /** The padded length, whatever the text. */
  readonly length?: number;
  /** All of the tokens are made, wherever the text ends. */
  readonly fixed?: boolean;
  /** The text is what a chat's user says. */
  readonly chat?: boolean;
}

/** A conversation's tokens, ready for the assistant's next words. @throws ChatTemplateError */
function chatTokens(tokenizer: TextTokenizer, messages: readonly ChatMessage[]): TokenizedText {
  return tokenizer.encode(conversationText(tokenizer, messages), undefined, { bare: true });
}

/** How a text is continued. */
export function choices(command: Command): Command {
  return command
    .optionsGroup("Continuation:")
    .addOption(whole("--max-tokens <n>", "new tokens, at most").default(32))
    .addOption(
      decimal("--temperature <t>", "0: always the likeliest token; the higher, the more daring (default: 0)", 0, 100),
    )
    .addOption(whole("--top-k <n>", "choose among the so many likeliest tokens"))
    .addOption(decimal("--top-p <p>", "choose among the likeliest tokens of this probability together", 0, 1))
    .addOption(
      whole("--seed <n>", "draws the same random numbers again (logits under MPC differ in their last bits)", 0),
    )
    .option("--stop <text...>", "end before this text")
    .addOption(whole("--length <n>", LENGTH, 3, 4096))
    .option("--fixed", "make all of --max-tokens, wherever the text ends: nobody sees where it does");
}

/** Asks who continues texts. @throws Failure */
export function checkContinues({ tokenizer, spec }: Client): TextTokenizer {
  if (!isDecoder(spec)) throw new Failure("this server classifies texts: use mpcformer infer");
  if (tokenizer === null) throw new Failure("this server has no tokenizer: it takes token ids only");
  return tokenizer;
}

/**
 * Continues a text, or answers it as a chat's user (`chat`); unless `silent`, it goes to stdout as it comes, and a summary to stderr.
 * @throws what broke the run, after the text so far was printed.
 */
export async function continued(
  client: Client,
  prompt: string,
  options: ChoiceOptions,
  progress: Progress,
  silent: boolean,
): Promise<Generated> {
  const tokenizer = checkContinues(client);
  const { chat } = options;
  const asked = chat ? chatTokens(tokenizer, [{ role: "user", content: prompt }]) : prompt;
  const stream = client.generate(asked, choiceOf(options));
  let started = false;
  const show = ({ text }: GeneratedPiece) => {
    if (!started) progress.stop();
    if (!silent) write(started || chat ? text : prompt + text);
    started = true;
  };
  try {
    let step = await stream.next();
    for (; step.done !== true; step = await stream.next()) show(step.value);
    if (!silent && started) print();
    if (!silent) summary(step.value, options);
    return step.value;
  } catch (error) {
    // A broken run ends the line before its error is told.
    if (!silent && started) print();
    throw error;
  }
}

/** One run of a bench: what it gave and took, and this process's own time. */
export interface MeasuredGeneration extends Generated {
  readonly cpuSeconds: { readonly client: number };
}

export function choiceOf({ fixed, maxTokens, ...choice }: ChoiceOptions): GenerateOptions {
  const { temperature, topK, topP, seed, stop, length } = choice;
  return { maxTokens, turns: fixed ? maxTokens : undefined, temperature, topK, topP, seed, stop, length };
}

function summary(result: Generated, { fixed, maxTokens }: ChoiceOptions): void {
  const { online, offline } = result.bytes;
  const [first, ...later] = result.secondsToToken;
  const each =
    later.length === 0 ? "" : `, then ${((result.secondsToToken.at(-1)! - first) / later.length).toFixed(3)} s each`;
  note(
    `${result.tokens} tokens; the first after ${first.toFixed(2)} s${each}; ${result.seconds.offline.toFixed(2)} s offline, before the first and between them`,
  );
  note(
    `online: ${result.flights} flights, ${formatBytes(online.client_to_server)} to the server, ${formatBytes(online.server_to_client)} back; offline: ${formatBytes(offline.dealer_to_server)} dealer to server`,
  );
  note(`the server learns: a text of up to ${result.length} tokens, and ${fixed ? maxTokens : result.tokens} new ones`);
}
