/** Addresses, listeners and connections as the commands use them. */
import type { Channel, Link } from "../channels/channel.ts";
import { connectTcp, listenTcp, type TcpListener } from "../channels/tcp.ts";
import { Ring } from "../ring/ring.ts";
import { type Address, parseAddress } from "./address.ts";
import { UsageError } from "./failure.ts";
import { type PeerName, securityOfListener, securityTo, usesKeys } from "./keys.ts";
import type { NetworkOptions } from "./options.ts";

const LOOPBACK = new Set(["127.0.0.1", "::1", "localhost"]);

/** Whether an address is this machine's alone. */
export function isLoopback({ host }: Address): boolean {
  return LOOPBACK.has(host);
}

/** @throws UsageError for a network that others can read, unless the caller said that it is safe. */
export function checkPlaintext(address: Address, options: NetworkOptions): void {
  if (isLoopback(address) || options.plaintext || usesKeys(options)) return;
  throw new UsageError(
    `${address.host} is not this machine and the channel is not encrypted: use keys ("mpcformer keys DIR"), or --plaintext inside a tunnel`,
  );
}

export function deadlineMs({ deadline }: Pick<NetworkOptions, "deadline">): number {
  return deadline * 1000;
}

/** @throws UsageError */
function linkOf(options: { readonly link?: string }): Link | undefined {
  if (options.link === undefined) return undefined;
  const [delayMs, megabits] = options.link.split(",").map(Number);
  if (!(delayMs >= 0 && megabits > 0)) throw new UsageError('a link is "one-way milliseconds,Mbit/s"');
  return { delayMs, bytesPerSecond: (megabits * 1e6) / 8 };
}

export async function connect(peer: PeerName, text: string, options: NetworkOptions): Promise<Channel> {
  const address = parseAddress(text);
  checkPlaintext(address, options);
  const link = peer === "server" ? linkOf(options) : undefined;
  const security = await securityTo(peer, options);
  return connectTcp(address.host, address.port, { deadlineMs: deadlineMs(options), peer, link, security });
}

/** The ring of a party, with the threads it was given. */
export function ringOf(options: NetworkOptions): Promise<Ring> {
  return Ring.create({ threads: options.threads ?? 1 });
}

/** Listens; every connection is served on its own, and its failure ends only itself. */
export async function listen(
  text: string,
  peer: "client" | "peer",
  options: NetworkOptions,
  serve: (channel: Channel) => Promise<void>,
  failed: (error: Error) => void,
): Promise<TcpListener> {
  const address = parseAddress(text);
  checkPlaintext(address, options);
  const onChannel = (channel: Channel) => {
    serve(channel).catch((error: unknown) => failed(error instanceof Error ? error : new Error("the session failed")));
  };
  const link = peer === "client" ? linkOf(options) : undefined;
  const security = await securityOfListener(options);
  return listenTcp(address.host, address.port, onChannel, { deadlineMs: deadlineMs(options), peer, link, security });
}
