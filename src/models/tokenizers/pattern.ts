/**
 * Regular expressions of a tokenizer's file, found in a time that grows with the text's length, whatever the pattern: they
 * come from someone else. A backtracking search that remembers what has failed: each step of the program is tried at each
 * letter at most once (the idea of a packrat; patterns have no captures, so a failure never depends on the way there).
 */

import type { Span } from "./letters.ts";
import { type Node, parsePattern } from "./pattern-syntax.ts";
import type { CodeSet } from "./unicode.ts";

type Instruction =
  | { readonly op: "set"; readonly set: CodeSet }
  /** Goes on at `first`, and at `second` if that fails. */
  | { readonly op: "split"; first: number; second: number; readonly index: number }
  | { readonly op: "jump"; to: number }
  /** Looks for a match from the next step on, then goes on at `after`: from here ("ahead", "not") or behind it ("atomic"). */
  | { readonly op: "ahead" | "not" | "atomic"; after: number }
  | { readonly op: "match" };

const MOST_STEPS = 1000;
const MOST_MEMORY = 2 ** 28;

/** A compiled pattern. */
export class Pattern {
  readonly #program: Instruction[] = [];
  #splits = 0;

  /** @throws an Error that says what of the pattern is not supported. */
  constructor(pattern: string) {
    const node = parsePattern(pattern);
    if (nullable(node)) throw new Error("can match no letter at all, which is not supported");
    this.#compile(node);
    this.#emit({ op: "match" });
  }

  /** The text from its first to its last letter, in ranges where the pattern is found and where it is not. */
  spans(codes: readonly number[]): readonly Span[] {
    const run = new Run(this.#program, this.#splits, codes);
    const spans: Span[] = [];
    let [from, at] = [0, 0];
    while (at < codes.length) {
      const end = run.match(0, at);
      if (end < 0) {
        at++;
        continue;
      }
      if (from < at) spans.push({ from, to: at, found: false });
      spans.push({ from: at, to: end, found: true });
      from = at = end;
    }
    if (from < codes.length) spans.push({ from, to: codes.length, found: false });
    return spans;
  }

  #emit<T extends Instruction>(instruction: T): T {
    if (this.#program.length >= MOST_STEPS) throw new Error("is too large");
    this.#program.push(instruction);
    return instruction;
  }

  #split(): Extract<Instruction, { op: "split" }> {
    return this.#emit({ op: "split", first: 0, second: 0, index: this.#splits++ });
  }

  get #here(): number {
    return this.#program.length;
  }

  #compile(node: Node): void {
    if (node.kind === "set") this.#emit({ op: "set", set: node.set });
    else if (node.kind === "sequence") for (const one of node.nodes) this.#compile(one);
    else if (node.kind === "alternatives") this.#compileAlternatives(node.nodes);
    else if (node.kind === "ahead") this.#compileApart(node.negative ? "not" : "ahead", node.node);
    else if (node.mode === "possessive") this.#compileApart("atomic", { ...node, mode: "greedy" });
    else this.#compileRepeat(node);
  }

  /** A part with an end of its own. */
  #compileApart(op: "ahead" | "not" | "atomic", node: Node): void {
    const apart = this.#emit({ op, after: 0 });
    this.#compile(node);
    this.#emit({ op: "match" });
    apart.after = this.#here;
  }

  #compileAlternatives(nodes: readonly Node[]): void {
    const ends: { to: number }[] = [];
    for (const node of nodes.slice(0, -1)) {
      const split = this.#split();
      split.first = this.#here;
      this.#compile(node);
      ends.push(this.#emit({ op: "jump", to: 0 }));
      split.second = this.#here;
    }
    this.#compile(nodes[nodes.length - 1]);
    for (const end of ends) end.to = this.#here;
  }

  #compileRepeat({ node, least, most, mode }: Extract<Node, { kind: "repeat" }>): void {
    for (let i = 0; i < least; i++) this.#compile(node);
    const choose = (split: { first: number; second: number }, inside: number, behind: number) =>
      Object.assign(split, mode === "lazy" ? { first: behind, second: inside } : { first: inside, second: behind });
    if (most === Number.POSITIVE_INFINITY) {
      const at = this.#here;
      const split = this.#split();
      this.#compile(node);
      this.#emit({ op: "jump", to: at });
      choose(split, at + 1, this.#here);
      return;
    }
    const splits: { split: { first: number; second: number }; inside: number }[] = [];
    for (let i = least; i < most; i++) {
      splits.push({ split: this.#split(), inside: this.#here });
      this.#compile(node);
    }
    for (const { split, inside } of splits) choose(split, inside, this.#here);
  }
}

function nullable(node: Node): boolean {
  if (node.kind === "set") return false;
  if (node.kind === "ahead") return true;
  if (node.kind === "repeat") return node.least === 0 || nullable(node.node);
  return node.kind === "sequence" ? node.nodes.every(nullable) : node.nodes.some(nullable);
}

/** The search in one text. */
class Run {
  readonly #program: readonly Instruction[];
  readonly #codes: readonly number[];
  /** By split and letter: 1 where going on there is known to fail. */
  readonly #failed: Uint8Array;
  readonly #stride: number;
  /** By step and letter, the end of what a part of its own matched; -1 for nothing. */
  readonly #apart = new Map<number, number>();

  constructor(program: readonly Instruction[], splits: number, codes: readonly number[]) {
    this.#program = program;
    this.#codes = codes;
    this.#stride = codes.length + 1;
    if (splits * this.#stride > MOST_MEMORY) throw new Error("the text is too long for the tokenizer: divide it");
    this.#failed = new Uint8Array(splits * this.#stride);
  }

  /** Where the program's match from this letter on ends; -1 without one. */
  match(start: number, from: number): number {
    // What is still to be tried, and for each split on the way the one before it.
    const pending: [step: number, at: number, trail: number][] = [[start, from, -1]];
    const trails: [key: number, before: number][] = [];
    while (pending.length > 0) {
      let [step, at, trail] = pending.pop() as [number, number, number];
      for (;;) {
        const now = this.#program[step];
        if (now.op === "match") {
          // These have not failed: another search may come to them.
          for (let i = trail; i >= 0; i = trails[i][1]) this.#failed[trails[i][0]] = 0;
          return at;
        }
        if (now.op === "set") {
          if (at >= this.#codes.length || !now.set.has(this.#codes[at])) break;
          at++;
          step++;
        } else if (now.op === "jump") step = now.to;
        else if (now.op === "split") {
          const key = now.index * this.#stride + at;
          if (this.#failed[key] === 1) break;
          this.#failed[key] = 1;
          trail = trails.push([key, trail]) - 1;
          pending.push([now.second, at, trail]);
          step = now.first;
        } else {
          const end = this.#partMatch(step, at);
          if (end < 0 !== (now.op === "not")) break;
          if (now.op === "atomic") at = end;
          step = now.after;
        }
      }
    }
    return -1;
  }

  #partMatch(step: number, at: number): number {
    const key = step * this.#stride + at;
    let end = this.#apart.get(key);
    if (end === undefined) {
      end = this.match(step + 1, at);
      this.#apart.set(key, end);
    }
    return end;
  }
}
