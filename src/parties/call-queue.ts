/** One connection's calls, one after the other: a protocol has room for one at a time. */
import { notBegun, unlessAborted } from "./abort.ts";

export class CallQueue {
  #last: Promise<void> = Promise.resolve();

  /**
   * Waits until all calls before have ended; the result ends this one.
   * @throws AbortError as soon as the signal is aborted; the place in the queue is given up with it.
   */
  async turn(signal?: AbortSignal): Promise<() => void> {
    if (signal?.aborted) throw notBegun(signal);
    const before = this.#last;
    let end = () => {};
    const ended = new Promise<void>((resolve) => {
      end = resolve;
    });
    this.#last = before.then(() => ended);
    try {
      await unlessAborted(before, signal, notBegun);
      return end;
    } catch (error) {
      end();
      throw error;
    }
  }

  /** Resolves when every call that was asked for by now has ended. */
  idle(): Promise<void> {
    return this.#last;
  }
}
