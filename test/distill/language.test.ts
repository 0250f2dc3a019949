/** Plain texts for decoders: a vocabulary of bytes, documents, windows; and a small decoder that learns from them. */

import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { END_OF_TEXT, learnBytePairs } from "../../src/distill/byte-pairs.ts";
import { documentsOf, perplexityDev, windowsOf } from "../../src/distill/language.ts";
import { distillationStages, labelStages, type Training, train } from "../../src/distill/recipe.ts";
import { initialWeights, resident } from "../../src/distill/weights.ts";
import { anyTokenizer } from "../../src/models/any-tokenizer.ts";
import { loadModel, saveModel } from "../../src/models/checkpoint.ts";
import type { ModelSpec, TokenizedText } from "../../src/program/spec.ts";
import { decoders } from "./decoders.ts";

const STORIES = Array.from({ length: 60 }, (_, i) => {
  const [name, thing] = [["Tom", "Anna", "Ben"][i % 3], ["ball", "kite", "boat", "drum"][i % 4]];
  return `Once upon a time ${name} found a ${thing}.\n"What a ${thing}!" said ${name}.`;
});
const VOCABULARY = 300;
const files = learnBytePairs(STORIES, VOCABULARY);
const spec: ModelSpec = {
  ...decoders.llama,
  vocabulary: VOCABULARY,
  labels: VOCABULARY,
  positions: 32,
  hidden: 16,
  headWidth: 4,
  intermediate: 24,
};
const tokenizer = anyTokenizer(files, { ...spec, positions: 1e6 });

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "language-"));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

describe("a vocabulary of bytes", () => {
  it("has the end, all bytes, and what occurs often", () => {
    const { model } = JSON.parse(files["tokenizer.json"] ?? "");
    expect(Object.keys(model.vocab).length).toBe(VOCABULARY);
    expect(Object.values<number>(model.vocab).sort((a, b) => a - b)).toEqual(
      Array.from({ length: VOCABULARY }, (_, i) => i),
    );
    expect(model.vocab).toMatchObject({ [END_OF_TEXT]: 0, Ġtime: expect.any(Number) });
    expect(() => learnBytePairs(STORIES, 256)).toThrow(/257 pieces or more: ask for more/);
    expect(learnBytePairs(STORIES, VOCABULARY)).toEqual(files);
  });

  it("is a tokenizer's, for whatever text, and back", () => {
    for (const text of [STORIES[1], "Żółw & 🐢:\n\ttwo  spaces ", "'tis naïve"]) {
      const { ids } = tokenizer.encode(text);
      expect(ids[0]).toBe(0);
      expect(tokenizer.decode(ids)).toBe(text);
    }
    const joined = tokenizer.encode("Once upon a time").ids;
    expect(joined.length).toBeLessThan(8);
    expect(tokenizer.endId).toBe(0);
  });
});

describe("plain texts", () => {
  it("are documents: by their ends, by empty lines, or by lines", () => {
    expect(documentsOf(`a\n\nb\n${END_OF_TEXT}\nc\r\n${END_OF_TEXT}\n`)).toEqual(["a\n\nb", "c"]);
    expect(documentsOf("a\nb\n\n\n c\n")).toEqual(["a\nb", "c"]);
    expect(documentsOf("a\nb \nc")).toEqual(["a", "b", "c"]);
    expect(documentsOf("\n")).toEqual([]);
  });

  it("are cut into windows in which each token is foretold once", () => {
    const windows = windowsOf(STORIES, tokenizer, 16);
    const stream = STORIES.flatMap((story) => tokenizer.encode(story).ids);
    expect([windows[0].ids[0], ...windows.flatMap(({ ids }) => ids.slice(1))]).toEqual(stream);
    for (const { ids, types } of windows.slice(0, -1)) expect([ids.length, types.length]).toEqual([16, 16]);
    expect(windows.slice(1).map(({ ids }) => ids[0])).toEqual(windows.slice(0, -1).map(({ ids }) => ids[15]));
  });

  it("end where a tokenizer puts nothing before them", () => {
    const json = JSON.stringify({ ...JSON.parse(files["tokenizer.json"]!), post_processor: null });
    const plain = anyTokenizer({ ...files, "tokenizer.json": json }, { ...spec, positions: 1e6 });
    const [{ ids }] = windowsOf(["a", "b"], plain, 16);
    expect(ids).toEqual([...plain.encode("a").ids, 0, ...plain.encode("b").ids, 0]);
  });
});

