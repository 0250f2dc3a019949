/**
 * NFC, NFD, NFKC and NFKD by the tokenizers library's version of Unicode. An engine may know later letters, which the library
 * leaves alone: so the engine gets only what the library's forms change. What both know is the same in all versions.
 */

import { type Letters, lettersOf, textOf } from "./letters.ts";
import { NORMALISABLE } from "./unicode.ts";

export type NormalForm = "NFC" | "NFD" | "NFKC" | "NFKD";

/** The text in a normal form. Letters of one run keep their order of origins, not each its own. */
export function normalForm(letters: Letters, form: NormalForm): Letters {
  const { codes, origins } = letters;
  if (codes.every((code) => code < 0x80)) return letters;
  const out: { codes: number[]; origins: number[] } = { codes: [], origins: [] };
  for (let from = 0; from < codes.length; ) {
    let to = from;
    while (to < codes.length && NORMALISABLE.has(codes[to])) to++;
    const run = to === from ? [codes[to++]] : lettersOf(textOf(codes, from, to).normalize(form)).codes;
    run.forEach((code, i) => {
      out.codes.push(code);
      out.origins.push(origins[Math.min(from + i, to - 1)]);
    });
    from = to;
  }
  return out;
}
