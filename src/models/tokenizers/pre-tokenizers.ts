/** tokenizer.json's pre-tokenizers: each a check of its fields, and the function that cuts a text into pieces. */

import * as v from "valibot";
import { NUMBER, WORD } from "./categories.ts";
import { byteLevel, changed, type Letters, prepended, type Span } from "./letters.ts";
import { Pattern } from "./pattern.ts";
import { bertPreTokenizer, type PreTokenizer } from "./pieces.ts";
import { BEHAVIORS, type Finder, found, inverted, lettersIn, split } from "./splits.ts";
import { bareStep, checkGrowth, flag, MOST_STEPS, oneLetter, oneOf, step } from "./steps.ts";
import { CodeSet, PUNCTUATION_MARK, WHITE } from "./unicode.ts";
import { wanted } from "./wanted.ts";

const behavior = v.picklist(BEHAVIORS, `must be one of ${BEHAVIORS.join(", ")}`);

/** GPT-2's: contractions, words, numbers and other signs with a space before them, spaces. */
const GPT2 = /* @__PURE__ */ new Pattern(
  String.raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`,
);

const byteLevels = v.pipe(
  step({
    add_prefix_space: flag,
    trim_offsets: v.optional(flag),
    use_regex: v.optional(flag, true),
  }),
  v.transform(
    ({ add_prefix_space, use_regex }): PreTokenizer =>
      (letters) => {
        const spaced = add_prefix_space && letters.codes[0] !== 0x20 ? prepended(letters, " ") : letters;
        return (use_regex ? split(spaced, found(GPT2), "Isolated") : [spaced]).map(byteLevel);
      },
  ),
);

/** Pieces of either of two kinds of letters, without those of neither. */
const words: Finder = (codes) => {
  const spans: Span[] = [];
  const kind = (code: number) => (WORD.has(code) ? 1 : WHITE.has(code) ? 0 : 2);
  for (let from = 0; from < codes.length; ) {
    const own = kind(codes[from]);
    let to = from + 1;
    while (to < codes.length && kind(codes[to]) === own) to++;
    spans.push({ from, to, found: own === 0 });
    from = to;
  }
  return spans;
};

const metaspace = v.pipe(
  step({
    replacement: oneLetter,
    prepend_scheme: v.optional(v.picklist(["always", "first", "never"]), "always"),
    split: v.optional(flag, true),
    add_prefix_space: v.optional(flag),
    str_rep: v.optional(v.string()),
  }),
  v.check(
    ({ add_prefix_space, prepend_scheme }) => add_prefix_space !== false || prepend_scheme === "never",
    "add_prefix_space and prepend_scheme disagree: keep prepend_scheme",
  ),
  v.transform(({ replacement, prepend_scheme, split: splits }): PreTokenizer => {
    const mark = replacement.codePointAt(0) as number;
    const cut = lettersIn(CodeSet.of(mark));
    return (letters) => {
      const marked = changed(letters, (code) => (code === 0x20 ? mark : code));
      const prepends = prepend_scheme === "always" || (prepend_scheme === "first" && letters.origins[0] === 0);
      const begun = prepends && marked.codes[0] !== mark ? prepended(marked, replacement) : marked;
      return splits ? split(begun, cut, "MergedWithNext") : [begun];
    };
  }),
);

const splitting = v.pipe(
  step({ pattern: wanted, behavior, invert: v.optional(flag, false) }),
  v.transform(({ pattern, behavior: keeps, invert }): PreTokenizer => {
    const finder = invert ? inverted(pattern.finder) : pattern.finder;
    return (letters) => split(letters, finder, keeps);
  }),
);

const punctuation = v.pipe(
  step({ behavior: v.optional(behavior, "Isolated") }),
  v.transform(
    ({ behavior: keeps }): PreTokenizer =>
      (letters) =>
        split(letters, lettersIn(PUNCTUATION_MARK), keeps),
  ),
);

const digits = v.pipe(
  step({ individual_digits: v.optional(flag, false) }),
  v.transform(
    ({ individual_digits }): PreTokenizer =>
      (letters) =>
        split(letters, lettersIn(NUMBER), individual_digits ? "Isolated" : "Contiguous"),
  ),
);

const delimiter = v.pipe(
  step({ delimiter: oneLetter }),
  v.transform(({ delimiter: letter }): PreTokenizer => {
    const finder = lettersIn(CodeSet.of(letter.codePointAt(0) as number));
    return (letters) => split(letters, finder, "Removed");
  }),
);

const sequence = v.pipe(
  step({
    pretokenizers: v.pipe(
      v.array(v.lazy(() => preTokenizer)),
      v.maxLength(MOST_STEPS, `must have ${MOST_STEPS} steps or fewer`),
    ),
  }),
  v.transform(
    ({ pretokenizers }): PreTokenizer =>
      (letters) =>
        pretokenizers.reduce<readonly Letters[]>(
          (pieces, one) => {
            const next = pieces.flatMap(one);
            checkGrowth(letters.codes.length, lengthOf(next));
            return next;
          },
          [letters],
        ),
  ),
);

function lengthOf(pieces: readonly Letters[]): number {
  return pieces.reduce((sum, { codes }) => sum + codes.length, 0);
}

/** A pre-tokenizer of a tokenizer.json, as the function it describes. */
export const preTokenizer: v.GenericSchema<unknown, PreTokenizer> = oneOf<PreTokenizer>({
  ByteLevel: byteLevels,
  BertPreTokenizer: bertPreTokenizer,
  Whitespace: bareStep((letters) => split(letters, words, "Removed")),
  WhitespaceSplit: bareStep((letters) => split(letters, lettersIn(WHITE), "Removed")),
  Metaspace: metaspace,
  Split: splitting,
  Punctuation: punctuation,
  Digits: digits,
  CharDelimiterSplit: delimiter,
  Sequence: sequence,
});
