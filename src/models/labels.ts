/** Names of labels: they come from a stranger's file and go to terminals, logs and web pages. */

import * as v from "valibot";

const MOST_LETTERS = 100;
/** A letter may have marks and joiners, but not without end. */
const MOST_UNITS = 2000;

/**
 * What no name holds: control characters, ends of lines, halves of characters, and what turns the text around it
 * (embeddings, overrides, isolates) or annotates it. Joiners, breaks, direction marks and tags of flags are parts of ordinary words.
 */
const FORBIDDEN =
  /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u206f\ufeff\ufff9-\ufffb\u{e0001}]|\p{Noncharacter_Code_Point}/u;
const VISIBLE = /[^\p{Cc}\p{Cf}\p{Z}\p{M}\u115f\u1160\u2800\u3164\uffa0]/u;
/** Tags are seen only as the name of a flag, behind it. */
const STRAY_TAG = /(?<![\u{1f3f4}\u{e0020}-\u{e007f}])[\u{e0020}-\u{e007f}]/u;

const letters = new Intl.Segmenter("en", { granularity: "grapheme" });

/** Whether a name can be shown: 1 to 100 letters as readers count them, one of them visible, none that controls a terminal. */
function isLabel(name: string): boolean {
  if (name.length > MOST_UNITS || FORBIDDEN.test(name) || STRAY_TAG.test(name) || !VISIBLE.test(name)) return false;
  return [...letters.segment(name)].length <= MOST_LETTERS;
}

/** A label's name in a file or a message. */
export const labelSchema = v.pipe(v.string(), v.check(isLabel, "labels are 1 to 100 printable letters"));
