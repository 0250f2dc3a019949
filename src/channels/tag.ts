/**
 * Tags of frames: GMAC (AES-128-GCM without a plaintext, NIST SP 800-38D) over the tag before, the header and the payload. A
 * tag thus covers everything its direction has sent so far: the last one before an answer is the whole transcript.
 *
 * Over TLS the key is exported from the connection (RFC 8446, section 7.5), so that frames belong to it. Without TLS it is a
 * constant, and tags find accidents only. About 7 GB/s in Node.js, 0.1 GB/s in browsers (measured).
 */
import { platform } from "#platform";

export const TAG_BYTES = 16;
const IV_BYTES = 12;

/** Which end of a connection sends: the one that opened it, or the one that listened. */
export type Side = "opener" | "listener";

/** One direction's tags, in the order of its frames. */
export class FrameTags {
  private readonly key: Uint8Array;
  private readonly iv = new Uint8Array(IV_BYTES);
  private last: Uint8Array = new Uint8Array(TAG_BYTES);
  private sequence = 0;

  /** `from`: who sends these frames. */
  constructor(key: Uint8Array, from: Side) {
    this.key = key;
    this.iv[0] = from === "opener" ? 1 : 2;
  }

  /** The next frame's tag. */
  next(parts: readonly Uint8Array[]): Uint8Array {
    new DataView(this.iv.buffer).setUint32(IV_BYTES - 4, this.sequence++, true);
    this.last = platform.gmac(this.key, this.iv, [this.last, ...parts]);
    return this.last;
  }
}

/** Of connections that nobody protects: tags under it find accidents, not enemies. */
export const NO_KEY = new Uint8Array(16);
