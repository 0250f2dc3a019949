/** How far texts are padded, and so what their length tells. */
import { describe, expect, it } from "vitest";
import { paddedShape } from "../../src/parties/padding.ts";
import { BUCKETS } from "../../src/program/lengths.ts";

const LIMIT = 512;
const padded = (tokens: number, lengths?: readonly number[]) => paddedShape([tokens], LIMIT, undefined, lengths).length;

describe("a text's padded length", () => {
  it("is the smallest of the list that holds it", () => {
    expect([1, 8, 9, 100, 512].map((tokens) => padded(tokens))).toEqual([8, 8, 16, 128, 512]);
  });

  it("is one that the server takes, where it told so", () => {
    expect([1, 8, 9, 33, 64].map((tokens) => padded(tokens, [16, 64]))).toEqual([16, 16, 16, 64, 64]);
    expect(() => padded(65, [16, 64])).toThrow(/^the text has 65 tokens, this service takes up to 64: shorten it$/);
  });

  it("tells no more than the list does, whichever lengths a server names", () => {
    const all = Array.from({ length: LIMIT }, (_, i) => i + 1);
    for (const lengths of [all, [7, 9, 11, 13, 100], [10, 20, 30, 450]]) {
      const byBucket = new Map<number, number>();
      for (const tokens of all.filter((n) => n <= lengths[lengths.length - 1])) {
        const bucket = BUCKETS.find((b) => b >= tokens)!;
        byBucket.set(bucket, byBucket.get(bucket) ?? padded(tokens, lengths));
        expect(padded(tokens, lengths)).toBe(byBucket.get(bucket));
      }
    }
  });
});
