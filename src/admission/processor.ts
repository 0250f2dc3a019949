/**
 * The one processor that a process's runs compute on: one at a time, and between two of them whoever's account has had less of it.
 * An account that asks for much does not make another wait for more than the step that is being computed.
 *
 * Start-time fair queueing (Goyal, Vin, Cheng, 1996): an account's next turn starts, in virtual time, where its last one ended, or now.
 */

export class Processor {
  private busy = false;
  /** Virtual time: the start of the turn that runs. */
  private now = 0;
  /** Where each account's last turn ended, while that lies ahead. */
  private readonly ends = new Map<string, number>();
  private readonly queues = new Map<string, (() => void)[]>();

  /** Waits for a turn. */
  async take(account: string): Promise<void> {
    if (!this.busy) {
      this.busy = true;
      this.begin(account);
      return;
    }
    await new Promise<void>((go) => {
      const waiting = this.queues.get(account);
      if (waiting === undefined) this.queues.set(account, [go]);
      else waiting.push(go);
    });
  }

  /** Ends a turn that took so many milliseconds. */
  give(account: string, ms: number): void {
    const end = this.startOf(account) + ms;
    if (end > this.now) this.ends.set(account, end);
    void this.next();
  }

  private async next(): Promise<void> {
    // Sockets are read before the next one computes.
    if (this.queues.size > 0) await new Promise<void>((resolve) => setImmediate(resolve));
    let first: string | undefined;
    for (const account of this.queues.keys())
      if (first === undefined || this.startOf(account) < this.startOf(first)) first = account;
    if (first === undefined) {
      this.busy = false;
      return;
    }
    const waiting = this.queues.get(first)!;
    const go = waiting.shift()!;
    if (waiting.length === 0) this.queues.delete(first);
    this.begin(first);
    go();
  }

  private begin(account: string): void {
    this.now = this.startOf(account);
    for (const [other, end] of this.ends) if (end <= this.now) this.ends.delete(other);
  }

  private startOf(account: string): number {
    return Math.max(this.now, this.ends.get(account) ?? 0);
  }
}
