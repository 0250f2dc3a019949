import { expect, it } from "vitest";
import { Predictor } from "../../src/distill/predictor.ts";
import { catalogSpec, randomText, randomWeights } from "../../src/models/catalog.ts";
import { logitsOf } from "../../src/models/model.ts";
import type { ModelSpec } from "../../src/program/spec.ts";
import { FloatOps } from "../../src/reference/float.ts";

const shape = {
  layers: 2,
  hidden: 32,
  heads: 4,
  keyHeads: 4,
  headWidth: 8,
  intermediate: 48,
  vocabulary: 60,
  positions: 40,
  labels: 3,
};

for (const architecture of ["bert", "roberta"] as const) {
  for (const gelu of ["exact", "quad", "relu"]) {
    for (const softmax of ["exact", "2quad:5", "2relu:0.01", "2linear"]) {
      it(`a batch through the graph is FloatOps text by text: ${architecture}, ${gelu}, ${softmax}`, async () => {
        const base = catalogSpec(`${architecture}-${architecture === "bert" ? "tiny" : "base"}`, { gelu, softmax });
        const spec: ModelSpec = { ...base, ...shape, labelNames: ["a", "b", "c"] };
        const weights = randomWeights(spec, 3);
        const texts = [5, 1, 17, 9, 16].map((n, i) => ({
          ids: randomText(spec, n, i).ids,
          types: Array.from({ length: n }, (_, j) => (spec.types > 1 && j > n / 2 ? 1 : 0)),
        }));
        const predictor = await Predictor.open(spec, weights, { threads: 1 });
        const logits = await predictor.logits(texts);
        await predictor.close();
        texts.forEach((text, i) => {
          const expected = logitsOf(new FloatOps(weights, text, text.ids.length), spec).data;
          const size = softmax === "2linear" ? 1e-2 : 1e-4; // a row's sum may be near 0
          expected.forEach((x, j) => {
            expect(Math.abs(logits[i][j] - x)).toBeLessThan(size);
          });
        });
      });
    }
  }
}
