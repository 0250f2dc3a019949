/** So much for each account within a minute: what was spent comes back as time passes. */

interface Balance {
  left: number;
  at: number;
}

const MINUTE_MS = 60_000;
/** Accounts remembered; those that spent nothing for longest are forgotten first. */
const MOST_ACCOUNTS = 10_000;

export class Allowance {
  readonly perMinute: number;
  private readonly balances = new Map<string, Balance>();

  constructor(perMinute: number) {
    this.perMinute = perMinute;
  }

  /** What an account may still spend now; below zero where it has spent more than it had. */
  left(account: string, now = Date.now()): number {
    const known = this.balances.get(account);
    if (known === undefined) return this.perMinute;
    return Math.min(this.perMinute, known.left + ((now - known.at) / MINUTE_MS) * this.perMinute);
  }

  /** Takes what was spent off. */
  spend(account: string, amount: number, now = Date.now()): void {
    const left = this.left(account, now) - amount;
    this.balances.delete(account);
    if (this.balances.size >= MOST_ACCOUNTS) this.balances.delete(this.balances.keys().next().value!);
    this.balances.set(account, { left, at: now });
  }
}
