/** Bounds on what peers may take of a service at once; whoever goes beyond is refused before anything is done for him. */

export type RefusalReason = "full" | "quota" | "rate" | "draining" | "deviations";

/** Refused before anything was done. Its words are this program's own. */
export class Refused extends Error {
  override readonly name = "Refused";
  readonly reason: RefusalReason;
  constructor(reason: RefusalReason, message: string) {
    super(message);
    this.reason = reason;
  }
}

export interface QuotaOptions {
  /** Of all together. */
  readonly most: number;
  /** Of one identity (a key's fingerprint). Who has no key is bound by `most` alone. */
  readonly each: number;
  /** What is told to whom the bound of all refuses, and to whom his own does. */
  readonly full: string;
  readonly own: string;
}

/** How much of one resource is taken, in all and by each identity. */
export class Quota {
  private readonly options: QuotaOptions;
  private readonly held = new Map<string, number>();
  private all = 0;

  constructor(options: QuotaOptions) {
    this.options = options;
  }

  /** Of all together. */
  get taken(): number {
    return this.all;
  }

  /** Of one identity. */
  takenBy(identity: string): number {
    return this.held.get(identity) ?? 0;
  }

  /** How many identities hold some of it. */
  get identities(): number {
    return this.held.size - (this.held.has("") ? 1 : 0);
  }

  /** @throws Refused when so much more does not fit. */
  demand(identity: string, amount = 1): void {
    const { most, each, full, own } = this.options;
    if (identity !== "" && (this.held.get(identity) ?? 0) + amount > each) throw new Refused("quota", own);
    if (this.all + amount > most) throw new Refused("full", full);
  }

  /** Takes so much; the result gives it back. @throws Refused as `demand`. */
  take(identity: string, amount = 1): () => void {
    this.demand(identity, amount);
    this.add(identity, amount);
    return once(() => this.add(identity, -amount));
  }

  private add(identity: string, amount: number): void {
    this.all += amount;
    const held = (this.held.get(identity) ?? 0) + amount;
    if (held === 0) this.held.delete(identity);
    else this.held.set(identity, held);
  }
}

/** The first call acts, and no other. */
export function once(act: () => void): () => void {
  let done = false;
  return () => {
    if (!done) act();
    done = true;
  };
}
