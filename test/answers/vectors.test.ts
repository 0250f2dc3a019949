/** A text's vector against PyTorch (scripts/make-task-goldens.py): pooled and normalised, in floats and under MPC. */

import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { calibrate } from "../../src/compiler/calibrate.ts";
import { compile } from "../../src/compiler/compile.ts";
import { loadModel, saveModel } from "../../src/models/checkpoint.ts";
import { logitsOf } from "../../src/models/model.ts";
import { reading } from "../../src/parties/answer.ts";
import { simulateText } from "../../src/parties/rehearse.ts";
import { oneTurn } from "../../src/program/steps.ts";
import { trafficOf } from "../../src/protocols/all.ts";
import { FloatOps } from "../../src/reference/float.ts";
import { Ring } from "../../src/ring/ring.ts";
import { fixture } from "../models/fixtures.ts";

interface Case {
  readonly text: string;
  readonly ids: readonly number[];
  readonly vector: readonly number[];
}

const NAMES = ["embed-mean", "embed-first", "embed-plain"] as const;
const ring = await Ring.create();

const casesOf = (name: string): readonly Case[] =>
  JSON.parse(readFileSync(fixture(`tasks/${name}/golden.json`), "utf8")).cases;

function cosine(a: readonly number[], b: readonly number[]): number {
  const dot = (x: readonly number[], y: readonly number[]) => x.reduce((sum, value, i) => sum + value * y[i], 0);
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
}

function worst(own: readonly number[], expected: readonly number[]): number {
  expect(own.length).toBe(expected.length);
  return own.reduce((most, x, i) => Math.max(most, Math.abs(x - expected[i])), 0);
}

describe.each(NAMES)("%s", async (name) => {
  const cases = casesOf(name);
  const model = await loadModel(fixture(`tasks/${name}`));
  const texts = cases.map(({ text }) => model.tokenizer.encode(text));
  const floats = (at: number, length = texts[at].ids.length) => [
    ...logitsOf(new FloatOps(model.weights, texts[at], length), model.spec).data,
  ];

  it("is PyTorch's in floats, whatever the padding", () => {
    cases.forEach(({ ids, vector }, i) => {
      expect(texts[i].ids).toEqual(ids);
      expect(worst(floats(i), vector)).toBeLessThan(1e-4);
      expect(worst(floats(i, 48), vector)).toBeLessThan(1e-4);
    });
  });

  it("is the same under MPC", async () => {
    const plan = calibrate(model.spec, model.weights, texts);
    for (const [i, { vector }] of cases.entries()) {
      const { logits, violations } = await simulateText(ring, { ...model, plan }, texts[i]);
      expect(violations).toEqual([]);
      expect(cosine(logits, vector)).toBeGreaterThan(0.9999);
      const size = Math.max(...vector) - Math.min(...vector);
      expect(worst(logits, vector)).toBeLessThan(0.01 * size);
    }
  });

  it("is all that the client gets: one row, and nothing of the states", () => {
    const plan = calibrate(model.spec, model.weights, texts);
    const program = compile(model.spec, plan, oneTurn(16));
    const revealed = program.steps.filter(
      (step) => step.kind === "open" && (step.mode === "reveal" || step.mode === "toClient"),
    );
    expect(revealed.map((step) => program.values[step.out])).toMatchObject([{ rows: 1, columns: model.spec.hidden }]);
    expect(trafficOf(revealed[0], program).fromServer?.length).toBe(model.spec.hidden);
  });

  it("is saved with its pooling", async () => {
    const folder = mkdtempSync(join(tmpdir(), "vectors-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    await saveModel(folder, model);
    const again = await loadModel(folder);
    expect(again.spec).toEqual(model.spec);
    expect([...logitsOf(new FloatOps(again.weights, texts[0], texts[0].ids.length), again.spec).data]).toEqual(
      floats(0),
    );
  });
});

it("is read as a vector, and never told as a label", async () => {
  const { spec } = await loadModel(fixture("tasks/embed-mean"));
  expect(reading(spec, [1, 2])).toEqual({ vector: [1, 2] });
  await expect(loadModel(fixture("tasks/embed-mean"), { answer: "label" })).rejects.toThrow(/answer with scores/);
});

describe("what is not computed here is refused by name", () => {
  const changed = async (name: string, content: unknown) => {
    const folder = mkdtempSync(join(tmpdir(), "vectors-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    cpSync(fixture("tasks/embed-mean"), folder, { recursive: true });
    mkdirSync(join(folder, "1_Pooling"), { recursive: true });
    writeFileSync(join(folder, name), JSON.stringify(content));
    return loadModel(folder);
  };
  const module = (kind: string, path = "") => ({ type: `sentence_transformers.models.${kind}`, path });
  const usual = [module("Transformer"), module("Pooling", "1_Pooling")];

  it.each([
    ["a dense layer behind", [...usual, module("Dense", "2_Dense")], /Dense is not supported/],
    ["no pooling", [module("Transformer")], /only a Transformer in this folder and a Pooling/],
    ["a pooling elsewhere", [module("Transformer"), module("Pooling", "../other")], /must be a folder here/],
    ["a missing pooling", [module("Transformer"), module("Pooling", "3_Pooling")], /has no 3_Pooling\/config.json/],
  ])("%s", async (_, modules, reason) => {
    await expect(changed("modules.json", modules)).rejects.toThrow(reason);
  });

  it("texts longer than the folder says, though the model has positions for them", async () => {
    const model = await changed("sentence_bert_config.json", { max_seq_length: 12, do_lower_case: false });
    const { spec, tokenizer } = model;
    expect([spec.pooling?.tokens, tokenizer.limit]).toEqual([12, 12]);
    expect(spec.positions).toBeGreaterThan(12);
    const long = "film ".repeat(20);
    expect(() => tokenizer.encode(long)).toThrow(/12/);
    // As sentence-transformers does it.
    expect(tokenizer.encode(long, undefined, { truncate: true }).ids).toHaveLength(12);
    const folder = mkdtempSync(join(tmpdir(), "vectors-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    await saveModel(folder, model);
    expect((await loadModel(folder)).spec).toEqual(spec);
    await expect(changed("sentence_bert_config.json", { max_seq_length: "long" })).rejects.toThrow(/max_seq_length/);
  });

  it.each([
    ["the maximum", { pooling_mode_max_tokens: true }],
    ["two at once", { pooling_mode_mean_tokens: true, pooling_mode_cls_token: true }],
    ["the last token", { pooling_mode_lasttoken: true }],
    ["one that is not known", { pooling_mode_mean_tokens: true, pooling_mode_another: true }],
  ])("%s", async (_, modes) => {
    const pooling = { word_embedding_dimension: 32, ...modes };
    await expect(changed("1_Pooling/config.json", pooling)).rejects.toThrow(/pooling_mode_mean_tokens or/);
  });
});
