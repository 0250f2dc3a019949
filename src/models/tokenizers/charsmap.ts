/**
 * SentencePiece's table of replacements ("Precompiled"): a double-array trie of UTF-8 byte strings
 * (https://github.com/s-yata/darts-clone) whose leaves point into a block of texts, each ended by a zero byte.
 */

import { type Letters, lettersOf, textOf, utf8 } from "./letters.ts";

const MOST_BYTES = 2 ** 22;
/** Longer clusters of letters are looked up letter by letter only. */
const MOST_CLUSTER_BYTES = 5;

/** A table from a tokenizer's file. */
export class Charsmap {
  readonly #units: DataView;
  readonly #count: number;
  readonly #texts: Uint8Array;
  readonly #segmenter = new Intl.Segmenter("en", { granularity: "grapheme" });

  /** @throws an Error that says what is wrong when `base64` is no table. */
  constructor(base64: string) {
    const bytes = decodeBase64(base64);
    const view = new DataView(bytes.buffer);
    const size = bytes.length < 4 ? -1 : view.getUint32(0, true);
    if (size < 4 || size % 4 !== 0 || 4 + size > bytes.length) throw new Error("is not a table of replacements");
    this.#units = new DataView(bytes.buffer, 4, size);
    this.#count = size / 4;
    this.#texts = bytes.subarray(4 + size);
  }

  /** Each cluster of letters as the table has it, else each of its letters. */
  apply(letters: Letters): Letters {
    const out: { codes: number[]; origins: number[] } = { codes: [], origins: [] };
    const put = (codes: readonly number[], origin: number) => {
      for (const code of codes) {
        out.codes.push(code);
        out.origins.push(origin);
      }
    };
    let at = 0;
    for (const { segment } of this.#segmenter.segment(textOf(letters.codes))) {
      const cluster = lettersOf(segment).codes;
      const bytes = cluster.flatMap(utf8);
      const whole = bytes.length <= MOST_CLUSTER_BYTES ? this.#replacement(bytes) : undefined;
      if (whole !== undefined) put(whole, letters.origins[at]);
      else {
        cluster.forEach((code, i) => {
          put(this.#replacement(utf8(code)) ?? [code], letters.origins[at + i]);
        });
      }
      at += cluster.length;
    }
    return out;
  }

  /** What the shortest beginning that the table knows becomes. */
  #replacement(bytes: readonly number[]): readonly number[] | undefined {
    let node = this.#offset(this.#unit(0));
    for (const byte of bytes) {
      if (byte === 0) return undefined;
      node ^= byte;
      const unit = this.#unit(node);
      if ((unit & 0x800000ff) >>> 0 !== byte) return undefined;
      node ^= this.#offset(unit);
      if ((unit >>> 8) & 1) return this.#text(this.#unit(node) & 0x7fffffff);
    }
    return undefined;
  }

  #unit(index: number): number {
    if (index < 0 || index >= this.#count) throw new Error("tokenizer.json: the table of replacements is broken");
    return this.#units.getUint32(4 * index, true);
  }

  #offset(unit: number): number {
    return (unit >>> 10) << ((unit & 0x200) >>> 6);
  }

  #text(from: number): readonly number[] {
    const end = this.#texts.indexOf(0, from);
    return lettersOf(new TextDecoder().decode(this.#texts.subarray(from, end < 0 ? undefined : end))).codes;
  }
}

function decodeBase64(base64: string): Uint8Array<ArrayBuffer> {
  if (base64.length > (MOST_BYTES * 4) / 3) throw new Error(`is larger than ${MOST_BYTES} bytes`);
  let binary: string;
  try {
    binary = atob(base64);
  } catch (cause) {
    throw new Error("is not base64", { cause });
  }
  return Uint8Array.from(binary, (letter) => letter.charCodeAt(0));
}
