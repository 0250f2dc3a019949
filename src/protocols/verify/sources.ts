/**
 * Words, tags and keys. A word S of b bits, which client and dealer draw, has a tag M that they draw as well, and a key K = M - α·S mod
 * 2^(b + TAG_BITS) that the dealer sends the server, whose α it is. Of bits, plane by plane, K = M ⊕ α_plane·S.
 */
import { InternalError } from "../../errors.ts";
import type { Program, Step } from "../../program/steps.ts";
import type { Words } from "../../ring/memory.ts";
import type { Prg } from "../../ring/prg.ts";
import type { Ring } from "../../ring/ring.ts";
import { type Wide, WideRing } from "../../ring/wide.ts";
import { ALPHA, CLIENT_MASK, lengthOf, SHARE, TAG_HIGH, TAG_LOW, TAG_PLANE, TRUNCATED } from "../blocks.ts";
import { packAll, partsOf, unpackAll } from "../packing.ts";
import type { WordSource } from "./combining.ts";
import { keyedWords, paddingBytes, sampled, type Verify } from "./sampling.ts";
import {
  type ClientWords,
  clientWords,
  isWide,
  joinedTo,
  keyBlocks,
  laneWidth,
  TAG_BITS,
  type WordSet,
  wordCount,
} from "./words.ts";

/** The words themselves, as whoever has the client's seed draws them. */
export class DrawnWords implements WordSource {
  readonly planes = 1;
  private readonly ring: Ring;
  private readonly program: Program;
  private readonly withClient: Prg;

  constructor(ring: Ring, program: Program, withClient: Prg) {
    this.ring = ring;
    this.program = program;
    this.withClient = withClient;
  }

  /** Each mod 2^bits, without a high plane. */
  wide(step: Step, words: ClientWords): Wide {
    const lo = this.ring.alloc(wordCount(words));
    if (words.flavour === "lanes") this.lanes(step, words, lo);
    else if (words.purpose === TRUNCATED) this.truncated(step, words, lo);
    else this.withClient.words(this.ring, lo, step.id, words.purpose);
    const joined = words.purpose === CLIENT_MASK ? joinedTo(step, this.program) : undefined;
    if (joined !== undefined) {
      const share = this.ring.alloc(lo.length);
      this.withClient.words(this.ring, share, joined.id, SHARE);
      this.ring.add(lo, lo, share);
      this.ring.free(share);
    }
    partsOf(lo, words.blocks).forEach((part, i) => {
      const { bits } = words.blocks[i];
      if (bits < 64) this.ring.reduce(part, part, bits);
    });
    return { lo, hi: null };
  }

  bits(step: Step, words: ClientWords): readonly Words[] {
    return [this.wide(step, words).lo];
  }

  /** A mask after the opening's truncation: what the value of the opening is masked by. */
  private truncated(step: Step, { blocks: [{ bits }] }: ClientWords, out: Words): void {
    const sent = clientWords(step, this.program).find(({ purpose }) => purpose === CLIENT_MASK);
    if (sent === undefined || step.kind !== "open") throw new InternalError(`step ${step.id} has no mask`);
    this.withClient.words(this.ring, out, step.id, CLIENT_MASK, sent.blocks[0].bits);
    this.ring.truncate(out, out, sent.blocks[0].bits, step.shift, bits);
  }

  private lanes(step: Step, words: ClientWords, out: Words): void {
    const width = laneWidth(step, this.program);
    const drawn = this.ring.alloc(wordCount(words) / (64 / width));
    this.withClient.words(this.ring, drawn, step.id, words.purpose);
    const bytes = drawn.bytes();
    const lanes = width === 8 ? bytes : new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.length / 2);
    const to = out.i32();
    for (let i = 0; i < lanes.length; i++) {
      to[2 * i] = lanes[i];
      to[2 * i + 1] = 0;
    }
    this.ring.free(drawn);
  }
}

/** Their tags: drawn at addresses of their own. */
export class DrawnTags implements WordSource {
  readonly planes = TAG_BITS;
  private readonly ring: Ring;
  private readonly withClient: Prg;

