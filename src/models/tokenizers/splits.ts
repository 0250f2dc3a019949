/** Where a text is cut, and which side of a cut keeps what was found there. */

import { type Letters, lettersOf, part, type Span } from "./letters.ts";
import type { Pattern } from "./pattern.ts";
import type { CodeSet } from "./unicode.ts";

export const BEHAVIORS = ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"] as const;
export type Behavior = (typeof BEHAVIORS)[number];

/** Finds ranges in a text, from its first to its last letter. */
export type Finder = (codes: readonly number[]) => readonly Span[];

/** Each letter of a set by itself. */
export function lettersIn(set: CodeSet): Finder {
  return (codes) => {
    const spans: Span[] = [];
    let from = 0;
    codes.forEach((code, i) => {
      if (!set.has(code)) return;
      if (from < i) spans.push({ from, to: i, found: false });
      spans.push({ from: i, to: i + 1, found: true });
      from = i + 1;
    });
    if (from < codes.length) spans.push({ from, to: codes.length, found: false });
    return spans;
  };
}

/** A text as it is written. An empty one is found nowhere. */
export function plainText(text: string): Finder {
  const wanted = lettersOf(text).codes;
  return (codes) => {
    const spans: Span[] = [];
    let [from, at] = [0, 0];
    while (wanted.length > 0 && at + wanted.length <= codes.length) {
      if (wanted.some((code, i) => codes[at + i] !== code)) at++;
      else {
        if (from < at) spans.push({ from, to: at, found: false });
        spans.push({ from: at, to: at + wanted.length, found: true });
        at = from = at + wanted.length;
      }
    }
    if (from < codes.length) spans.push({ from, to: codes.length, found: false });
    return spans;
  };
}

export function found(pattern: Pattern): Finder {
  return (codes) => pattern.spans(codes);
}

/** The other way round. */
export function inverted(finder: Finder): Finder {
  return (codes) => finder(codes).map((span) => ({ ...span, found: !span.found }));
}

/** The text in pieces; none is empty. */
export function split(letters: Letters, finder: Finder, behavior: Behavior): readonly Letters[] {
  return joined(finder(letters.codes), behavior)
    .filter(({ from, to, found }) => from < to && !(found && behavior === "Removed"))
    .map(({ from, to }) => part(letters, from, to));
}

function joined(spans: readonly Span[], behavior: Behavior): readonly Span[] {
  if (behavior === "Removed" || behavior === "Isolated") return spans;
  const backwards = behavior === "MergedWithNext";
  const out: { from: number; to: number; found: boolean }[] = [];
  let before = false;
  for (const span of backwards ? [...spans].reverse() : spans) {
    const last = out[out.length - 1];
    const joins = behavior === "Contiguous" ? span.found === before : span.found && !before;
    if (!joins || last === undefined) out.push({ ...span });
    else if (backwards) last.from = span.from;
    else last.to = span.to;
    before = span.found;
  }
  return backwards ? out.reverse() : out;
}
