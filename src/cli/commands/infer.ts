/** `infer`: one private question. */
import { readFile } from "node:fs/promises";
import { type Command, Option } from "commander";
import type { Client } from "../../parties/client.ts";
import { stopwatch } from "../../parties/meter.ts";
import { paddedShape } from "../../parties/padding.ts";
import { ThinClient } from "../../parties/thin.ts";
import { isDecoder, type TokenizedText } from "../../program/spec.ts";
import type { Shape } from "../../program/steps.ts";
import { LENGTH, type MeasuredRun, openClient, printAnswer, printReading, textOf, timesOf } from "../client.ts";
import { Failure, UsageError } from "../failure.ts";
import { formatBytes } from "../format.ts";
import { connect, ringOf } from "../network.ts";
import { keepDays, link, network, output, type PeerOptions, peers } from "../options.ts";
import { Progress } from "../progress.ts";
import { print, printJson } from "../terminal.ts";
import { address, whole } from "../values.ts";

interface InferOptions extends PeerOptions {
  readonly file?: string;
  readonly pair?: string;
  /** The padded length, whatever the text. */
  readonly length?: number;
  /** A file of texts as token ids, that run side by side; and how often. For measuring. */
  readonly ids?: string;
  readonly runs?: number;
  readonly ahead?: number;
  /** Where somebody computes for this client. */
  readonly helper?: string;
}

export function addInfer(program: Command): void {
  const command = program
    .command("infer")
    .description("ask a server about a text, privately")
    .argument("[text]", "the text; it stays on this machine")
    .option("--file <file>", "take the text from a file")
    .option("--pair <text>", "the second text of a pair")
    .addOption(whole("--length <n>", LENGTH, 3, 4096))
    .option("--store <where>", "use material prepared here (folder, or redis://host:port/db), if there is any")
    .addOption(keepDays())
    .addOption(
      whole("--ahead <n>", "after the answer, prepare until so many texts of its length can be asked about at once"),
    )
    .addOption(new Option("--ids <file>").hideHelp())
    .addOption(whole("--runs <n>", "").hideHelp())
    .addOption(link());
  peers(command)
    .addOption(
      address("--helper <address>", "host:port of a helper, which computes while this machine only shares its text"),
    )
    .option("--helper-key <fingerprint>", "the helper's key, as its operator tells it");
  output(network(command)).action(infer);
}

/** Asks one private question. */
async function infer(text: string | undefined, options: InferOptions): Promise<void> {
  if (options.ahead !== undefined && options.store === undefined)
    throw new UsageError("--ahead keeps material in a store: give --store DIR as well");
  const progress = new Progress(options.json ?? false);
  if (options.ids !== undefined) return inferIds(options.ids, options, progress);
  const given = await textOf(text, options);
  if (options.helper !== undefined) return inferThin(given, { ...options, helper: options.helper });
  const client = await openClient(options, progress);
  try {
    if (isDecoder(client.spec)) throw new Failure("this server continues texts: use mpcformer generate");
    const { pair, length } = options;
    const shape = paddedShape([client.encode(given, pair).ids.length], client.limit, length);
    const asked = client.classify(given, { pair, length });
    // Behind a void answer too, which leaves the connection open: the server does not see which answers are void.
    const ahead = asked.catch(() => {}).then(() => prepareAhead(client, shape, options.ahead));
    try {
      const result = await asked;
      progress.stop();
      if (options.json) printJson(result);
      else printAnswer(result, client.spec);
    } finally {
      await ahead;
    }
  } finally {
    progress.stop();
    await client.close();
  }
}

async function prepareAhead(client: Client, shape: Shape, count: number | undefined): Promise<void> {
  if (count === undefined || client.closed) return;
  await client.prepareUpTo(shape, count);
}

/** The same through a helper: the text is shared between it and the server, and nothing is computed here. */
async function inferThin(text: string, options: InferOptions & { readonly helper: string }): Promise<void> {
  if (options.store !== undefined || options.ahead !== undefined)
    throw new UsageError("the material is the helper's: leave --store and --ahead to it");
  const server = await connect("server", options.server, options);
  const connectHelper = () => connect("helper", options.helper, options);
  const client = await ThinClient.connect(await ringOf(options), server, connectHelper, options.model);
  try {
    const result = await client.classify(text, { pair: options.pair, length: options.length });
    if (options.json) return printJson(result);
    printReading(result, client.spec);
    print(`time of the helper: ${timesOf(result)}`);
    print(`here: ${formatBytes(result.bytes.sent)} sent, ${formatBytes(result.bytes.received)} received`);
  } finally {
    await client.close();
  }
}

async function inferIds(path: string, options: InferOptions, progress: Progress): Promise<void> {
  const texts = JSON.parse(await readFile(path, "utf8")) as TokenizedText[];
  const client = await openClient(options, progress);
  try {
    const runs: MeasuredRun[] = [];
    for (let i = 0; i < (options.runs ?? 1); i++) {
      const measured = stopwatch("online");
      const run = await client.inferAll(texts, texts[0].ids.length);
      runs.push({ ...run, cpuSeconds: { client: measured().cpuSeconds } });
    }
    printJson(runs);
  } finally {
    await client.close();
  }
}
