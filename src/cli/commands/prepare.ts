/** `prepare`: material ahead of time, so that a text needs the online phase only. */
import type { Command } from "commander";
import { described } from "../../parties/messages.ts";
import { openClient, type Prepared, preparedShape } from "../client.ts";
import { keepDays, network, output, type PeerOptions, peers } from "../options.ts";
import { Progress } from "../progress.ts";
import { print, printJson } from "../terminal.ts";
import { decimal, whole } from "../values.ts";

interface PrepareOptions extends PeerOptions, Prepared {
  readonly store: string;
  readonly count: number;
}

export function addPrepare(program: Command): void {
  const command = program
    .command("prepare")
    .description("make material ahead of time, so that a text needs the online phase only")
    .requiredOption(
      "--store <where>",
      "folder or redis://host:port/db to keep it (the server needs --store of its own)",
    )
    .addOption(keepDays())
    .addOption(whole("--tokens <n>", "for texts of up to so many tokens").default(32))
    .addOption(whole("--length <n>", "for texts of any length that are padded to this one (infer --length)", 3, 4096))
    .addOption(whole("--max-tokens <n>", "and so many new ones, of a model that continues texts").default(32))
    .addOption(decimal("--temperature <t>", "at which a server that tells tokens alone chooses them", 0, 100))
    .addOption(whole("--count <n>", "how many texts").default(1));
  output(network(peers(command))).action(prepare);
}

/** Makes material ahead of time for texts of up to so many tokens. */
async function prepare(options: PrepareOptions): Promise<void> {
  const progress = new Progress(options.json ?? false);
  const client = await openClient(options, progress);
  try {
    const shape = preparedShape(client, options);
    for (let i = 0; i < options.count; i++) await client.prepare(shape);
    const stock = await client.prepared(shape);
    progress.stop();
    if (options.json) printJson({ length: shape.length, new_tokens: shape.turns, prepared: stock });
    else print(`prepared: ${stock} times ${described(shape)}`);
  } finally {
    progress.stop();
    await client.close();
  }
}