  constructor(ring: Ring, withClient: Prg) {
    this.ring = ring;
    this.withClient = withClient;
  }

  wide(step: Step, words: ClientWords): Wide {
    const lo = this.draw(step, words, TAG_LOW + words.purpose);
    const hi = isWide(words) ? this.draw(step, words, TAG_HIGH + words.purpose) : null;
    cut(this.ring, words, { lo, hi });
    return { lo, hi };
  }

  bits(step: Step, words: ClientWords): readonly Words[] {
    const first = TAG_PLANE * (1 + words.purpose);
    return Array.from({ length: TAG_BITS }, (_, index) => {
      const plane = this.draw(step, words, first + index);
      partsOf(plane, words.blocks).forEach((part, i) => {
        this.ring.reduce(part, part, words.blocks[i].bits);
      });
      return plane;
    });
  }

  private draw(step: Step, words: ClientWords, address: number): Words {
    const out = this.ring.alloc(wordCount(words));
    this.withClient.words(this.ring, out, step.id, address);
    return out;
  }
}

/** Cuts tags or keys to the bits that travel. */
function cut(ring: Ring, { blocks }: ClientWords, { lo, hi }: Wide): void {
  const parts = { lo: partsOf(lo, blocks), hi: hi === null ? null : partsOf(hi, blocks) };
  blocks.forEach(({ bits }, i) => {
    const all = bits + TAG_BITS;
    if (all < 64) ring.reduce(parts.lo[i], parts.lo[i], all);
    if (parts.hi === null) return;
    if (all > 64) ring.reduce(parts.hi[i], parts.hi[i], all - 64);
    else ring.zero(parts.hi[i]);
  });
}

/** The server's secret of one session: of TAG_BITS more than 64 bits; of planes of bits, its bit for each. */
export class Alpha {
  readonly word: Wide;
  readonly #bits: number;
  private readonly ring: Ring;

  /** From the server's seed. */
  constructor(ring: Ring, withServer: Prg) {
    this.ring = ring;
    const [lo, hi, planes] = [ring.alloc(1), ring.alloc(1), ring.alloc(1)];
    withServer.words(ring, lo, 0, ALPHA);
    withServer.words(ring, hi, 1, ALPHA, TAG_BITS);
    withServer.words(ring, planes, 2, ALPHA, TAG_BITS);
    this.#bits = planes.i32()[0];
    ring.free(planes);
    this.word = { lo, hi };
  }

