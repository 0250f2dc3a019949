/** Who runs a program: the dealer, the client before its text, client or server online, and the program in the clear. */
import { InternalError } from "../errors.ts";
import type { Program, Step, StepOf, Value, ValueId } from "../program/steps.ts";
import { type LaneBits, subtractLanes } from "../ring/comparison.ts";
import type { Words } from "../ring/memory.ts";
import type { Prg } from "../ring/prg.ts";
import type { Ring } from "../ring/ring.ts";
import { type Block, COVER, lengthOf, SHARE } from "./blocks.ts";
import { Scope, type Slot } from "./scope.ts";

/** A weight masked by R, or R itself, as rows × columns ring words. */
export interface MaskedWeights {
  /** Calls `use` with consecutive row ranges of the operand (large tables come in parts). */
  chunks(weightId: number, use: (words: Words, firstRow: number, rows: number) => void): void;
}

/** The dealer: knows both parties' seeds and W - R; "client" and "full" are the masks of values. */
export class Dealer extends Scope {
  readonly withClient: Prg;
  readonly withServer: Prg;
  readonly weights: MaskedWeights;
  /** The server's share of this step's secrets. */
  private correction: Words | null = null;

  constructor(ring: Ring, program: Program, withClient: Prg, withServer: Prg, weights: MaskedWeights) {
    super(ring, program);
    this.withClient = withClient;
    this.withServer = withServer;
    this.weights = weights;
  }

  /**
   * Splits secrets additively, in place: the client's share comes from its seed, the server's is the correction. Bits above
   * the ring are left as they fall; packing cuts them off.
   */
  deal(step: Step, secret: Words): void {
    this.ring.subtract(secret, secret, this.drawClient(step, secret.length));
    this.correction = secret;
  }

  /** The same for bits: XOR. */
  dealBits(step: Step, secret: Words): void {
    this.ring.xor(secret, secret, this.drawClient(step, secret.length));
    this.correction = secret;
  }

  /** The same for lanes of 8 or 16 bits, several in a word: sums that carry within their lane alone. */
  dealLanes(step: Step, secret: Words, bits: LaneBits): void {
    subtractLanes(this.ring, secret, this.drawClient(step, secret.length), bits);
    this.correction = secret;
  }

  takeCorrection(): Words | null {
    const correction = this.correction;
    this.correction = null;
    return correction;
  }

  private drawClient(step: Step, length: number): Words {
    const client = this.temp(length);
    this.withClient.words(this.ring, client, step.id, SHARE);
    return client;
  }
}

/** The client before the text: "mask" is its part of each mask, "share" its part of linear results. */
export class ClientOffline extends Scope {
  readonly withDealer: Prg;
  readonly masks: MaskedWeights;

  constructor(ring: Ring, program: Program, withDealer: Prg, masks: MaskedWeights) {
    super(ring, program);
    this.withDealer = withDealer;
    this.masks = masks;
  }

  /** Its share of what is dealt for a step; above the ring it is as it falls. */
  dealt(step: Step, blocks: readonly Block[]): Words {
    const words = this.temp(lengthOf(blocks));
    this.withDealer.words(this.ring, words, step.id, SHARE);
    return words;
  }
}

/** What the server does with its weights; the client has none. */
export interface ServerWeights {
  /** out += x·W for one term, mod 2^bits. */
  apply(weightId: number, out: Words, x: Words, rows: number, bits: number): void;
  /** out = x·W of one head of weights that are cut by heads, mod 2^bits. */
  applyHead(weightId: number, head: number, out: Words, x: Words, rows: number, bits: number): void;
  /** The numbers of the distances as integers: [heads, buckets]. */
  distances(step: StepOf<"relative">): Words;
  /** The bias as integers: one row, or one row for each position. */
  bias(step: StepOf<"linear">): Words | null;
}

/** Which positions of the padded text, and of what was chosen since, hold tokens. */
interface OwnRows {
  isOwn(position: number): boolean;
}

/** Where the text enters as numbers. */
export type InputStep = StepOf<"input" | "entry">;

/** What the client side puts into a run: integers of its own, or those that a helper was given under covers. */
export interface SharedInput {
  /** The integers of an input step; of a later turn, those of the token taken. */
  fill(out: Words, step: InputStep): void;
}

/** What the client computes on before it is shared. */
export interface ClientInput extends OwnRows, SharedInput {
  /** The token that the next turn begins with. */
  take(token: number): void;
}

/** Material of one run: everything a party has from the offline phase. */
export interface Material {
  /** This party's share of what is dealt for a step; above the ring it is as it falls. */
  dealt(ring: Ring, step: Step, blocks: readonly Block[], out: Words): void;
  /** Server: the client's offline message of an opening. */
  ahead(ring: Ring, step: Step, block: Block, out: Words): void;
  /** Client: its share of a linear result that later steps read. */
  share(ring: Ring, step: Step, out: Words): void;
}

/** One opening's message as it came, among those of its flight. */
export interface Came {
  readonly message: Uint8Array;
  readonly blocks: readonly Block[];
  readonly index: number;
}

/** One check before an answer: the openings that it is about, and the opened values that no later check reads. */
export interface DueCheck {
  readonly openings: readonly Step[];
  readonly lastRead: readonly ValueId[];
}

/** A run's checks, by the answer that each stands before. */
export type DueChecks = ReadonlyMap<Step, DueCheck>;

