/** `gateway`: OpenAI's API on this machine, answered privately. */
import type { Command } from "commander";
import { gatewayOptions, type OwnGatewayOptions, openGateway } from "../gateway.ts";
import { keepDays, network, output, type PeerOptions, peers } from "../options.ts";
import { print, printJson } from "../terminal.ts";

export function addGateway(program: Command): void {
  const command = program
    .command("gateway")
    .description("OpenAI's API on this machine: programs that speak it ask a server privately");
  gatewayOptions(command)
    .option("--store <where>", "use material prepared here (folder, or redis://host:port/db), if there is any")
    .addOption(keepDays());
  output(network(peers(command))).action(gateway);
}

/** Answers programs until it is stopped. */
async function gateway(options: OwnGatewayOptions & PeerOptions): Promise<void> {
  const { host, port, url } = await openGateway(options, options);
  if (options.json) printJson({ listening: { host, port }, url });
  else print(`programs that speak OpenAI's API find the model "${options.name}" at ${url}, until Ctrl+C`);
}
