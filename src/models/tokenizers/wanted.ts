/** What steps of a tokenizer.json look for in a text: a text, or a pattern. */

import * as v from "valibot";
import { Pattern } from "./pattern.ts";
import { type Finder, found, plainText } from "./splits.ts";

/** A plain text or a regular expression, to be found. */
export interface Wanted {
  readonly finder: Finder;
  /** The fewest letters that it takes. */
  readonly least: number;
}

export const wanted = v.pipe(
  v.union(
    [
      v.strictObject({ String: v.pipe(v.string(), v.maxLength(1000, "must be 1000 letters or fewer")) }),
      v.strictObject({ Regex: v.string() }),
    ],
    'must be {"String": text} or {"Regex": pattern}',
  ),
  v.rawTransform(({ dataset, addIssue, NEVER }): Wanted => {
    const pattern = dataset.value;
    if ("String" in pattern) return { finder: plainText(pattern.String), least: [...pattern.String].length };
    try {
      return { finder: found(new Pattern(pattern.Regex)), least: 1 };
    } catch (error) {
      addIssue({ message: (error as Error).message });
      return NEVER;
    }
  }),
);
