/**
 * Who may connect, who may begin work, and when: so many connections, so many phases of work at once, so many waiting, and for each
 * account (accounts.ts) a part of each of these and so many a minute. Whoever does not fit is refused at once, not kept.
 */
import { Allowance } from "./allowance.ts";
import { FairQueue } from "./fair-queue.ts";
import { Processor } from "./processor.ts";
import { once, Quota, Refused } from "./quota.ts";

export interface Limits {
  /** Pieces of work (an offline or an online phase) that are done at once; half of them of one account. Who waits for his peer is not counted. */
  readonly running: number;
  /** Pieces that wait for their turn. */
  readonly waiting: number;
  /** Of one account, begun and waiting together. */
  readonly each: number;
  /** Of one account, begun within a minute. */
  readonly perMinute: number;
  /** Connections at once. */
  readonly connections: number;
  /** Of one account. */
  readonly connectionsEach: number;
  /** Bytes of greetings, tokenizer and all, that one account may have within a minute; one more where any are left. */
  readonly greetingBytesPerMinute: number;
  /** Bytes of messages beyond their first SHORT_MESSAGE that one account may send within a minute: to read them takes time. */
  readonly longBytesPerMinute: number;
}

/** Bytes of a message that cost no account anything. */
export const SHORT_MESSAGE = 16_384;

const DEFAULT_LIMITS: Limits = {
  running: 8,
  waiting: 64,
  each: 32,
  perMinute: 6000,
  connections: 512,
  connectionsEach: 64,
  greetingBytesPerMinute: 256e6,
  // The plan of BERT-large, of 24 layers, comes a hundred times a minute.
  longBytesPerMinute: 4e6,
};

/** A piece of work that was let in. */
export interface Place {
  /** Gives the place to others while this one waits for its peer. */
  pause(): void;
  /** Takes it again, at once: what is begun ends before new work begins. */
  resume(): void;
  end(): void;
}

export class Admission {
  readonly limits: Limits;
  /** On which all that is let in computes. */
  readonly processor = new Processor();
  private readonly queue = new FairQueue<{ readonly go: () => void; readonly refuse: (why: Refused) => void }>();
  private readonly open: Quota;
  /** Pieces of work that are begun or wait. */
  private readonly held: Quota;
  private readonly begun: Allowance;
  private readonly greeted: Allowance;
  private readonly heard: Allowance;
  /** Pieces at work, by account. */
  private readonly active = new Map<string, number>();
  private activeNow = 0;
  private begunNow = 0;
  private draining = false;
  private idle: () => void = () => {};

  constructor(limits: Partial<Limits> = {}) {
    this.limits = { ...DEFAULT_LIMITS, ...limits };
    const { running, waiting, each, connections, connectionsEach } = this.limits;
    this.begun = new Allowance(this.limits.perMinute);
    this.greeted = new Allowance(this.limits.greetingBytesPerMinute);
    this.heard = new Allowance(this.limits.longBytesPerMinute);
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

  /** Pieces of work that are begun, also those that wait for their peers. */
  get running(): number {
    return this.begunNow;
  }

  get waiting(): number {
    return this.queue.size;
  }

  get connections(): number {
    return this.open.taken;
  }

  /** How many accounts have work begun or waiting. */
  get keysAtWork(): number {
    return this.held.identities;
  }

  /** A connection of this account begins; the result ends it. @throws Refused */
  enter(account: string): () => void {
    if (this.draining) throw goingDown();
    return this.open.take(account);
  }

  /** A greeting of so many bytes goes to this account. @throws Refused when it has had too many. */
  greet(account: string, bytes: number, now = Date.now()): void {
    if (account === "") return;
    if (this.greeted.left(account, now) <= 0)
      throw new Refused("rate", "you connect too often: wait a little, and ask over one connection");
    this.greeted.spend(account, bytes, now);
  }

  /** A message of so many bytes has come from this account, and is to be read. @throws Refused when it has sent too many long ones. */
  hear(account: string, bytes: number, now = Date.now()): void {
    const long = bytes - SHORT_MESSAGE;
    if (account === "" || long <= 0) return;
    if (this.heard.left(account, now) <= 0) throw new Refused("rate", "you send many long messages: wait a little");
    this.heard.spend(account, long, now);
  }

  /**
   * Waits for a place. What `goesOn` was begun before, and may end while the service goes down.
   * @throws Refused at once when the queue or a quota is full.
   */
  async turn(account: string, { goesOn = false, now = Date.now() } = {}): Promise<Place> {
    if (this.draining && !goesOn) throw goingDown();
    this.held.demand(account);
    this.count(account, now);
    const leave = this.held.take(account);
    if (!this.mayBegin(account)) await this.queued(account, leave);
    else this.begin(account);
    return this.placeOf(account, leave);
  }

  /** Nothing begins any more; resolves when what is begun has ended. Those who wait are refused. */
  async drain(): Promise<void> {
    this.draining = true;
    for (const { refuse } of this.queue.drop(() => true)) refuse(goingDown());
    if (this.begunNow > 0)
      await new Promise<void>((resolve) => {
        this.idle = resolve;
      });
  }

  private placeOf(account: string, leave: () => void): Place {
    let [here, over] = [true, false];
    const move = (coming: boolean) => {
      if (here === coming || over) return;
      here = coming;
      this.add(account, coming ? 1 : -1);
      if (!coming) this.next();
    };
    const end = once(() => {
      this.begunNow--;
      leave();
      move(false);
      over = true;
      if (this.begunNow === 0) this.idle();
    });
    return { pause: () => move(false), resume: () => move(true), end };
  }

  /** No account has all places, but where there is only one. */
  private mayBegin(account: string): boolean {
    const { running } = this.limits;
    const most = account === "" ? running : Math.max(1, Math.floor(running / 2));
    return this.activeNow < running && (this.active.get(account) ?? 0) < most;
  }

  private begin(account: string): void {
    this.begunNow++;
    this.add(account, 1);
  }

  private add(account: string, amount: number): void {
    this.activeNow += amount;
    const active = (this.active.get(account) ?? 0) + amount;
    if (active === 0) this.active.delete(account);
    else this.active.set(account, active);
  }

  private queued(account: string, leave: () => void): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      const refuse = (why: Refused) => {
        leave();
        reject(why);
      };
      const go = () => {
        this.begin(account);
        resolve();
      };
      this.queue.push(account, { go, refuse });
    });
  }

  private next(): void {
    while (this.activeNow < this.limits.running) {
      const first = this.queue.next((account) => this.mayBegin(account));
      if (first === undefined) return;
      first.go();
    }
  }

  /** Takes one of what the account may begin in a minute. @throws Refused when none is left. */
  private count(account: string, now: number): void {
    if (account === "") return;
    const { perMinute } = this.limits;
    if (this.begun.left(account, now) < 1)
      throw new Refused("rate", `more than ${perMinute} in a minute: wait a little`);
    this.begun.spend(account, 1, now);
  }
}

function goingDown(): Refused {
  return new Refused("draining", "this service is going down: ask another, or later");
}
