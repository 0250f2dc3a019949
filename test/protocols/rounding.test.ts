/** The clear run that rounds as two parties do: its roundings have the law of private ones. */
import { beforeAll, describe, expect, it } from "vitest";
import { Builder } from "../../src/compiler/builder.ts";
import { randomText } from "../../src/models/catalog.ts";
import { oneTurn, type Value } from "../../src/program/steps.ts";
import { Prg, randomKey } from "../../src/ring/prg.ts";
import { Ring } from "../../src/ring/ring.ts";
import { harness, TINY_GPT2 } from "../parties/harness.ts";
import { inClear, joined, run, shareOf } from "./bench.ts";

const SHIFT = 4;
const COPIES = 4000;
const PARTS = 2 ** SHIFT;
/** Integers whose low bits take all values, below and above zero. */
const VALUES = Array.from({ length: PARTS * COPIES }, (_, i) => BigInt((i % PARTS) - PARTS / 2 - 3));

let ring: Ring;
beforeAll(async () => {
  ring = await Ring.create();
});

const MAKERS: Record<string, (b: Builder, x: Value) => Value> = {
  "an opening": (b, x) => b.open(shareOf(b, x), "exchange", 2 ** -SHIFT, 64),
  "a value's coarser copy": (b, x) => {
    const opened = b.open(shareOf(b, x), "exchange", 1, 64);
    return b.add(
      { kind: "shift", x: opened.id, shift: SHIFT },
      b.value("coarse", 1, x.columns, 2 ** -SHIFT, 64, "masked"),
    );
  },
};

/** Of each value of the low bits how often the result was how much above the number rounded down. */
function law(found: readonly number[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const [i, y] of found.entries()) {
    const key = `${i % PARTS}: ${y - Math.floor(Number(VALUES[i]) / PARTS)}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return counts;
}

describe.each(Object.keys(MAKERS))("%s", (name) => {
  it.each([false, true])("rounds in the clear as it does privately, checked: %s", async (verified) => {
    const b = new Builder();
    const x = b.add({ kind: "input", source: "mask", after: null }, b.value("x", 1, VALUES.length, 1, 64, "masked"));
    const out = Object.assign(shareOf(b, MAKERS[name](b, x)), { ring: 20 });
    const program = b.finish({ ...oneTurn(1), verified }, [out]);
    const inputs = new Map([[x.id, VALUES]]);
    const parties = await run(ring, program, inputs);
    const privately = law(joined(parties, program.values[out.id]).map(Number));
    parties.close();
    const clear = law(inClear(ring, program, inputs, new Prg(randomKey())));
    for (const key of new Set([...privately.keys(), ...clear.keys()])) {
      const [p, c] = [privately, clear].map((counts) => (counts.get(key) ?? 0) / COPIES);
      // Six standard deviations of a difference of two shares.
      const spread = 6 * Math.sqrt((2 * Math.max(p * (1 - p), c * (1 - c), 1 / COPIES)) / COPIES);
      expect(Math.abs(p - c), `${key}: ${p} and ${c}`).toBeLessThan(spread);
    }
    expect(privately.size).toBeGreaterThan(PARTS);
    // Without it every number is rounded down.
    expect([...law(inClear(ring, program, inputs)).keys()].every((key) => key.endsWith(" 0"))).toBe(true);
  });
});

it.each([
  ["an encoder", { gelu: "exact", softmax: "exact" }],
  ["a decoder", TINY_GPT2],
] as const)("keeps padded keys in the range of what the largest is sought among: %s", async (_, spec) => {
  const h = await harness({ layers: 1, ...spec }, { ...oneTurn(16), verified: true });
  for (let seed = 0; seed < 60; seed++) {
    const text = randomText(h.spec, 3 + (seed % 10), seed);
    const { violations } = h.clear(text, { rounding: new Prg(randomKey()) });
    expect(violations).toEqual([]);
  }
});
