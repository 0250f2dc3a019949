/**
 * NFC, NFD, NFKC and NFKD by the tokenizers library's version of Unicode. An engine may know later letters, which the library
 * leaves alone: so the engine gets only what the library's forms change. What both know is the same in all versions.
 */

import { type Letters, lettersOf, part, textOf } from "./letters.ts";
import { NORMALISABLE } from "./unicode.ts";

export type NormalForm = "NFC" | "NFD" | "NFKC" | "NFKD";

/** What joins the letter before it: marks, and the later letters of a Korean syllable. */
const JOINS = /^[\p{M}\u1160-\u11ff]$/u;

/** The text in a normal form. Each letter comes from where the letter and its marks do, of which it was made. */
export function normalForm(letters: Letters, form: NormalForm): Letters {
  const { codes } = letters;
  if (codes.every((code) => code < 0x80)) return letters;
  const out: { codes: number[]; origins: number[] } = { codes: [], origins: [] };
  for (let from = 0; from < codes.length; ) {
    let to = from;
    while (to < codes.length && NORMALISABLE.has(codes[to])) to++;
    const run = to === from ? part(letters, from, ++to) : formOfRun(part(letters, from, to), form);
    for (const code of run.codes) out.codes.push(code);
    for (const origin of run.origins) out.origins.push(origin);
    from = to;
  }
  return out;
}

/** A run that the engine normalises: letter by letter, unless letters that are no marks change each other. */
function formOfRun(run: Letters, form: NormalForm): Letters {
  const whole = lettersOf(textOf(run.codes).normalize(form)).codes;
  const clusters: { codes: number[]; origins: number[] } = { codes: [], origins: [] };
  for (let from = 0; from < run.codes.length; ) {
    let to = from + 1;
    while (to < run.codes.length && JOINS.test(String.fromCodePoint(run.codes[to]))) to++;
    lettersOf(textOf(run.codes, from, to).normalize(form)).codes.forEach((code, i) => {
      clusters.codes.push(code);
      clusters.origins.push(run.origins[Math.min(from + i, to - 1)]);
    });
    from = to;
  }
  const same = clusters.codes.length === whole.length && clusters.codes.every((code, i) => code === whole[i]);
  return same
    ? clusters
    : { codes: whole, origins: whole.map((_, i) => run.origins[Math.min(i, run.origins.length - 1)]) };
}
