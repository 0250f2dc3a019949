import { describe, expect, it } from "vitest";
import { calibrationTexts } from "../../src/cli/calibration-texts.ts";
import { TINY, TINY_GPT2 } from "../parties/harness.ts";

const text = (length: number, first = 0) => ({
  ids: Array.from({ length }, (_, i) => (i === 0 ? first : 1)),
  types: new Array<number>(length).fill(0),
});
const small = { ...TINY, ...TINY_GPT2 };
/** 1.2e8 weights: 2500 tokens of work. */
const large = { ...small, layers: 12, hidden: 768, intermediate: 3072, vocabulary: 50257, positions: 1024 };

describe("the texts of a calibration", () => {
  it("are all run as they are, of an encoder", () => {
    const texts = Array.from({ length: 300 }, () => text(400));
    expect(calibrationTexts({ ...TINY, isDecoder: false }, texts)).toBe(texts);
  });

  it("are all run, of a small decoder, none beyond 256 tokens", () => {
    const found = calibrationTexts(small, [text(3), text(1000), text(256)]);
    expect(found.map(({ ids, types }) => [ids.length, types.length])).toEqual([
      [3, 3],
      [256, 256],
      [256, 256],
    ]);
  });

  it("are as many of a large decoder's as take minutes, evenly from all of them", () => {
    const found = calibrationTexts(
      large,
      Array.from({ length: 1000 }, (_, i) => text(100, i)),
    );
    const tokens = found.reduce((sum, { ids }) => sum + ids.length, 0);
    expect(tokens).toBeGreaterThan(1500);
    expect(tokens).toBeLessThan(3500);
    const places = found.map(({ ids }) => ids[0]);
    expect(places[0]).toBe(0);
    const gaps = places.slice(1).map((place, i) => place - places[i]);
    expect(Math.max(...gaps.slice(1)) - Math.min(...gaps.slice(1))).toBeLessThanOrEqual(1);
    expect(places.at(-1)).toBeGreaterThan(900);
  });

  it("are never none", () => {
    expect(calibrationTexts(large, [text(5000)]).length).toBe(1);
  });
});
