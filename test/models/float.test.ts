import { expect, it } from "vitest";
import { catalogSpec, randomModel, randomText, randomWeights } from "../../src/models/catalog.ts";
import { logitsOf } from "../../src/models/model.ts";
import { requiredWeights } from "../../src/models/weights.ts";
import { erf } from "../../src/program/smooth.ts";
import { isDecoder, type ModelSpec } from "../../src/program/spec.ts";
import { FloatOps } from "../../src/reference/float.ts";
import { plainMatmul } from "../../src/reference/matmul.ts";

const small: ModelSpec = {
  ...catalogSpec("bert-tiny", { gelu: "exact", softmax: "exact" }),
  hidden: 16,
  heads: 2,
  headWidth: 8,
  intermediate: 24,
  vocabulary: 50,
};

it("erf is accurate to a double's last places", () => {
  // mpmath, 20 digits
  const table = [
    [0.1, 0.1124629160182849],
    [0.46875, 0.4926134732179379],
    [0.5, 0.5204998778130465],
    [1, 0.8427007929497149],
    [2, 0.9953222650189527],
    [3.9, 0.9999999652077514],
    [4.1, 0.9999999932999724],
    [7, 1],
  ];
  for (const [x, value] of table) {
    expect(Math.abs(erf(x) - value)).toBeLessThan(4e-16);
    expect(erf(-x)).toBe(-erf(x));
  }
  expect(erf(0)).toBe(0);
});

it("plainMatmul is the definition, for widths that 4 does and does not divide", () => {
  for (const [m, k, n] of [
    [1, 1, 1],
    [3, 5, 4],
    [2, 7, 9],
  ]) {
    const a = Float32Array.from({ length: m * k }, (_, i) => i - 3);
    const w = Float32Array.from({ length: n * k }, (_, i) => (i % 7) - 2);
    const out = plainMatmul(a, w, m, k, n);
    for (let i = 0; i < m; i++) {
      for (let j = 0; j < n; j++) {
        let sum = 0;
        for (let c = 0; c < k; c++) sum += a[i * k + c] * w[j * k + c];
        expect(out[i * n + j]).toBe(sum);
      }
    }
  }
});

it("tells the observer the ranges of the text's own values, the same with any padding", () => {
  const weights = randomWeights(small, 3);
  const text = randomText(small, 5, 4);
  const seen = (length: number) => {
    const ranges: Record<string, [number, number]> = {};
    const observe = (operation: string, what: string, lo: number, hi: number) => {
      ranges[`${operation}.${what}`] = [lo, hi];
    };
    logitsOf(new FloatOps(weights, text, length, { observer: { observe } }), small);
    return ranges;
  };
  const exact = seen(5);
  const padded = seen(11);
  expect(Object.keys(padded)).toEqual(Object.keys(exact));
  for (const [key, [lo, hi]] of Object.entries(exact)) {
    expect(lo).toBeLessThanOrEqual(hi);
    expect(padded[key][0]).toBeCloseTo(lo, 4);
    expect(padded[key][1]).toBeCloseTo(hi, 4);
  }
  for (const what of ["word", "centred", "variance", "out"]) expect(exact).toHaveProperty([`embeddings.${what}`]);
  const seenOf = (operation: string) => Object.keys(exact).filter((key) => key.startsWith(`${operation}.`));
  expect(seenOf("layer.0.scores")).toEqual(["head.0", "head.1", "out"].map((what) => `layer.0.scores.${what}`));
  expect(exact["layer.0.lowered.out"][1]).toBe(0);
  expect(exact["layer.0.lowered.out"][0]).toBeGreaterThan(Number.NEGATIVE_INFINITY);
  const ofMean = ["keys", "total", "sum", "mixed", "mean", "out"];
  expect(seenOf("layer.0.mean")).toEqual(ofMean.map((what) => `layer.0.mean.${what}`));
});

