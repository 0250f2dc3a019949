/**
 * The client's messages as sums of its words: public factors times words, by the formula that made the share. The same sums over the words
 * themselves, over their tags or over their keys; the rules of the kinds say which (`client` in rule.ts).
 */
import { InternalError } from "../../errors.ts";
import type { Program, Step, ValueId } from "../../program/steps.ts";
import type { Words } from "../../ring/memory.ts";
import type { Ring } from "../../ring/ring.ts";
import { type Wide, WideRing } from "../../ring/wide.ts";
import { CLIENT_MASK, SHARE, TRUNCATED } from "../blocks.ts";
import type { Combination } from "../combination.ts";
import { elements } from "../rule.ts";
import type { MaskedWeights } from "../sides.ts";
import { type ClientWords, clientWords, isJoined, maskFrom, producer, TAG_BITS } from "./words.ts";

/** The words, their tags or their keys. What is returned is the callee's. */
export interface WordSource {
  /** Of how many planes bits are: one of the bits themselves, or TAG_BITS of their tags. */
  readonly planes: number;
  wide(step: Step, words: ClientWords): Wide;
  bits(step: Step, words: ClientWords): readonly Words[];
}

/** What factors are made of: opened values, the same for both parties. */
export interface Publics {
  opened(id: ValueId): Words;
}

/** R times the random matrix of an opening, which is the same for words and for tags. */
export class Factors {
  private readonly ring: Ring;
  private readonly known = new Map<string, Words>();

  constructor(ring: Ring) {
    this.ring = ring;
  }

  /** Made by `fill` when it is first asked for; kept until `close`. */
  of(step: Step, term: number, length: number, fill: (out: Words) => void): Words {
    const key = `${step.id}:${term}`;
    let words = this.known.get(key);
    if (words === undefined) {
      words = this.ring.alloc(length);
      this.known.set(key, words);
      fill(words);
    }
    return words;
  }

  close(): void {
    for (const words of this.known.values()) this.ring.free(words);
    this.known.clear();
  }
}

/** One evaluation. Results are kept until the last step that reads them has run. */
export class Combining implements Combination {
  readonly ring: Ring;
  readonly wide: WideRing;
  readonly program: Program;
  /** R of the model's operands. */
  readonly weights: MaskedWeights;
  private readonly products: Factors;
  private readonly source: WordSource;
  private readonly publics: Publics;
  private readonly shares = new Map<ValueId, Wide>();
  private readonly bitShares = new Map<ValueId, readonly Words[]>();
  private readonly passing: Words[] = [];

  constructor(
    ring: Ring,
    program: Program,
    source: WordSource,
    {
      publics,
      weights,
      factors,
    }: { readonly publics: Publics; readonly weights: MaskedWeights; readonly factors: Factors },
  ) {
    this.ring = ring;
    this.wide = new WideRing(ring);
    this.program = program;
    this.source = source;
    this.publics = publics;
    this.weights = weights;
    this.products = factors;
  }

  value(id: ValueId) {
    return this.program.values[id];
  }

  opened(id: ValueId): Words {
    return this.publics.opened(id);
  }

  /** Scratch until `done`. */
  temp(length: number): Words {
    const words = this.ring.alloc(length);
    this.passing.push(words);
    return words;
  }

  /** Zeros, with a high plane where `bits` and a tag do not fit into 64 bits; scratch until `done`. */
  scratch(length: number, bits: number): Wide {
    return this.keep(this.wide.zeros(length, bits + TAG_BITS > 64));
  }

  /** A result: zeros to add to. */
  result(step: Step): Wide {
    const value = this.value(step.out);
    const out = this.wide.zeros(elements(value), value.ring + TAG_BITS > 64);
    this.shares.set(step.out, out);
    return out;
  }

  share(id: ValueId): Wide {
    const share = this.shares.get(id);
    if (share === undefined) throw new InternalError(`no sum for value ${id}`);
    return share;
  }

  /** How many planes of bits there are. */
  get planes(): number {
    return this.source.planes;
  }

  /** Bits, plane by plane: one result's words for each. */
  bitResult(step: Step): readonly Words[] {
    const out = Array.from({ length: this.planes }, () => this.ring.alloc(elements(this.value(step.out))));
    this.bitShares.set(step.out, out);
    return out;
  }

  bitShare(id: ValueId): readonly Words[] {
    const share = this.bitShares.get(id);
    if (share === undefined) throw new InternalError(`no sum for bits ${id}`);
    return share;
  }

  /** The client's words of a step at one address; scratch until `done`. */
  words(step: Step, purpose: number = SHARE): Wide {
    return this.keep(this.source.wide(step, this.described(step, purpose)));
  }

  /** out += the client's share of what is dealt for a product, unless it is one word with the mask of its opening. */
  addDealt(out: Wide, step: Step): void {
    if (!isJoined(step, this.program)) this.wide.add(out, this.words(step));
  }

  bits(step: Step, purpose: number = SHARE): readonly Words[] {
    const planes = this.source.bits(step, this.described(step, purpose));
    this.passing.push(...planes);
    return planes;
  }

  /** The client's part of the mask of an opened value; scratch until `done`. */
  mask(id: ValueId): Wide {
    const step = producer(this.program, id);
    const { rows, columns, ring } = this.value(id);
    if (step.kind === "slice") {
      const { columns: width } = this.value(step.x);
      const out = this.scratch(rows * columns, ring);
      this.wide.each(out, this.mask(step.x), (to, from) =>
        this.ring.copyBlock(to, 0, columns, from, step.row * width + step.column, width, rows, columns),
      );
      return out;
    }
    if (step.kind === "place") {
      const out = this.scratch(rows * columns, ring);
      for (const [part, row] of [
        [this.mask(step.x), 0],
        [this.mask(step.y), step.row],
      ] as const) {
        const at = row * columns;
        const to = { lo: out.lo.part(at, part.lo.length), hi: out.hi?.part(at, part.lo.length) ?? null };
        this.wide.each(to, part, (a, b) => this.ring.copy(a, b));
      }
      return out;
    }
    const [purpose] = maskFrom(step);
    if (purpose !== TRUNCATED && purpose !== CLIENT_MASK) throw new InternalError(`no mask of value ${id}`);
    return this.words(step, purpose);
  }

  /** The client's part of the mask of opened bits. */
  bitMask(id: ValueId): readonly Words[] {
    return this.bits(producer(this.program, id), CLIENT_MASK);
  }

  factors(step: Step, term: number, length: number, fill: (out: Words) => void): Words {
    return this.products.of(step, term, length, fill);
  }

  /** Ends a step: its scratch goes. */
  done(): void {
    for (const words of this.passing.splice(0)) this.ring.free(words);
  }

  /** A result that nobody reads any more. */
  forget(id: ValueId): void {
    const share = this.shares.get(id);
    if (share !== undefined) this.wide.free(share);
    for (const words of this.bitShares.get(id) ?? []) this.ring.free(words);
    this.shares.delete(id);
    this.bitShares.delete(id);
  }

  close(): void {
    this.done();
    for (const id of [...this.shares.keys(), ...this.bitShares.keys()]) this.forget(id);
  }

  private described(step: Step, purpose: number): ClientWords {
    const words = clientWords(step, this.program).find((w) => w.purpose === purpose);
    if (words === undefined) throw new InternalError(`step ${step.id} draws nothing for ${purpose}`);
    return words;
  }

  private keep(wide: Wide): Wide {
    this.passing.push(wide.lo);
    if (wide.hi !== null) this.passing.push(wide.hi);
    return wide;
  }
}
