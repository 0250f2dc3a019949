/** Programs from a thread are those of this process, and what goes wrong there ends nothing here. Of the built program. */
import { expect, it } from "vitest";
import { calibrate } from "../../src/compiler/calibrate.ts";
import { randomText, randomWeights } from "../../src/models/catalog.ts";
import { compileHere } from "../../src/parties/compiling.ts";
import { oneTurn } from "../../src/program/steps.ts";
import { TINY } from "./harness.ts";

const built = new URL("../../dist/parties/compile-thread.js", import.meta.url).href;
const { compilerInThread } = (await import(built)) as typeof import("../../src/parties/compile-thread.ts");

it("compiles the same in a thread, refuses the same, and goes on after a refusal", async () => {
  const plan = calibrate(TINY, randomWeights(TINY, 5), [randomText(TINY, 12, 1)]);
  const compile = compilerInThread();
  const task = { spec: TINY, plan, shape: oneTurn(16), bounds: { steps: 10_000 } };
  const [here, there] = [await compileHere(task), await compile(task)];
  expect(there).toEqual(here);
  await expect(compile({ ...task, bounds: { steps: 20 } })).rejects.toThrow(/more than 20 steps/);
  await expect(compile({ ...task, plan: { ...plan, ranges: {} } })).rejects.toThrow(/calibrate the model again/);
  expect((await compile({ ...task, shape: oneTurn(8) })).fingerprint).toBe(
    (await compileHere({ ...task, shape: oneTurn(8) })).fingerprint,
  );
});

it("lets the event loop go on while it compiles", async () => {
  const plan = calibrate(TINY, randomWeights(TINY, 5), [randomText(TINY, 12, 1)]);
  const compile = compilerInThread();
  let turns = 0;
  let done = false;
  const counting = (async () => {
    for (; !done; turns++) await new Promise((resolve) => setImmediate(resolve));
  })();
  await compile({ spec: { ...TINY, layers: 2 }, plan, shape: oneTurn(8), bounds: { steps: 10_000 } }).catch(() => {});
  done = true;
  await counting;
  expect(turns).toBeGreaterThan(3);
});
