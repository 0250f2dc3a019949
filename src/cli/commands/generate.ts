/** `generate`: a private continuation of a text, token by token. */
import { readFile } from "node:fs/promises";
import { type Command, Option } from "commander";
import { stopwatch } from "../../parties/meter.ts";
import type { TokenizedText } from "../../program/spec.ts";
import { answerLines, openClient } from "../client.ts";
import { type ChoiceOptions, choiceOf, choices, continued, type MeasuredGeneration } from "../continuation.ts";
import { type Given, linesOf, type TextOptions, textOf, texts } from "../input.ts";
import { keepDays, link, network, output, type PeerOptions, peers } from "../options.ts";
import { Progress } from "../progress.ts";
import { printJson } from "../terminal.ts";
import { whole } from "../values.ts";

interface GenerateCommandOptions extends PeerOptions, ChoiceOptions, TextOptions {
  /** A file with a text as token ids, and how often it is continued. For measuring. */
  readonly ids?: string;
  readonly runs?: number;
}

export function addGenerate(program: Command): void {
  const command = program.command("generate").description("continue a text privately, token by token");
  choices(texts(command, "prompt"))
    .option("--chat", "the text is a message to a chat model: its folder's template stands around it")
    .optionsGroup("Material:")
    .option("--store <where>", "use material prepared here (folder, or redis://host:port/db), if there is any")
    .addOption(keepDays())
    .addOption(new Option("--ids <file>").hideHelp())
    .addOption(whole("--runs <n>", "").hideHelp())
    .addOption(link());
  output(network(peers(command))).action(generate);
}

/** Continues a text at a server, and prints it as it comes. */
async function generate(argument: string | undefined, options: GenerateCommandOptions): Promise<void> {
  if (options.ids !== undefined) return generateIds(options.ids, options);
  const silent = (options.json ?? false) || (options.lines ?? false);
  const progress = new Progress(silent);
  const given = options.lines ? linesOf(argument, options) : await textOf(argument, options);
  const client = await openClient(options, progress);
  const ask = ({ text }: Given) => continued(client, text, options, progress, silent);
  try {
    if (Symbol.asyncIterator in given)
      return await answerLines(given, client, async (one, tell) => tell(await ask(one)));
    const result = await ask(given);
    if (options.json) printJson({ prompt: given.text, ...result });
  } finally {
    progress.stop();
    await client.close();
  }
}

async function generateIds(path: string, options: GenerateCommandOptions): Promise<void> {
  const [text] = JSON.parse(await readFile(path, "utf8")) as TokenizedText[];
  const client = await openClient(options, new Progress(true), { whole: true });
  try {
    const runs: MeasuredGeneration[] = [];
    for (let i = 0; i < (options.runs ?? 1); i++) {
      const measured = stopwatch("online");
      // All tokens, also behind one that ends a text.
      const stream = client.generate(text, { ...choiceOf(options), stopAt: [] });
      let step = await stream.next();
      while (step.done !== true) step = await stream.next();
      runs.push({ ...step.value, cpuSeconds: { client: measured().cpuSeconds } });
    }
    printJson(runs);
  } finally {
    await client.close();
  }
}
