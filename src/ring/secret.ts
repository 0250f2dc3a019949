/** Key material that lives longer than the line that made it. */

const inspect = Symbol.for("nodejs.util.inspect.custom");

/** Bytes of a key or a seed. Whatever prints it, or turns it into JSON, sees its length, never its contents. */
export class Secret {
  readonly #bytes: Uint8Array;

  /** Copies the bytes: nobody else changes them. */
  constructor(bytes: Uint8Array) {
    // Not slice(): a Buffer's shares its memory.
    this.#bytes = Uint8Array.from(bytes);
  }

  /** The bytes themselves, for a cipher, a hash, this party's own disk, or the peer who must have them. Not to be kept. */
  expose(): Uint8Array {
    return this.#bytes;
  }

  toString(): string {
    return `Secret(${this.#bytes.length})`;
  }

  toJSON(): string {
    return this.toString();
  }

  [inspect](): string {
    return this.toString();
  }
}
