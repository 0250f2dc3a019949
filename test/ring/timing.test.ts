/** The statistics of the timing check, on times that are made up; the times themselves are measured by `npm run long -- ct`. */
import { expect, it } from "vitest";
import { compare, measure, THRESHOLD } from "./timing.ts";

/** Times around `mean`, with a tail of interruptions as machines have it. */
function times(count: number, mean: number, seed: number): Float64Array {
  let s = seed;
  const next = () => {
    s = (Math.imul(s, 1664525) + 1013904223) >>> 0;
    return (s + 0.5) / 2 ** 32;
  };
  return Float64Array.from({ length: count }, () => {
    const spread = Math.sqrt(-2 * Math.log(next())) * Math.cos(2 * Math.PI * next());
    return mean * (1 + 0.02 * spread) + (next() < 0.03 ? 20 * mean * next() : 0);
  });
}

it("sees half a percent in 4,000 times, in either direction", () => {
  const [base, slower] = [times(4000, 1000, 1), times(4000, 1005, 2)];
  const found = compare(base, slower);
  expect(found.t).toBeGreaterThan(THRESHOLD);
  expect(Math.abs(found.effect - 0.005)).toBeLessThan(found.visible);
  expect(found.visible).toBeLessThan(0.005);
  expect(compare(slower, base).t).toBeLessThan(-THRESHOLD);
});

it("finds no difference between times of one kind, whatever the interruptions", () => {
  for (let seed = 1; seed <= 50; seed++)
    expect(Math.abs(compare(times(1000, 1000, seed), times(1000, 1000, 1000 + seed)).t)).toBeLessThan(THRESHOLD);
});

it("says what it could have seen", () => {
  const few = compare(times(100, 1000, 1), times(100, 1000, 2)).visible;
  const many = compare(times(10_000, 1000, 1), times(10_000, 1000, 2)).visible;
  expect(few / many).toBeGreaterThan(5);
  expect(() => compare(times(5, 1, 1), times(5, 1, 2))).toThrow(RangeError);
});

it("takes equal times for equal", () => {
  expect(compare(new Float64Array(30).fill(7), new Float64Array(30).fill(7)).t).toBe(0);
  expect(compare(new Float64Array(30).fill(7), new Float64Array(30).fill(8)).t).toBe(Number.POSITIVE_INFINITY);
});

it("runs every class once a round, prepared just before", () => {
  const log: string[] = [];
  const of = (name: string) => ({ prepare: () => log.push(`p${name}`), work: () => log.push(name) });
  const measured = measure([of("a"), of("b")], 100);
  expect(measured.map((m) => m.length)).toEqual([100, 100]);
  for (let round = 0; round < 100; round++) {
    const [first, second] = [log[4 * round + 1], log[4 * round + 3]];
    expect([first, second].sort()).toEqual(["a", "b"]);
    expect([log[4 * round], log[4 * round + 2]]).toEqual([`p${first}`, `p${second}`]);
  }
  expect(new Set(Array.from({ length: 100 }, (_, round) => log[4 * round + 1])).size).toBe(2);
});
