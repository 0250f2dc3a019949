/**
 * A least rate of progress: how long a peer may keep a run waiting in all. Silence has a deadline of its own (channel.ts); this one is
 * for who sends or takes a little again and again, and so would keep a place, and what the run holds in memory, for ever.
 */
import { type Channel, ChannelError } from "../channels/channel.ts";

/** For what a peer computes, and for the way there and back, in all messages of one run. */
const GRACE_MS = 60_000;
/** A slow telephone line has more. */
const LEAST_BYTES_PER_SECOND = 32 * 1024;
/** For a conversation whose user thinks: in all, and for each word that says so (conversation.ts sends one every 15 s). */
const PAUSES_MS = 600_000;
const PAUSE_MS = 25_000;

export class Patience {
  private readonly channel: Channel;
  private readonly graceMs: number;
  private readonly movedBefore: number;
  private readonly pausesMs: number;
  /** Of waits that are over. */
  private waited = 0;
  /** Of pauses that were asked for. */
  private paused = 0;

  /** Begins to count what crosses the channel. */
  constructor(channel: Channel, graceMs = GRACE_MS, pausesMs = PAUSES_MS) {
    this.channel = channel;
    this.graceMs = graceMs;
    this.pausesMs = pausesMs;
    this.movedBefore = channel.moved;
  }

  /** Awaits what depends on the peer. Ends the channel, and so the wait, when it takes too long. */
  async during<T>(wait: Promise<T>): Promise<T> {
    const since = performance.now();
    let timer: ReturnType<typeof setTimeout>;
    const look = () => {
      const left = this.allowedMs - this.waited - (performance.now() - since);
      if (left > 0) timer = setTimeout(look, Math.ceil(left));
      else this.channel.close(new ChannelError(`the ${this.channel.peer} is too slow: others need its place`));
    };
    timer = setTimeout(look, Math.max(0, this.allowedMs - this.waited));
    try {
      return await wait;
    } finally {
      clearTimeout(timer);
      this.waited += performance.now() - since;
    }
  }

  /** The peer asks for time to think: it gets a little, as long as there is some. */
  pause(): void {
    this.paused = Math.min(this.paused + PAUSE_MS, this.pausesMs);
  }

  private get allowedMs(): number {
    return this.graceMs + this.paused + (1000 * (this.channel.moved - this.movedBefore)) / LEAST_BYTES_PER_SECOND;
  }
}
