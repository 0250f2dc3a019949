/** What the console's charts are computed from. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Row } from "../../src/console/study.ts";
import { type Box, overlap, placed } from "../../web/console/labels.ts";
import { isServed, pairsOf, teacherOf } from "../../web/console/points.ts";
import { bytes, duration, multiplications, seconds } from "../../web/console/words.ts";

const BOUNDS: Box = { left: 40, top: 20, width: 700, height: 330 };
const NONE = { marks: [], lines: [] };

describe("labels", () => {
  const mark = fc.record({
    x: fc.integer({ min: 60, max: 720 }),
    y: fc.integer({ min: 40, max: 330 }),
    width: fc.integer({ min: 40, max: 120 }),
    height: fc.constant(16),
  });

  test("never lie over one another or over a mark, and stay inside", () => {
    fc.assert(
      fc.property(fc.array(mark, { maxLength: 16 }), (labels) => {
        const marks = labels.map(({ x, y }) => ({ left: x - 7, top: y - 7, width: 14, height: 14 }));
        const boxes = placed(labels, { marks, lines: [] }, BOUNDS);
        for (const [i, box] of boxes.entries()) {
          expect([...marks, ...boxes.slice(0, i)].some((other) => overlap(box, other))).toBe(false);
          expect(box.left >= BOUNDS.left && box.left + box.width <= BOUNDS.left + BOUNDS.width).toBe(true);
          expect(box.top >= BOUNDS.top && box.top + box.height <= BOUNDS.top + BOUNDS.height).toBe(true);
        }
      }),
    );
  });

  test("stand beside their mark where there is room, off a line where that is near", () => {
    const label = { x: 300, y: 100, width: 60, height: 16 };
    expect(placed([label], NONE, BOUNDS)).toEqual([{ left: 309, top: 92, width: 60, height: 16 }]);
    const line = { left: 330, top: 50, width: 2, height: 100 };
    const [off] = placed([label], { marks: [], lines: [line] }, BOUNDS);
    expect(overlap(off, line)).toBe(false);
  });

  test("are placed even where nothing is free", () => {
    const label = { x: 50, y: 10, width: 60, height: 16 };
    expect(placed([label, label, label], NONE, { left: 0, top: 0, width: 70, height: 20 })).toHaveLength(3);
    expect(placed([label], NONE, { left: 0, top: 0, width: 10, height: 10 })).toHaveLength(1);
  });
});

function row(softmax: string, online: number, scores: Partial<Row>): Row {
  const cost = { length: 64, flights: 1, online_bytes: 1, offline_bytes: 1, offline_seconds: 1 };
  return {
    ...{
      task: "t",
      gelu: "quad",
      softmax,
      metric: "accuracy",
      teacher: 0.9,
      model: "m",
      paper: null,
      measured_on: "dev" as const,
    },
    ...{ without_pd: null, without_d: null, both: null, private: null },
    cost: { ...cost, online_seconds: online, speed_up: 2, online_speed_up: 0.6 / online },
    ...scores,
  };
}

describe("a study's points", () => {
  const rows = [
    row("exact", 0.4, { both: 0.89 }),
    row("2relu", 0.3, { both: 0.85, without_d: 0.8 }),
    row("2quad", 0.2, { both: 0.88, without_pd: 0.5 }),
    row("untrained", 0.1, {}),
    row("untimed", 0.1, { both: 0.9, cost: null }),
  ];

  test("are the pairs that were trained and timed; worth choosing are those that none beats", () => {
    expect(pairsOf(rows, "t").map(({ row: { softmax }, best, choice }) => [softmax, best, choice])).toEqual([
      ["2quad", 0.88, true],
      ["2relu", 0.85, false],
      ["exact", 0.89, true],
    ]);
    expect(pairsOf(rows, "t", ["without_d"]).map((pair) => pair.best)).toEqual([0.8]);
    expect(pairsOf(rows, "other")).toEqual([]);
  });

  test("of equals both are worth choosing", () => {
    const equals = [row("a", 0.2, { both: 0.8 }), row("b", 0.2, { both: 0.8 })];
    expect(pairsOf(equals, "t").map((pair) => pair.choice)).toEqual([true, true]);
  });

  test("have the teacher's time, if a speed-up over it was measured", () => {
    expect(teacherOf(rows, "t").seconds).toBeCloseTo(0.6);
    expect(teacherOf([row("a", 0.2, { cost: null })], "t")).toEqual({ score: 0.9, seconds: null });
  });

  test("know the pair that is served, with its parameter or without", () => {
    const [pair] = pairsOf(rows, "t");
    expect(isServed(pair, { gelu: "quad", softmax: "2quad:5" })).toBe(true);
    expect(isServed(pair, { gelu: "quad", softmax: "2quad" })).toBe(true);
    expect(isServed(pair, { gelu: "exact", softmax: "2quad" })).toBe(false);
    expect(isServed(pair, null)).toBe(false);
  });
});

test("numbers in words", () => {
  expect([0, 720, 999.6, 9160, 344_500, 1e6, 13_058_048].map(bytes)).toEqual([
    ...["0 B", "720 B", "1.0 kB", "9.2 kB", "345 kB", "1.0 MB", "13 MB"],
  ]);
  expect([0, 16_384, 8_194_048].map(multiplications)).toEqual(["0", "16 k", "8.2 M"]);
  expect([0.0154, 0.5, 1.234, 12.34].map(seconds)).toEqual(["15 ms", "500 ms", "1.23 s", "12.3 s"]);
  expect([8.9, 61, 3700, 90_000, 180_000].map(duration)).toEqual([
    ...["8 s", "1 min", "1 h 1 min", "1 day 1 h", "2 days 2 h"],
  ]);
});
