/** Who waits, taken in turns: each account's own in their order, the accounts one after the other, however many one has waiting. */
export class FairQueue<T> {
  /** The account that was served last is at the end. */
  private readonly byAccount = new Map<string, T[]>();
  private count = 0;

  get size(): number {
    return this.count;
  }

  /** How many of one account's wait. */
  sizeOf(account: string): number {
    return this.byAccount.get(account)?.length ?? 0;
  }

  push(account: string, item: T): void {
    const waiting = this.byAccount.get(account);
    if (waiting === undefined) this.byAccount.set(account, [item]);
    else waiting.push(item);
    this.count++;
  }

  /** Takes the first one of the next account that `may` be served; undefined when there is none. */
  next(may: (account: string) => boolean = () => true): T | undefined {
    for (const [account, waiting] of this.byAccount) {
      if (!may(account)) continue;
      const first = waiting.shift()!;
      this.byAccount.delete(account);
      if (waiting.length > 0) this.byAccount.set(account, waiting);
      this.count--;
      return first;
    }
    return undefined;
  }

  /** Takes all of those that `which` names. */
  drop(which: (item: T) => boolean): T[] {
    const dropped: T[] = [];
    for (const [account, waiting] of [...this.byAccount]) {
      const kept = waiting.filter((item) => !which(item));
      dropped.push(...waiting.filter(which));
      if (kept.length > 0) this.byAccount.set(account, kept);
      else this.byAccount.delete(account);
    }
    this.count -= dropped.length;
    return dropped;
  }
}
