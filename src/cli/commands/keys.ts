/** `keys`: a party's key. */
import type { Command } from "commander";
import { madeIn, readIdentity } from "../keys.ts";
import { type OutputOptions, output } from "../options.ts";
import { print, printJson } from "../terminal.ts";

export function addKeys(program: Command): void {
  const command = program
    .command("keys")
    .description("make a party's key in a folder, or show the one that is there: prints its fingerprint")
    .argument("<folder>", "where it is");
  output(command).action(keys);
}

async function keys(folder: string, options: OutputOptions): Promise<void> {
  const known = await readIdentity(folder);
  const fingerprint = known?.fingerprint ?? (await madeIn(folder));
  if (options.json) return printJson({ folder, fingerprint, made: known === null });
  print(fingerprint);
}
