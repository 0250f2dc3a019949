/**
 * Authenticated encryption over any ordered pipe of messages, for browsers, which cannot pin the certificate of a TLS connection. The
 * handshake is SIGMA-I (Krawczyk, CRYPTO 2003, section 5.2) with the key schedule of TLS 1.3 in small: both sides prove to hold an
 * Ed25519 key, and who listens to the wire sees neither.
 *
 *   opener -> listener   eC                                     X25519, fresh
 *   listener -> opener   eS, seal(kS; pS, sign(pS; "server", h0, pS))    h0 = H(label, eC, eS)
 *   opener -> listener   seal(kC; pC, sign(pC; "client", h1, pC))        h1 = H(h0, second message)
 *
 *   kS, kC = HKDF(eC·eS, salt h0);  records and frames: HKDF(eC·eS, salt h2),  h2 = H(h1, third message)
 *
 * Records are AES-256-GCM with a counter as nonce: one that is altered, lost, repeated or out of order does not open. Fresh eC and eS
 * make every connection's keys its own, also from those who later steal a party's key.
 */

import { x25519 } from "@noble/curves/ed25519.js";
import { expand, extract } from "@noble/hashes/hkdf.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { concatBytes, utf8ToBytes } from "@noble/hashes/utils.js";
import { platform } from "#platform";
import type { Aead } from "../platform/platform.ts";
import type { Counted } from "./accounts.ts";
import { ChannelError, type Identities } from "./channel.ts";
import { fingerprintOfKey, PUBLIC_KEY_BYTES, SIGNATURE_BYTES, type SigningKey, verifies } from "./signing.ts";

/** How one end of a pipe proves who it is, and whom it takes at the other. */
export interface PinnedKeys extends Counted {
  readonly key: SigningKey;
  /** Whether a peer of this fingerprint may go on. */
  readonly trusts: (fingerprint: string) => boolean;
}

/** Whole messages, in order. */
export interface Pipe {
  send(message: Uint8Array): void;
  /** The next one. @throws ChannelError when the peer is gone or silent for too long. */
  next(): Promise<Uint8Array>;
}

/** What a handshake has given. */
export interface Secured {
  readonly sealing: Records;
  readonly opening: Records;
  /** Of frames' tags. */
  readonly key: Uint8Array;
  readonly identities: Identities;
}

const LABEL = utf8ToBytes("mpcformer websocket 1");
const TAG_BYTES = 16;
/** What a record has beside its content. */
export const RECORD_OVERHEAD = TAG_BYTES;
const PROOF_BYTES = PUBLIC_KEY_BYTES + SIGNATURE_BYTES + TAG_BYTES;
/** Beyond as many records a key must not go (NIST SP 800-38D allows 2^32 with a counter). */
const MOST_RECORDS = 2 ** 32;

/** One direction's records. */
class Records {
  private readonly cipher: Aead;
  private count = 0;

  private constructor(cipher: Aead) {
    this.cipher = cipher;
  }

  /** @throws ChannelError where the browser offers no cryptography: on pages that came over http from another machine. */
  static async create(key: Uint8Array, use: "encrypt" | "decrypt"): Promise<Records> {
    try {
      return new Records(await platform.newAead(key, use));
    } catch (cause) {
      throw new ChannelError((cause as Error).message, { cause });
    }
  }

  async seal(content: Uint8Array): Promise<Uint8Array> {
    return this.cipher.seal(this.next(), content);
  }

  /** @throws ChannelError for anything but the peer's next record. */
  async open(record: Uint8Array): Promise<Uint8Array> {
    try {
      return await this.cipher.open(this.next(), record);
    } catch (cause) {
      const why = "a record was altered on its way, or is not of this connection: connect again";
      throw new ChannelError(why, { cause });
    }
  }

  private next(): Uint8Array<ArrayBuffer> {
    if (this.count >= MOST_RECORDS)
      throw new ChannelError("this connection has sent all that its key may: connect again");
    const iv = new Uint8Array(12);
    new DataView(iv.buffer).setUint32(8, this.count++);
    return iv;
  }
}

