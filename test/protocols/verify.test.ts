/** The check of what a client opens: honest runs pass, and sums are what integers say. */
import { describe, expect, it } from "vitest";
import { randomText } from "../../src/models/catalog.ts";
import { oneTurn } from "../../src/program/steps.ts";
import { harness } from "../parties/harness.ts";

describe("an honest client", () => {
  it.each([
    ["Quad and 2Quad", {}],
    ["exact functions", { gelu: "exact", softmax: "exact" }],
    ["comparisons", { gelu: "relu", softmax: "2relu", answer: "label" }],
  ] as const)("passes with %s", async (_, spec) => {
    const h = await harness({ layers: 1, ...spec }, { ...oneTurn(8), verified: true });
    const text = randomText(h.spec, 6, 1);
    const plain = h.clear(text).logits;
    for (const verify of [1, 4]) {
      const { logits, run } = await h.secure(text, undefined, undefined, undefined, verify);
      run.close();
      expect(logits.length).toBe(plain.length);
      logits.forEach((x, i) => {
        expect(Math.abs(x - plain[i])).toBeLessThan(0.05);
      });
    }
  });
});
