/** Byte-pair encoding's loop (Sennrich et al., arXiv:1508.07909): the pieces of words, and which two of them stand side by side. */

/** A word of the texts, how often it occurs, and the pieces that it has been cut into so far. */
export interface Word {
  readonly count: number;
  pieces: string[];
}

/** Two pieces that were joined, and what they became. */
export interface Joined {
  readonly left: string;
  readonly right: string;
  readonly piece: string;
}

/** How often two pieces stand side by side, and in which words. */
export class Pairs {
  readonly #words: readonly Word[];
  readonly #join: (left: string, right: string) => string;
  readonly #counts = new Map<string, number>();
  readonly #places = new Map<string, Set<number>>();

  /** `join`: the piece that two pieces become. */
  constructor(words: readonly Word[], join: (left: string, right: string) => string) {
    this.#words = words;
    this.#join = join;
    words.forEach((word, i) => {
      this.#count(word, i, 1);
    });
  }

  /** Joins the most frequent pair everywhere; of equals the first in alphabetical order. Undefined when none occurs twice. */
  joinMostFrequent(): Joined | undefined {
    let [best, most] = ["", 1];
    for (const [pair, count] of this.#counts) {
      if (count > most || (count === most && most > 1 && pair < best)) [best, most] = [pair, count];
    }
    if (best === "") return undefined;
    const [left, right] = best.split(" ");
    const piece = this.#join(left, right);
    for (const index of [...(this.#places.get(best) ?? [])]) {
      const word = this.#words[index];
      this.#count(word, index, -1);
      word.pieces = joinedPieces(word.pieces, { left, right, piece });
      this.#count(word, index, 1);
    }
    this.#counts.delete(best);
    this.#places.delete(best);
    return { left, right, piece };
  }

  #count({ count, pieces }: Word, index: number, sign: 1 | -1): void {
    for (let i = 0; i + 1 < pieces.length; i++) {
      const pair = `${pieces[i]} ${pieces[i + 1]}`;
      const total = (this.#counts.get(pair) ?? 0) + sign * count;
      if (total <= 0) this.#counts.delete(pair);
      else this.#counts.set(pair, total);
      const places = this.#places.get(pair) ?? new Set();
      if (sign === 1) this.#places.set(pair, places.add(index));
      else places.delete(index);
    }
  }
}

function joinedPieces(pieces: readonly string[], { left, right, piece }: Joined): string[] {
  const out: string[] = [];
  for (let i = 0; i < pieces.length; i++) {
    if (pieces[i] === left && pieces[i + 1] === right) {
      out.push(piece);
      i++;
    } else out.push(pieces[i]);
  }
  return out;
}
