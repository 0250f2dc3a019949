/**
 * Who may connect, who may begin work, and when: so many connections, so many runs at once, so many waiting, and for each
 * identity (a key's fingerprint) so many of all of these and so many a minute. Whoever does not fit is refused at once, not kept.
 */
import { once, Quota, Refused } from "./quota.ts";

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
  /** Of one identity. */
  readonly connectionsEach: number;
}

const DEFAULT_LIMITS: Limits = {
  running: 8,
  waiting: 64,
  each: 32,
  perMinute: 6000,
  connections: 512,
  connectionsEach: 64,
};

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
  private readonly open: Quota;
  /** Pieces of work that run or wait. */
  private readonly held: Quota;
  private readonly buckets = new Map<string, Bucket>();
  private active = 0;
  private draining = false;
  private idle: () => void = () => {};

  constructor(limits: Partial<Limits> = {}) {
    this.limits = { ...DEFAULT_LIMITS, ...limits };
    const { running, waiting, each, connections, connectionsEach } = this.limits;
    this.open = new Quota({
      most: connections,
      each: connectionsEach,
      full: `all ${connections} connections are taken: try again in a moment`,
      own: `${connectionsEach} connections of yours are open already: close one, or ask over them`,
    });
    this.held = new Quota({
      most: running + waiting,
      each,
      full: `${running} are answered and ${waiting} wait: try again in a moment`,
      own: `${each} of yours are in work already: wait for one to end`,
    });
  }

  get running(): number {
    return this.active;
  }

  get waiting(): number {
    return this.queue.length;
  }

  get connections(): number {
    return this.open.taken;
  }

  /** How many keys have work running or waiting. */
  get keysAtWork(): number {
    return this.held.identities;
  }

  /** A connection of this identity begins; the result ends it. @throws Refused */
  enter(identity: string): () => void {
    if (this.draining) throw goingDown();
    return this.open.take(identity);
  }

  /**
   * Waits for a turn to work; the result ends it. What `goesOn` was begun before, and may end while the service goes down.
   * @throws Refused at once when the queue or a quota is full.
   */
  async turn(identity: string, { goesOn = false, now = Date.now() } = {}): Promise<() => void> {
    if (this.draining && !goesOn) throw goingDown();
    this.held.demand(identity);
    this.take(identity, now);
    const leave = this.held.take(identity);
    if (this.active < this.limits.running) this.active++;
    else await this.queued(leave);
    return once(() => {
      this.active--;
      leave();
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

  private queued(leave: () => void): Promise<void> {
    return new Promise<void>((go, reject) => {
      const refuse = (why: Refused) => {
        leave();
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
}

function goingDown(): Refused {
  return new Refused("draining", "this service is going down: ask another, or later");
}