  /** All ones where the plane's bit is one, else zero: never a choice. */
  maskOf(plane: number): number {
    return -((this.#bits >>> plane) & 1);
  }

  /** out ^= α_plane·x */
  addPlane(out: Words, x: Words, plane: number): void {
    const [to, from] = [out.i32(), x.i32()];
    const mask = this.maskOf(plane);
    for (let i = 0; i < to.length; i++) to[i] ^= from[i] & mask;
  }

  close(): void {
    for (const words of [this.word.lo, this.word.hi!]) {
      this.ring.zero(words);
      this.ring.free(words);
    }
  }
}

/** The dealer's part: the keys of the words that a session checks. */
export class KeyDealer {
  private readonly ring: Ring;
  private readonly program: Program;
  private readonly set: WordSet;
  private readonly words: DrawnWords;
  private readonly tags: DrawnTags;
  private readonly alpha: Alpha;
  private readonly paddings: readonly number[] | null;

  constructor(ring: Ring, program: Program, withClient: Prg, withServer: Prg, verify: Verify) {
    const chosen = sampled(ring, program, withServer, verify);
    this.ring = ring;
    this.program = program;
    this.set = keyedWords(program, chosen);
    this.paddings = paddingBytes(program, chosen, verify);
    this.words = new DrawnWords(ring, program, withClient);
    this.tags = new DrawnTags(ring, withClient);
    this.alpha = new Alpha(ring, withServer);
  }

  /** Bytes of a portion's last message, which says nothing; null for none. */
  padding(portion: number): number | null {
    return this.paddings?.[portion] ?? null;
  }

  /** A step's keys, packed: of each address. */
  keysOf(step: Step): readonly Uint8Array[] {
    const wanted = this.set.get(step.id);
    if (wanted === undefined) return [];
    const all = clientWords(step, this.program).filter(({ purpose }) => wanted.has(purpose));
    return all.map((words) => (words.flavour === "bits" ? this.planes(step, words) : this.wide(step, words)));
  }

  close(): void {
    this.alpha.close();
  }

  private wide(step: Step, words: ClientWords): Uint8Array {
    const key = this.tags.wide(step, words);
    const { lo: word } = this.words.wide(step, words);
    const wide = new WideRing(this.ring);
    wide.subtractScaled(key, word, this.alpha.word);
    const planes = key.hi === null ? [key.lo] : [key.lo, key.hi];
    const { blocks } = words;
    const low = partsOf(key.lo, blocks);
    const high = key.hi === null ? [] : partsOf(key.hi, blocks).filter((_, i) => blocks[i].bits + TAG_BITS > 64);
    const packed = packAll(this.ring, [...low, ...high], keyBlocks(words));
    for (const plane of [...planes, word]) this.ring.free(plane);
    return packed;
  }

  private planes(step: Step, words: ClientWords): Uint8Array {
    const tags = this.tags.bits(step, words);
    const [word] = this.words.bits(step, words);
    tags.forEach((tag, plane) => {
      this.alpha.addPlane(tag, word, plane);
    });
    const parts = tags.flatMap((tag) => partsOf(tag, words.blocks));
    const packed = packAll(this.ring, parts, keyBlocks(words));
    for (const plane of [...tags, word]) this.ring.free(plane);
    return packed;
  }
}

/** The server's keys, from what the dealer sent of each step. */
export class DealtKeys implements WordSource {
  readonly planes = TAG_BITS;
  private readonly ring: Ring;
  private readonly program: Program;
  private readonly set: WordSet;
  private readonly packed: (step: Step) => Uint8Array;

  constructor(ring: Ring, program: Program, set: WordSet, packed: (step: Step) => Uint8Array) {
    this.ring = ring;
    this.program = program;
    this.set = set;
    this.packed = packed;
  }

  wide(step: Step, words: ClientWords): Wide {
    const blocks = keyBlocks(words);
    const all = this.unpacked(step, words);
    const length = wordCount(words);
    const lo = this.ring.alloc(length);
    this.ring.copy(lo, all.part(0, length));
    const hi = isWide(words) ? this.ring.alloc(length) : null;
    if (hi !== null) {
      this.ring.zero(hi);
      const above = partsOf(all, blocks).slice(words.blocks.length);
      const parts = partsOf(hi, words.blocks).filter((_, i) => words.blocks[i].bits + TAG_BITS > 64);
      parts.forEach((part, i) => {
        this.ring.copy(part, above[i]);
      });
    }
    this.ring.free(all);
    return { lo, hi };
  }

  bits(step: Step, words: ClientWords): readonly Words[] {
    const all = this.unpacked(step, words);
    const length = wordCount(words);
    const planes = Array.from({ length: TAG_BITS }, (_, plane) => {
      const words = this.ring.alloc(length);
      this.ring.copy(words, all.part(plane * length, length));
      return words;
    });
    this.ring.free(all);
    return planes;
  }

  /** What was sent for one address, as words. */
  private unpacked(step: Step, words: ClientWords): Words {
    const wanted = this.set.get(step.id);
    const before: ClientWords[] = [];
    for (const other of clientWords(step, this.program)) {
      if (other.purpose === words.purpose) break;
      if (wanted?.has(other.purpose)) before.push(other);
    }
    const size = (of: ClientWords) => keyBlocks(of).reduce((sum, b) => sum + Math.ceil((b.length * b.bits) / 8), 0);
    const at = before.reduce((sum, other) => sum + size(other), 0);
    const blocks = keyBlocks(words);
    const out = this.ring.alloc(lengthOf(blocks));
    unpackAll(this.ring, out, this.packed(step).subarray(at, at + size(words)), blocks);
    return out;
  }
}
