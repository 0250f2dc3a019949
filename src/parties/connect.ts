/** From two addresses to a client: what Node's and browsers' `connect` share. */
import type { Channel } from "../channels/channel.ts";
import { Ring } from "../ring/ring.ts";
import { Client, type ClientOptions } from "./client.ts";

/** Where a party is, and the fingerprint of the key that it must have. */
export interface PartyAddress {
  readonly url: string;
  readonly key?: string;
}

/** A server, and the id of the model that it must serve. */
export interface ServerAddress extends PartyAddress {
  readonly model?: string;
}

/** A party that whoever has another key is refused as. */
export type PinnedAddress = Required<PartyAddress>;

/** Whom a page speaks to, as it ships with it; an address may be a path at the page's own host. */
export interface PinnedParties {
  readonly server: PinnedAddress;
  readonly dealer: PinnedAddress;
  /** Whom the person may let compute; none where nobody offers it. */
  readonly helper?: PinnedAddress;
}

export interface ConnectOptions extends Omit<ClientOptions, "connectDealer" | "model"> {
  readonly server: ServerAddress;
  readonly dealer: PartyAddress;
  /** Milliseconds after which a silent party is given up; a minute unless given. */
  readonly deadlineMs?: number;
}

/** Opens a channel to one party. */
export type Dial = (address: PartyAddress, peer: "server" | "dealer", deadlineMs: number) => Promise<Channel>;

/** A client of its own ring. @throws ChannelError, PartyError of one line. */
export async function connectBy(dial: Dial, { server, dealer, deadlineMs = 60_000, ...options }: ConnectOptions) {
  const connectDealer = () => dial(dealer, "dealer", deadlineMs);
  return Client.connect(await Ring.create(), await dial(server, "server", deadlineMs), {
    ...options,
    model: server.model,
    connectDealer,
  });
}
