/**
 * A checked client that deviates, many times: `npm run long -- malicious --tries 100000 --honest 10000`. Changes of messages and answers are
 * tried against recorded sessions, each with its own α and challenge; every 50th try is a lie in earnest, in a session of its own. No try may pass,
 * and no honest run may fail. Prints the table of docs/security-results.md.
 */
import { parseArgs } from "node:util";
import { afterEach, expect, it, vi } from "vitest";
import { randomText } from "../../src/models/catalog.ts";
import { Deviation } from "../../src/parties/messages.ts";
import type { ModelSpec } from "../../src/program/spec.ts";
import { oneTurn, type Shape } from "../../src/program/steps.ts";
import { checkable } from "../../src/protocols/verify/sampling.ts";
import { type Harness, harness, TINY_GPT2 } from "../parties/harness.ts";
import { CHANGES, changeWords, type Random, REMASKED_PASS, randomOf, remasked, tried } from "../protocols/arsenal.ts";
import { lying, WAYS } from "../protocols/liar.ts";
import { atCheck } from "../protocols/recorded.ts";

vi.mock("../../src/protocols/verify/check.ts", async (original) => {
  const { hooked } = await import("../protocols/recorded.ts");
  return hooked(await original<typeof import("../../src/protocols/verify/check.ts")>());
});
afterEach(() => atCheck(null));

const { values } = parseArgs({
  args: JSON.parse(process.env.LONG_ARGUMENTS ?? "[]") as string[],
  options: { tries: { type: "string", default: "100000" }, honest: { type: "string", default: "10000" } },
});
const [TRIES, HONEST] = [Number(values.tries), Number(values.honest)];
/** Against one session. */
const TRIES_A_SESSION = 250;
const LIES_A_SESSION = 5;

const SMALL = {
  layers: 1,
  hidden: 8,
  heads: 2,
  keyHeads: 2,
  headWidth: 4,
  intermediate: 16,
  vocabulary: 20,
} satisfies Partial<ModelSpec>;

const MODELS: readonly (readonly [string, Partial<ModelSpec>, Shape])[] = [
  ["Quad and 2Quad", { ...SMALL, embedding: "public" }, oneTurn(4)],
  ["exact functions", { ...SMALL, gelu: "exact", softmax: "exact" }, oneTurn(4)],
  ["comparisons, the label alone", { ...SMALL, gelu: "relu", softmax: "2relu", answer: "label" }, oneTurn(4)],
  [
    "a decoder's two tokens",
    { ...TINY_GPT2, ...SMALL, labels: 20, gelu: "tanh", softmax: "2quad:5" },
    { ...oneTurn(4), turns: 2 },
  ],
];

async function ask(h: Harness, seed: number): Promise<void> {
  const choose = (scores: readonly number[]) => Math.abs(Math.trunc(scores[0])) % 20;
  const { run } = await h.secure(randomText(h.spec, 3, seed), undefined, undefined, choose, 1);
  run.close();
}

/** Whether answers under another mask passed. */
const masks: boolean[] = [];
const counts = new Map<string, { tries: number; passed: number }>();

function count(kind: string, passed: boolean): void {
  const known = counts.get(kind) ?? { tries: 0, passed: 0 };
  counts.set(kind, { tries: known.tries + 1, passed: known.passed + Number(passed) });
}

/** A session of its own with a lie in a random opening. */
async function lieInEarnest(h: Harness, random: Random, seed: number): Promise<void> {
  const all = checkable(h.program);
  const [step, way] = [all[random(all.length)], WAYS[random(WAYS.length)]];
  const names = Object.keys(CHANGES);
  const name = names[random(names.length)];
  const undo = lying({ step, way, change: (words) => changeWords(h.program, step, words, CHANGES[name], random) });
  try {
    await ask(h, seed);
    count(`in earnest, ${way}`, true);
    console.log(`passed: ${name}, ${step.kind} ${step.id}, ${way}`);
  } catch (error) {
    if (!(error instanceof Deviation)) throw error;
    count(`in earnest, ${way}`, false);
  } finally {
    undo();
  }
}

it(`${TRIES} tries: none passes`, async () => {
  const each = TRIES / MODELS.length;
  for (const [name, spec, shape] of MODELS) {
    const h = await harness(spec, { ...shape, verified: true });
    const random = randomOf(Math.floor(2 ** 31 * Math.random()) + 1);
    let made = 0;
    for (let session = 1; made < each; session++) {
      atCheck((accepts, checked, server, answer) => {
        for (let i = 0; i < Math.min(TRIES_A_SESSION, each); i++, made++) {
          const { what, kind, passed } = tried(accepts, checked, server, answer, random);
          count(kind, passed);
          if (passed) console.log(`passed: ${name}, ${what}`);
          if (i % 10 === 0) masks.push(accepts(checked, server, remasked(answer, random)));
        }
      });
      await ask(h, session);
      atCheck(null);
      for (let i = 0; i < LIES_A_SESSION; i++, made++) await lieInEarnest(h, random, session);
    }
    console.log(`${name}: ${made} tries`);
  }
  console.log("\n| what | tries | passed |\n|---|---|---|");
  for (const [kind, { tries, passed }] of [...counts].sort()) console.log(`| ${kind} | ${tries} | ${passed} |`);
  const [passing, expected] = [masks.filter(Boolean).length, masks.length * REMASKED_PASS];
  console.log(
    `another mask of an answer, which is no lie: ${passing} of ${masks.length} passed, ${expected.toFixed(1)} expected`,
  );
  const all = [...counts.values()];
  console.log(`| all | ${all.reduce((sum, c) => sum + c.tries, 0)} | ${all.reduce((sum, c) => sum + c.passed, 0)} |`);
  expect(all.every(({ passed }) => passed === 0)).toBe(true);
  // Of one session all depend on one α: few sessions are far from the mean.
  expect(passing).toBeLessThan(4 * expected + 40);
});

it(`${HONEST} honest runs: all pass`, async () => {
  for (const [name, spec, shape] of MODELS) {
    const h = await harness(spec, { ...shape, verified: true });
    for (let i = 0; i < HONEST / MODELS.length; i++) await ask(h, i);
    console.log(`${name}: ${Math.ceil(HONEST / MODELS.length)} honest runs passed`);
  }
});