it("the plugged-in product is used for every product", () => {
  const weights = randomWeights(small, 1);
  let calls = 0;
  const matmul = (...args: Parameters<typeof plainMatmul>) => {
    calls++;
    return plainMatmul(...args);
  };
  logitsOf(new FloatOps(weights, randomText(small, 4, 1), 8, { matmul }), small);
  expect(calls).toBe(2 * (6 + 2 * small.heads) + 2);
});

it("refuses texts that do not fit", () => {
  const weights = randomWeights(small, 1);
  expect(() => new FloatOps(weights, { ids: [], types: [] }, 8)).toThrow(/one or more ids/);
  expect(() => new FloatOps(weights, randomText(small, 9, 1), 8)).toThrow(/9 tokens, the padded length is 8/);
  const foreign = new FloatOps(weights, { ids: [50], types: [0] }, 8);
  expect(() => logitsOf(foreign, small)).toThrow(/a token id is outside the table of 50/);
  const long = new FloatOps(weights, randomText(small, 9, 1), 513);
  expect(() => logitsOf(long, small)).toThrow(/beyond the model.s 512 positions: shorten it/);
});

it("the catalog's weights are the same for a seed, and of their scale", () => {
  const { spec, weights } = randomModel("bert-mini", 7);
  const again = randomModel("bert-mini", 7).weights;
  for (const name of ["layer.3.query.weight", "classifier.bias", "embeddings.norm.weight"]) {
    expect(weights.get(name)).toEqual(again.get(name));
    expect(weights.get(name).shape).toEqual(requiredWeights(spec).get(name));
  }
  const data = weights.get("layer.0.intermediate.weight").data;
  const mean = data.reduce((sum, x) => sum + x, 0) / data.length;
  const variance = data.reduce((sum, x) => sum + x * x, 0) / data.length;
  expect(Math.abs(mean)).toBeLessThan(2e-4);
  expect(variance / (2 / (256 + 1024))).toBeCloseTo(1, 1);
  expect(randomModel("bert-mini", 8).weights.get("pooler.bias")).not.toEqual(weights.get("pooler.bias"));
  expect(() => randomModel("bert-huge", 1)).toThrow(/unknown shape: use one of bert-tiny, bert-mini/);
  expect(() => weights.get("nothing")).toThrow(/no tensor nothing/);
});

it("random models give finite logits with every stand-in", () => {
  for (const name of ["bert-tiny", "bert-mini", "gpt2-tiny", "opt-tiny", "llama-tiny"]) {
    for (const softmax of ["exact", "2quad", "2relu"]) {
      const { spec, weights } = randomModel(name, 1, { softmax, gelu: "quad" });
      const length = isDecoder(spec) ? 6 : 8;
      const logits = logitsOf(new FloatOps(weights, randomText(spec, 6, 2), length), spec);
      expect(logits.data.every((x) => Math.abs(x) < 20)).toBe(true);
    }
  }
});

it.each(["gpt2-tiny", "opt-tiny", "llama-tiny", "gpt2"])("a random %s keeps its stream of the order of 1", (name) => {
  const { spec, weights } = randomModel(name, 1);
  const variances: number[] = [];
  const observe = (_: string, what: string, lo: number, hi: number) => {
    if (what === "variance") variances.push(lo, hi);
  };
  const text = randomText(spec, 8, 3);
  const { data } = logitsOf(new FloatOps(weights, text, 8, { observer: { observe } }), spec);
  expect(Math.min(...variances)).toBeGreaterThan(0.01);
  expect(Math.max(...variances)).toBeLessThan(2);
  const size = Math.sqrt(data.reduce((sum, x) => sum + x * x, 0) / data.length);
  expect(size).toBeGreaterThan(0.3);
  expect(size).toBeLessThan(8);
});

it("a random model's tied head is its table of words", () => {
  const { weights } = randomModel("gpt2-tiny", 1);
  expect(weights.get("head.weight")).toBe(weights.get("embeddings.word"));
  const untied = randomModel("llama-tiny", 1).weights;
  expect(untied.get("head.weight")).not.toBe(untied.get("embeddings.word"));
});
