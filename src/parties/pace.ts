/** How a run shares its process with others: it computes in its account's turns, and holds nothing while it waits for its peer. */
import type { Place } from "../admission/admission.ts";
import type { Processor } from "../admission/processor.ts";
import { breathe, type Pace } from "./engine.ts";
import type { Patience } from "./patience.ts";

/** Computing goes on for so long before others are asked for. */
const SLICE_MS = 10;

export class SharedPace implements Pace {
  private readonly processor: Processor;
  private readonly account: string;
  private readonly place: Place;
  private readonly patience: Patience;
  /** When the turn began; null outside of one. */
  private since: number | null = null;

  private constructor(processor: Processor, account: string, place: Place, patience: Patience) {
    this.processor = processor;
    this.account = account;
    this.place = place;
    this.patience = patience;
  }

  /** Runs `work`, which computes from its beginning to its end but where it says otherwise. */
  static async during<T>(
    { processor, account, place, patience }: Shared,
    work: (pace: SharedPace) => Promise<T>,
  ): Promise<T> {
    const pace = new SharedPace(processor, account, place, patience);
    place.resume();
    await pace.take();
    try {
      return await work(pace);
    } finally {
      pace.give();
    }
  }

  away<T>(wait: Promise<T>): Promise<T> {
    return this.aside(this.patience.during(wait));
  }

  async aside<T>(wait: Promise<T>): Promise<T> {
    this.give();
    this.place.pause();
    const result = await wait.finally(() => this.place.resume());
    await this.take();
    return result;
  }

  async between(): Promise<void> {
    if (this.since === null || performance.now() - this.since < SLICE_MS) return;
    // What has come meanwhile is read first: it may be another's.
    await breathe();
    this.give();
    await this.take();
  }

  private async take(): Promise<void> {
    await this.processor.take(this.account);
    this.since = performance.now();
  }

  private give(): void {
    if (this.since === null) return;
    this.processor.give(this.account, performance.now() - this.since);
    this.since = null;
  }
}

/** What a run shares, as whom, and how long it waits. */
export interface Shared {
  readonly processor: Processor;
  readonly account: string;
  readonly place: Place;
  readonly patience: Patience;
}
