/** Functions that are the same in every engine: near the engine's own, and nowhere left to it. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { digestOf } from "../../src/parties/weights.ts";
import * as maths from "../../src/program/maths.ts";

const POINTS = Array.from({ length: 4001 }, (_, i) => (i - 2000) / 97.3);

describe("functions of every engine", () => {
  const near = (own: (x: number) => number, engine: (x: number) => number, xs: readonly number[]) => {
    for (const x of xs) {
      const [a, b] = [own(x), engine(x)];
      // A few units in the last place; sines beside their zeros are as good as their argument is.
      expect(Math.abs(a - b), `at ${x}`).toBeLessThanOrEqual(8 * Number.EPSILON * Math.max(Math.abs(b), 2 ** -40));
    }
  };

  it("agree with this engine's but for a few units in the last place", () => {
    near(maths.exp, Math.exp, POINTS.concat([-745, -700, 700, 709]));
    near(maths.sin, Math.sin, POINTS.concat([12_345.6, -4096.5, 400_000.25]));
    near(maths.cos, Math.cos, POINTS.concat([12_345.6, -4096.5, 400_000.25]));
    near(maths.tanh, Math.tanh, POINTS);
    const positive = POINTS.map((x) => Math.abs(x) + 2 ** -30).concat([2 ** -1074, 1e-310, 1e300]);
    near(maths.log, Math.log, positive);
    near(maths.log2, Math.log2, positive);
    for (const x of [10_000, 0.3, 1, 7])
      for (const y of [-1, -0.25, 0, 0.5, 3])
        expect(Math.abs(maths.realPower(x, y) / x ** y - 1)).toBeLessThan(32 * Number.EPSILON);
  });

  it("are exact for powers of two", () => {
    for (let k = -1074; k < 1024; k++) expect(maths.log2(2 ** k)).toBe(k);
    for (const n of [0, 1, 2, 3, 5]) expect(maths.wholePower(2 ** 17, n)).toBe(2 ** (17 * n));
  });

  it("know their ends", () => {
    expect([maths.exp(-1e9), maths.exp(1e9), maths.exp(Number.NaN)]).toEqual([0, Number.POSITIVE_INFINITY, Number.NaN]);
    expect([maths.log(0), maths.log(-1), maths.log(Number.POSITIVE_INFINITY)]).toEqual([
      Number.NEGATIVE_INFINITY,
      Number.NaN,
      Number.POSITIVE_INFINITY,
    ]);
    expect([maths.tanh(-50), maths.tanh(50), maths.tanh(0)]).toEqual([-1, 1, 0]);
  });

  it("give these bits, everywhere", async () => {
    const all = POINTS.flatMap((x) => [
      maths.exp(x),
      maths.sin(x),
      maths.cos(x),
      maths.tanh(x),
      maths.log(Math.abs(x)),
    ]);
    expect(await digestOf(all.map(String))).toBe("8479048460b7fb0b21e2ccaa45ed207aac0762f3860a61d185627b819f02921b");
  });
});

describe("what parties compile", () => {
  it("leaves no function to the engine", () => {
    const found: string[] = [];
    for (const room of ["program", "compiler", "reference", "approximations"])
      for (const file of readdirSync(join("src", room))) {
        const text = readFileSync(join("src", room, file), "utf8").replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, "");
        for (const [call] of text.matchAll(
          /Math\.(exp|expm1|log|log2|log10|log1p|sin|cos|tan|a?tanh|a?sinh|a?cosh|a?sin|a?cos|atan2?|pow|cbrt|hypot)\b/g,
        ))
          found.push(`${file}: ${call}`);
        // Powers of two alone: every engine has them exactly.
        for (const [power] of text.matchAll(/\S+ \*\* /g))
          if (!/(^|[\s(])2 \*\* $/.test(power)) found.push(`${file}: ${power}`);
      }
    expect(found).toEqual([]);
  });
});
