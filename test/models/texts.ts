/** The texts of scripts/make-tokenizer-goldens.py, made again of the same seeds, and what the tokenizers library made of them. */

import { readFileSync } from "node:fs";

const ROOT = new URL("./fixtures/tokenizers/", import.meta.url).pathname;

interface Group {
  readonly weight: number;
  readonly texts?: readonly string[];
  readonly codes?: readonly (readonly [number, number])[];
}

interface Texts {
  readonly groups: readonly Group[];
  readonly addedWeight: number;
  /** By kind: its own added tokens, in odd company. */
  readonly added: Readonly<Record<string, readonly string[]>>;
}

const TEXTS: Texts = JSON.parse(readFileSync(`${ROOT}texts.json`, "utf8"));

export const kinds: readonly string[] = Object.keys(TEXTS.added);

export interface Sample {
  readonly text: string;
  readonly ids: readonly number[];
  readonly decoded: string;
}

export const samples: Readonly<Record<string, readonly Sample[]>> = JSON.parse(
  readFileSync(`${ROOT}samples.json`, "utf8"),
);

/** A kind's tokenizer.json. */
export function tokenizerJson(kind: string): string {
  return readFileSync(`${ROOT}${kind}.json`, "utf8");
}

/** For each text a hash of its ids and one of what they are decoded to. */
export function hashesOf(kind: string): readonly (readonly [ids: number, decoded: number])[] {
  const bytes = readFileSync(`${ROOT}${kind}.bin`);
  return Array.from({ length: bytes.length / 3 }, (_, i) => [bytes.readUInt16LE(3 * i), bytes[3 * i + 2]]);
}

/** mulberry32. */
class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) % limit;
  }
}

function groupAt(groups: readonly Group[], place: number): Group {
  let left = place;
  for (const group of groups) {
    if (left < group.weight) return group;
    left -= group.weight;
  }
  throw new Error("beyond all weights");
}

/** The text of a number, for a kind. */
export function textOf(index: number, kind: string): string {
  const random = new Random(index);
  const added = TEXTS.added[kind];
  const own: Group[] = added.length > 0 && index % 2 === 1 ? [{ weight: TEXTS.addedWeight, texts: added }] : [];
  const groups = [...TEXTS.groups, ...own];
  const total = groups.reduce((sum, { weight }) => sum + weight, 0);
  let text = "";
  for (let left = random.below(16); left > 0; left--) {
    const { texts, codes } = groupAt(groups, random.below(total));
    if (texts !== undefined) text += texts[random.below(texts.length)];
    else {
      const [low, high] = codes![random.below(codes!.length)];
      const code = low + random.below(high - low + 1);
      text += code >= 0xd800 && code <= 0xdfff ? "\ufffd" : String.fromCodePoint(code);
    }
  }
  return text;
}

/** FNV-1a, folded to 16 bits. */
export function hashed(numbers: Iterable<number>): number {
  let value = 0x811c9dc5;
  for (const number of numbers) value = Math.imul(value ^ number, 0x01000193) >>> 0;
  return (value ^ (value >>> 16)) & 0xffff;
}
