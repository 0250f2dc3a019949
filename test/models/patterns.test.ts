/** Regular expressions of a tokenizer's file: what they find, in what time, and what of them is refused. */

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { lettersOf, textOf } from "../../src/models/tokenizers/letters.ts";
import { Pattern } from "../../src/models/tokenizers/pattern.ts";

function found(pattern: string, text: string): string[] {
  const { codes } = lettersOf(text);
  return new Pattern(pattern).spans(codes).flatMap(({ from, to, found }) => (found ? [textOf(codes, from, to)] : []));
}

describe("a pattern", () => {
  it.each([
    ["a+b|a", "aaab aa", ["aaab", "a", "a"]],
    ["a+?", "aa", ["a", "a"]],
    ["(?:ab){2,3}", "abababab", ["ababab"]],
    ["a{2}+", "aaaaa", ["aaaa"]],
    ["a++a", "aaa", []],
    ["a?+ab", "aab", ["aab"]],
    ["\\s+(?!\\S)|\\s+", "a   b ", ["  ", " ", " "]],
    ["a(?=b)", "abac", ["a"]],
    ["[^(\\s|[.,])]+", "a(b|c),d", ["a", "b", "c", "d"]],
    ["[a\\-c]+", "a-b-c", ["a-", "-c"]],
    ["\\x41\\u0042\\x{43}", "ABC", ["ABC"]],
    ["(?i:'s|[k])", "'S 'ſ K \u212a", ["'S", "'ſ", "K", "\u212a"]],
    ["\\p{^L}+|\\P{L}", "a1-b", ["1-"]],
    [".+", "a\nb", ["a", "b"]],
  ])("%s finds in %j what Oniguruma does", (pattern, text, expected) => {
    expect(found(pattern, text)).toEqual(expected);
  });

  it.each([
    ["a*", /no letter at all/],
    ["(?<=a)b", /\(\?<, which is not supported/],
    ["(a)\\1", /\\1, which is not supported/],
    ["^a", /\^ where it is not supported/],
    ["a$", /\$ where it is not supported/],
    ["\\bword", /\\b, which is not supported/],
    ["\\p{Han}", /\\p\{Han\}, which is not supported/],
    ["[a&&b]", /&&/],
    ["[[:alpha:]]", /\[:/],
    ["(?i:ss)", /written as fewer/],
    ["(?i:é)", /written as fewer/],
    ["a{65}", /counts beyond 64/],
    ["(((((a{60}){60}){60}){60}){60}){60}", /too large/],
    [`${"(".repeat(40)}a${")".repeat(40)}`, /nested too deeply/],
    ["[b-a]", /wrong order/],
    ["(a", /a \( without its \)/],
    ["a)", /a \) without its \(/],
    ["a".repeat(2001), /more than 2000 letters/],
  ])("%s is refused", (pattern, message) => {
    expect(() => new Pattern(pattern)).toThrow(message);
  });

  it("finds what JavaScript finds, where both mean the same", () => {
    const atom = fc.constantFrom("a", "b", "[ab]", "[^a]", "(?:a|b)", "(?:ab|a)", "(?:a|ab)", "(?=b)", "(?!b)");
    const part = fc.tuple(atom, fc.constantFrom("", "?", "*", "+", "??", "*?", "+?", "{1,2}", "{2,}"));
    const sequence = fc
      .array(part, { minLength: 1, maxLength: 4 })
      .map((parts) =>
        parts.map(([one, times]) => (one.startsWith("(?=") || one.startsWith("(?!") ? one : one + times)),
      );
    const pattern = fc
      .array(sequence, { minLength: 1, maxLength: 3 })
      .map((all) => all.map((s) => `${s.join("")}c`).join("|"));
    const text = fc.array(fc.constantFrom("a", "b", "c"), { maxLength: 12 }).map((letters) => letters.join(""));
    fc.assert(
      fc.property(pattern, text, (source, own) => {
        expect(found(source, own)).toEqual([...own.matchAll(new RegExp(source, "gu"))].map(([match]) => match));
      }),
      { numRuns: 2000 },
    );
  });

  // Backtracking without memory takes 2^200 steps, or the square of 40,000.
  it.each(["(a+)+b", "(a|a)+b", "(a|aa)+b", "(a+a+)+b", "a*a*a*a*a*a*b", "(?=(a+)+b)a", "((a+)+b)?+a", "(?!a+b)a"])(
    "%s ends",
    (pattern) => {
      const spans = new Pattern(pattern).spans(lettersOf("a".repeat(40_000)).codes);
      expect(spans.at(-1)?.to).toBe(40_000);
    },
  );
});
