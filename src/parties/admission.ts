/**
 * Who may begin work, and when: so many runs at once, so many waiting, and for each identity (a key's fingerprint) so many at
 * once and so many a minute. Whoever does not fit is refused at once, not kept.
 */
import { PartyError } from "./messages.ts";

export interface Limits {
  /** Pieces of work (an offline or an online phase) at once. */
  readonly running: number;
  /** Pieces that wait for their turn. */
  readonly waiting: number;
  /** Of one identity, running and waiting together. */
  readonly each: number;
  /** Of one identity, begun within a minute. */
  readonly perMinute: number;
  /** Connections at once. */
  readonly connections: number;
}

const DEFAULT_LIMITS: Limits = { running: 8, waiting: 64, each: 32, perMinute: 6000, connections: 512 };

export type RefusalReason = "full" | "quota" | "rate" | "draining";

/** Refused before anything was done. */
export class Refused extends PartyError {
  readonly reason: RefusalReason;
  constructor(reason: RefusalReason, message: string) {
    super(message);
    this.reason = reason;
  }
}

/** One identity's bucket of begun work: it refills as time passes. */
interface Bucket {
  tokens: number;
  at: number;
}

const MINUTE_MS = 60_000;
/** Buckets kept; those of whoever began nothing for longest are forgotten first. */
const MOST_BUCKETS = 10_000;

export class Admission {
  readonly limits: Limits;
  private readonly queue: { readonly go: () => void; readonly refuse: (why: Refused) => void }[] = [];
  private readonly held = new Map<string, number>();
  private readonly buckets = new Map<string, Bucket>();
  private active = 0;
  private open = 0;
  private draining = false;
  private idle: () => void = () => {};

  constructor(limits: Partial<Limits> = {}) {
    this.limits = { ...DEFAULT_LIMITS, ...limits };
  }

  get running(): number {
    return this.active;
  }

  get waiting(): number {
    return this.queue.length;
  }

  get connections(): number {
    return this.open;
  }

  /** How many keys have work running or waiting. */
  get keysAtWork(): number {
    return this.held.size - (this.held.has("") ? 1 : 0);
  }

  /** A connection begins; the result ends it. @throws Refused */
  enter(): () => void {
    if (this.draining) throw goingDown();
    if (this.open >= this.limits.connections)
      throw new Refused("full", `all ${this.limits.connections} connections are taken: try again in a moment`);
    this.open++;
    return once(() => this.open--);
  }

  /**
   * Waits for a turn to work; the result ends it. What `goesOn` was begun before, and may end while the service goes down.
   * @throws Refused at once when the queue or a quota is full.
   */
  async turn(identity: string, { goesOn = false, now = Date.now() } = {}): Promise<() => void> {
    if (this.draining && !goesOn) throw goingDown();
    this.checkQuota(identity);
    if (this.active >= this.limits.running && this.queue.length >= this.limits.waiting)
      throw new Refused("full", `${this.active} are answered and ${this.queue.length} wait: try again in a moment`);
    this.take(identity, now);
    this.count(identity, 1);
    if (this.active < this.limits.running) this.active++;
    else await this.queued(identity);
    return once(() => {
      this.active--;
      this.count(identity, -1);
      this.next();
    });
  }

  /** Nothing begins any more; resolves when what runs has ended. Those who wait are refused. */
  async drain(): Promise<void> {
    this.draining = true;
    for (const { refuse } of this.queue.splice(0)) refuse(goingDown());
    if (this.active > 0)
      await new Promise<void>((resolve) => {
        this.idle = resolve;
      });
  }

  private queued(identity: string): Promise<void> {
    return new Promise<void>((go, reject) => {
      const refuse = (why: Refused) => {
        this.count(identity, -1);
        reject(why);
      };
      this.queue.push({ go, refuse });
    });
  }

  private next(): void {
    const first = this.queue.shift();
    if (first !== undefined) {
      this.active++;
      first.go();
    } else if (this.active === 0) this.idle();
  }

  private checkQuota(identity: string): void {
    if (identity !== "" && (this.held.get(identity) ?? 0) >= this.limits.each)
      throw new Refused("quota", `${this.limits.each} of yours are in work already: wait for one to end`);
  }

  /** Takes one of the identity's tokens. @throws Refused when none is left. */
  private take(identity: string, now: number): void {
    if (identity === "") return;
    const { perMinute } = this.limits;
    const known = this.buckets.get(identity) ?? { tokens: perMinute, at: now };
    const tokens = Math.min(perMinute, known.tokens + ((now - known.at) / MINUTE_MS) * perMinute);
    if (tokens < 1) throw new Refused("rate", `more than ${perMinute} in a minute: wait a little`);
    this.buckets.delete(identity);
    if (this.buckets.size >= MOST_BUCKETS) this.buckets.delete(this.buckets.keys().next().value!);
    this.buckets.set(identity, { tokens: tokens - 1, at: now });
  }

  private count(identity: string, by: number): void {
    const held = (this.held.get(identity) ?? 0) + by;
    if (held === 0) this.held.delete(identity);
    else this.held.set(identity, held);
  }
}

function goingDown(): Refused {
  return new Refused("draining", "this service is going down: ask another, or later");
}

function once(act: () => void): () => void {
  let done = false;
  return () => {
    if (!done) act();
    done = true;
  };
}