/** The side that connected. @throws ChannelError when the other is not whom `trusts` takes, or does not speak so. */
export async function secureAsOpener(pipe: Pipe, { key, trusts }: PinnedKeys, peer: string): Promise<Secured> {
  const ephemeral = x25519.keygen();
  pipe.send(ephemeral.publicKey);
  const answer = await pipe.next();
  if (answer.length !== PUBLIC_KEY_BYTES + PROOF_BYTES) throw foreign(peer);
  const theirs = answer.slice(0, PUBLIC_KEY_BYTES);
  const h0 = sha256(concatBytes(LABEL, ephemeral.publicKey, theirs));
  const shared = agreed(ephemeral.secretKey, theirs, peer);
  const found = await proven(answer.subarray(PUBLIC_KEY_BYTES), shared, h0, "server", h0, peer);
  if (!trusts(found))
    throw new ChannelError(`the ${peer} has the key ${found}, which is not the one expected: check with its owner`);
  const h1 = sha256(concatBytes(h0, answer));
  const proof = await proofOf(key, shared, h0, "client", h1);
  pipe.send(proof);
  const identities = { own: key.fingerprint, peer: found };
  return secured(shared, sha256(concatBytes(h1, proof)), "client", identities);
}

/** The side that listened; whether it trusts the other is the caller's to ask. @throws ChannelError when the other does not speak so. */
export async function secureAsListener(pipe: Pipe, key: SigningKey, peer: string): Promise<Secured> {
  const theirs = await pipe.next();
  if (theirs.length !== PUBLIC_KEY_BYTES) throw foreign(peer);
  const ephemeral = x25519.keygen();
  const h0 = sha256(concatBytes(LABEL, theirs, ephemeral.publicKey));
  const shared = agreed(ephemeral.secretKey, theirs, peer);
  const answer = concatBytes(ephemeral.publicKey, await proofOf(key, shared, h0, "server", h0));
  pipe.send(answer);
  const h1 = sha256(concatBytes(h0, answer));
  const proof = await pipe.next();
  const found = await proven(proof, shared, h0, "client", h1, peer);
  const identities = { own: key.fingerprint, peer: found };
  return secured(shared, sha256(concatBytes(h1, proof)), "server", identities);
}

type Role = "server" | "client";

/** X25519 refuses points of small order, whose secret anybody knows. */
function agreed(secret: Uint8Array, theirs: Uint8Array, peer: string): Uint8Array {
  try {
    return x25519.getSharedSecret(secret, theirs);
  } catch (cause) {
    throw foreign(peer, { cause });
  }
}

function derived(shared: Uint8Array, salt: Uint8Array, purpose: string, bytes = 32): Uint8Array {
  return expand(sha256, extract(sha256, shared, salt), utf8ToBytes(purpose), bytes);
}

/** What both have after the last message, seen from one end. */
async function secured(shared: Uint8Array, h2: Uint8Array, own: Role, identities: Identities): Promise<Secured> {
  const recordsOf = (role: Role, use: "encrypt" | "decrypt") =>
    Records.create(derived(shared, h2, `${role} records`), use);
  return {
    sealing: await recordsOf(own, "encrypt"),
    opening: await recordsOf(own === "client" ? "server" : "client", "decrypt"),
    key: derived(shared, h2, "frames", 16),
    identities,
  };
}

function statement(role: Role, transcript: Uint8Array, publicKey: Uint8Array): Uint8Array {
  return concatBytes(LABEL, utf8ToBytes(` ${role} `), transcript, publicKey);
}

/** Key and signature, sealed under the handshake's key of this role. */
async function proofOf(
  key: SigningKey,
  shared: Uint8Array,
  h0: Uint8Array,
  role: Role,
  transcript: Uint8Array,
): Promise<Uint8Array> {
  const records = await Records.create(derived(shared, h0, `${role} proof`), "encrypt");
  return records.seal(concatBytes(key.publicKey, key.sign(statement(role, transcript, key.publicKey))));
}

/** The fingerprint of who made the proof. @throws ChannelError for what is none. */
async function proven(
  proof: Uint8Array,
  shared: Uint8Array,
  h0: Uint8Array,
  role: Role,
  transcript: Uint8Array,
  peer: string,
): Promise<string> {
  if (proof.length !== PROOF_BYTES) throw foreign(peer);
  const records = await Records.create(derived(shared, h0, `${role} proof`), "decrypt");
  const content = await records.open(proof);
  const publicKey = content.slice(0, PUBLIC_KEY_BYTES);
  if (!verifies(content.slice(PUBLIC_KEY_BYTES), statement(role, transcript, publicKey), publicKey))
    throw foreign(peer);
  return fingerprintOfKey(publicKey);
}

function foreign(peer: string, options?: ErrorOptions): ChannelError {
  return new ChannelError(
    `the ${peer} does not speak as this release does: are both the same, and is the address right?`,
    options,
  );
}
