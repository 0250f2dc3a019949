/** `infer`: one private question. */
import { readFile } from "node:fs/promises";
import { type Command, Option } from "commander";
import type { Answer } from "../../parties/answer.ts";
import type { Client } from "../../parties/client.ts";
import { stopwatch } from "../../parties/meter.ts";
import type { ZeroShot } from "../../parties/text-client.ts";
import { type ThinAnswer, ThinClient } from "../../parties/thin.ts";
import { isDecoder, type TokenizedText } from "../../program/spec.ts";
import type { Shape } from "../../program/steps.ts";
import { answerLines, LENGTH, type MeasuredRun, openClient, printAnswer, printReading, timesOf } from "../client.ts";
import { Failure, UsageError } from "../failure.ts";
import { formatBytes } from "../format.ts";
import { type Given, type GivenLine, linesOf, type PairOptions, pairs, textOf, texts } from "../input.ts";
import { connect, ringOf } from "../network.ts";
import { keepDays, link, network, output, type PeerOptions, peers } from "../options.ts";
import { Progress } from "../progress.ts";
import { print, printJson } from "../terminal.ts";
import { address, whole } from "../values.ts";

interface InferOptions extends PeerOptions, PairOptions {
  /** The padded length, whatever the text. */
  readonly length?: number;
  /** A file of texts as token ids, that run side by side; and how often. For measuring. */
  readonly ids?: string;
  readonly runs?: number;
  readonly ahead?: number;
  /** Where somebody computes for this client. */
  readonly helper?: string;
  /** Labels of the user's own, the sentence about one, and whether they may hold together. */
  readonly labels?: readonly string[];
  readonly template?: string;
  readonly several?: boolean;
}

export function addInfer(program: Command): void {
  const command = program.command("infer").description("ask a server about a text, privately");
  pairs(texts(command, "text"))
    .addOption(whole("--length <n>", LENGTH, 3, 4096))
    .optionsGroup("Labels of your own:")
    .addOption(
      new Option(
        "--labels <list>",
        "which of these labels fits, with commas between them: of a server whose model tells whether a text entails another",
      ).argParser(labelsOf),
    )
    .option(
      "--template <text>",
      'the sentence about a label, which goes where {} stands (default: "This example is {}.")',
    )
    .option("--several", "labels may hold together: each has a probability of its own")
    .optionsGroup("Material:")
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

/** @throws UsageError for an empty one. */
function labelsOf(list: string): string[] {
  const labels = list.split(",").map((label) => label.trim());
  if (labels.includes("")) throw new UsageError("--labels takes labels with commas between them: one of them is empty");
  return labels;
}

/** Asks about a text, or about each of many lines. */
async function infer(argument: string | undefined, options: InferOptions): Promise<void> {
  if (options.ahead !== undefined && options.store === undefined)
    throw new UsageError("--ahead keeps material in a store: give --store DIR as well");
  const { helper, labels } = options;
  if (labels === undefined && (options.template !== undefined || options.several))
    throw new UsageError("--template and --several are for labels of your own: give --labels a,b,c as well");
  if (labels !== undefined && (options.pair ?? options.pairFile ?? options.pairs ?? options.ahead) !== undefined)
    throw new UsageError(
      "--labels makes pairs of the text and a sentence for each label: leave --pair and --ahead out",
    );
  if (helper !== undefined && (options.store !== undefined || options.ahead !== undefined))
    throw new UsageError("the material is the helper's: leave --store and --ahead to it");
  const progress = new Progress((options.json ?? false) || (options.lines ?? false));
  if (options.ids !== undefined) return inferIds(options.ids, options, progress);
  const given = options.lines ? linesOf(argument, options) : await textOf(argument, options);
  if (helper !== undefined) return askAll(await askThin(options, helper), given, options, progress);
  return askAll(await askHere(options, progress), given, options, progress);
}

/** A client, and how it is asked. */
interface Asking<R extends object> {
  readonly client: Pick<Client, "closed" | "close" | "classifyAs">;
  /** Tells the answer, and ends when all is done that comes behind it. */
  readonly ask: (given: Given, tell: (result: R) => void) => Promise<void>;
  readonly print: (result: R) => void;
}

/** Which of labels of one's own fits. */
function askWith(
  client: Asking<ZeroShot>["client"],
  labels: readonly string[],
  options: InferOptions,
): Asking<ZeroShot> {
  const { template, several, length } = options;
  return {
    client,
    ask: async ({ text }, tell) => tell(await client.classifyAs(text, labels, { template, several, length })),
    print: ({ labels, scores }) => {
      print(`label: ${labels[0]}`);
      print(`scores: ${labels.map((label, i) => `${label} ${(100 * scores[i]).toFixed(1)}%`).join(", ")}`);
    },
  };
}

/** Asks about one text or many, and closes the client. */
async function askAll<R extends object>(
  asking: Asking<R>,
  given: Given | AsyncIterable<GivenLine>,
  options: InferOptions,
  progress: Progress,
): Promise<void> {
  const { labels } = options;
  if (labels === undefined) return answerAll(asking, given, options, progress);
  return answerAll(askWith(asking.client, labels, options), given, options, progress);
}

async function answerAll<R extends object>(
  { client, ask, print }: Asking<R>,
  given: Given | AsyncIterable<GivenLine>,
  { json }: InferOptions,
  progress: Progress,
): Promise<void> {
  try {
    if (Symbol.asyncIterator in given) return await answerLines(given, client, ask);
    await ask(given, (result) => {
      progress.stop();
      if (json) printJson(result);
      else print(result);
    });
  } finally {
    progress.stop();
    await client.close();
  }
}

/** This machine computes. */
async function askHere(options: InferOptions, progress: Progress): Promise<Asking<Answer>> {
  const client = await openClient(options, progress);
  const ask: Asking<Answer>["ask"] = async ({ text, pair }, tell) => {
    if (isDecoder(client.spec)) throw new Failure("this server continues texts: use mpcformer generate");
    const { length } = options;
    const shape = client.shapeFor([client.encode(text, pair).ids.length], length);
    const asked = client.classify(text, { pair, length });
    // Behind a void answer too, which leaves the connection open: the server does not see which answers are void.
    const ahead = asked.catch(() => {}).then(() => prepareAhead(client, shape, options.ahead));
    try {
      tell(await asked);
    } finally {
      await ahead;
    }
  };
  return { client, ask, print: (result) => printAnswer(result, client.spec) };
}

async function prepareAhead(client: Client, shape: Shape, count: number | undefined): Promise<void> {
  if (count === undefined || client.closed) return;
  await client.prepareUpTo(shape, count);
}

/** A helper computes: the text is shared between it and the server. */
async function askThin(options: InferOptions, helper: string): Promise<Asking<ThinAnswer>> {
  const server = await connect("server", options.server, options);
  const connectHelper = () => connect("helper", helper, options);
  const client = await ThinClient.connect(
    await ringOf(options),
    server,
    connectHelper,
    options.model,
    options.profileLengths,
  );
  return {
    client,
    ask: async ({ text, pair }, tell) => tell(await client.classify(text, { pair, length: options.length })),
    print: (result) => {
      printReading(result, client.spec);
      print(`time of the helper: ${timesOf(result)}`);
      print(`here: ${formatBytes(result.bytes.sent)} sent, ${formatBytes(result.bytes.received)} received`);
    },
  };
}

async function inferIds(path: string, options: InferOptions, progress: Progress): Promise<void> {
  const texts = JSON.parse(await readFile(path, "utf8")) as TokenizedText[];
  const client = await openClient(options, progress, { whole: true });
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
