/** Plans of shapes: made from few layers or a short text, they hold for all layers and for long texts. */
import { describe, expect, it } from "vitest";
import { calibrate } from "../../src/compiler/calibrate.ts";
import { compile } from "../../src/compiler/compile.ts";
import { calibrateShape } from "../../src/compiler/shape.ts";
import { catalogSpec, randomText, randomWeights } from "../../src/models/catalog.ts";
import { logitsOf } from "../../src/models/model.ts";
import { embedderOf } from "../../src/parties/public-tables.ts";
import { TextInput } from "../../src/parties/text.ts";
import { IntegerWeights } from "../../src/parties/weights.ts";
import type { ModelSpec } from "../../src/program/spec.ts";
import { oneTurn } from "../../src/program/steps.ts";
import { runClear } from "../../src/protocols/clear.ts";
import { FloatOps } from "../../src/reference/float.ts";
import { plainMatmul } from "../../src/reference/matmul.ts";
import { Ring } from "../../src/ring/ring.ts";

const small = { layers: 6, hidden: 64, heads: 4, keyHeads: 4, headWidth: 16, intermediate: 128, vocabulary: 300 };
const BERT: ModelSpec = { ...catalogSpec("bert-tiny"), ...small };
const GPT2: ModelSpec = { ...catalogSpec("gpt2-tiny"), ...small, labels: 300 };
const LLAMA: ModelSpec = { ...catalogSpec("llama-tiny"), ...small, keyHeads: 2, labels: 300 };

const work = (layers: number, length: number) => {
  const spec = { ...BERT, layers };
  let products = 0;
  const matmul: typeof plainMatmul = (a, w, m, k, n) => {
    products += m * k * n;
    return plainMatmul(a, w, m, k, n);
  };
  const plan = calibrateShape(spec, randomWeights(spec, 1), length, { matmul });
  return { products, plan };
};

describe("the plan of a shape", () => {
  it.each([
    ["BERT with stand-ins", BERT, 128],
    ["BERT", { ...BERT, gelu: "exact", softmax: "exact" }, 128],
    ["GPT-2", GPT2, 96],
    ["Llama", LLAMA, 96],
  ])("holds for texts of %s with all its layers", async (_, spec, length) => {
    const weights = randomWeights(spec, 1);
    const program = compile(spec, calibrateShape(spec, weights, length), oneTurn(length));
    const ring = await Ring.create();
    const server = await new IntegerWeights(ring).for(program, async () => weights);
    for (const seed of [7, 8]) {
      const text = randomText(spec, length, seed);
      const run = runClear(ring, program, server, new TextInput(ring, program, spec, text, embedderOf(spec, weights)));
      expect(run.violations).toEqual([]);
      const right = logitsOf(new FloatOps(weights, text, length), spec).data;
      right.forEach((x, i) => {
        expect(Math.abs(run.logits[i] - x)).toBeLessThan(0.05);
      });
    }
  });

  it("takes no more work for more layers that are alike, nor for a text of any length", () => {
    expect(work(24, 512).products).toBe(work(3, 512).products);
    expect(work(3, 512).products).toBe(work(3, 200).products);
  });

  it("has a range and bits for every operation and weight of all layers", () => {
    const { plan } = work(5, 16);
    const whole = calibrate({ ...BERT, layers: 5 }, randomWeights({ ...BERT, layers: 5 }, 1), [
      randomText(BERT, 16, 1),
    ]);
    expect(Object.keys(plan.ranges)).toEqual(expect.arrayContaining(Object.keys(whole.ranges)));
    expect(Object.keys(plan.exponents).sort()).toEqual(Object.keys(whole.exponents).sort());
  });
});
