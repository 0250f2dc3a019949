/** A party's tensors while it runs a program. */
import { InternalError } from "../errors.ts";
import type { Program, Step, Value } from "../program/steps.ts";
import type { Words } from "../ring/memory.ts";
import type { Ring } from "../ring/ring.ts";

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
    for (const reads of program.reads) for (const id of reads) this.uses[id]++;
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
    if (words === undefined) throw new InternalError(`step order: no ${slot} of value ${id} (${this.value(id).name})`);
    return words;
  }

  has(slot: Slot, id: number): boolean {
    return this.tensors.has(`${slot}:${id}`);
  }

  /** Whether a step will still read a value. */
  protected isRead(id: number): boolean {
    return this.uses[id] > 0;
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
    for (const id of this.program.reads[step.id]) if (--this.uses[id] === 0) this.release(id);
    this.release(step.out, this.uses[step.out] === 0 ? SLOTS : ["sum"]);
    for (const words of this.temporaries.splice(0)) this.ring.free(words);
  }

  /** Frees everything: the end of a run, also of a broken one. */
  close(): void {
    for (const words of this.tensors.values()) this.ring.free(words);
    this.tensors.clear();
    for (const words of this.temporaries.splice(0)) this.ring.free(words);
  }

  /** Whether a tensor outlives its readers. */
  protected keeps(_slot: Slot, _id: number): boolean {
    return false;
  }

  protected release(id: number, slots = SLOTS): void {
    for (const slot of slots) {
      if (this.keeps(slot, id)) continue;
      const words = this.tensors.get(`${slot}:${id}`);
      if (words !== undefined) {
        this.ring.free(words);
        this.tensors.delete(`${slot}:${id}`);
      }
    }
  }
}
