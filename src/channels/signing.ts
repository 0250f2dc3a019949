/**
 * An Ed25519 key (RFC 8032) that signs wherever JavaScript runs. Its name is the SHA-256 of its public key, as in certificates: a party
 * has one fingerprint over TLS and over WebSocket.
 */
import { ed25519 } from "@noble/curves/ed25519.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex, concatBytes } from "@noble/hashes/utils.js";

export const PUBLIC_KEY_BYTES = 32;
export const SIGNATURE_BYTES = 64;
/** What comes before the key's 32 bytes in a SubjectPublicKeyInfo (RFC 8410, section 4). */
const SPKI_HEAD = Uint8Array.of(0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00);

const inspect = Symbol.for("nodejs.util.inspect.custom");

/** Prints its fingerprint alone. */
export class SigningKey {
  readonly #seed: Uint8Array;
  readonly publicKey: Uint8Array;
  /** 64 hexadecimal digits. */
  readonly fingerprint: string;

  /** @throws Error unless the seed has 32 bytes. */
  constructor(seed: Uint8Array) {
    this.#seed = seed.slice();
    this.publicKey = ed25519.getPublicKey(this.#seed);
    this.fingerprint = fingerprintOfKey(this.publicKey);
  }

  /** A fresh one, of the operating system's generator. */
  static create(): SigningKey {
    return new SigningKey(crypto.getRandomValues(new Uint8Array(32)));
  }

  sign(message: Uint8Array): Uint8Array {
    return ed25519.sign(message, this.#seed);
  }

  /** For a store that only its owner reads. */
  secretSeed(): Uint8Array {
    return this.#seed.slice();
  }

  toString(): string {
    return this.fingerprint;
  }

  toJSON(): string {
    return this.fingerprint;
  }

  [inspect](): string {
    return this.fingerprint;
  }
}

/** Of a public key's 32 bytes. */
export function fingerprintOfKey(publicKey: Uint8Array): string {
  return bytesToHex(sha256(concatBytes(SPKI_HEAD, publicKey)));
}

/** False also for what is no key or no signature. */
export function verifies(signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array): boolean {
  try {
    // Not ZIP 215: RFC 8032's strict rules, under which a signature has one key.
    return ed25519.verify(signature, message, publicKey, { zip215: false });
  } catch {
    return false;
  }
}
