/**
 * Who a party is: an Ed25519 key in a self-signed certificate, named by the SHA-256 of its public key (as in RFC 7858's and
 * RFC 7469's pins). No authority signs it; peers know each other by fingerprint.
 *
 * The certificate is written here, forty lines of DER (RFC 5280, RFC 8410), because the packages that write them bring two
 * dozen others; reading and checking certificates is OpenSSL's.
 */
import {
  createHash,
  createPrivateKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
  X509Certificate,
} from "node:crypto";
import { SigningKey } from "./signing.ts";

/** A key and its certificate, as PEM. Prints its fingerprint alone. */
export class Identity {
  readonly #key: string;
  readonly certificate: string;
  /** 64 hexadecimal digits. */
  readonly fingerprint: string;

  /** @throws Error when the key is not the certificate's. */
  constructor(key: string, certificate: string) {
    const parsed = new X509Certificate(certificate);
    if (!parsed.checkPrivateKey(createPrivateKey(key))) throw new Error("the key is not the certificate's");
    this.#key = key;
    this.certificate = certificate;
    this.fingerprint = fingerprintOf(parsed);
  }

  /** A fresh one, of the operating system's generator. */
  static create(): Identity {
    const { privateKey, publicKey } = generateKeyPairSync("ed25519");
    const key = privateKey.export({ type: "pkcs8", format: "pem" }) as string;
    return new Identity(key, selfSigned(privateKey, publicKey));
  }

  /** The same key, for WebSocket channels. */
  signingKey(): SigningKey {
    const { d } = createPrivateKey(this.#key).export({ format: "jwk" });
    return new SigningKey(Buffer.from(d!, "base64url"));
  }

  /** For TLS and for a file that only its owner reads. */
  secretKey(): string {
    return this.#key;
  }

  toJSON(): string {
    return this.fingerprint;
  }
}

/** SHA-256 of a certificate's public key. */
export function fingerprintOf(certificate: X509Certificate): string {
  const key = certificate.publicKey.export({ type: "spki", format: "der" });
  return createHash("sha256").update(key).digest("hex");
}

const ED25519 = Uint8Array.of(0x06, 3, 0x2b, 0x65, 0x70);
const COMMON_NAME = Uint8Array.of(0x06, 3, 0x55, 0x04, 0x03);

function der(tag: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const content = Buffer.concat(parts);
  const { length } = content;
  const head = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Uint8Array.of(tag, ...head), content]);
}

const sequence = (...parts: readonly Uint8Array[]) => der(0x30, ...parts);
const text = (tag: number, words: string) => der(tag, Buffer.from(words));

function selfSigned(key: KeyObject, publicKey: KeyObject): string {
  const version = der(0xa0, der(0x02, Uint8Array.of(2)));
  const serial = der(0x02, Uint8Array.of(1, ...randomBytes(15)));
  const name = sequence(der(0x31, sequence(COMMON_NAME, text(0x0c, "mpcformer"))));
  // No end: a key is withdrawn by no longer trusting its fingerprint (RFC 5280, section 4.1.2.5).
  const validity = sequence(text(0x17, "200101000000Z"), text(0x18, "99991231235959Z"));
  const spki = publicKey.export({ type: "spki", format: "der" });
  const body = sequence(version, serial, sequence(ED25519), name, validity, name, spki);
  const signature = der(0x03, Uint8Array.of(0), sign(null, body, key));
  const base64 = Buffer.from(sequence(body, sequence(ED25519), signature)).toString("base64");
  return `-----BEGIN CERTIFICATE-----\n${base64.replace(/.{64}/g, "$&\n")}\n-----END CERTIFICATE-----\n`;
}
