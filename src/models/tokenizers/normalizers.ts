/** tokenizer.json's normalizers: each a check of its fields, and the function from text to text that they describe. */

import * as v from "valibot";
import { bertNormalizer, inOrder, lower, type Normalizer, SPACE } from "./bert-normalizer.ts";
import { MARK } from "./categories.ts";
import { Charsmap } from "./charsmap.ts";
import { byteLevel, changed, type Letters, lettersOf, part, prepended, replaced } from "./letters.ts";
import { type NormalForm, normalForm } from "./normal-forms.ts";
import { bareStep, flag, MOST_STEPS, oneOf, shortText, step } from "./steps.ts";
import { WHITE } from "./unicode.ts";
import { wanted } from "./wanted.ts";

function withoutMarks(letters: Letters): Letters {
  return changed(letters, (code) => (MARK.has(code) ? null : code));
}

/** SentencePiece's own rules for controls and spaces, from machine translation. */
function machineTranslation(letters: Letters): Letters {
  return changed(letters, (code) => {
    if (code >= 1 && code <= 8) return null;
    if (code === 0x0b || (code >= 0x0e && code <= 0x1f) || [0x7f, 0x8f, 0x9f].includes(code)) return null;
    if (NMT_SPACES.includes(code) || (code >= 0x200b && code <= 0x200f)) return SPACE;
    return code;
  });
}

const NMT_SPACES = [0x09, 0x0a, 0x0c, 0x0d, 0x1680, 0x2028, 0x2029, 0x2581, 0xfeff, 0xfffd];

const stripping = v.pipe(
  step({ strip_left: flag, strip_right: flag }),
  v.transform(
    ({ strip_left, strip_right }): Normalizer =>
      (letters) => {
        const { codes } = letters;
        let [from, to] = [0, codes.length];
        while (strip_left && from < to && WHITE.has(codes[from])) from++;
        while (strip_right && to > from && WHITE.has(codes[to - 1])) to--;
        return part(letters, from, to);
      },
  ),
);

const replacing = v.pipe(
  step({ pattern: wanted, content: v.string() }),
  v.check(({ pattern, content }) => [...content].length <= pattern.least, "Replace must not make texts longer"),
  v.transform(({ pattern, content }): Normalizer => {
    const { codes } = lettersOf(content);
    return (letters) => replaced(letters, pattern.finder(letters.codes), codes);
  }),
);

const prepending = v.pipe(
  step({ prepend: shortText }),
  v.transform(
    ({ prepend }): Normalizer =>
      (letters) =>
        letters.codes.length === 0 ? letters : prepended(letters, prepend),
  ),
);

const precompiled = v.pipe(
  step({ precompiled_charsmap: v.string() }),
  v.rawTransform(({ dataset, addIssue, NEVER }): Normalizer => {
    try {
      const map = new Charsmap(dataset.value.precompiled_charsmap);
      return (letters) => map.apply(letters);
    } catch (error) {
      addIssue({ message: `precompiled_charsmap ${(error as Error).message}` });
      return NEVER;
    }
  }),
);

function form(name: NormalForm): v.GenericSchema<unknown, Normalizer> {
  return bareStep((letters) => normalForm(letters, name));
}

const sequence = v.pipe(
  step({
    normalizers: v.pipe(
      v.array(v.lazy(() => normalizer)),
      v.maxLength(MOST_STEPS, `must have ${MOST_STEPS} steps or fewer`),
    ),
  }),
  v.transform(({ normalizers }) => inOrder(normalizers)),
);

/** A normalizer of a tokenizer.json, as the function it describes. */
export const normalizer: v.GenericSchema<unknown, Normalizer> = oneOf<Normalizer>({
  BertNormalizer: bertNormalizer,
  Lowercase: bareStep(lower),
  NFC: form("NFC"),
  NFD: form("NFD"),
  NFKC: form("NFKC"),
  NFKD: form("NFKD"),
  StripAccents: bareStep(withoutMarks),
  Nmt: bareStep(machineTranslation),
  ByteLevel: bareStep(byteLevel),
  Strip: stripping,
  Replace: replacing,
  Prepend: prepending,
  Precompiled: precompiled,
  Sequence: sequence,
});
