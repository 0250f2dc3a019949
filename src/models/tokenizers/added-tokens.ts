/** Tokens beside a model's vocabulary, found in a text before anything else is done with it. */

import { InternalError } from "../../errors.ts";
import type { Normalizer } from "./bert-normalizer.ts";
import { type Letters, lettersOf, part, type Span, textOf } from "./letters.ts";
import { type CodeSet, WHITE } from "./unicode.ts";
import type { TokenModel } from "./vocabulary.ts";

export interface AddedToken {
  readonly content: string;
  /** Only where no letter of a word stands beside it. */
  readonly single_word: boolean;
  /** Takes the spaces before it, behind it. */
  readonly lstrip: boolean;
  readonly rstrip: boolean;
  /** Looked for in the normalised text, not in the user's. */
  readonly normalized: boolean;
  /** Stands for no text. */
  readonly special: boolean;
}

/** A token of which it may be open whether it is looked for in the normalised text: a special one is not, others are. */
export type DeclaredToken = Omit<AddedToken, "normalized"> & { readonly normalized: boolean | null };

/** A token by its number, with the letters that it was found in. */
export interface FoundToken {
  readonly id: number;
  readonly letters: Letters;
}

/** A token found in the text, or a piece of it still to be divided. */
export type Section = FoundToken | Letters;

export function isToken(section: Section): section is FoundToken {
  return "id" in section;
}

/** A token as transformers makes it of a plain text. */
export function plainToken(content: string, special: boolean): DeclaredToken {
  return { content, single_word: false, lstrip: false, rstrip: false, normalized: null, special };
}

export function settled(token: DeclaredToken): AddedToken {
  return { ...token, normalized: token.normalized ?? !token.special };
}

export class AddedTokens {
  readonly #model: TokenModel;
  readonly #normalizer: Normalizer | null;
  readonly #word: CodeSet | null;
  readonly #ids = new Map<string, number>();
  readonly #tokens = new Map<number, AddedToken>();
  /** Contents, in the order in which they were added: once special, always special. */
  readonly #special = new Set<string>();
  readonly #other = new Set<string>();
  /** What tokens that are looked for in the normalised text become when they are text again: normalised themselves. */
  readonly #shown = new Map<number, string>();
  #largest = -1;
  #raw = new Trie();
  #normalised = new Trie();

  /** `word`: letters of words; null where no token is a single word. */
  constructor(model: TokenModel, normalizer: Normalizer | null, word: CodeSet | null) {
    this.#model = model;
    this.#normalizer = normalizer;
    this.#word = word;
  }

  /** Adds tokens in this order; one that the vocabulary lacks gets the next number. */
  add(tokens: readonly AddedToken[]): void {
    for (const { special, content } of tokens) if (special) this.#special.add(content);
    for (const token of tokens) {
      const known = this.idOf(token.content);
      if (known !== undefined && sameToken(this.#tokens.get(known), token)) continue;
      const id = known ?? Math.max(this.#largest + 1, this.#model.size);
      this.#largest = Math.max(this.#largest, id);
      this.#ids.set(token.content, id);
      this.#tokens.set(id, token);
      if (!this.#special.has(token.content)) this.#other.add(token.content);
    }
    this.#raw = this.#trie(false);
    this.#normalised = this.#trie(true);
  }

  idOf(content: string): number | undefined {
    return this.#ids.get(content) ?? this.#model.idOf(content);
  }

  /** A token as text; undefined for a number that is no added token's. */
  textOf(id: number): string | undefined {
    return this.#shown.get(id) ?? this.#tokens.get(id)?.content;
  }

  has(token: AddedToken): boolean {
    return sameToken(this.#tokens.get(this.#ids.get(token.content) ?? -1), token);
  }

  /** Their numbers and contents. */
  get all(): ReadonlyMap<number, AddedToken> {
    return this.#tokens;
  }

  /** Whether decoding leaves a text out. */
  isSpecial(text: string): boolean {
    return this.#special.has(text);
  }

  /** The text's added tokens, and the normalised text between them; special ones stay text where `plainSpecials` is set. */
  sections(letters: Letters, plainSpecials: boolean): readonly Section[] {
    const isPlain = (token: AddedToken) => plainSpecials && this.isSpecial(token.content);
    return this.#sections(letters, this.#raw, isPlain).flatMap((section) => {
      if (isToken(section)) return [section];
      return this.#sections(this.#normalizer?.(section) ?? section, this.#normalised, isPlain);
    });
  }

  #isOfWord(code: number | undefined): boolean {
    if (this.#word === null)
      throw new InternalError("a token is a single word, and the letters of words were not loaded");
    return code !== undefined && this.#word.has(code);
  }

  #trie(normalized: boolean): Trie {
    const trie = new Trie();
    for (const content of [...this.#special, ...this.#other]) {
      const id = this.#ids.get(content) as number;
      if (this.#tokens.get(id)?.normalized !== normalized) continue;
      const letters = lettersOf(content);
      const { codes } = normalized ? (this.#normalizer?.(letters) ?? letters) : letters;
      if (codes.length === 0)
        throw new Error("tokenizer.json: added_tokens: the normalizer leaves nothing of one: set normalized to false");
      if (normalized) this.#shown.set(id, textOf(codes));
      trie.add(codes, id);
    }
    return trie;
  }

  #sections(letters: Letters, trie: Trie, isPlain: (token: AddedToken) => boolean): readonly Section[] {
    const { codes } = letters;
    const sections: Section[] = [];
    let done = 0;
    for (const { from, to, id } of trie.matches(codes)) {
      const token = this.#tokens.get(id) as AddedToken;
      if (isPlain(token) || (token.single_word && (this.#isOfWord(codes[from - 1]) || this.#isOfWord(codes[to]))))
        continue;
      let [start, end] = [from, to];
      while (token.lstrip && start > done && WHITE.has(codes[start - 1])) start--;
      while (token.rstrip && end < codes.length && WHITE.has(codes[end])) end++;
      if (done < start) sections.push(part(letters, done, start));
      sections.push({ id, letters: part(letters, start, end) });
      done = end;
    }
    if (done < codes.length) sections.push(part(letters, done, codes.length));
    return sections;
  }
}

function sameToken(a: AddedToken | undefined, b: AddedToken): boolean {
  const fields = ["content", "single_word", "lstrip", "rstrip", "normalized", "special"] as const;
  return a !== undefined && fields.every((field) => a[field] === b[field]);
}

interface Branch {
  id: number | undefined;
  readonly next: Map<number, Branch>;
}

/** Texts to be found: of those that begin at a letter, the longest. */
class Trie {
  readonly #root: Branch = { id: undefined, next: new Map() };

  add(codes: readonly number[], id: number): void {
    let branch = this.#root;
    for (const code of codes) {
      let next = branch.next.get(code);
      if (next === undefined) {
        next = { id: undefined, next: new Map() };
        branch.next.set(code, next);
      }
      branch = next;
    }
    branch.id = id; // of two that normalise to the same, the last
  }

  *matches(codes: readonly number[]): Generator<Pick<Span, "from" | "to"> & { readonly id: number }> {
    for (let from = 0; from < codes.length; ) {
      let branch = this.#root.next.get(codes[from]);
      let best: { to: number; id: number } | undefined;
      for (let to = from + 1; branch !== undefined; branch = branch.next.get(codes[to++])) {
        if (branch.id !== undefined) best = { to, id: branch.id };
      }
      if (best !== undefined) yield { from, ...best };
      from = best?.to ?? from + 1;
    }
  }
}
