/** What a party brings from the offline phase into one online run. Secret; never printed; used once. */

import type { Program, Step } from "../program/steps.ts";
import { type Block, SHARE } from "../protocols/blocks.ts";
import { unpackAll } from "../protocols/packing.ts";
import type { Material } from "../protocols/sides.ts";
import type { Words } from "../ring/memory.ts";
import { Prg } from "../ring/prg.ts";
import type { Ring } from "../ring/ring.ts";
import { Secret } from "../ring/secret.ts";

type Table = "dealt" | "ahead" | "share" | "keys" | "model";
const TABLES: readonly Table[] = ["dealt", "ahead", "share", "keys", "model"];
/** table (1 byte), step (4), length (8): in front of each entry on disk. */
const ENTRY_HEADER = 13;

/** Packed blocks by table and step, which go as they are read, and the seed shared with the dealer. Prints how many blocks there are. */
export class StoredMaterial implements Material {
  /** For the dealer, and nobody else. */
  readonly seed: Secret;
  readonly withDealer: Prg;
  private readonly role: "client" | "server";
  private readonly program: Program;
  readonly #entries = new Map<string, Uint8Array>();

  constructor(role: "client" | "server", program: Program, seed: Secret) {
    this.role = role;
    this.program = program;
    this.seed = seed;
    this.withDealer = new Prg(seed.expose());
  }

  toJSON(): string {
    return `material of ${this.#entries.size} blocks`;
  }

  put(table: Table, step: number, packed: Uint8Array): void {
    this.#entries.set(`${table}:${step}`, packed);
  }

  dealt(ring: Ring, step: Step, blocks: readonly Block[], out: Words): void {
    if (this.role === "client") this.withDealer.words(ring, out, step.id, SHARE);
    else unpackAll(ring, out, this.used("dealt", step), blocks);
  }

  ahead(ring: Ring, step: Step, block: Block, out: Words): void {
    // A check reads it again.
    const packed = this.program.shape.verified ? this.take("ahead", step) : this.used("ahead", step);
    ring.unpackBits(out, packed, block.bits);
  }

  share(ring: Ring, step: Step, out: Words): void {
    ring.unpackBits(out, this.used("share", step), this.program.values[step.out].ring);
  }

  /** Client: the key of R, where a check will need it. */
  get modelKey(): Secret {
    const key = this.#entries.get("model:0");
    if (key === undefined) throw new Error("the material lacks the key of R: it was prepared for another program");
    return new Secret(key);
  }

  /** Server: the keys of a step's words, packed as they came. */
  keys(step: Step): Uint8Array {
    return this.take("keys", step);
  }

  /** Server: what the dealer sent of a step. */
  ofDealer({ id }: Step): readonly Uint8Array[] {
    return (["dealt", "keys"] as const).flatMap((table) => this.#entries.get(`${table}:${id}`) ?? []);
  }

  /** The bytes to keep on disk: the seed, then every entry behind its header. */
  *parts(): Iterable<Uint8Array> {
    yield this.seed.expose();
    for (const [key, packed] of this.#entries) {
      const [table, step] = key.split(":");
      const header = new Uint8Array(ENTRY_HEADER);
      const view = new DataView(header.buffer);
      view.setUint8(0, TABLES.indexOf(table as Table));
      view.setUint32(1, Number(step), true);
      view.setFloat64(5, packed.length, true);
      yield header;
      yield packed;
    }
  }

  /** Reads what `parts` wrote. @throws Error when the bytes are not such. */
  static parse(role: "client" | "server", program: Program, bytes: Uint8Array): StoredMaterial {
    const material = new StoredMaterial(role, program, new Secret(bytes.subarray(0, 16)));
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let at = 16;
    while (at < bytes.length) {
      if (at + ENTRY_HEADER > bytes.length) throw new Error("the stored material is cut short: it cannot be used");
      const length = view.getFloat64(at + 5, true);
      const table = TABLES[view.getUint8(at)];
      const start = at + ENTRY_HEADER;
      if (table === undefined || !(length >= 0) || start + length > bytes.length) {
        throw new Error("the stored material is not readable: it cannot be used");
      }
      material.put(table, view.getUint32(at + 1, true), bytes.subarray(start, start + length));
      at = start + length;
    }
    return material;
  }

  /** What is needed no more once it was read. */
  private used(table: Table, step: Step): Uint8Array {
    const packed = this.take(table, step);
    this.#entries.delete(`${table}:${step.id}`);
    return packed;
  }

  private take(table: Table, step: Step): Uint8Array {
    const packed = this.#entries.get(`${table}:${step.id}`);
    if (packed === undefined)
      throw new Error(`the material lacks step ${step.id}: it was used, or prepared for another program`);
    return packed;
  }
}
