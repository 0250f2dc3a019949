/**
 * Regular expressions of a tokenizer's file, in the part of Oniguruma's syntax that tokenizers use: letters, classes,
 * `\p{...}`, groups, alternatives, quantifiers, looking ahead. All else is refused by name.
 */

import { category, WORD } from "./categories.ts";
import { CodeSet, WHITE } from "./unicode.ts";

export type Node =
  | { readonly kind: "set"; readonly set: CodeSet }
  | { readonly kind: "sequence"; readonly nodes: readonly Node[] }
  | { readonly kind: "alternatives"; readonly nodes: readonly Node[] }
  | { readonly kind: "repeat"; readonly node: Node; readonly least: number; readonly most: number; readonly mode: Mode }
  | { readonly kind: "ahead"; readonly node: Node; readonly negative: boolean };
type Mode = "greedy" | "lazy" | "possessive";

const MOST_LETTERS = 2000;
const MOST_DEPTH = 32;
const MOST_COUNT = 64;

/** `\w` of Oniguruma has three superscripts and fractions of Latin-1, and no joiners. */
const ONIG_WORD = CodeSet.union(
  CodeSet.union(WORD.complement, CodeSet.of(0x200c, 0x200d)).complement,
  CodeSet.of(0xb2, 0xb3, 0xb9, 0xbc, 0xbd, 0xbe),
);
const DIGIT = category("Nd") as CodeSet;
const CLASSES: Readonly<Record<string, CodeSet>> = { s: WHITE, w: ONIG_WORD, d: DIGIT };
const CONTROLS: Readonly<Record<string, number>> = { n: 10, r: 13, t: 9, f: 12, v: 11, a: 7, e: 27 };
const LINE_BREAK = CodeSet.of(10);
/** Letters beyond ASCII that fold to one of its letters. */
const FOLDED: Readonly<Record<string, readonly number[]>> = { s: [0x17f], k: [0x212a] };
/** Letters that one letter may stand for, whatever their case: then equal texts may differ in length. */
const LIGATURES = /ss|st|ff|fi|fl/i;

/** @throws an Error that says what of the pattern is not supported. */
export function parsePattern(pattern: string): Node {
  if (pattern.length > MOST_LETTERS) throw new Error(`has more than ${MOST_LETTERS} letters`);
  return new Parser(pattern).parse();
}

class Parser {
  readonly #letters: readonly string[];
  #at = 0;
  #depth = 0;
  #folds = false;

  constructor(pattern: string) {
    this.#letters = [...pattern];
  }

