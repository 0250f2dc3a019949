/**
 * The masked weights that a dealer keeps, so that a server sends each of them once. A name holds the server's own key: what one
 * server brought is never dealt from for another. What no session uses goes, the longest unused first, when room is short.
 */
import type { Channel } from "../channels/channel.ts";
import type { Program, Step, WeightSlot } from "../program/steps.ts";
import { ruleOf } from "../protocols/all.ts";
import type { Words } from "../ring/memory.ts";
import type { Ring } from "../ring/ring.ts";
import { setupParts, slotKey } from "./weights.ts";

const WORD_BYTES = 8;

interface Kept {
  readonly words: Words;
  /** Sessions that deal from them now. */
  users: number;
}

export class KeptWeights {
  private readonly ring: Ring;
  private readonly mostBytes: number;
  /** Those used last at the end. */
  private readonly kept = new Map<string, Kept>();
  private total = 0;

  /** `mostBytes`: beyond it nothing is kept that no session uses. */
  constructor(ring: Ring, mostBytes: number) {
    this.ring = ring;
    this.mostBytes = mostBytes;
  }

  /** Operands that are kept, in use or not. */
  get count(): number {
    return this.kept.size;
  }

  /** Of all that is kept. */
  get bytes(): number {
    return this.total;
  }

  /** The words under a name, if they are here: the caller's to use until he releases the name. */
  use(name: string): Words | undefined {
    const found = this.kept.get(name);
    if (found !== undefined) found.users++;
    return found?.words;
  }

  /**
   * Keeps what `fill` writes, under a name, and gives it to use until the caller releases the name. Where another session
   * brought the same meanwhile, it is that one's.
   */
  async add(name: string, length: number, fill: (words: Words) => Promise<void>): Promise<Words> {
    this.shrink(this.mostBytes - WORD_BYTES * length);
    const words = this.ring.alloc(length);
    try {
      await fill(words);
    } catch (error) {
      this.ring.free(words);
      throw error;
    }
    const known = this.use(name);
    if (known === undefined) {
      this.kept.set(name, { words, users: 1 });
      this.total += WORD_BYTES * length;
    } else this.ring.free(words);
    return known ?? words;
  }

  /** Ends one use of each name, and frees what is too much. */
  release(names: readonly string[]): void {
    for (const name of names) {
      const kept = this.kept.get(name)!;
      kept.users--;
      this.kept.delete(name);
      this.kept.set(name, kept);
    }
    this.shrink(this.mostBytes);
  }

  /** Frees what nobody uses until so many bytes are left, or all that is left is in use. */
  private shrink(bytes: number): void {
    for (const [name, { words, users }] of this.kept) {
      if (this.total <= bytes) return;
      if (users > 0) continue;
      this.kept.delete(name);
      this.total -= WORD_BYTES * words.length;
      this.ring.free(words);
    }
  }
}

/** The masked weights of one session: what is kept, and what comes while the first steps are dealt already. */
export class ArrivingWeights {
  /** By slot; filled as they come. */
  readonly words: (Words | undefined)[];
  private readonly kept: KeptWeights;
  private readonly channel: Channel;
  private readonly names: readonly string[];
  private readonly lacking: WeightSlot[];
  private readonly used: string[];

  private constructor(kept: KeptWeights, channel: Channel, slots: readonly WeightSlot[], names: readonly string[]) {
    this.kept = kept;
    this.channel = channel;
    this.names = names;
    this.words = names.map((name) => kept.use(name));
    this.lacking = slots.filter(({ id }) => this.words[id] === undefined);
    this.used = names.filter((_, id) => this.words[id] !== undefined);
  }

  /** Uses what is kept of a program's weights; `owner`: whose they are. To be released, whatever happens. */
  static async create(kept: KeptWeights, channel: Channel, owner: string, program: Program): Promise<ArrivingWeights> {
    const names: string[] = [];
    for (const slot of program.weights) names.push(`${owner}:${await slotKey(slot)}`);
    return new ArrivingWeights(kept, channel, program.weights, names);
  }

  /** The slots that the server has to send, in the order of their use. */
  get missing(): number[] {
    return this.lacking.map(({ id }) => id);
  }

  /** Resolves when everything that a step needs is here. */
  until(step: Step): Promise<void> {
    return this.upTo(Math.max(-1, ...(ruleOf(step).weights?.(step) ?? [])));
  }

  /** Resolves when everything that the program has is here. */
  all(): Promise<void> {
    return this.upTo(Number.POSITIVE_INFINITY);
  }

  /** Ends the session's use. */
  release(): void {
    this.kept.release(this.used.splice(0));
  }

  private async upTo(last: number): Promise<void> {
    while (this.lacking.length > 0 && this.lacking[0].id <= last) await this.take(this.lacking.shift()!);
  }

  private async take(slot: WeightSlot): Promise<void> {
    const name = this.names[slot.id];
    this.words[slot.id] = await this.kept.add(name, slot.rows * slot.columns, async (words) => {
      let at = 0;
      for (const size of setupParts(slot)) {
        const part = await this.channel.receive("setup", slot.id, size);
        // Only now: while it came, another session may have made the memory grow and move.
        words.bytes().set(part, at);
        at += size;
      }
    });
    this.used.push(name);
  }
}
