/** A text as its tokenizer works on it: code points, each with the place in the user's text that it comes from. */

/** `origins[i]`: where in the original text, in UTF-16 units, the letter `codes[i]` comes from. */
export interface Letters {
  readonly codes: readonly number[];
  readonly origins: readonly number[];
}

/** What could not be a letter of a UTF-8 text. */
const REPLACEMENT = 0xfffd;

/** The code points of a text; halves of a surrogate pair that stand alone become U+FFFD, as in UTF-8. */
export function lettersOf(text: string): Letters {
  const codes: number[] = [];
  const origins: number[] = [];
  for (let at = 0; at < text.length; ) {
    const code = text.codePointAt(at) as number;
    codes.push(code >= 0xd800 && code <= 0xdfff ? REPLACEMENT : code);
    origins.push(at);
    at += code > 0xffff ? 2 : 1;
  }
  return { codes, origins };
}

const MOST_ARGUMENTS = 4096;

/** The text of code points `from` to `to`. */
export function textOf(codes: readonly number[], from = 0, to = codes.length): string {
  let text = "";
  for (let at = from; at < to; at += MOST_ARGUMENTS)
    text += String.fromCodePoint(...codes.slice(at, Math.min(to, at + MOST_ARGUMENTS)));
  return text;
}

/** The letters from `from` to `to`. */
export function part({ codes, origins }: Letters, from: number, to: number): Letters {
  return { codes: codes.slice(from, to), origins: origins.slice(from, to) };
}

/** Each letter as what `change` makes of it: another, several, or none. */
export function changed(
  { codes, origins }: Letters,
  change: (code: number) => number | readonly number[] | null,
): Letters {
  const out: { codes: number[]; origins: number[] } = { codes: [], origins: [] };
  codes.forEach((code, i) => {
    const to = change(code);
    if (to === null) return;
    for (const one of typeof to === "number" ? [to] : to) {
      out.codes.push(one);
      out.origins.push(origins[i]);
    }
  });
  return out;
}

/** A text's letters put in front; they come from where the first letter does. */
export function prepended(letters: Letters, text: string): Letters {
  const { codes } = lettersOf(text);
  return {
    codes: [...codes, ...letters.codes],
    origins: [...codes.map(() => letters.origins[0] ?? 0), ...letters.origins],
  };
}

/** A range of letters, and what it was found to be. */
export interface Span {
  readonly from: number;
  readonly to: number;
  readonly found: boolean;
}

/** Ranges replaced by other letters, where they were found. */
export function replaced(letters: Letters, spans: readonly Span[], content: readonly number[]): Letters {
  const out: { codes: number[]; origins: number[] } = { codes: [], origins: [] };
  for (const { from, to, found } of spans) {
    for (let i = from; !found && i < to; i++) {
      out.codes.push(letters.codes[i]);
      out.origins.push(letters.origins[i]);
    }
    for (let i = 0; found && i < content.length; i++) {
      out.codes.push(content[i]);
      out.origins.push(letters.origins[from] ?? 0);
    }
  }
  return out;
}

/** UTF-8 of one code point. */
export function utf8(code: number): readonly number[] {
  if (code < 0x80) return [code];
  if (code < 0x800) return [0xc0 | (code >> 6), 0x80 | (code & 63)];
  if (code < 0x10000) return [0xe0 | (code >> 12), 0x80 | ((code >> 6) & 63), 0x80 | (code & 63)];
  return [0xf0 | (code >> 18), 0x80 | ((code >> 12) & 63), 0x80 | ((code >> 6) & 63), 0x80 | (code & 63)];
}

/** GPT-2's letters for bytes: printable Latin-1 bytes are themselves, the others follow from U+0100 on. */
export const BYTE_LETTERS: readonly number[] = byteLetters();

function byteLetters(): number[] {
  let next = 0x100;
  return Array.from({ length: 256 }, (_, byte) => {
    const itself = (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad);
    return itself ? byte : next++;
  });
}

/** A text's bytes, each as GPT-2's letter for it. */
export function byteLevel(letters: Letters): Letters {
  return changed(letters, (code) => utf8(code).map((byte) => BYTE_LETTERS[byte]));
}
