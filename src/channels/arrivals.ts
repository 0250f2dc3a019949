/**
 * Connections that have proved nothing yet: so many in all, and so many of one source. One more ends the oldest of its source, which has
 * had its time: who means it is through in a moment, also while another leaves a hundred half open from the same address.
 */
import { InternalError } from "../errors.ts";

interface Arrival {
  readonly source: string;
  readonly cut: () => void;
}

export class Arrivals {
  private readonly most: number;
  private readonly each: number;
  /** The oldest first. */
  private readonly waiting = new Set<Arrival>();

  /** `most`: of all sources together; `each`: of one. */
  constructor(most: number, each: number) {
    this.most = most;
    this.each = each;
  }

  /** How many there are now. */
  get count(): number {
    return this.waiting.size;
  }

  /** One has come; the result says that it is through, or gone. `cut` ends it. */
  add(source: string, cut: () => void): () => void {
    const own = [...this.waiting].filter((one) => one.source === source);
    if (own.length >= this.each) this.end(own[0]);
    else if (this.waiting.size >= this.most) this.end(this.oldestOfMost());
    const arrival = { source, cut };
    this.waiting.add(arrival);
    return () => void this.waiting.delete(arrival);
  }

  private end(arrival: Arrival): void {
    this.waiting.delete(arrival);
    arrival.cut();
  }

  /** Of the source that has most: where all together are too many, those go who have few last. */
  private oldestOfMost(): Arrival {
    const counts = new Map<string, number>();
    for (const { source } of this.waiting) counts.set(source, (counts.get(source) ?? 0) + 1);
    const most = Math.max(...counts.values());
    for (const arrival of this.waiting) if (counts.get(arrival.source) === most) return arrival;
    throw new InternalError("no arrival waits where there are too many");
  }
}
