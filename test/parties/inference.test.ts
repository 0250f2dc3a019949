import { describe, expect, it } from "vitest";
import { randomText } from "../../src/models/catalog.ts";
import { baseOf } from "../../src/models/families/all.ts";
import { costOf } from "../../src/protocols/cost.ts";
import { harness, TINY } from "./harness.ts";

const CASES = [
  { gelu: "quad", softmax: "2quad:5", embedding: "public" },
  { gelu: "quad", softmax: "2quad:5", embedding: "private" },
  { gelu: "exact", softmax: "2quad:5", embedding: "public" },
  { gelu: "quad", softmax: "exact", embedding: "public" },
  { gelu: "relu", softmax: "2relu", embedding: "public" },
  { gelu: "exact", softmax: "exact", embedding: "private" },
] as const;

describe("a private inference", () => {
  for (const variant of CASES) {
    it(`gives the float logits and the predicted cost: ${JSON.stringify(variant)}`, async () => {
      const h = await harness(variant, 16);
      for (const tokens of [9, 16]) {
        const text = randomText(h.spec, tokens, 100 + tokens);
        const float = h.float(text);
        const clear = h.clear(text);
        expect(clear.violations).toEqual([]);
        const { logits, run } = await h.secure(text);
        for (const [i, x] of float.entries()) {
          expect(Math.abs(clear.logits[i] - x)).toBeLessThan(0.05);
          expect(Math.abs(logits[i] - x)).toBeLessThan(0.05);
        }
        expect({
          flights: run.channel.onlineFlights,
          bytes: {
            client_to_server: run.channel.sent.online.bytes,
            server_to_client: run.channel.received.online.bytes,
          },
        }).toEqual(costOf(h.program).online);
        const steps = costOf(h.program).steps;
        expect(run.offline).toEqual({
          dealt: steps.reduce((sum, s) => sum + s.offline.dealer_to_server, 0),
          ahead: steps.reduce((sum, s) => sum + s.offline.client_to_server, 0),
        });
        run.close();
      }
    });
  }

  it.each([
    { ...baseOf("roberta"), positionOffset: 2, types: 1, positions: 40 },
    { problem: "regression", labels: 1, labelNames: ["score"] },
    { layers: 1, heads: 2, headWidth: 12, hidden: 24, intermediate: 40 },
  ] as const)("is the same for another shape: %j", async (shape) => {
    const h = await harness(shape, 13);
    const text = randomText(h.spec, 10, 4);
    const { logits, run } = await h.secure(text);
    for (const [i, x] of h.float(text).entries()) expect(Math.abs(logits[i] - x)).toBeLessThan(0.05);
    run.close();
  });

  it.each(["private", "public"] as const)(
    "counts no position for RoBERTa's padding in a text, table %s",
    async (embedding) => {
      const h = await harness({ ...baseOf("roberta"), positionOffset: 2, types: 1, positions: 40, embedding }, 13);
      const { ids, types } = randomText(h.spec, 10, 4);
      const text = { ids: ids.map((id, i) => (i % 3 === 1 ? 1 : id)), types };
      const plain = { ids: ids.map((id) => (id === 1 ? 2 : id)), types };
      const runs = [await h.secure(text), await h.secure(plain)];
      for (const [i, x] of h.float(text).entries()) expect(Math.abs(runs[0].logits[i] - x)).toBeLessThan(0.05);
      const [sent, without] = runs.map(({ run }) => run.channel.sent);
      expect(sent).toEqual(without);
      for (const { run } of runs) run.close();
    },
  );

  it.each([2, 3, 7])("reveals the label alone, of %i", async (labels) => {
    const h = await harness({ answer: "label", labels, labelNames: [..."abcdefg"].slice(0, labels) }, 8);
    const chosen = new Set<number>();
    for (let seed = 0; seed < 6; seed++) {
      const text = randomText(h.spec, 7, seed);
      const float = h.float(text);
      const { logits, run } = await h.secure(text);
      expect(logits.length).toBe(1);
      // Of two that are closer than the arithmetic's error, either may win.
      for (const index of [logits[0], h.clear(text).logits[0]]) {
        expect(float[index]).toBeGreaterThan(Math.max(...float) - 0.02);
      }
      chosen.add(logits[0]);
      run.close();
    }
    if (labels > 3) expect(chosen.size).toBeGreaterThan(1);
  });

  it("takes 2linear where the scores are positive, and refuses it where a sum may be zero", async () => {
    const towards = (name: string, data: Float32Array) =>
      /(query|key)\.bias$/.test(name) ? data.map(() => 1.5) : data;
    const h = await harness({ softmax: "2linear" }, 16, undefined, undefined, towards);
    const text = randomText(h.spec, 11, 4);
    const { logits, run } = await h.secure(text);
    for (const [i, x] of h.float(text).entries()) expect(Math.abs(logits[i] - x)).toBeLessThan(0.05);
    run.close();
    await expect(harness({ softmax: "2linear" }, 16)).rejects.toThrow(/saw a sum that is not positive/);
  });

  it("pads to any bucket without changing the answer", async () => {
    const text = randomText(TINY, 11, 4);
    const answers = await Promise.all(
      [11, 12, 16].map(async (length) => {
        const h = await harness({}, length, [text, randomText(TINY, 9, 2)]);
        const { logits, run } = await h.secure(text);
        run.close();
        return logits;
      }),
    );
    for (const logits of answers)
      for (const [i, x] of logits.entries()) expect(Math.abs(x - answers[0][i])).toBeLessThan(0.02);
  });
});
