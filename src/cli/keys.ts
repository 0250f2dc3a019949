/** A party's key, and whom it trusts. */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Identity } from "../channels/identity.ts";
import type { PinnedKeys } from "../channels/secure.ts";
import type { Security } from "../channels/tcp.ts";
import { readTextFile } from "../files/text.ts";
import { Failure, UsageError } from "./failure.ts";

const KEY_FILE = "key.pem";
const CERTIFICATE_FILE = "certificate.pem";
const FINGERPRINT = /^[0-9a-f]{64}$/;

/** Makes a key in a folder that has none, and tells its fingerprint. @throws UsageError */
export async function madeIn(folder: string): Promise<string> {
  const identity = Identity.create();
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    // The key first, and never over another one: who comes second must not give it a certificate that is not its own.
    await writeFile(join(folder, KEY_FILE), identity.secretKey(), { mode: 0o600, flag: "wx" });
    await writeFile(join(folder, CERTIFICATE_FILE), identity.certificate);
  } catch (cause) {
    throw new Failure(`cannot write keys to ${folder}: give a folder of your own`, { cause });
  }
  return identity.fingerprint;
}

/** @throws UsageError when there is none. */
async function identityOf(folder: string): Promise<Identity> {
  const identity = await readIdentity(folder);
  if (identity === null) throw new Failure(`no key in ${folder}: make one with "mpcformer keys ${folder}"`);
  return identity;
}

/** The key of a folder; null without one. @throws UsageError for one that is not readable. */
export async function readIdentity(folder: string): Promise<Identity | null> {
  let key: string;
  let certificate: string;
  try {
    key = await readFile(join(folder, KEY_FILE), "utf8");
    certificate = await readFile(join(folder, CERTIFICATE_FILE), "utf8");
  } catch {
    return null;
  }
  try {
    return new Identity(key, certificate);
  } catch (cause) {
    const why = `the key in ${folder} is not readable: make another folder with "mpcformer keys DIR"`;
    throw new Failure(why, { cause });
  }
}

/** @throws UsageError */
export function fingerprint(text: string, option: string): string {
  const plain = text.toLowerCase().replace(/:/g, "");
  if (!FINGERPRINT.test(plain))
    throw new UsageError(`${option} takes a key's fingerprint, 64 hexadecimal digits: "mpcformer keys DIR" prints it`);
  return plain;
}

/** The fingerprints of a file, one a line; what follows on the line is for people. @throws UsageError */
async function fingerprintsOf(path: string, option: string): Promise<Set<string>> {
  const text = await readTextFile(path, `${option} takes a file with a fingerprint on each line`);
  const lines = text.split("\n").map((line) => line.replace(/#.*/, "").trim());
  return new Set(lines.filter((line) => line !== "").map((line) => fingerprint(line.split(/\s+/)[0], option)));
}

/** How the commands say whom they are and whom they trust. */
export interface KeyOptions {
  /** Folder of this party's own key. */
  readonly key?: string;
  readonly serverKey?: string;
  readonly dealerKey?: string;
  readonly helperKey?: string;
  /** File of those who may connect; everybody with a key if absent. */
  readonly peers?: string;
  /** By what a listener counts its peers. */
  readonly countBy?: "key" | "address";
}

/** Whether anything about keys was said: then every channel of the process is TLS. */
export function usesKeys(options: KeyOptions): boolean {
  return [options.key, options.serverKey, options.dealerKey, options.helperKey, options.peers].some(
    (x) => x !== undefined,
  );
}

/** Whom a command may connect to. */
export type PeerName = "server" | "dealer" | "helper";

const loaded = new Map<KeyOptions, Promise<Identity>>();

/** One identity for all connections of a command; a client without a folder has one for this process alone. */
function ownIdentity(options: KeyOptions): Promise<Identity> {
  let known = loaded.get(options);
  if (known === undefined) {
    known = options.key === undefined ? Promise.resolve(Identity.create()) : identityOf(options.key);
    loaded.set(options, known);
  }
  return known;
}

/** Of a party's own key, as its profile names it; undefined where its channels are plain. */
export async function ownFingerprint(options: KeyOptions): Promise<string | undefined> {
  return usesKeys(options) ? (await ownIdentity(options)).fingerprint : undefined;
}

/** For a connection to one peer; undefined: plain TCP. @throws UsageError when that peer's key is not given. */
export async function securityTo(peer: PeerName, options: KeyOptions): Promise<Security | undefined> {
  if (!usesKeys(options)) return undefined;
  const [given, option] = [options[`${peer}Key`], `--${peer}-key`];
  if (given === undefined) throw new UsageError(`with keys the ${peer}'s is needed too: give ${option} FINGERPRINT`);
  const expected = fingerprint(given, option);
  return { identity: await ownIdentity(options), trusts: (one) => one === expected };
}

/** For a listener. @throws UsageError without a key of its own. */
export async function securityOfListener(options: KeyOptions): Promise<Security | undefined> {
  if (!usesKeys(options)) return undefined;
  if (options.key === undefined) throw new UsageError("a listener needs a key of its own: give --key DIR");
  const list = options.peers === undefined ? null : await fingerprintsOf(options.peers, "--peers");
  const trusts = (one: string) => list === null || list.has(one);
  const listed = options.countBy === undefined ? list !== null : options.countBy === "key";
  return { identity: await ownIdentity(options), trusts, listed };
}

/** Who is in a file of fingerprints, given with an option. @throws UsageError without a key of one's own, or for what is no such file */
export async function inFile(path: string, option: string, options: KeyOptions): Promise<(one: string) => boolean> {
  if (options.key === undefined) throw new UsageError(`${option} tells peers by their keys: give --key DIR`);
  const list = await fingerprintsOf(path, option);
  return (one) => list.has(one);
}

/** The same for browsers, which are never served without keys. @throws UsageError */
export async function pinnedForBrowsers(options: KeyOptions): Promise<PinnedKeys> {
  const security = await securityOfListener(options);
  if (security === undefined) throw new UsageError("browsers need to know this party by its key: give --key DIR");
  return { key: security.identity.signingKey(), trusts: security.trusts, listed: security.listed };
}
