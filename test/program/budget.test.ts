/** What one compilation may take: counted in steps, fits and elements, the same on every machine. */
import { expect, it } from "vitest";
import { Budget, TooLarge } from "../../src/compiler/budget.ts";
import { calibrate } from "../../src/compiler/calibrate.ts";
import { compile } from "../../src/compiler/compile.ts";
import { fitFourier } from "../../src/compiler/fit.ts";
import { randomText, randomWeights } from "../../src/models/catalog.ts";
import { cos } from "../../src/program/maths.ts";
import { oneTurn } from "../../src/program/steps.ts";
import { TINY } from "../parties/harness.ts";

it("takes as many steps as a program has, and one fewer not", () => {
  const plan = calibrate(TINY, randomWeights(TINY, 5), [randomText(TINY, 9, 1)]);
  const { steps } = compile(TINY, plan, oneTurn(8));
  expect(compile(TINY, plan, oneTurn(8), { steps: steps.length }).steps.length).toBe(steps.length);
  expect(() => compile(TINY, plan, oneTurn(8), { steps: steps.length - 1 })).toThrow(TooLarge);
});

it("counts a fit once for each of its kinds, and ends beyond its work", () => {
  const budget = new Budget({ steps: 10 });
  for (let i = 0; i < 10_000; i++) budget.fit("the same", 400_000);
  expect(() => budget.fit("another", 400_000)).toThrow(TooLarge);
});

it("counts the steps of all attempts, and refuses values that no machine should hold", () => {
  const budget = new Budget({ steps: 10 });
  budget.fit("all that fits may cost", 400_000);
  const attempt = () => {
    budget.begin();
    for (let i = 0; i < 10; i++) budget.step();
  };
  for (let i = 0; i < 3; i++) attempt();
  expect(attempt).toThrow(TooLarge);
  budget.value("scores", 2 ** 13, 2 ** 14);
  expect(() => budget.value("scores", 2 ** 13 + 1, 2 ** 14)).toThrow(/"scores" would have/);
});

it("a message's worth of plan with a range of its own for everything is compiled or refused, and soon", () => {
  const deep = { ...TINY, layers: 32, gelu: "exact", softmax: "exact" };
  const plan = calibrate(deep, randomWeights(deep, 5), [randomText(deep, 9, 1)]);
  const { user } = process.cpuUsage();
  compile(deep, plan, oneTurn(8));
  // It is about half a second of a processor.
  expect((process.cpuUsage().user - user) / 1e6).toBeLessThan(10);
});

/** What is computed once for many numbers of harmonics is what was computed for each: the sums have their old order. */
it("fits a series as least squares from the start", () => {
  const f = (x: number) => 1 / (1 + x * x);
  const fit = fitFourier(f, [-4, 4], 11, "even", 2 ** -12);
  const count = fit.cosines.length;
  for (const x of [-3.9, -1, 0, 0.3, 2.2]) {
    let sum = fit.constant;
    for (let k = 0; k < count; k++) sum += fit.cosines[k] * cos(((1 + fit.stride * k) * 2 * Math.PI * x) / 11);
    expect(Math.abs(sum - f(x))).toBeLessThanOrEqual(fit.error * 1.01 + 1e-9);
  }
});
