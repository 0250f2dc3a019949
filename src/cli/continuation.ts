/** A continued text: how it is chosen, shown as it comes, and summed up. */
import type { Command } from "commander";
import { ContinuedText } from "../parties/answer.ts";
import type { Client } from "../parties/client.ts";
import type { Generated, GenerateOptions } from "../parties/generation.ts";
import { isDecoder } from "../program/spec.ts";
import { formatBytes } from "./format.ts";
import type { Progress } from "./progress.ts";
import { note, print, UsageError, write } from "./terminal.ts";
import { decimal, whole } from "./values.ts";

/** How a text is continued. */
export interface ChoiceOptions {
  readonly maxTokens: number;
  readonly temperature?: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly seed?: number;
  readonly stop?: readonly string[];
}

/** How a text is continued. */
export function choices(command: Command): Command {
  return command
    .addOption(whole("--max-tokens <n>", "new tokens, at most").default(32))
    .addOption(
      decimal("--temperature <t>", "0: always the likeliest token; the higher, the more daring (default: 0)", 0, 100),
    )
    .addOption(whole("--top-k <n>", "choose among the so many likeliest tokens"))
    .addOption(decimal("--top-p <p>", "choose among the likeliest tokens of this probability together", 0, 1))
    .addOption(
      whole("--seed <n>", "draws the same random numbers again (logits under MPC differ in their last bits)", 0),
    )
    .option("--stop <text...>", "end before this text");
}

/** A continued text and what it took. */
export interface Continuation extends Generated {
  readonly text: string;
  readonly ids: readonly number[];
}

/**
 * Continues a text; unless `silent`, it goes to stdout as it comes, and a summary to stderr.
 * @throws what broke the run, after the text so far was printed.
 */
export async function continued(
  client: Client,
  prompt: string,
  options: ChoiceOptions,
  progress: Progress,
  silent: boolean,
): Promise<Continuation> {
  const { tokenizer, spec } = client;
  if (!isDecoder(spec)) throw new UsageError("this server classifies texts: use mpcformer infer");
  if (tokenizer === null) throw new UsageError("this server has no tokenizer: it takes token ids only");
  const encoded = client.encode(prompt);
  const going = new ContinuedText(tokenizer, encoded.ids, options.stop);
  let shown: string | null = null;
  const show = () => {
    const now = going.text;
    if (!silent) write(shown === null ? prompt + now : now.slice(shown.length));
    shown = now;
  };
  const choice = choiceOf(options, tokenizer.endIds, (tokens) => going.ends(tokens));
  const stream = client.generate(encoded, choice);
  let step = await nextOf(stream, () => endLine(silent, shown));
  while (step.done !== true) {
    if (going.ids.length === 0) progress.stop();
    going.take(step.value);
    show();
    step = await nextOf(stream, () => endLine(silent, shown));
  }
  going.finish();
  if (shown !== null) show();
  endLine(silent, shown);
  const result: Continuation = { text: going.text, ids: going.ids, ...step.value };
  if (!silent) summary(result);
  return result;
}

/** One run of a bench: the new tokens, what they took, and this process's own time. */
export interface MeasuredGeneration extends Generated {
  readonly ids: readonly number[];
  readonly cpuSeconds: { readonly client: number };
}

/** The next token; a broken run ends the line before its error is told. */
async function nextOf<T, R>(stream: AsyncGenerator<T, R, void>, broken: () => void): Promise<IteratorResult<T, R>> {
  try {
    return await stream.next();
  } catch (error) {
    broken();
    throw error;
  }
}

function endLine(silent: boolean, shown: string | null): void {
  if (!silent && shown !== null) print();
}

export function choiceOf(
  { maxTokens, temperature, topK, topP, seed }: ChoiceOptions,
  stopAt: readonly number[],
  stop: GenerateOptions["stop"] | undefined,
): GenerateOptions {
  return { maxTokens, temperature, topK, topP, seed, stopAt, stop };
}

function summary(result: Continuation): void {
  const { online, offline } = result.bytes;
  const [first, ...later] = result.secondsToToken;
  const each =
    later.length === 0 ? "" : `, then ${((result.secondsToToken.at(-1)! - first) / later.length).toFixed(3)} s each`;
  note(
    `${result.tokens} tokens; the first after ${first.toFixed(2)} s online${each}; ${result.seconds.offline.toFixed(2)} s offline before`,
  );
  note(
    `online: ${result.flights} flights, ${formatBytes(online.client_to_server)} to the server, ${formatBytes(online.server_to_client)} back; offline: ${formatBytes(offline.dealer_to_server)} dealer to server`,
  );
  note(`the server learns: a text of up to ${result.length} tokens, and ${result.tokens} new ones`);
}
