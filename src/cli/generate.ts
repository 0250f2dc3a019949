/** `generate`: a private continuation of a text, token by token. */
import { readFile } from "node:fs/promises";
import { ContinuedText } from "../parties/answer.ts";
import type { Client } from "../parties/client.ts";
import type { Generated, GenerateOptions } from "../parties/generation.ts";
import { stopwatch } from "../parties/meter.ts";
import { isDecoder, type TokenizedText } from "../program/spec.ts";
import { positive } from "./options.ts";
import { openClient, type PeerOptions, textOf } from "./parties.ts";
import { formatBytes, note, Progress, print, printJson, UsageError } from "./terminal.ts";

/** How a text is continued, as the command line says it. */
export interface ChoiceOptions {
  readonly maxTokens: string;
  readonly temperature?: string;
  readonly topK?: string;
  readonly topP?: string;
  readonly seed?: string;
  readonly stop?: readonly string[];
}

export interface GenerateCommandOptions extends PeerOptions, ChoiceOptions {
  readonly file?: string;
  readonly store?: string;
  /** A file with a text as token ids, and how often it is continued. For measuring. */
  readonly ids?: string;
  readonly runs?: string;
}

/** Continues a text at a server, and prints it as it comes. */
export async function generate(prompt: string | undefined, options: GenerateCommandOptions): Promise<void> {
  const progress = new Progress(options.json ?? false);
  if (options.ids !== undefined) return generateIds(options.ids, options);
  const text = await textOf(prompt, options);
  const client = await openClient(options, progress);
  try {
    const result = await continued(client, text, options, progress, options.json ?? false);
    if (options.json) printJson({ prompt: text, ...result });
  } finally {
    progress.stop();
    await client.close();
  }
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
  let shown = "";
  const show = () => {
    const now = going.text;
    if (!silent) process.stdout.write(shown === "" ? prompt + now : now.slice(shown.length));
    shown = now === "" ? shown : now;
  };
  const choice = choiceOf(options, tokenizer.endId, (tokens) => going.ends(tokens));
  const stream = client.generate(encoded, choice);
  let step = await nextOf(stream, () => endLine(silent, shown));
  while (step.done !== true) {
    if (going.ids.length === 0) progress.stop();
    going.take(step.value);
    show();
    step = await nextOf(stream, () => endLine(silent, shown));
  }
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

async function generateIds(path: string, options: GenerateCommandOptions): Promise<void> {
  const [text] = JSON.parse(await readFile(path, "utf8")) as TokenizedText[];
  const client = await openClient(options, new Progress(true));
  try {
    const runs: MeasuredGeneration[] = [];
    for (let i = 0; i < Number(options.runs ?? 1); i++) {
      const measured = stopwatch("online");
      const stream = client.generate(text, choiceOf(options, undefined, undefined));
      const ids: number[] = [];
      let step = await stream.next();
      for (; step.done !== true; step = await stream.next()) ids.push(step.value);
      runs.push({ ...step.value, ids, cpuSeconds: { client: measured().cpuSeconds } });
    }
    printJson(runs);
  } finally {
    await client.close();
  }
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

function endLine(silent: boolean, shown: string): void {
  if (!silent && shown !== "") print();
}

/** @throws UsageError for what is no number. */
function choiceOf(
  options: ChoiceOptions,
  endId: number | undefined,
  stop: GenerateOptions["stop"] | undefined,
): GenerateOptions {
  const number = (text: string | undefined, name: string) => {
    if (text === undefined) return undefined;
    if (text.trim() === "" || !Number.isFinite(Number(text))) throw new UsageError(`${name} takes a number`);
    return Number(text);
  };
  return {
    maxTokens: positive(options.maxTokens, "--max-tokens"),
    temperature: number(options.temperature, "--temperature"),
    topK: number(options.topK, "--top-k"),
    topP: number(options.topP, "--top-p"),
    seed: number(options.seed, "--seed"),
    stopAt: endId === undefined ? [] : [endId],
    stop,
  };
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
