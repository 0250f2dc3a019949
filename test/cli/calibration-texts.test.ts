import { describe, expect, it } from "vitest";
import { calibrationTexts } from "../../src/cli/calibration-texts.ts";
import { calibrate } from "../../src/compiler/calibrate.ts";
import { randomText } from "../../src/models/catalog.ts";
import { harness, TINY, TINY_GPT2 } from "../parties/harness.ts";

const text = (length: number, first = 0) => ({
  ids: Array.from({ length }, (_, i) => (i === 0 ? first : 1)),
  types: new Array<number>(length).fill(0),
});
const small = { ...TINY, ...TINY_GPT2 };
/** 1.2e8 weights: 3300 tokens of work. */
const large = { ...small, layers: 12, hidden: 768, intermediate: 3072, vocabulary: 50257, positions: 1024 };

describe("the texts of a calibration", () => {
  it("are all run as they are, of an encoder", () => {
    const texts = Array.from({ length: 300 }, () => text(400));
    expect(calibrationTexts({ ...TINY, isDecoder: false }, texts)).toBe(texts);
  });

  it("are all run, of a small decoder, none beyond 256 tokens, and short windows that begin within them", () => {
    const own = [3, 1000, 256].map((length, i) => ({
      ...text(length),
      ids: text(length).ids.map((_, at) => 1000 * i + at),
    }));
    const found = calibrationTexts(small, own);
    for (const { ids, types } of found) expect(types.length).toBe(ids.length);
    expect(found.slice(0, 3).map(({ ids }) => ids)).toEqual(own.map(({ ids }) => ids.slice(0, 256)));
    expect(found.slice(3).map(({ ids }) => [ids[0], ids.length])).toEqual(
      [1032, 1096, 1160, 1224, 2032, 2096, 2160, 2224].map((first) => [first, 16]),
    );
  });

  it("are as many of a large decoder's as take minutes, evenly from all of them", () => {
    const all = Array.from({ length: 1000 }, (_, i) => ({ ...text(100), ids: new Array<number>(100).fill(i) }));
    const found = calibrationTexts(large, all);
    const tokens = found.reduce((sum, { ids }) => sum + ids.length, 0);
    expect(tokens).toBeGreaterThan(2000);
    expect(tokens).toBeLessThan(4500);
    for (const length of [100, 16]) {
      const places = found.filter(({ ids }) => ids.length === length).map(({ ids }) => ids[0]);
      expect(places.length).toBeGreaterThan(15);
      expect(places[0]).toBe(0);
      const gaps = places.slice(1).map((place, i) => place - places[i]);
      expect(Math.max(...gaps.slice(1)) - Math.min(...gaps.slice(1))).toBeLessThanOrEqual(1);
      expect(places.at(-1)).toBeGreaterThan(900);
    }
  });

  it("are never none", () => {
    expect(calibrationTexts(large, [text(5000)]).map(({ ids }) => ids.length)).toEqual([256, 16, 16, 16, 16]);
  });
});

describe("ranges of heavy tails", () => {
  it("are wider by what one half of the texts has beyond the other, half as wide again at most, and as seen where none is asked for", async () => {
    const { spec, weights } = await harness(TINY_GPT2, 16);
    const texts = [9, 12, 16, 7].map((length) => randomText(spec, length, length));
    const plain = calibrate(spec, weights, texts).ranges;
    const wide = calibrate(spec, weights, texts, { tails: true }).ranges;
    const half = (first: number) =>
      calibrate(
        spec,
        weights,
        texts.filter((_, i) => i % 2 === first),
      ).ranges;
    const [even, odd] = [half(0), half(1)];
    let wider = 0;
    for (const [key, [lo, hi]] of Object.entries(wide)) {
      const [seenLo, seenHi] = plain[key];
      expect(lo, key).toBeLessThanOrEqual(seenLo);
      expect(hi, key).toBeGreaterThanOrEqual(seenHi);
      if (seenHi <= 0 || Math.min(even[key][1], odd[key][1]) <= 0 || key.endsWith(".keys")) continue;
      const ratio = seenHi / Math.min(even[key][1], odd[key][1]);
      expect(hi / seenHi, key).toBeCloseTo(Math.min(1.5, ratio), 6);
      if (ratio > 1.1) wider++;
    }
    expect(wider).toBeGreaterThan(3);
    // What a row has of keys is known, and the plan has room as before.
    const keys = Object.keys(plain).filter((key) => key.endsWith(".keys"));
    expect(keys.length).toBeGreaterThan(0);
    for (const key of keys) expect(wide[key]).toEqual(plain[key]);
  });
});
