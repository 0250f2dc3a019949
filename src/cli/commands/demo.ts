/** `demo`: the whole system on one machine. */
import type { Command } from "commander";
import { greedyTokens } from "../../models/greedy.ts";
import { logitsOf } from "../../models/model.ts";
import type { Client } from "../../parties/client.ts";
import type { Witness } from "../../parties/engine.ts";
import { encoded } from "../../parties/greeting.ts";
import type { TokenizedText } from "../../program/spec.ts";
import { FloatOps } from "../../reference/float.ts";
import { Ring } from "../../ring/ring.ts";
import { openClient, printAnswer } from "../client.ts";
import { continued } from "../continuation.ts";
import { Failure } from "../failure.ts";
import { formatBytes } from "../format.ts";
import { asset } from "../named.ts";
import { type OutputOptions, output } from "../options.ts";
import { startParties } from "../processes.ts";
import { Progress } from "../progress.ts";
import { inFixedPoint } from "../ranges.ts";
import { openModel, type Source } from "../source.ts";
import { note, print, printJson } from "../terminal.ts";
import { whole } from "../values.ts";

const TEXT = "a gripping, funny and beautifully acted film";
const PROMPT = "Once upon a time, there was a little";
const GLIMPSE_BYTES = 24;

interface DemoOptions extends OutputOptions {
  /** A text to continue instead of one to judge; true: the built-in one. */
  readonly generate?: string | true;
  readonly maxTokens: number;
}

export function addDemo(program: Command): void {
  const command = program
    .command("demo")
    .description("three processes on this machine with a model that ships; shows what each party saw")
    .argument("[text]", "a sentence to judge")
    .option("--generate [prompt]", "continue a text instead: the beginning of a children's story")
    .addOption(whole("--max-tokens <n>", "new tokens, at most").default(48));
  output(command).action(demo);
}

/** The whole system on one machine: three processes, a shipped model, one text; and what each party saw. */
async function demo(given: string | undefined, options: DemoOptions): Promise<void> {
  if (options.generate === undefined) return judge(given ?? TEXT, options);
  return tell(options.generate === true ? (given ?? PROMPT) : options.generate, options);
}

async function judge(text: string, options: DemoOptions): Promise<void> {
  const source = await openModel(asset("demo"), { overrides: {} });
  const tokens = encoded(source, text);
  await refuseOutside(source, tokens, "a text like a film review's sentence");
  await among("demo", options, async (client, glimpse, progress) => {
    const result = await client.classify(text);
    progress.stop();
    const clear = [...logitsOf(new FloatOps(source.weights, tokens, tokens.ids.length), source.spec).data];
    const error = Math.max(...clear.map((x, i) => Math.abs(x - result.logits[i])));
    if (options.json) return printJson({ text, ...result, max_abs_logit_error: error, seen: glimpse.seen });
    print(`text: ${text}`);
    printAnswer(result, client.spec);
    print(`the same model in the clear differs by ${error.toFixed(5)} in its logits`);
    print();
    glimpse.print("the text, the answer");
    print(`server and dealer also know that the text has at most ${result.length} tokens`);
  });
}

async function tell(prompt: string, options: DemoOptions): Promise<void> {
  const source = await openModel(asset("storyteller"), { overrides: {} });
  const tokens = source.tokenizer.encode(prompt);
  await refuseOutside(source, tokens, "the beginning of a story for small children");
  await among("storyteller", options, async (client, glimpse, progress) => {
    const result = await continued(client, prompt, { maxTokens: options.maxTokens }, progress, options.json ?? false);
    const clear = greedyTokens(source.spec, source.weights, tokens, result.ids.length);
    const equal = result.ids.filter((id, i) => id === clear[i]).length;
    if (options.json) return printJson({ prompt, ...result, equal_tokens: equal, seen: glimpse.seen });
    print(`${equal} of ${result.ids.length} tokens are those of the same model in the clear`);
    print();
    glimpse.print("the text, how it goes on");
  });
}

/** A text that cannot be answered is refused before anything starts. */
async function refuseOutside(source: Source, tokens: TokenizedText, like: string): Promise<void> {
  const {
    outside: [outside],
  } = await inFixedPoint(source, [tokens], await Ring.create(), () => {});
  if (outside !== undefined)
    throw new Failure(
      `the text takes "${outside.name}" ${outside.excess.toFixed(1)} times beyond the plan: give ${like}`,
    );
}

/** Starts the parties around a shipped model, and stops them after `use`. */
async function among(
  model: string,
  { json }: DemoOptions,
  use: (client: Client, glimpse: Glimpse, progress: Progress) => Promise<void>,
): Promise<void> {
  const progress = new Progress(json ?? false);
  if (!json) note(`starting a dealer, a server with the model ${model}, and a client`);
  const parties = await startParties([asset(model)]);
  const glimpse = new Glimpse();
  let client: Client | null = null;
  try {
    client = await openClient({ ...parties, json }, progress, { witness: glimpse.witness });
    await use(client, glimpse, progress);
  } finally {
    progress.stop();
    await client?.close();
    parties.stop();
  }
}

/** What crossed the wire online, and its first bytes. */
class Glimpse {
  private readonly sizes = { client: 0, server: 0 };
  private readonly first: Record<"client" | "server", string> = { client: "", server: "" };

  readonly witness: Witness = (_flight, from, message) => {
    this.sizes[from] += message.length;
    if (this.first[from] === "") this.first[from] = Buffer.from(message.subarray(0, GLIMPSE_BYTES)).toString("hex");
  };

  get seen(): { by_server: string; by_client: string } {
    return { by_server: this.first.client, by_client: this.first.server };
  }

  /** Who saw what; `secret` is what only the client knows. */
  print(secret: string): void {
    const { sizes, first } = this;
    const seen: [string, string, string][] = [
      ["client", `${secret}, ${formatBytes(sizes.server)} of masked values: ${first.server}...`, "any weight"],
      ["server", `${formatBytes(sizes.client)} of masked values: ${first.client}...`, secret],
      ["dealer", "two seeds and masked weights, before the text was used", `${secret}, any weight`],
    ];
    for (const [who, saw, hidden] of seen) {
      print(`${who}  saw      ${saw}`);
      print(`        never    ${hidden}`);
    }
  }
}
