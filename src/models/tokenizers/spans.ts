/** Which part of a text each of its tokens stands for. */

import { type Letters, part, textOf } from "./letters.ts";
import type { TokenModel } from "./vocabulary.ts";

/** Part of a text, in UTF-16 units: `text.slice(from, to)`. */
export interface TextSpan {
  readonly from: number;
  readonly to: number;
}

export interface SpannedToken extends TextSpan {
  readonly id: number;
}

const BYTE = /^<0x([0-9A-F]{2})>$/;

/** The tokens of a piece of the text. */
export function spannedTokens(text: string, piece: Letters, model: TokenModel): readonly SpannedToken[] {
  const ids = model.tokenize(textOf(piece.codes));
  const lengths = lengthsOf(ids, piece, model);
  let at = 0;
  return ids.map((id, i) => {
    const letters = part(piece, at, at + lengths[i].letters);
    at += lengths[i].taken;
    return { id, ...rangeOf(text, letters) };
  });
}

/** The part of the text that letters come from, without the spaces around it: nothing, where they are spaces. */
export function rangeOf(text: string, { origins }: Letters): TextSpan {
  if (origins.length === 0) return { from: 0, to: 0 };
  let from = origins.reduce((least, at) => Math.min(least, at));
  const last = origins.reduce((most, at) => Math.max(most, at));
  let to = last + ((text.codePointAt(last) ?? 0) > 0xffff ? 2 : 1);
  while (from < to && /\s/.test(text[from])) from++;
  while (to > from && /\s/.test(text[to - 1])) to--;
  return { from, to };
}

/** How many of a piece's letters a token stands for, and after how many the next one begins. */
interface Length {
  readonly letters: number;
  readonly taken: number;
}

function lengthsOf(ids: readonly number[], piece: Letters, model: TokenModel): readonly Length[] {
  const { codes } = piece;
  if (ids.length === 1) return [{ letters: codes.length, taken: codes.length }];
  const lengths: Length[] = [];
  let at = 0;
  for (let i = 0; i < ids.length; ) {
    const own = lengthAt(codes, at, model.tokenOf(ids[i]) ?? "");
    const bytes = own === undefined ? bytesAt(ids, i, codes[at], model) : 0;
    if (bytes > 0) {
      // Bytes of one letter: each stands for all of it.
      for (let k = 1; k <= bytes; k++) lengths.push({ letters: 1, taken: k === bytes ? 1 : 0 });
      at++;
      i += bytes;
      continue;
    }
    const letters = own ?? unknownLength(ids[i + 1], codes, at, model);
    lengths.push({ letters, taken: letters });
    at += letters;
    i++;
  }
  return lengths;
}

/** The letters of a token that stands here as it is written, with a mark of WordPiece's before it or without. */
function lengthAt(codes: readonly number[], at: number, token: string): number | undefined {
  for (const own of [token, ...(token.startsWith("##") && token.length > 2 ? [token.slice(2)] : [])]) {
    const letters = [...own];
    if (own !== "" && letters.every((letter, i) => letter.codePointAt(0) === codes[at + i])) return letters.length;
  }
  return undefined;
}

/** How many tokens from here on are the bytes of a letter; 0 when they are not. */
function bytesAt(ids: readonly number[], from: number, code: number | undefined, model: TokenModel): number {
  if (code === undefined) return 0;
  const bytes = new TextEncoder().encode(String.fromCodePoint(code));
  const isByte = (byte: number, i: number) =>
    Number.parseInt(BYTE.exec(model.tokenOf(ids[from + i]) ?? "")?.[1] ?? "", 16) === byte;
  return [...bytes].every(isByte) ? bytes.length : 0;
}

/** The letters of an unknown token: up to where the next one stands, or to the end. */
function unknownLength(next: number | undefined, codes: readonly number[], at: number, model: TokenModel): number {
  if (next === undefined) return codes.length - at;
  const token = model.tokenOf(next) ?? "";
  for (let length = 1; at + length < codes.length; length++)
    if (lengthAt(codes, at + length, token) !== undefined) return length;
  return Math.min(1, codes.length - at);
}
