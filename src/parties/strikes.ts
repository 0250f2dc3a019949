/** Who has deviated, and how often: a key with too many failed checks is shut out for as long as the process lives. */
import { Refused } from "../admission/quota.ts";

const MOST_STRIKES = 3;
/** Keys remembered; the oldest is forgotten first. */
const MOST_KEYS = 65_536;

export class Strikes {
  private readonly most: number;
  private readonly by = new Map<string, number>();

  constructor(most = MOST_STRIKES) {
    this.most = most;
  }

  /** @throws Refused when the account is shut out. Without a key nobody can be. */
  check(account: string): void {
    if (account !== "" && (this.by.get(account) ?? 0) >= this.most)
      throw new Refused("deviations", "what you sent was not what the protocol says, too often: this key is shut out");
  }

  add(account: string): void {
    if (account === "") return;
    const count = (this.by.get(account) ?? 0) + 1;
    this.by.delete(account);
    this.by.set(account, count);
    if (this.by.size > MOST_KEYS) this.by.delete(this.by.keys().next().value!);
  }
}
