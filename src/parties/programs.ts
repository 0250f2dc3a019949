/**
 * The programs that a party has compiled for its peers. Who asks for a new one pays: it waits its turn among the accounts, and counts
 * against what the account may have compiled in a minute. A fingerprint that is known to be another is refused before any work.
 */

import { Allowance } from "../admission/allowance.ts";
import { FairQueue } from "../admission/fair-queue.ts";
import { Refused } from "../admission/quota.ts";
import { STEP_BYTES } from "../compiler/budget.ts";
import { PlanError } from "../program/steps.ts";
import {
  type Bounds,
  type Compile,
  type CompiledProgram,
  type CompileTask,
  compileHere,
  DEFAULT_BOUNDS,
} from "./compiling.ts";
import { PartyError } from "./messages.ts";

export interface ProgramLimits {
  /** Of one program. */
  readonly bounds: Bounds;
  /** Bytes of all that are kept, and half of it of those that one account had compiled. */
  readonly bytes: number;
  /** Steps that one account may have compiled in a minute. */
  readonly stepsPerMinute: number;
  /** Compilations that wait, of all and of one account. */
  readonly waiting: number;
  readonly waitingEach: number;
}

const DEFAULT_PROGRAM_LIMITS: ProgramLimits = {
  bounds: DEFAULT_BOUNDS,
  bytes: 192e6,
  stepsPerMinute: 256_000,
  waiting: 64,
  waitingEach: 8,
};

export interface ProgramsOptions<T> {
  readonly compile?: Compile;
  readonly limits?: Partial<ProgramLimits>;
  /** What a peer is told whose program is another. */
  readonly mismatch: string;
  /** What a party makes of a program, once. */
  readonly finish: (compiled: CompiledProgram) => Promise<T>;
}

/** Who asks for a program, and what the peer says that it is. */
export interface Asked {
  /** A key's fingerprint or an address; empty for this process itself, which pays nothing. */
  readonly account: string;
  /** All that the program follows from, in a few bytes. */
  readonly key: string;
  readonly task: Omit<CompileTask, "bounds">;
  readonly fingerprint?: string;
}

/** What is known of a program that may be kept no more. */
type Verdict = { readonly fingerprint: string } | { readonly refusal: string };

interface Kept<T> {
  readonly made: Promise<T>;
  readonly account: string;
  /** 0 until it is compiled. */
  bytes: number;
}

/** Verdicts kept: each is some hundred bytes. */
const MOST_VERDICTS = 4096;
/** What a compilation costs beside its steps, in steps: validation, fits. */
const BASE_STEPS = 2000;

export class Programs<T> {
  private readonly limits: ProgramLimits;
  private readonly compile: Compile;
  private readonly mismatch: string;
  private readonly finish: (compiled: CompiledProgram) => Promise<T>;
  /** Those used last at the end. */
  private readonly kept = new Map<string, Kept<T>>();
  private readonly verdicts = new Map<string, Verdict>();
  private readonly allowance: Allowance;
  private readonly queue = new FairQueue<() => Promise<void>>();
  /** By account and key: what waits in the queue. */
  private readonly waiting = new Map<string, Promise<T>>();
  private busy = false;

  constructor({ compile = compileHere, limits, mismatch, finish }: ProgramsOptions<T>) {
    this.limits = { ...DEFAULT_PROGRAM_LIMITS, ...limits };
    this.compile = compile;
    this.mismatch = mismatch;
    this.finish = finish;
    this.allowance = new Allowance(this.limits.stepsPerMinute);
  }

