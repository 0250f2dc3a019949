/** Classes of letters that only some kinds of tokenizers ask for, apart from the others (unicode.ts): clients load them where they are needed. */

import { CATEGORIES, CATEGORY_LETTERS, CATEGORY_NAMES, MARKS, NUMERIC, WORDS } from "./category-tables.ts";
import { CodeSet, fromTable } from "./unicode.ts";

/** `\w` of Rust's regular expressions: in the pre-tokenizer Whitespace, and around added tokens that are single words. */
export const WORD = /* @__PURE__ */ fromTable(WORDS);
/** What the pre-tokenizer Digits splits. */
export const NUMBER = /* @__PURE__ */ fromTable(NUMERIC);
/** Marks that StripAccents removes. */
export const MARK = /* @__PURE__ */ fromTable(MARKS);

let categories: ReadonlyMap<string, CodeSet> | undefined;

/** Oniguruma's `\p{...}` for a general category ("Lu") or a group of them ("L"); undefined for other names. */
export function category(name: string): CodeSet | undefined {
  categories ??= readCategories();
  const known = categories.get(name);
  if (known !== undefined || !/^[LMNPSZ]$/.test(name)) return known;
  return CodeSet.union(...[...categories].filter(([own]) => own.startsWith(name)).map(([, set]) => set));
}

function readCategories(): Map<string, CodeSet> {
  const names = CATEGORY_NAMES.split(" ");
  const bounds = names.map((): number[] => []);
  let at = 0;
  for (const [, letter, count] of CATEGORIES.matchAll(/([^0-9a-z])([0-9a-z]*)/g)) {
    const end = at + (count === "" ? 1 : Number.parseInt(count, 36));
    if (letter !== "-") bounds[CATEGORY_LETTERS.indexOf(letter)].push(at, end);
    at = end;
  }
  return new Map(names.map((name, i) => [name, new CodeSet(bounds[i])]));
}
