/** `gateway`: OpenAI's API on this machine, answered privately. */
import { createServer } from "node:http";
import type { Command } from "commander";
import { readTextFile } from "../../files/text.ts";
import { Gateway, type GatewayOptions } from "../../gateway/gateway.ts";
import { parseAddress } from "../address.ts";
import { LENGTH, openClient } from "../client.ts";
import { UsageError } from "../failure.ts";
import { isLoopback } from "../network.ts";
import { keepDays, network, output, type PeerOptions, peers } from "../options.ts";
import { listenAt } from "../pages.ts";
import { Progress } from "../progress.ts";
import { note, outliveReaders, print, printJson } from "../terminal.ts";
import { address, whole } from "../values.ts";

interface GatewayCommandOptions extends PeerOptions {
  readonly listen: string;
  readonly name: string;
  readonly maxTokens: number;
  readonly length?: number;
  readonly fixed?: boolean;
  readonly allowHost?: readonly string[];
  readonly apiKeys?: string;
}

/** Connections of programs at once. */
const MOST_SOCKETS = 256;
/** A key that nobody guesses has at least so many letters. */
const KEY_LETTERS = 16;

export function addGateway(program: Command): void {
  const command = program
    .command("gateway")
    .description("OpenAI's API on this machine: programs that speak it ask a server privately")
    .optionsGroup("Gateway:")
    .addOption(address("--listen <address>", "host:port to listen at").default("127.0.0.1:7790"))
    .option("--name <name>", "by which programs ask for the model", "mpcformer")
    .addOption(whole("--max-tokens <n>", "new tokens of one request, at most", 1, 1024).default(64))
    .addOption(whole("--length <n>", LENGTH, 3, 4096))
    .option("--fixed", "make all of --max-tokens for every request: nobody sees where its text ends")
    .option("--allow-host <name...>", "names by which the gateway is reached, beside 127.0.0.1 and localhost")
    .option("--api-keys <file>", "keys that programs must show, one a line")
    .option("--store <where>", "use material prepared here (folder, or redis://host:port/db), if there is any")
    .addOption(keepDays());
  output(network(peers(command))).action(gateway);
}

/** Answers programs until it is stopped. */
async function gateway(options: GatewayCommandOptions): Promise<void> {
  const keys = await keysIn(options);
  checkListen(options, keys);
  outliveReaders();
  const own = new Gateway(gatewayOptions(options, keys));
  await own.open();
  const server = createServer((request, response) => void own.handle(request, response));
  server.maxConnections = MOST_SOCKETS;
  const { host, port } = await listenAt(server, options.listen, "--listen");
  const url = `http://${host.includes(":") ? `[${host}]` : host}:${port}/v1`;
  if (options.json) printJson({ listening: { host, port }, url });
  else print(`programs that speak OpenAI's API find the model "${options.name}" at ${url}, until Ctrl+C`);
  const stop = () => {
    server.close();
    server.closeAllConnections();
    void own.close().finally(() => process.exit(0));
    // Asked twice: at once.
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1));
  };
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, stop);
}

function gatewayOptions(options: GatewayCommandOptions, keys: readonly string[]): GatewayOptions {
  const { name, maxTokens, length, fixed, allowHost: hosts } = options;
  return {
    connect: (model = options.model) => openClient({ ...options, model }, new Progress(true)),
    ...{ name, maxTokens, length, fixed, hosts, keys },
    peers: {
      server: { address: options.server, key: options.serverKey ?? null },
      dealer: { address: options.dealer, key: options.dealerKey ?? null },
    },
    failed: (error) => note(`mpcformer: a request failed: ${error instanceof Error ? error.name : "unknown"}`),
  };
}

/** @throws UsageError beyond this machine, unless the caller said that the way there is safe, and who may ask. */
function checkListen({ listen, plaintext }: GatewayCommandOptions, keys: readonly string[]): void {
  if (isLoopback(parseAddress(listen))) return;
  if (plaintext !== true || keys.length === 0)
    throw new UsageError(
      "texts cross this gateway's own channel in the clear: listen at 127.0.0.1; or give --api-keys, and --plaintext inside a tunnel",
    );
}

async function keysIn({ apiKeys }: GatewayCommandOptions): Promise<readonly string[]> {
  if (apiKeys === undefined) return [];
  const keys = (await readTextFile(apiKeys)).split("\n").map((line) => line.trim());
  const given = keys.filter((key) => key !== "");
  if (given.length === 0 || given.some((key) => key.length < KEY_LETTERS))
    throw new UsageError(`${apiKeys} must have keys of at least ${KEY_LETTERS} letters, one a line`);
  return given;
}