  parse(): Node {
    const node = this.#alternatives();
    if (this.#at < this.#letters.length) throw new Error("has a ) without its (");
    return node;
  }

  #alternatives(): Node {
    if (++this.#depth > MOST_DEPTH) throw new Error("is nested too deeply");
    const nodes = [this.#sequence()];
    while (this.#take("|")) nodes.push(this.#sequence());
    this.#depth--;
    return nodes.length === 1 ? nodes[0] : { kind: "alternatives", nodes };
  }

  #sequence(): Node {
    const nodes: Node[] = [];
    const from = this.#at;
    while (this.#at < this.#letters.length && !"|)".includes(this.#letters[this.#at])) nodes.push(this.#quantified());
    if (this.#folds) foldable(this.#letters.slice(from, this.#at).join(""));
    return nodes.length === 1 ? nodes[0] : { kind: "sequence", nodes };
  }

  #quantified(): Node {
    let node = this.#atom();
    for (;;) {
      const range = this.#counts();
      if (range === undefined) return node;
      if (node.kind === "ahead") throw new Error("repeats what only looks ahead");
      const [least, most, braces] = range;
      const lazy = this.#take("?");
      if (lazy && braces && least === most) throw new Error("has {n}?, which is not supported");
      const mode = lazy ? "lazy" : !braces && this.#take("+") ? "possessive" : "greedy";
      node = { kind: "repeat", node, least, most, mode };
    }
  }

  /** The least and the most that a quantifier here asks for, and whether it is written in braces. */
  #counts(): [number, number, boolean] | undefined {
    if (this.#take("?")) return [0, 1, false];
    if (this.#take("*")) return [0, Number.POSITIVE_INFINITY, false];
    if (this.#take("+")) return [1, Number.POSITIVE_INFINITY, false];
    if (this.#letters[this.#at] !== "{") return undefined;
    const end = this.#letters.indexOf("}", this.#at);
    const inner = this.#letters.slice(this.#at + 1, end < 0 ? this.#at : end).join("");
    const found = /^(\d{1,3})(,(\d{1,3})?)?$/.exec(inner);
    if (found === null) throw new Error("has a { that begins no count");
    this.#at = end + 1;
    const least = Number(found[1]);
    const most = found[2] === undefined ? least : Number(found[3] ?? Number.POSITIVE_INFINITY);
    if (least > MOST_COUNT || (most !== Number.POSITIVE_INFINITY && most > MOST_COUNT) || least > most)
      throw new Error(`has counts beyond ${MOST_COUNT} or in the wrong order`);
    return [least, most, true];
  }

  #atom(): Node {
    const letter = this.#next();
    if (letter === "(") return this.#group();
    if (letter === "[") return { kind: "set", set: this.#class() };
    if (letter === ".") return { kind: "set", set: LINE_BREAK.complement };
    if (letter === "\\") return { kind: "set", set: setOf(this.#escape()) };
    if ("*+?{^$".includes(letter)) throw new Error(`has ${letter} where it is not supported`);
    return { kind: "set", set: this.#literal(letter) };
  }

  #literal(letter: string): CodeSet {
    const code = letter.codePointAt(0) as number;
    return this.#folds ? CodeSet.of(...inAnyCase(code)) : CodeSet.of(code);
  }

  #group(): Node {
    if (this.#folds) throw new Error("has a group within (?i:, which is not supported");
    let ahead: boolean | undefined;
    if (this.#take("?")) {
      const kind = this.#next();
      if (kind === "=" || kind === "!") ahead = kind === "!";
      else if (kind === "i" && this.#take(":")) this.#folds = true;
      else if (kind !== ":") throw new Error(`has (?${kind}, which is not supported`);
    }
    const node = this.#alternatives();
    if (!this.#take(")")) throw new Error("has a ( without its )");
    this.#folds = false;
    return ahead === undefined ? node : { kind: "ahead", node, negative: ahead };
  }

  /** A letter behind a backslash: a class, or one code point. */
  #escape(): CodeSet | number {
    const letter = this.#next();
    const known = CLASSES[letter.toLowerCase()];
    if (known !== undefined) return letter === letter.toLowerCase() ? known : known.complement;
    if (letter === "p" || letter === "P") return this.#property(letter === "P");
    if (letter === "x" || letter === "u") return this.#hexadecimal(letter);
    if (CONTROLS[letter] !== undefined) return CONTROLS[letter];
    if (/[A-Za-z0-9]/.test(letter)) throw new Error(`has \\${letter}, which is not supported`);
    return letter.codePointAt(0) as number;
  }

  #property(negative: boolean): CodeSet {
    const end = this.#letters.indexOf("}", this.#at);
    if (!this.#take("{") || end < 0) throw new Error("has \\p without a name in braces");
    const inverted = this.#take("^");
    const name = this.#letters.slice(this.#at, end).join("");
    const set = category(name);
    if (set === undefined) throw new Error(`has \\p{${name.replace(/[^\w]/g, "?")}}, which is not supported`);
    this.#at = end + 1;
    return negative === inverted ? set : set.complement;
  }

  #hexadecimal(kind: string): number {
    const braces = kind === "x" && this.#take("{");
    const digits = braces ? this.#letters.indexOf("}", this.#at) - this.#at : kind === "x" ? 2 : 4;
    const text = this.#letters.slice(this.#at, this.#at + Math.max(0, digits)).join("");
    const code = Number.parseInt(text, 16);
    if (!/^[0-9a-f]{1,6}$/i.test(text) || code > 0x10ffff || (kind === "x" && !braces && code > 0x7f))
      throw new Error(`has \\${kind} without a code point`);
    this.#at += digits + (braces ? 1 : 0);
    return code;
  }

  /** A class behind its bracket; classes within one are part of it. */
  #class(): CodeSet {
    if (++this.#depth > MOST_DEPTH) throw new Error("is nested too deeply");
    const negative = this.#take("^");
    const sets: CodeSet[] = [];
    if (this.#letters[this.#at] === "]") throw new Error("has an empty class");
    while (!this.#take("]")) sets.push(this.#classItem());
    this.#depth--;
    const set = CodeSet.union(...sets, ...(this.#folds ? [folded(CodeSet.union(...sets), negative)] : []));
    return negative ? set.complement : set;
  }

  #classItem(): CodeSet {
    if (this.#startsWith("&&") || this.#startsWith("[:")) throw new Error("has && or [: in a class: not supported");
    if (this.#take("[")) return this.#class();
    const first = this.#classLetter();
    if (this.#letters[this.#at] !== "-" || this.#letters[this.#at + 1] === "]") return setOf(first);
    this.#at++;
    const last = this.#letters[this.#at] === "[" ? undefined : this.#classLetter();
    if (typeof first !== "number" || typeof last !== "number" || first > last)
      throw new Error("has a range that is none, or in the wrong order");
    return CodeSet.range(first, last);
  }

  #classLetter(): CodeSet | number {
    const letter = this.#next();
    return letter === "\\" ? this.#escape() : (letter.codePointAt(0) as number);
  }

  #startsWith(text: string): boolean {
    return [...text].every((letter, i) => this.#letters[this.#at + i] === letter);
  }

  #take(letter: string): boolean {
    if (this.#letters[this.#at] !== letter) return false;
    this.#at++;
    return true;
  }

  #next(): string {
    if (this.#at >= this.#letters.length) throw new Error("ends too early");
    return this.#letters[this.#at++];
  }
}

function setOf(one: CodeSet | number): CodeSet {
  return typeof one === "number" ? CodeSet.of(one) : one;
}

/** @throws an Error for letters that, whatever their case, may also be written with fewer letters. */
function foldable(sequence: string): void {
  if (/[^\x20-\x7e]/.test(sequence) || LIGATURES.test(sequence.replace(/\[[^\]]*\]/g, "|")))
    throw new Error("has letters within (?i: that may be written as fewer: not supported");
}

function inAnyCase(code: number): readonly number[] {
  const letter = String.fromCodePoint(code);
  if (!/[a-z]/i.test(letter)) return [code];
  const small = letter.toLowerCase();
  return [...[small, small.toUpperCase()].map((one) => one.charCodeAt(0)), ...(FOLDED[small] ?? [])];
}

/** A class's letters in any case. @throws an Error when it has more than ASCII, or is a class of all others. */
function folded(set: CodeSet, negative: boolean): CodeSet {
  if (negative || !set.isAscii) throw new Error("has a class within (?i: that is not of ASCII letters: not supported");
  const codes = Array.from({ length: 0x80 }, (_, code) => code).filter((code) => set.has(code));
  return CodeSet.of(...codes.flatMap(inAnyCase));
}
