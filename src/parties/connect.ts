/** From two addresses to a client: what Node's and browsers' `connect` share. */
import * as v from "valibot";
import type { Channel } from "../channels/channel.ts";
import { Ring } from "../ring/ring.ts";
import { callable, checkArguments, mustBe } from "./arguments.ts";
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
  /** With the id of the model that it must serve; any where none is named. */
  readonly server: PinnedAddress & Pick<ServerAddress, "model">;
  readonly dealer: PinnedAddress;
  /** Whom the person may let compute; none where nobody offers it. */
  readonly helper?: PinnedAddress;
}

/** The version of a profile's form (profile.ts), whose fields are options of `connect`. */
export const PROFILE_VERSION = 1;

export interface ConnectOptions extends Omit<ClientOptions, "connectDealer" | "model"> {
  /** Where the options are a service's profile. */
  readonly mpcformer?: typeof PROFILE_VERSION;
  readonly server: ServerAddress;
  readonly dealer: PartyAddress;
  /** Milliseconds after which a silent party is given up; a minute unless given. */
  readonly deadlineMs?: number;
}

/** Opens a channel to one party. */
export type Dial = (address: PartyAddress, peer: "server" | "dealer", deadlineMs: number) => Promise<Channel>;

/** The schemes of addresses that one kind of `connect` takes. */
export type Scheme = "tcp:" | "ws:" | "wss:";

/**
 * A client of its own ring. `schemes`: those that `dial` speaks.
 * @throws TypeError that says what is wrong with the options; ChannelError, PartyError of one line.
 */
export async function connectBy(dial: Dial, schemes: readonly Scheme[], given: ConnectOptions): Promise<Client> {
  checkArguments(optionsOf(schemes), given, "connect");
  const { server, dealer, deadlineMs = 60_000, mpcformer: _version, ...options } = given;
  if ((server.key === undefined) !== (dealer.key === undefined))
    throw new TypeError("connect: one party's key is named and the other's is not: name both keys, or neither");
  const connectDealer = () => dial(dealer, "dealer", deadlineMs);
  return Client.connect(await Ring.create(), await dial(server, "server", deadlineMs), {
    ...options,
    model: server.model,
    connectDealer,
  });
}

const HEX = /^[0-9a-f]{64}$/;

/** What a service's profile and the options of `connect` have in common. */
export function addressFields(schemes: readonly Scheme[]) {
  const example = `${schemes[0]}//127.0.0.1:7700`;
  const anAddress = mustBe(`an address with a port (${schemes.join(", ")}), such as ${example}`);
  const address = {
    url: v.pipe(
      v.string(anAddress),
      v.check((url) => isAddress(url, schemes), anAddress),
    ),
    key: v.optional(hexadecimal("a key's fingerprint")),
  };
  return {
    mpcformer: v.literal(PROFILE_VERSION, mustBe(`${PROFILE_VERSION}: another release wrote this profile`)),
    server: v.pipe(v.strictObject({ ...address, model: v.optional(hexadecimal("a model's id")) }), keyedIfWeb),
    dealer: v.pipe(v.strictObject(address), keyedIfWeb),
    lengths,
  };
}

const order = mustBe("padded lengths: whole numbers from 1, the smallest first");
const lengths = v.optional(
  v.pipe(
    v.array(v.pipe(v.number(order), v.integer(order), v.minValue(1, order)), order),
    v.check((all) => all.length > 0 && all.every((n, i) => i === 0 || n > all[i - 1]), order),
  ),
);

function optionsOf(schemes: readonly Scheme[]) {
  const ms = mustBe("a number of milliseconds");
  const { mpcformer, ...addresses } = addressFields(schemes);
  return v.strictObject({
    ...addresses,
    mpcformer: v.optional(mpcformer),
    deadlineMs: v.optional(v.pipe(v.number(ms), v.finite(ms), v.minValue(1, ms))),
    own: v.optional(v.custom<object>(isObject, mustBe("this client's key"))),
    store: v.optional(v.custom<object>(isObject, mustBe("a store of material"))),
    progress: callable,
    witness: callable,
    compile: callable,
    toldDealer: callable,
    whole: v.optional(v.boolean(mustBe("true or false"))),
  });
}

function hexadecimal(what: string) {
  const digits = mustBe(`${what}, as its operator tells it: 64 hexadecimal digits`);
  return v.pipe(v.string(digits), v.regex(HEX, digits));
}

/** Browsers' channels have an encryption of their own, to a key that is known: there is none without. */
const keyedIfWeb = v.check(
  ({ url, key }: PartyAddress) => key !== undefined || url.startsWith("tcp:"),
  mustBe("named with its key: over WebSocket give { url, key }"),
);

function isObject(given: unknown): given is object {
  return typeof given === "object" && given !== null;
}

function isAddress(url: string, schemes: readonly Scheme[]): boolean {
  if (!URL.canParse(url)) return false;
  const { protocol, hostname, port } = new URL(url);
  return schemes.some((scheme) => scheme === protocol) && hostname !== "" && (protocol !== "tcp:" || port !== "");
}
