/** The text that new tokens make, apart from who chooses them. */
import type { TextTokenizer } from "../models/tokenizer.ts";

/** How a text goes on, as its tokens come. */
export class ContinuedText {
  readonly ids: number[] = [];
  private readonly tokenizer: TextTokenizer;
  private readonly prompt: readonly number[];
  private readonly stops: readonly string[];
  private readonly before: number;
  private finished = false;

  /** The text ends before the first of `stops`. */
  constructor(tokenizer: TextTokenizer, prompt: readonly number[], stops: readonly string[] = []) {
    this.tokenizer = tokenizer;
    this.prompt = prompt;
    this.stops = stops;
    this.before = tokenizer.decode(prompt).length;
  }

  take(id: number): void {
    this.ids.push(id);
  }

  /** No token will follow: what was held back, since another might have changed it, belongs to the text. */
  finish(): void {
    this.finished = true;
  }

  /**
   * What comes behind the prompt, up to a stop. Until the end without what a next token may change, and without what may become a stop:
   * what was shown once stays.
   */
  get text(): string {
    const whole = this.behind(this.ids);
    const at = firstOf(whole, this.stops);
    if (at >= 0) return whole.slice(0, at);
    return this.finished ? whole : whole.slice(0, whole.length - begun(whole, this.stops));
  }

  /** Whether the tokens taken reach a stop. */
  get stopped(): boolean {
    return this.ends(this.ids);
  }

  /** Whether so many tokens reach a stop. */
  ends(ids: readonly number[]): boolean {
    return this.stops.length > 0 && firstOf(this.behind(ids), this.stops) >= 0;
  }

  private behind(ids: readonly number[]): string {
    return this.tokenizer.decode([...this.prompt, ...ids], { unfinished: !this.finished }).slice(this.before);
  }
}

/** Where the first of these texts begins; -1 without any. */
function firstOf(text: string, stops: readonly string[]): number {
  const found = stops.map((stop) => text.indexOf(stop)).filter((at) => at >= 0);
  return found.length === 0 ? -1 : Math.min(...found);
}

/** How many letters at the end may be the beginning of one of these texts. */
function begun(text: string, stops: readonly string[]): number {
  const beginning = (stop: string) => {
    for (let n = Math.min(stop.length - 1, text.length); n > 0; n--) if (text.endsWith(stop.slice(0, n))) return n;
    return 0;
  };
  return Math.max(0, ...stops.map(beginning));
}