/** Client or server online: "share", "public" (x̂) and "mask" (this party's part of r). */
export class Party extends Scope {
  readonly role: "client" | "server";
  readonly withDealer: Prg;
  readonly material: Material;
  readonly weights: ServerWeights | null;
  readonly input: SharedInput | null;
  /** The server's, of a text that a helper carries for its owner (cover.ts). */
  private readonly cover: Prg | null;
  /** The run's checks: null where nothing is checked. */
  private readonly checks: DueChecks | null;
  /** Opened values that a check will read. */
  private readonly awaited: Set<ValueId>;
  /** What came of each opening that will be checked; null of one that has not been made. The server's. */
  private readonly came = new Map<Step, Came | null>();
  private readonly sent = new Map<number, Words>();
  private readonly fetched = new Map<number, Words>();

  constructor(
    ring: Ring,
    program: Program,
    side: (
      | { role: "client"; withDealer: Prg; material: Material; input: SharedInput }
      | { role: "server"; withDealer: Prg; material: Material; weights: ServerWeights; cover?: Prg }
    ) & { readonly checks?: DueChecks },
  ) {
    super(ring, program);
    this.role = side.role;
    this.withDealer = side.withDealer;
    this.material = side.material;
    this.weights = side.role === "server" ? side.weights : null;
    this.input = side.role === "client" ? side.input : null;
    this.checks = side.checks ?? null;
    const due = [...(side.checks?.values() ?? [])];
    this.awaited = new Set(due.flatMap(({ lastRead }) => lastRead));
    if (this.isServer) for (const { openings } of due) for (const step of openings) this.came.set(step, null);
    this.cover = (side.role === "server" ? side.cover : undefined) ?? null;
  }

  /** Keeps what came of an opening, packed as it is, where it will be checked. */
  keepCame(step: Step, came: Came): void {
    if (this.came.has(step)) this.came.set(step, came);
  }

  /** What `keepCame` kept; null before the opening. */
  cameOf(step: Step): Came | null {
    return this.came.get(step) ?? null;
  }

  /** The check before an answer. @throws Error when this run has none there. */
  due(answer: Step): DueCheck {
    const check = this.checks?.get(answer);
    if (check === undefined) throw new InternalError(`step ${answer.id}: no check stands before it`);
    return check;
  }

  /** The check before an answer is done: what it read goes, unless it has other readers. */
  checked(answer: Step): void {
    const { openings, lastRead } = this.due(answer);
    for (const step of openings) this.came.delete(step);
    for (const id of lastRead) {
      this.awaited.delete(id);
      if (!this.isRead(id)) this.release(id);
    }
  }

  protected override keeps(slot: Slot, id: ValueId): boolean {
    return slot === "public" && this.awaited.has(id);
  }

  /** Keeps what was sent in an opening until the other's message comes; it is scratch of that step. */
  keepSent(step: Step, message: Words): Words {
    this.sent.set(step.id, message);
    return message;
  }

  /** What `keepSent` kept. */
  takeSent(step: Step): Words {
    const message = this.sent.get(step.id);
    if (message === undefined) throw new InternalError(`step ${step.id}: received before it was sent`);
    this.sent.delete(step.id);
    return message;
  }

  get isServer(): boolean {
    return this.role === "server";
  }

  /** The server's cover of a step, as scratch of it; null in runs without a helper. */
  coverOf(step: Step, length: number): Words | null {
    if (this.cover === null) return null;
    const v = this.temp(length);
    this.cover.words(this.ring, v, step.id, COVER);
    return v;
  }

  /** Makes what was dealt for a later step ready, while this party has nothing else to do. */
  fetch(step: Step, blocks: readonly Block[]): void {
    if (this.fetched.has(step.id)) return;
    const words = this.ring.alloc(lengthOf(blocks));
    this.fetched.set(step.id, words);
    this.material.dealt(this.ring, step, blocks, words);
  }

  /** What was dealt for a step, as scratch of it: fetched before or now. */
  dealt(step: Step, blocks: readonly Block[]): Words {
    this.fetch(step, blocks);
    const words = this.fetched.get(step.id)!;
    this.fetched.delete(step.id);
    return this.keepTemp(words);
  }

  override close(): void {
    for (const words of this.fetched.values()) this.ring.free(words);
    this.fetched.clear();
    super.close();
  }
}

/** A value that left its planned range: the private run of this text would be wrong. */
export interface Violation {
  readonly step: number;
  readonly label: string;
  readonly name: string;
  /** How many times it lies beyond the end of its range: above 1. */
  readonly excess: number;
}

/** The program in the clear in fixed point: "share" holds whole values. */
export class ClearScope extends Scope {
  readonly weights: ServerWeights;
  readonly input: ClientInput;
  /** Draws shares and masks where values are rounded as two parties round them; null: values are rounded down. */
  readonly rounding: Prg | null;
  readonly violations: Violation[] = [];

  constructor(ring: Ring, program: Program, weights: ServerWeights, input: ClientInput, rounding: Prg | null) {
    super(ring, program);
    this.weights = weights;
    this.input = input;
    this.rounding = rounding;
  }

  /** The whole value. */
  x(id: ValueId): Words {
    return this.get("share", id);
  }

  /**
   * Compares the text's own rows of a value with a range of whole numbers, least < 0 or > 0 and most > 0; padded rows may hold
   * anything.
   */
  checkRange(step: Step, value: Value, words: Words, [least, most]: readonly [least: number, most: number]): void {
    const { length } = this.program.shape;
    const padded = value.rows >= length && value.rows % length === 0;
    const numbers = this.ring.decode(words, 64, 1);
    let excess = 0;
    for (let i = 0; i < numbers.length; i++) {
      const row = Math.floor(i / value.columns) % length;
      if (padded && !this.input.isOwn(row)) continue;
      const below = least > 0 ? least / Math.max(numbers[i], 1) : numbers[i] / least;
      excess = Math.max(excess, numbers[i] / most, below);
    }
    if (excess > 1) this.violations.push({ step: step.id, label: step.label, name: value.name, excess });
  }
}
