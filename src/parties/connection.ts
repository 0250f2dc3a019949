/** A client's connections: its calls run one after the other, and one that breaks off ends them. */
import type { Channel } from "../channels/channel.ts";
import { brokenOff, notBegun, unlessAborted } from "./abort.ts";
import { CallQueue } from "./call-queue.ts";
import { PartyError } from "./messages.ts";

/** What every call takes. */
export interface CallOptions {
  /**
   * Gives the call up, with an AbortError. One that waits was never sent; one that runs ends the connection, and what material it had is
   * burnt.
   */
  readonly signal?: AbortSignal;
}

export class Connection {
  /** Channels that stay open between calls; the first is the one that a call may not lose. */
  private readonly channels: readonly Channel[];
  /** Channels of the call at work alone. */
  private readonly passing = new Set<Channel>();
  private readonly queue = new CallQueue();
  private failure: Error | null = null;
  private closing: Promise<void> | null = null;

  constructor(...channels: readonly Channel[]) {
    this.channels = channels;
  }

  /** Whether it has ended: a new client is needed. */
  get closed(): boolean {
    return this.closing !== null || this.channels.some((channel) => channel.closed);
  }

  /**
   * Runs `work` when all calls before have ended. A call that breaks off leaves both ends at different places: the connection ends
   * with it.
   * @throws what broke it; PartyError when the connection has ended before; AbortError
   */
  async call<T>(work: () => Promise<T>, { signal }: CallOptions = {}): Promise<T> {
    if (this.closing !== null) throw new PartyError("this client was closed: connect again");
    const done = await this.queue.turn(signal);
    if (signal?.aborted) {
      done();
      throw notBegun(signal);
    }
    const running = this.whole(work);
    running.then(done, done);
    return unlessAborted(running, signal, (given) => this.end(brokenOff(given)));
  }

  /** A channel that the call at work opens beside; it ends with the connection. The result gives it up. */
  beside(channel: Channel): () => void {
    this.passing.add(channel);
    return () => {
      this.passing.delete(channel);
      channel.close();
    };
  }

  /** Ends everything at once: whoever waits for a peer gets `reason`. */
  end<E extends Error>(reason: E): E {
    this.failure ??= reason;
    for (const channel of [...this.channels, ...this.passing]) channel.close(reason);
    return reason;
  }

  /** Lets the calls end that were asked for, says goodbye and closes; `last` runs behind all. The same promise every time. */
  close(last: () => Promise<void> = async () => {}): Promise<void> {
    this.closing ??= this.goodbye().finally(last);
    return this.closing;
  }

  private async goodbye(): Promise<void> {
    await this.queue.idle();
    for (const channel of this.channels) {
      await channel.sendJson(0, { bye: true }).catch(() => {});
      channel.close();
    }
  }

  private async whole<T>(work: () => Promise<T>): Promise<T> {
    if (this.failure !== null) throw endedBefore(this.failure);
    try {
      return await work();
    } catch (error) {
      this.end(error instanceof Error ? error : new Error(String(error)));
      throw error;
    }
  }
}

/** What a call is told whose connection ended with another one. */
function endedBefore(failure: Error): PartyError {
  const peersWords = "peersWords" in failure && failure.peersWords === true;
  return new PartyError(`this connection has ended, connect again: ${failure.message}`, { cause: failure, peersWords });
}
