/**
 * Classes of letters as the tokenizers library has them. Its parts follow several versions of Unicode and none of them is
 * JavaScript's, so all tables come from the library (unicode-tables.ts) and none from the engine.
 */

import { ACCENTS, LOWER, NORMALISED, PUNCTUATION, REMOVED } from "./unicode-tables.ts";

const LIMIT = 0x110000;
const SMALL = 256;

/** A set of code points, as sorted ranges. */
export class CodeSet {
  /** first, last + 1, first, last + 1, ... */
  readonly #bounds: readonly number[];
  readonly #small = new Uint8Array(SMALL);

  /** `bounds`: sorted, each range's first code point and the one behind its last. */
  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    for (let code = 0; code < SMALL; code++) this.#small[code] = this.#search(code) ? 1 : 0;
  }

  static of(...codes: readonly number[]): CodeSet {
    return CodeSet.union(...codes.map((code) => new CodeSet([code, code + 1])));
  }

  static range(first: number, last: number): CodeSet {
    return new CodeSet([first, last + 1]);
  }

  static union(...sets: readonly CodeSet[]): CodeSet {
    const ranges = sets.flatMap((set) => set.#ranges()).sort((a, b) => a[0] - b[0]);
    const bounds: number[] = [];
    for (const [first, end] of ranges) {
      const last = bounds.length - 1;
      if (last > 0 && first <= bounds[last]) bounds[last] = Math.max(bounds[last], end);
      else bounds.push(first, end);
    }
    return new CodeSet(bounds);
  }

  get complement(): CodeSet {
    const inner = this.#bounds[0] === 0 ? this.#bounds.slice(1) : [0, ...this.#bounds];
    return new CodeSet(inner[inner.length - 1] === LIMIT ? inner.slice(0, -1) : [...inner, LIMIT]);
  }

  get isAscii(): boolean {
    return (this.#bounds[this.#bounds.length - 1] ?? 0) <= 0x80;
  }

  has(code: number): boolean {
    return code < SMALL ? this.#small[code] === 1 : this.#search(code);
  }

  #ranges(): [number, number][] {
    return this.#bounds.flatMap((first, i) => (i % 2 === 0 ? [[first, this.#bounds[i + 1]] as [number, number]] : []));
  }

  /** Whether an odd number of bounds lies at or below the code point. */
  #search(code: number): boolean {
    let [low, high] = [0, this.#bounds.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#bounds[middle] <= code) low = middle + 1;
      else high = middle;
    }
    return low % 2 === 1;
  }
}

/** The set that a table of unicode-tables.ts writes. */
export function fromTable(table: string): CodeSet {
  const bounds: number[] = [];
  let at = 0;
  for (const length of table.split(" ")) {
    at += Number.parseInt(length, 36);
    bounds.push(at);
  }
  bounds.pop(); // the last run ends with the last code point
  return new CodeSet(bounds.length % 2 === 0 ? bounds : [...bounds, LIMIT]);
}

/** White_Space: the same in all versions, in Rust's `is_whitespace` and in `\s` of both of its engines for patterns. */
export const WHITE = CodeSet.union(
  CodeSet.range(0x09, 0x0d),
  CodeSet.of(0x20, 0x85, 0xa0, 0x1680, 0x2028, 0x2029, 0x202f, 0x205f, 0x3000),
  CodeSet.range(0x2000, 0x200a),
);
export const PUNCTUATION_MARK = fromTable(PUNCTUATION);
/** Controls that BertNormalizer removes. */
export const CONTROL = fromTable(REMOVED);
/** Marks that BertNormalizer removes as accents. */
export const ACCENT = fromTable(ACCENTS);
/** What takes part in normal forms. */
export const NORMALISABLE = fromTable(NORMALISED);
/** BERT's Chinese characters; that one block is short by 256 is the library's. */
export const IDEOGRAPH = new CodeSet([
  ...[0x3400, 0x4dc0, 0x4e00, 0xa000, 0xf900, 0xfb00, 0x20000, 0x2a6e0],
  ...[0x2a700, 0x2b820, 0x2b920, 0x2ceb0, 0x2f800, 0x2fa20],
]);

let lower: ReadonlyMap<number, number> | undefined;
/** The one letter whose lower case is two: i and a dot above. */
const DOTTED_I = 0x130;
const DOTTED_LOWER = [0x69, 0x307];

/** A letter's lower case, whatever its neighbours are: a capital sigma becomes σ at a word's end too. */
export function lowerCase(code: number): number | readonly number[] {
  if (code < 0x80) return code >= 0x41 && code <= 0x5a ? code + 32 : code;
  if (code === DOTTED_I) return DOTTED_LOWER;
  lower ??= readLower();
  return lower.get(code) ?? code;
}

function readLower(): Map<number, number> {
  const pairs = new Map<number, number>();
  for (const entry of LOWER.split(" ")) {
    const [start, count, step, distance] = entry.split(",").map((part) => Number.parseInt(part, 36));
    for (let i = 0; i < count; i++) pairs.set(start + i * step, start + i * step + distance);
  }
  return pairs;
}
