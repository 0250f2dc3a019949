/** `up`: dealer, server and gateway on this machine, for a try. */
import type { Command } from "commander";
import { type Address, parseAddress } from "../address.ts";
import { gatewayOptions, type OwnGatewayOptions, openGateway } from "../gateway.ts";
import { namedFolder } from "../named.ts";
import { approximate, deadline, MODEL, type ModelOptions, modelFlags, type OutputOptions, output } from "../options.ts";
import { startParties } from "../processes.ts";
import { profileOf, writeProfile } from "../profile.ts";
import { note, print, printJson } from "../terminal.ts";

interface UpOptions extends OwnGatewayOptions, ModelOptions, OutputOptions {
  readonly profile?: string;
  /** Seconds. */
  readonly deadline: number;
}

const WARNING =
  "this protects nothing: all three parties are on this machine, under one user, who sees text and weights; between people, run serve, deal and gateway apart";

export function addUp(program: Command): void {
  const command = program
    .command("up")
    .description("dealer, server and gateway on this machine, for a try: one Ctrl+C ends all")
    .argument("<model>", MODEL);
  gatewayOptions(command)
    .option("--profile <file>", "write the service's profile there, for the other commands")
    .addOption(deadline());
  output(approximate(command)).action(up);
}

/** Runs all three until they are stopped. */
async function up(model: string, options: UpOptions): Promise<void> {
  // Told here, not by a process that is started for it.
  await namedFolder(model);
  if (!options.json) note(`starting a dealer, a server with ${model}, and a gateway`);
  const { deadline } = options;
  const both = ["--deadline", String(deadline)];
  const parties = await startParties([model, ...modelFlags(options)], { both });
  const { server, dealer } = parties;
  const asking = { server, dealer, deadline };
  let url: string;
  let at: Address;
  try {
    ({ url, ...at } = await openGateway(options, asking, parties.stop));
  } catch (error) {
    parties.stop();
    throw error;
  }
  const profile = profileOf({ server: { url: urlOf(server) }, dealer: { url: urlOf(dealer) } });
  if (options.profile !== undefined) await writeProfile(options.profile, profile);
  if (options.json) return printJson({ listening: at, url, profile });
  print(`programs that speak OpenAI's API find the model "${options.name}" at ${url}, until Ctrl+C`);
  if (options.profile !== undefined) print(`profile written: mpcformer infer --service ${options.profile}`);
  else print(`commands find it by --server ${server} --dealer ${dealer}`);
  print(WARNING);
}

function urlOf(address: string): string {
  const { host, port } = parseAddress(address);
  return `tcp://${host}:${port}`;
}
