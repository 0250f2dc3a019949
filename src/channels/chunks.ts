/** Bytes that came over a wire and are not read yet, in the chunks that they came in. */
export class Chunks {
  #pending: Uint8Array[] = [];
  /** Chunks at the front of `#pending` that are read already: taking them off one by one would cost their number's square. */
  #taken = 0;

  get isEmpty(): boolean {
    return this.#taken === this.#pending.length;
  }

  push(chunk: Uint8Array): void {
    this.#pending.push(chunk);
  }

  clear(): void {
    this.#pending = [];
    this.#taken = 0;
  }

  /** Copies into `target` from `at` on, as far as there are bytes; returns how many. */
  take(target: Uint8Array, at: number): number {
    let copied = 0;
    while (at + copied < target.length && this.#taken < this.#pending.length) {
      const chunk = this.#pending[this.#taken];
      const count = Math.min(chunk.length, target.length - at - copied);
      target.set(chunk.subarray(0, count), at + copied);
      copied += count;
      if (count < chunk.length) this.#pending[this.#taken] = chunk.subarray(count);
      else this.#taken++;
    }
    if (2 * this.#taken >= this.#pending.length) {
      this.#pending = this.#pending.slice(this.#taken);
      this.#taken = 0;
    }
    return copied;
  }
}