describe("a small decoder", () => {
  const windows = windowsOf(STORIES, tokenizer, 24);
  const [dev, texts] = [windows.slice(0, 10), windows.slice(10)];
  const settings = {
    batch: 8,
    accumulate: 1,
    warmup: 0.1,
    dropout: 0,
    decay: 0.01,
    clip: 1,
    temperature: 1,
    freeze: "nothing",
    seed: 1,
  } as const;

  function training(folder: string, own: TokenizedText[], more: Partial<Training>): Training {
    return {
      model: { spec, weights: resident(spec, initialWeights(spec, 1)) },
      teacher: null,
      examples: own.map((text) => ({ text, label: 0 })),
      dev: perplexityDev(dev, { patience: 0, perEpoch: 1 }),
      stages: labelStages(12, 1e-2),
      settings,
      session: { threads: 1 },
      folder: join(dir, folder),
      ...more,
    };
  }

  for (const tied of [false, true]) {
    it(`learns, is stopped, and teaches a student with stand-ins (${tied ? "tied" : "untied"})`, async () => {
      const shape = { ...spec, tied };
      const model = { spec: shape, weights: resident(shape, initialWeights(shape, 1)) };
      const at = (name: string) => `${name}-${tied}`;
      const { weights, stages } = await train(training(at("teacher"), texts, { model }));
      const first = stages[0].state.evaluations[0].values.perplexity;
      expect(first).toBeGreaterThan(250); // it knows nothing of 300 tokens
      const taught = stages[0].after?.perplexity ?? Number.NaN;
      expect(taught).toBeLessThan(20);
      expect(stages[0].state.best?.value).toBe(
        Math.min(...stages[0].state.evaluations.map((e) => e.values.perplexity)),
      );

      await expect(train(training(at("stopped"), texts, { model, stopAfter: 7, saveSeconds: 0 }))).rejects.toThrow(
        /as asked/,
      );
      const resumed = await train(training(at("stopped"), texts, { model }));
      expect(resumed.weights.get("layer.1.gate.weight")).toEqual(weights.get("layer.1.gate.weight"));
      const log = (name: string) => readFile(join(dir, at(name), "labels", "metrics.jsonl"), "utf8");
      expect(await log("stopped")).toBe(await log("teacher"));

      await saveModel(join(dir, at("saved")), { spec: shape, weights, tokenizer: anyTokenizer(files, shape) });
      const saved = await loadModel(join(dir, at("saved")));
      expect(saved.weights.get("head.weight").data).toEqual(weights.get("head.weight").data);
      expect(saved.spec).toMatchObject({ tied, keyHeads: 2, blocks: { rotary: { theta: 10_000 } } });

      const standIns = { ...shape, gelu: "quad", softmax: "2quad:5" };
      const student = { spec: standIns, weights: resident(standIns, initialWeights(standIns, 2)) };
      const result = await train(
        training(at("student"), texts, {
          model: student,
          teacher: { spec: shape, weights },
          stages: distillationStages(
            { epochs: 12, learningRate: 1e-2 },
            { epochs: 8, learningRate: 1e-2 },
            { hidden: 1, scores: 1, prediction: 1, labels: 0, ranges: 0.01, sums: 0.1 },
          ),
        }),
      );
      const without = result.stages[0].state.evaluations[0].values.perplexity;
      const distilled = result.stages[1].after?.perplexity ?? Number.NaN;
      expect(without).toBeGreaterThan(250); // it begins at random
      expect(distilled).toBeLessThan(3 * taught);
    });
  }
});