  /** Estimated, of all programs that are kept. */
  get bytes(): number {
    return [...this.kept.values()].reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** Those that are compiled by now. */
  async ready(): Promise<readonly T[]> {
    // A promise that is settled wins over one that is settled after it: what is still being compiled is left out.
    const settled = [...this.kept.values()].map(({ made }) => Promise.race([made, null]).catch(() => null));
    return (await Promise.all(settled)).filter((one) => one !== null);
  }

  /**
   * A program, compiled now if it is not kept.
   * @throws PartyError when the peer's is another. @throws PlanError when there is none. @throws Refused for who had too much compiled.
   */
  async of(asked: Asked): Promise<T> {
    this.compare(asked);
    const made = await (this.found(asked.key) ?? this.inTurn(asked));
    this.compare(asked);
    return made;
  }

  /** One that is compiled, or being compiled now. */
  private found(key: string): Promise<T> | undefined {
    const kept = this.kept.get(key);
    if (kept === undefined) return undefined;
    this.kept.delete(key);
    this.kept.set(key, kept);
    return kept.made;
  }

  /** @throws PlanError, PartyError by what is known already. */
  private compare({ key, fingerprint }: Asked): void {
    const verdict = this.verdicts.get(key);
    if (verdict === undefined) return;
    if ("refusal" in verdict) throw new PlanError(verdict.refusal);
    if (fingerprint !== undefined && verdict.fingerprint !== fingerprint) throw new PartyError(this.mismatch);
  }

  /** Each account waits in its own turn, also for what another waits for: nobody is held up by another's queue. */
  private inTurn(asked: Asked): Promise<T> {
    const { account, key } = asked;
    const { waiting, waitingEach } = this.limits;
    const name = `${account} ${key}`;
    const mine = this.waiting.get(name);
    if (mine !== undefined) return mine;
    if (account !== "") {
      if (this.queue.sizeOf(account) >= waitingEach)
        throw new Refused("quota", `${waitingEach} programs are to be compiled for you already: wait for one`);
      if (this.allowance.left(account) <= 0)
        throw new Refused("rate", "you had many programs compiled within a minute: wait a little, or ask as before");
    }
    if (this.queue.size >= waiting)
      throw new Refused("full", "many programs are to be compiled: try again in a moment");
    const promise = new Promise<T>((resolve, reject) => {
      this.queue.push(account, async () => {
        this.waiting.delete(name);
        await (this.found(key) ?? this.begun(asked)).then(resolve, reject);
      });
    });
    this.waiting.set(name, promise);
    void this.work();
    return promise;
  }

  private async work(): Promise<void> {
    if (this.busy) return;
    this.busy = true;
    for (let next = this.queue.next(); next !== undefined; next = this.queue.next()) await next();
    this.busy = false;
  }

  private begun(asked: Asked): Promise<T> {
    const { account, key } = asked;
    const made = this.made(asked);
    this.kept.set(key, { made, account, bytes: 0 });
    // A failure is told to whoever waits for it, and not kept.
    made.catch(() => this.kept.delete(key));
    return made;
  }

  private async made({ account, key, task }: Asked): Promise<T> {
    const { bounds } = this.limits;
    let steps = bounds.steps;
    try {
      const compiled = await this.compile({ ...task, bounds });
      steps = compiled.program.steps.length;
      this.know(key, { fingerprint: compiled.fingerprint });
      const made = await this.finish(compiled);
      this.weigh(key, steps * STEP_BYTES);
      return made;
    } catch (error) {
      if (error instanceof PlanError) this.know(key, { refusal: error.message });
      throw error;
    } finally {
      if (account !== "") this.allowance.spend(account, steps + BASE_STEPS);
    }
  }

  private know(key: string, verdict: Verdict): void {
    if (this.verdicts.size >= MOST_VERDICTS) this.verdicts.delete(this.verdicts.keys().next().value!);
    this.verdicts.set(key, verdict);
  }

  /** Lets go of the longest unused, of this account's first, until the new one fits. */
  private weigh(key: string, bytes: number): void {
    const fresh = this.kept.get(key);
    if (fresh === undefined) return;
    fresh.bytes = bytes;
    const { account } = fresh;
    if (account !== "") this.shrink(this.limits.bytes / 2, key, (kept) => kept.account === account);
    this.shrink(this.limits.bytes, key, () => true);
  }

  private shrink(most: number, fresh: string, which: (kept: Kept<T>) => boolean): void {
    let total = 0;
    for (const kept of this.kept.values()) if (which(kept)) total += kept.bytes;
    for (const [key, kept] of this.kept) {
      if (total <= most) return;
      // What is still being compiled has no bytes yet.
      if (!which(kept) || key === fresh || kept.bytes === 0) continue;
      this.kept.delete(key);
      total -= kept.bytes;
    }
  }
}
