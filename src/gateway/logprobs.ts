/** Tokens and their probabilities in the words of OpenAI's API. */
import type { TextTokenizer } from "../models/tokenizer.ts";
import type { GeneratedPiece } from "../parties/generation.ts";

/** A token as its text, and how likely it was. */
interface Word {
  readonly text: string;
  readonly logprob: number;
}

/** One new token, and the likeliest ones in its place. */
export interface TokenWords extends Word {
  readonly top: readonly Word[];
  /** Where it begins in prompt and continuation together. */
  readonly offset: number;
}

/** Gives tokens their texts, in their order. */
export class TokenTexts {
  private readonly tokenizer: TextTokenizer;
  /** A word before each token: tokenizers leave the first one's space out. */
  private readonly before: readonly number[];
  private offset: number;

  constructor(tokenizer: TextTokenizer, prompt: readonly number[]) {
    this.tokenizer = tokenizer;
    this.before = tokenizer.encode("a", undefined, { bare: true }).ids;
    this.offset = tokenizer.decode(prompt).length;
  }

  of({ token, logprobs }: GeneratedPiece): TokenWords | null {
    if (logprobs === undefined) return null;
    const text = this.text(token);
    const { offset } = this;
    this.offset += text.length;
    const top = logprobs.top.map((one) => ({ text: this.text(one.token), logprob: one.logprob }));
    return { text, logprob: logprobs.logprob, top, offset };
  }

  /** A special token's is its name. */
  private text(token: number): string {
    const { before, tokenizer } = this;
    return tokenizer.decode([...before, token]).slice(tokenizer.decode(before).length) || tokenizer.pieceOf(token);
  }
}

export function completionLogprobs(words: readonly TokenWords[]): object {
  return {
    tokens: words.map(({ text }) => text),
    token_logprobs: words.map(({ logprob }) => logprob),
    top_logprobs: words.map(({ top }) => Object.fromEntries(top.map(({ text, logprob }) => [text, logprob]))),
    text_offset: words.map(({ offset }) => offset),
  };
}

export function chatLogprobs(words: readonly TokenWords[]): object {
  return { content: words.map((word) => ({ ...chatWord(word), top_logprobs: word.top.map(chatWord) })), refusal: null };
}

/** Of a part of a letter the bytes are not known. */
function chatWord({ text, logprob }: Word) {
  return { token: text, logprob, bytes: text.includes("\ufffd") ? null : [...Buffer.from(text)] };
}
