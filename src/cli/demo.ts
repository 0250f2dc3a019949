import { classifier } from "../models/bert.ts";
import type { Client } from "../parties/client.ts";
import type { Witness } from "../parties/engine.ts";
import { FloatOps } from "../program/float.ts";
import { Ring } from "../ring/ring.ts";
import { answer, openClient, printAnswer } from "./parties.ts";
import { startParties } from "./processes.ts";
import { outsideRange } from "./ranges.ts";
import { openSource } from "./source.ts";
import { formatBytes, note, Progress, print, printJson, UsageError } from "./terminal.ts";

const TEXT = "a gripping, funny and beautifully acted film";
const GLIMPSE_BYTES = 24;

/** The whole system on one machine: three processes, the shipped model, one text; and what each party saw. */
export async function demo(given: string | undefined, options: { json?: boolean }): Promise<void> {
  const text = given ?? TEXT;
  const progress = new Progress(options.json ?? false);
  if (!options.json) note("starting a dealer, a server with the demo model, and a client");
  const source = await openSource("demo", { overrides: {} });
  // A text that cannot be judged is refused before anything starts.
  const tokens = source.tokenizer!.encode(text);
  const [outside] = await outsideRange(source, [tokens], await Ring.create(), () => {});
  if (outside !== undefined) {
    throw new UsageError(
      `the text takes "${outside.name}" ${outside.excess.toFixed(1)} times beyond the plan: give a text like a film review's sentence`,
    );
  }
  const parties = await startParties(["demo"]);
  const glimpse = new Glimpse();
  let client: Client | null = null;
  try {
    client = await openClient({ ...parties, deadline: "120", json: options.json }, progress, glimpse.witness);
    const result = answer(client.spec, await client.infer(tokens));
    progress.stop();
    const clear = [...classifier(new FloatOps(source.weights, tokens, tokens.ids.length), source.spec).data];
    const error = Math.max(...clear.map((x, i) => Math.abs(x - result.logits[i])));
    if (options.json) {
      return printJson({
        text,
        ...result,
        max_abs_logit_error: error,
        seen: glimpse.seen,
      });
    }
    print(`text: ${text}`);
    printAnswer(result, client.spec);
    print(`the same model in the clear differs by ${error.toFixed(5)} in its logits`);
    print();
    glimpse.print("the text, the answer");
    print(`server and dealer also know that the text has at most ${result.length} tokens`);
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
