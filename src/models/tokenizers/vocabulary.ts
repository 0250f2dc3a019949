/** What a tokenizer's model has in common with every other: tokens with numbers. */

import * as v from "valibot";

/** As many as a model's vocabulary can have. */
export const MOST_TOKENS = 2_000_000;
/** Letters of a word or of a token that is looked for at every letter of a text. */
export const MOST_WORD_LETTERS = 256;

/** Turns a piece of text into numbers of tokens. */
export interface TokenModel {
  /** @throws an Error when the piece has a part without a token, and there is none for the unknown. */
  tokenize(piece: string): readonly number[];
  idOf(token: string): number | undefined;
  tokenOf(id: number): string | undefined;
  /** How many tokens there are. */
  readonly size: number;
  /** The largest of their numbers; -1 without any. */
  readonly largest: number;
}

/** Tokens both ways. Of a token with two numbers, and of a number with two tokens, the later one counts. */
export class Vocabulary {
  readonly ids: ReadonlyMap<string, number>;
  readonly #tokens = new Map<number, string>();

  constructor(entries: Iterable<readonly [string, number]>) {
    this.ids = new Map(entries);
    for (const [token, id] of this.ids) this.#tokens.set(id, token);
  }

  idOf(token: string): number | undefined {
    return this.ids.get(token);
  }

  tokenOf(id: number): string | undefined {
    return this.#tokens.get(id);
  }

  get size(): number {
    return this.ids.size;
  }

  get largest(): number {
    let most = -1;
    for (const id of this.ids.values()) if (id > most) most = id;
    return most;
  }

  /** The tokens of a text's bytes, written `<0x0A>`; undefined if one of them is missing. */
  bytesOf(text: string): readonly number[] | undefined {
    const ids = [...new TextEncoder().encode(text)].map((byte) =>
      this.ids.get(`<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`),
    );
    return ids.some((id) => id === undefined) ? undefined : (ids as number[]);
  }
}

export function unknownMissing(): Error {
  return new Error("the vocabulary lacks a token and has none for the unknown: check the tokenizer");
}

/** Whatever its tokens are called: valibot's own records lack some names, such as "prototype", a token of GPT-2. */
export const vocabularySchema = v.custom<Record<string, number>>(
  isVocabulary,
  `must give each token a whole number below ${MOST_TOKENS}`,
);

function isVocabulary(value: unknown): boolean {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  return Object.values(value).every(
    (id: unknown) => Number.isInteger(id) && (id as number) >= 0 && (id as number) < MOST_TOKENS,
  );
}
