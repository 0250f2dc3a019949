/** What `gateway` and `up` share: a gateway that listens on this machine until it is stopped. */
import { createServer } from "node:http";
import type { Command } from "commander";
import { readTextFile } from "../files/text.ts";
import { Gateway, type GatewayOptions } from "../gateway/gateway.ts";
import { parseAddress } from "./address.ts";
import { LENGTH, openClient } from "./client.ts";
import { UsageError } from "./failure.ts";
import { isLoopback } from "./network.ts";
import type { PeerOptions } from "./options.ts";
import { listenAt } from "./pages.ts";
import { Progress } from "./progress.ts";
import { note, outliveReaders } from "./terminal.ts";
import { address, whole } from "./values.ts";

/** Of a gateway itself, beside whom it asks. */
export interface OwnGatewayOptions {
  readonly listen: string;
  readonly name: string;
  readonly maxTokens: number;
  readonly length?: number;
  readonly fixed?: boolean;
  readonly allowHost?: readonly string[];
  readonly apiKeys?: string;
  readonly plaintext?: boolean;
}

/** Connections of programs at once. */
const MOST_SOCKETS = 256;
/** A key that nobody guesses has at least so many letters. */
const KEY_LETTERS = 16;

/** The options of a gateway itself. */
export function gatewayOptions(command: Command): Command {
  return command
    .optionsGroup("Gateway:")
    .addOption(address("--listen <address>", "host:port to listen at").default("127.0.0.1:7790"))
    .option("--name <name>", "by which programs ask for the model", "mpcformer")
    .addOption(whole("--max-tokens <n>", "new tokens of one request, at most", 1, 1024).default(64))
    .addOption(whole("--length <n>", LENGTH, 3, 4096))
    .option("--fixed", "make all of --max-tokens for every request: nobody sees where its text ends")
    .option("--allow-host <name...>", "names by which the gateway is reached, beside 127.0.0.1 and localhost")
    .option("--api-keys <file>", "keys that programs must show, one a line");
}

export interface ListeningGateway {
  readonly host: string;
  readonly port: number;
  /** What programs take as the base address of OpenAI's API. */
  readonly url: string;
}

/**
 * Answers programs until it is stopped, by a signal; `ended` comes behind the last answer.
 * @throws UsageError for options that do not fit; ChannelError, PartyError where nobody can be asked.
 */
export async function openGateway(
  own: OwnGatewayOptions,
  asking: PeerOptions,
  ended: () => void = () => {},
): Promise<ListeningGateway> {
  const keys = await keysIn(own);
  checkListen(own, keys);
  outliveReaders();
  const gateway = new Gateway(optionsOf(own, asking, keys));
  await gateway.open();
  const server = createServer((request, response) => void gateway.handle(request, response));
  server.maxConnections = MOST_SOCKETS;
  const { host, port } = await listenAt(server, own.listen, "--listen");
  const stop = () => {
    server.close();
    server.closeAllConnections();
    void gateway.close().finally(() => {
      ended();
      process.exit(0);
    });
    // Asked twice: at once.
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1));
  };
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, stop);
  return { host, port, url: `http://${host.includes(":") ? `[${host}]` : host}:${port}/v1` };
}

function optionsOf(own: OwnGatewayOptions, asking: PeerOptions, keys: readonly string[]): GatewayOptions {
  const { name, maxTokens, length, fixed, allowHost: hosts } = own;
  return {
    connect: (model = asking.model) => openClient({ ...asking, model }, new Progress(true)),
    ...{ name, maxTokens, length, fixed, hosts, keys },
    peers: {
      server: { address: asking.server, key: asking.serverKey ?? null },
      dealer: { address: asking.dealer, key: asking.dealerKey ?? null },
    },
    failed: (error) => note(`mpcformer: a request failed: ${error instanceof Error ? error.name : "unknown"}`),
  };
}

/** @throws UsageError beyond this machine, unless the caller said that the way there is safe, and who may ask. */
function checkListen({ listen, plaintext }: OwnGatewayOptions, keys: readonly string[]): void {
  if (isLoopback(parseAddress(listen))) return;
  if (plaintext !== true || keys.length === 0)
    throw new UsageError(
      "texts cross this gateway's own channel in the clear: listen at 127.0.0.1; or give --api-keys, and --plaintext inside a tunnel",
    );
}

async function keysIn({ apiKeys }: OwnGatewayOptions): Promise<readonly string[]> {
  if (apiKeys === undefined) return [];
  const keys = (await readTextFile(apiKeys)).split("\n").map((line) => line.trim());
  const given = keys.filter((key) => key !== "");
  if (given.length === 0 || given.some((key) => key.length < KEY_LETTERS))
    throw new UsageError(`${apiKeys} must have keys of at least ${KEY_LETTERS} letters, one a line`);
  return given;
}
