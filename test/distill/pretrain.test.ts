import { describe, expect, it } from "vitest";
import { cutTo, epochOf, inOrder, longestAt } from "../../src/distill/batches.ts";
import { ADAM } from "../../src/distill/optimiser.ts";
import { maskedBatch, piecesOf, writeMaskedModelling } from "../../src/distill/pretrain.ts";
import { learningRateAt } from "../../src/distill/run.ts";
import { Trainer } from "../../src/distill/trainer.ts";
import { initialWeights, resident } from "../../src/distill/weights.ts";
import { anyTokenizer } from "../../src/models/any-tokenizer.ts";
import { catalogSpec } from "../../src/models/catalog.ts";
import { learnWordPieces } from "../../src/models/wordpiece.ts";

const TEXTS = Array.from({ length: 40 }, (_, i) =>
  i % 2 === 0
    ? "the old house by the river was cold and the river was old"
    : "a river of stone, a house of stone and a cold river!",
);
const base = {
  ...catalogSpec("bert-tiny", { gelu: "exact", softmax: "exact" }),
  heads: 2,
  hidden: 16,
  headWidth: 8,
  intermediate: 32,
  positions: 24,
};

describe("a vocabulary", () => {
  it("has the special tokens, the letters, and whole words that occur often", () => {
    const pieces = learnWordPieces(TEXTS, 110).trim().split("\n");
    expect(pieces.slice(0, 5)).toEqual(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]);
    expect(new Set(pieces).size).toBe(pieces.length);
    for (const piece of ["r", "##r", "!", ",", "river", "house", "the", "stone"]) expect(pieces).toContain(piece);
    // words are whole after a few joins: nothing is left to join
    expect(pieces.length).toBeLessThan(110);
  });

  it("is a tokenizer's", () => {
    const tokenizer = anyTokenizer({ "vocab.txt": learnWordPieces(TEXTS, 110) }, { ...base, vocabulary: 110 });
    const { ids } = tokenizer.encode("The River, old!");
    const [cls, sep, unknown] = ["[CLS]", "[SEP]", "[UNK]"].map((token) => tokenizer.idOf(token));
    expect([ids[0], ids.at(-1)]).toEqual([cls, sep]);
    expect(ids).not.toContain(unknown);
    expect(ids.slice(1, 3)).toEqual([tokenizer.idOf("the"), tokenizer.idOf("river")]);
    expect(() => learnWordPieces(TEXTS, 50)).toThrow(/ask for more/);
  });
});

describe("masked-language modelling", () => {
  const vocabulary = learnWordPieces(TEXTS, 110);
  const spec = { ...base, vocabulary: vocabulary.trim().split("\n").length };
  const tokenizer = anyTokenizer({ "vocab.txt": vocabulary }, { ...spec, positions: 1000 });
  const tokens = { cls: 2, sep: 3, mask: 4 };
  const pieces = piecesOf(TEXTS, tokenizer, tokens, 12);

  it("cuts long texts into pieces with ends of their own", () => {
    expect(pieces.length).toBe(40); // the texts have 13 and 14 tokens: what is left behind the first 10 says little
    for (const { ids } of pieces) {
      expect(ids.length).toBeLessThanOrEqual(12);
      expect([ids[0], ids.at(-1)]).toEqual([2, 3]);
    }
  });

  it("hides 15% of the texts' own tokens, never the ends, and remembers them", () => {
    let [hidden, own, masks] = [0, 0, 0];
    for (let index = 0; index < 40; index++) {
      const batch = maskedBatch(pieces.slice(0, 16), spec, tokens, 1, index);
      const plain = pieces.slice(0, 16);
      const masked = batch.masked ?? expect.fail("no masked tokens");
      masked.rows.forEach((row, i) => {
        const id = plain[Math.floor(row / batch.positions)].ids[row % batch.positions];
        expect(masked.tokens[i]).toBe(id);
        expect([2, 3]).not.toContain(id);
        if (batch.ids[row] === 4) masks++;
      });
      hidden += masked.rows.length;
      own += batch.tokens - 2 * 16;
    }
    expect(hidden / own).toBeGreaterThan(0.13);
    expect(hidden / own).toBeLessThan(0.17);
    expect(masks / hidden).toBeGreaterThan(0.72);
    expect(masks / hidden).toBeLessThan(0.88);
    expect(maskedBatch(pieces, spec, tokens, 1, 3)).toEqual(maskedBatch(pieces, spec, tokens, 1, 3));
  });

  it("learns", async () => {
    const model = { spec, weights: resident(spec, initialWeights(spec, 1)) };
    const trainer = await Trainer.open((graph) => writeMaskedModelling(graph, model, 1), {
      adam: ADAM,
      dropout: 0,
      accumulate: 1,
      seed: 1,
      vocabulary: spec.vocabulary,
      wholeTables: true,
      threads: 1,
    });
    const losses: number[] = [];
    for (let index = 0; index < 150; index++) {
      losses.push((await trainer.step([maskedBatch(pieces, spec, tokens, 1, index)], 1e-2)).loss);
    }
    expect(losses[0]).toBeGreaterThan(0.9 * Math.log(spec.vocabulary));
    expect(losses.slice(-10).reduce((a, b) => a + b) / 10).toBeLessThan(0.6 * losses[0]);
    await trainer.close();
  });
});

describe("batches", () => {
  const lengths = Array.from({ length: 203 }, (_, i) => 3 + ((i * 37) % 60));

  it("take every example once an epoch, in another order every time, alike lengths together", () => {
    const first = epochOf(lengths, 8, 1, 0);
    expect(first.flat().sort((a, b) => a - b)).toEqual(lengths.map((_, i) => i));
    expect(epochOf(lengths, 8, 1, 0)).toEqual(first);
    expect(epochOf(lengths, 8, 1, 1)).not.toEqual(first);
    expect(epochOf(lengths, 8, 2, 0)).not.toEqual(first);
    const spread = (batch: readonly number[]) =>
      Math.max(...batch.map((i) => lengths[i])) - Math.min(...batch.map((i) => lengths[i]));
    expect(Math.max(...first.map(spread))).toBeLessThan(8);
    expect(inOrder(lengths, 50).map((batch) => lengths[batch[0]])[0]).toBe(Math.max(...lengths));
  });

  it("have texts cut as a curriculum says, their ends kept", () => {
    const text = { ids: [101, 5, 6, 7, 102], types: [0, 0, 1, 1, 1] };
    expect(cutTo(text, 4)).toEqual({ ids: [101, 5, 6, 102], types: [0, 0, 1, 1] });
    expect(cutTo(text, 5)).toBe(text);
    const parts = [0, 0.33, 0.34, 0.67, 0.99, 1];
    expect(parts.map((part) => longestAt(part, [128, 256, 512]))).toEqual([128, 128, 256, 512, 512, 512]);
    expect(longestAt(0.5)).toBe(Number.POSITIVE_INFINITY);
  });

  it("see a rate that rises and falls linearly", () => {
    const schedule = { epochs: 1, batch: 1, learningRate: 1, warmup: 0.2 };
    expect([1, 2, 6, 10].map((step) => learningRateAt(step, 10, schedule))).toEqual([0.5, 1, 0.5, 0]);
  });
});
