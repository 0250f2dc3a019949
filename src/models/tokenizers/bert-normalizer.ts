/** BertNormalizer of a tokenizer.json: controls, Chinese characters, accents and capitals. */

import * as v from "valibot";
import { changed, type Letters } from "./letters.ts";
import { normalForm } from "./normal-forms.ts";
import { checkGrowth, flag, step } from "./steps.ts";
import { ACCENT, CONTROL, IDEOGRAPH, lowerCase, WHITE } from "./unicode.ts";

/** What a normalizer makes of a text. */
export type Normalizer = (letters: Letters) => Letters;

/** The space between words. */
export const SPACE = 0x20;

/** The step, as the function it describes. */
export const bertNormalizer = v.pipe(
  step({
    clean_text: flag,
    handle_chinese_chars: flag,
    strip_accents: v.nullish(flag, null),
    lowercase: flag,
  }),
  v.transform(({ clean_text, handle_chinese_chars, strip_accents, lowercase }) =>
    inOrder([
      ...(clean_text ? [clean] : []),
      ...(handle_chinese_chars ? [spacedIdeographs] : []),
      ...((strip_accents ?? lowercase) ? [withoutAccents] : []),
      ...(lowercase ? [lower] : []),
    ]),
  ),
);

function clean(letters: Letters): Letters {
  return changed(letters, (code) => (CONTROL.has(code) ? null : WHITE.has(code) ? SPACE : code));
}

function spacedIdeographs(letters: Letters): Letters {
  return changed(letters, (code) => (IDEOGRAPH.has(code) ? [SPACE, code, SPACE] : code));
}

function withoutAccents(letters: Letters): Letters {
  return changed(normalForm(letters, "NFD"), (code) => (ACCENT.has(code) ? null : code));
}

/** Each letter in lower case. */
export function lower(letters: Letters): Letters {
  return changed(letters, lowerCase);
}

/** One normalizer behind the other. */
export function inOrder(normalizers: readonly Normalizer[]): Normalizer {
  return (letters) =>
    normalizers.reduce((text, one) => {
      const next = one(text);
      checkGrowth(letters.codes.length, next.codes.length);
      return next;
    }, letters);
}
