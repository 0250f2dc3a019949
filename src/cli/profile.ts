/** Service profiles as commands take and write them. */
import { writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { type Command, Option } from "commander";
import { readTextFile } from "../files/text.ts";
import { type PartyAddress, PROFILE_VERSION } from "../parties/connect.ts";
import { readProfile, type ServiceProfile, writtenProfile } from "../parties/profile.ts";
import { type Address, parseAddress, shownAddress } from "./address.ts";
import { Failure, UsageError } from "./failure.ts";
import { fingerprint, type KeyOptions, ownFingerprint } from "./keys.ts";

/** The environment's name for a client's profile. */
const VARIABLE = "MPCFORMER_SERVICE";
const WHOLE_HOST = new Set(["0.0.0.0", "::"]);

/**
 * `--service FILE` of a command that asks a server, or a dealer alone: what the file says stands for the options that are not given.
 * Clients find it by MPCFORMER_SERVICE too.
 */
export function takesProfile(command: Command, asks: "server" | "dealer"): Command {
  const option =
    asks === "server"
      ? new Option("--service <file>", "the service's profile: its addresses, keys and model").env(VARIABLE)
      : new Option("--service <file>", "the dealer's profile (deal --profile): its address and key");
  return command.addOption(option).hook("preAction", async (_program, given) => {
    const path = given.opts<{ service?: string }>().service;
    if (path === undefined) return;
    const found = await profileIn(path);
    if (asks === "server" && found.server === undefined)
      throw new UsageError(`${path} is a dealer's profile: give the server's (serve --profile FILE writes it)`);
    for (const [name, value] of Object.entries(optionsOf(found, asks, path))) {
      const source = given.getOptionValueSource(name);
      if (value !== undefined && (source === undefined || source === "default"))
        given.setOptionValueWithSource(name, value, "config");
    }
  });
}

async function profileIn(path: string): Promise<ServiceProfile> {
  return readProfile(await readTextFile(path, "give the path of a service's profile (serve --profile FILE)"), path);
}

function optionsOf({ server, dealer, lengths }: ServiceProfile, asks: "server" | "dealer", path: string) {
  const ofDealer = { dealer: addressOf(dealer, path), dealerKey: dealer.key };
  if (asks === "dealer" || server === undefined) return ofDealer;
  const { key: serverKey, model } = server;
  return { ...ofDealer, server: addressOf(server, path), serverKey, model, profileLengths: lengths };
}

/** As options have it. @throws Failure for one that is for browsers. */
function addressOf({ url }: PartyAddress, path: string): string {
  const { protocol, host } = new URL(url);
  if (protocol === "tcp:") return host;
  throw new Failure(`${path} has addresses for browsers: commands take tcp: alone`);
}

/** How others reach a service that listens at `own`. */
export async function publicAddress(
  options: KeyOptions & { readonly public?: string },
  own: Address,
): Promise<PartyAddress> {
  const given = options.public === undefined ? own : parseAddress(options.public);
  const host = WHOLE_HOST.has(given.host) ? hostname() : given.host;
  const key = await ownFingerprint(options);
  return { url: `tcp://${shownAddress({ host, port: given.port })}`, ...(key === undefined ? {} : { key }) };
}

/** The dealer, as a server knows it. */
export function dealerAddress(given: { readonly dealer: string; readonly dealerKey?: string }): PartyAddress {
  const { dealer, dealerKey } = given;
  const key = dealerKey === undefined ? {} : { key: fingerprint(dealerKey, "--dealer-key") };
  return { url: `tcp://${shownAddress(parseAddress(dealer))}`, ...key };
}

export function profileOf(parts: Omit<ServiceProfile, "mpcformer">): ServiceProfile {
  return { mpcformer: PROFILE_VERSION, ...parts };
}

/** @throws Failure where the file cannot be written. */
export async function writeProfile(path: string, profile: ServiceProfile): Promise<void> {
  try {
    await writeFile(path, writtenProfile(profile));
  } catch (cause) {
    throw new Failure(`cannot write ${path}: give --profile a file of your own`, { cause });
  }
}
