/** Results that come again, such as those of a decoder's turns; a dealer is asked about plans of others' choice, so not all are kept. */
export class Memo<T> {
  private readonly known = new Map<string, T>();
  private readonly most: number;

  /** Forgets everything when there are `most` of them. */
  constructor(most = 1024) {
    this.most = most;
  }

  /** The result of this key; made once. */
  of(key: string, make: () => T): T {
    let result = this.known.get(key);
    if (result === undefined) {
      result = make();
      if (this.known.size === this.most) this.known.clear();
      this.known.set(key, result);
    }
    return result;
  }
}
