/**
 * What a client finds wrong with its own text or answer while it runs. Its peers must not learn it: a server that chooses plan,
 * tables and tokenizer would learn a property of the text of its own choice. So the run goes on with values clamped into range, ends
 * as every run does, and the user is told afterwards (docs/threat-model.md).
 */
import { PartyError } from "./messages.ts";

const TEXT = "the text lies outside the plan's range: ask the provider to calibrate on texts like yours";
const VOCABULARY = "the tokenizer gives tokens that the model does not have: ask the provider to repair its tokenizer";
const ANSWER =
  "the answer lies outside the plan's range, so it is void: ask the provider to calibrate on texts like yours, or with a larger margin";

/** A run that ended as every run does, and whose answer is void. To ask again because of it would tell the peers: nothing does so by itself. */
export class VoidAnswerError extends PartyError {}

export class Findings {
  #first: string | null = null;
  #closed = false;

  textOutside(): void {
    this.#note(TEXT);
  }

  tokenUnknown(): void {
    this.#note(VOCABULARY);
  }

  answerVoid(): void {
    this.#note(ANSWER);
  }

  /** The text has ended: what the run still computes is shown to nobody. */
  close(): void {
    this.#closed = true;
  }

  get any(): boolean {
    return this.#first !== null;
  }

  #note(what: string): void {
    if (!this.#closed) this.#first ??= what;
  }

  /** To be called once the run has ended. @throws VoidAnswerError with what was found first. */
  raise(): void {
    if (this.#first !== null) throw new VoidAnswerError(this.#first);
  }
}

/** Clamps values into [-most, most], and what is no number to 0, in place. @returns whether any was outside. */
export function clampInto(values: Float32Array | number[], most: number): boolean {
  let outside = false;
  for (let i = 0; i < values.length; i++) {
    const x = values[i];
    const inside = Number.isNaN(x) ? 0 : Math.min(Math.max(x, -most), most);
    if (inside !== x) outside = true;
    values[i] = inside;
  }
  return outside;
}
