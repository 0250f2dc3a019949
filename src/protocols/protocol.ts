import { inputsOf } from "../program/order.ts";
import type { Program, Step, StepKind, StepOf, Value } from "../program/steps.ts";
import type { Words } from "../ring/memory.ts";
import type { Prg } from "../ring/prg.ts";
import type { Ring } from "../ring/ring.ts";

/** `length` ring elements of `bits` bits each, bit-packed on the wire. */
export interface Block {
  readonly length: number;
  readonly bits: number;
}

/** What one step sends. The declaration is the price list: the parties send and expect exactly this. */
export interface Traffic {
  /** Dealer to server, offline: the server's shares of the step's correlated secrets, one behind the other in one tensor. */
  readonly dealt?: readonly Block[];
  /** Client to server, offline: what of the client's opening does not depend on the text. */
  readonly ahead?: Block;
  /** Client to server, online. */
  readonly fromClient?: Block;
  /** Server to client, online. */
  readonly fromServer?: Block;
}

/** One primitive with its sides together. Local work only; the parties carry the messages. */
export interface Protocol<K extends StepKind> {
  traffic(step: StepOf<K>, program: Program): Traffic;
  /** The dealer draws masks and computes the corrections of `traffic().dealt`. */
  deal?(d: Dealer, step: StepOf<K>): void;
  /** The client's offline side; returns the words of `traffic().ahead`. */
  prepare?(c: ClientOffline, step: StepOf<K>): Words | null;
  /** What `deal` and `prepare` share of steps that are alike, before either of them: work that is cheaper together. */
  together?(s: Dealer | ClientOffline, steps: readonly StepOf<K>[]): void;
  /** Online, local steps. */
  run?(p: Party, step: StepOf<K>): void;
  /** Online, openings: this party's message, and what it makes of the other's (null where it gets none). */
  send?(p: Party, step: StepOf<K>): Words;
  receive?(p: Party, step: StepOf<K>, other: Words | null): void;
}

/** Streams of the PRG within a step: the two masks of an opening, the client's share of what is dealt, and a cover (cover.ts). */
export const CLIENT_MASK = 0;
export const SERVER_MASK = 1;
export const SHARE = 2;
export const COVER = 3;

/** A party's tensors of a value: "sum" is a linear step's, between `together` and the end of its step. */
export type Slot = "share" | "public" | "mask" | "client" | "full" | "sum";
const SLOTS: readonly Slot[] = ["share", "public", "mask", "client", "full", "sum"];

/**
 * The tensors of one party during one run of the program. A tensor is freed when the last step that reads its value is
 * done, so that memory stays at the width of the program, not its length.
 */
export class Scope {
  readonly ring: Ring;
  readonly program: Program;
  private readonly tensors = new Map<string, Words>();
  private readonly uses: Int32Array;
  private readonly temporaries: Words[] = [];

  constructor(ring: Ring, program: Program) {
    this.ring = ring;
    this.program = program;
    this.uses = new Int32Array(program.values.length);
    for (const step of program.steps) for (const id of inputsOf(step)) this.uses[id]++;
    for (const id of program.answers) this.uses[id]++;
  }

  value(id: number): Value {
    return this.program.values[id];
  }

  set(slot: Slot, id: number, words: Words): Words {
    this.tensors.set(`${slot}:${id}`, words);
    return words;
  }

  /** @throws Error when a step reads what no step has written: a fault of the program, not of its input. */
  get(slot: Slot, id: number): Words {
    const words = this.tensors.get(`${slot}:${id}`);
    if (words === undefined) throw new Error(`step order: no ${slot} of value ${id} (${this.value(id).name})`);
    return words;
  }

  has(slot: Slot, id: number): boolean {
    return this.tensors.has(`${slot}:${id}`);
  }

  /** Scratch that lives until the end of the step. */
  temp(length: number): Words {
    return this.keepTemp(this.ring.alloc(length));
  }

  /** Makes words scratch of the present step. */
  protected keepTemp(words: Words): Words {
    this.temporaries.push(words);
    return words;
  }

  /** Ends a step: scratch and values without further readers are freed. */
  done(step: Step): void {
    for (const id of inputsOf(step)) if (--this.uses[id] === 0) this.release(id);
    this.release(step.out, this.uses[step.out] === 0 ? SLOTS : ["sum"]);
    for (const words of this.temporaries.splice(0)) this.ring.free(words);
  }

  /** Frees everything: the end of a run, also of a broken one. */
  close(): void {
    for (const words of this.tensors.values()) this.ring.free(words);
    this.tensors.clear();
    for (const words of this.temporaries.splice(0)) this.ring.free(words);
  }

  private release(id: number, slots = SLOTS): void {
    for (const slot of slots) {
      const words = this.tensors.get(`${slot}:${id}`);
      if (words !== undefined) {
        this.ring.free(words);
        this.tensors.delete(`${slot}:${id}`);
      }
    }
  }
}

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
  /** out += x·W for one term. */
  apply(weightId: number, out: Words, x: Words, rows: number): void;
  /** The bias as integers: one row, or one row for each position. */
  bias(step: StepOf<"linear">): Words | null;
}

/** Which positions of the padded text, and of what was chosen since, hold tokens. */
export interface OwnRows {
  isOwn(position: number): boolean;
}

/** Where the text enters as numbers. */
export type InputStep = StepOf<"input" | "entry">;

/** What the client side puts into a run: integers of its own, or those that a helper was given under covers. */
export interface SharedInput {
  /** The integers of an input step; of a later turn, those of the token taken. */
  fill(out: Words, step: InputStep): void;
  /** What is added to each column of keys: one constant where a token is, another beyond the text. */
  fillKeys(out: Words, step: StepOf<"keys">): void;
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

/** Client or server online: "share", "public" (x̂) and "mask" (this party's part of r). */
export class Party extends Scope {
  readonly role: "client" | "server";
  readonly withDealer: Prg;
  readonly material: Material;
  readonly weights: ServerWeights | null;
  readonly input: SharedInput | null;
  /** The server's, of a text that a helper carries for its owner (cover.ts). */
  readonly cover: Prg | null;
  private readonly sent = new Map<number, Words>();
  private readonly fetched = new Map<number, Words>();

  constructor(
    ring: Ring,
    program: Program,
    side:
      | { role: "client"; withDealer: Prg; material: Material; input: SharedInput }
      | { role: "server"; withDealer: Prg; material: Material; weights: ServerWeights; cover?: Prg },
  ) {
    super(ring, program);
    this.role = side.role;
    this.withDealer = side.withDealer;
    this.material = side.material;
    this.weights = side.role === "server" ? side.weights : null;
    this.input = side.role === "client" ? side.input : null;
    this.cover = (side.role === "server" ? side.cover : undefined) ?? null;
  }

  /** Keeps what was sent in an opening until the other's message comes; it is scratch of that step. */
  keepSent(step: Step, message: Words): Words {
    this.sent.set(step.id, message);
    return message;
  }

  /** What `keepSent` kept. */
  takeSent(step: Step): Words {
    const message = this.sent.get(step.id);
    if (message === undefined) throw new Error(`step ${step.id}: received before it was sent`);
    this.sent.delete(step.id);
    return message;
  }

  get isServer(): boolean {
    return this.role === "server";
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

/** Elements of all blocks. */
export function lengthOf(blocks: readonly Block[]): number {
  return blocks.reduce((sum, b) => sum + b.length, 0);
}

export function elements(value: Value): number {
  return value.rows * value.columns;
}
