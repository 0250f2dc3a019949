/** What a channel has given to its wire and the peer has not taken yet. */
import { Countdown } from "./countdown.ts";
import type { Wire } from "./wire.ts";

export interface SendingOptions {
  readonly wire: Wire;
  readonly deadlineMs: number;
  /** The peer took nothing for as long as the deadline. */
  readonly stuck: () => void;
  /** So many bytes have left. */
  readonly left: (bytes: number) => void;
}

export class Sending {
  readonly #options: SendingOptions;
  readonly #waiting = new Set<(reason: Error) => void>();
  #timer: Countdown | null = null;

  constructor(options: SendingOptions) {
    this.#options = options;
  }

  /** Resolves when the parts have left; ends with the channel too: a peer that reads nothing must not keep whoever sends to it. */
  write(parts: readonly Uint8Array[]): Promise<void> {
    const { wire, deadlineMs, stuck, left } = this.#options;
    return new Promise<void>((resolve, reject) => {
      this.#waiting.add(reject);
      // One for all that is being sent: who waits behind another makes progress with it.
      this.#timer ??= new Countdown(deadlineMs, stuck);
      const settle = () => {
        this.#waiting.delete(reject);
        if (this.#waiting.size > 0) return;
        this.#timer?.stop();
        this.#timer = null;
      };
      wire
        .write(parts, (bytes) => {
          left(bytes);
          this.#timer?.touch();
        })
        .then(resolve, reject)
        .finally(settle);
    });
  }

  /** Whoever waits gets `reason`. */
  cut(reason: Error): void {
    for (const reject of this.#waiting) reject(reason);
  }
}
