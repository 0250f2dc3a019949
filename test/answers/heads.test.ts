/** Heads that judge tokens, several labels and several values, against PyTorch (scripts/make-task-goldens.py), in floats and under MPC. */

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { calibrate } from "../../src/compiler/calibrate.ts";
import { loadModel, type Model, saveModel } from "../../src/models/checkpoint.ts";
import { specOf } from "../../src/models/config.ts";
import { logitsOf } from "../../src/models/model.ts";
import { type Reading, reading } from "../../src/parties/answer.ts";
import { encoded } from "../../src/parties/greeting.ts";
import { simulateText } from "../../src/parties/rehearse.ts";
import type { TokenizedText } from "../../src/program/spec.ts";
import { FloatOps } from "../../src/reference/float.ts";
import { Ring } from "../../src/ring/ring.ts";
import { fixture } from "../models/fixtures.ts";

interface Case {
  readonly text: string;
  readonly pair: string | null;
  readonly ids: readonly number[];
  readonly logits: readonly number[] | readonly (readonly number[])[];
  readonly entities?: readonly { entity_group: string; score: number; start: number; end: number }[];
  readonly answer?: { readonly score: number; readonly start: number; readonly end: number };
  readonly read?: readonly number[];
}

const NAMES = ["entities", "entities-roberta", "question", "labels", "values"] as const;
/** 32-bit floats against 64-bit ones over two layers; logits are of the order of 1. */
const FLOAT = 1e-4;
const PRIVATE = 0.05;
const ring = await Ring.create();

const casesOf = (name: string): readonly Case[] =>
  JSON.parse(readFileSync(fixture(`tasks/${name}/golden.json`), "utf8")).cases;

function floats({ spec, weights }: Model, text: TokenizedText): number[] {
  return [...logitsOf(new FloatOps(weights, text, text.ids.length), spec).data];
}

function worst(own: readonly number[], expected: readonly number[]): number {
  expect(own.length).toBe(expected.length);
  return own.reduce((most, x, i) => Math.max(most, Math.abs(x - expected[i])), 0);
}

/** What a client reads of a text's logits. */
function read({ spec, tokenizer }: Model, { text, pair }: Case, logits: readonly number[]): Reading {
  const own = pair ?? undefined;
  return reading(spec, logits, { text, pair: own, encoded: encoded({ spec, tokenizer }, text, own), tokenizer });
}

describe.each(NAMES)("%s", async (name) => {
  const cases = casesOf(name);
  const model = await loadModel(fixture(`tasks/${name}`));
  const texts = cases.map(({ text, pair }) => encoded(model, text, pair ?? undefined));

  it("gives PyTorch's logits in floats", () => {
    cases.forEach(({ ids, logits }, i) => {
      expect(texts[i].ids).toEqual(ids);
      expect(worst(floats(model, texts[i]), logits.flat())).toBeLessThan(FLOAT);
    });
  });

  it("gives the same under MPC, and zeros for padding", async () => {
    const plan = calibrate(model.spec, model.weights, texts);
    for (const [i, { logits }] of cases.entries()) {
      const run = await simulateText(ring, { ...model, plan }, texts[i]);
      expect(run.violations).toEqual([]);
      expect(worst(run.logits, logits.flat())).toBeLessThan(PRIVATE);
    }
  });

  it("is saved with its head", async () => {
    const folder = mkdtempSync(join(tmpdir(), "heads-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    await saveModel(folder, model);
    const again = await loadModel(folder);
    expect(again.spec).toEqual(model.spec);
    expect(floats(again, texts[0])).toEqual(floats(model, texts[0]));
  });
});

it.each(["entities", "entities-roberta"])("entities are those of transformers' pipeline: %s", async (name) => {
  const model = await loadModel(fixture(`tasks/${name}`));
  for (const one of casesOf(name)) {
    const { entities, tokenLabels } = read(model, one, one.logits.flat());
    const found = entities?.map(({ entity_group, start, end }) => ({ entity_group, start, end }));
    expect(found).toEqual(one.entities?.map(({ entity_group, start, end }) => ({ entity_group, start, end })));
    entities?.forEach(({ score, word, start, end }, i) => {
      expect(score).toBeCloseTo(one.entities?.[i].score ?? 0, 4);
      expect(word).toBe(one.text.slice(start, end));
    });
    for (const { entity, word, index } of tokenLabels ?? []) {
      expect(entity).not.toBe("O");
      expect(word).toBe(model.tokenizer.pieceOf(one.ids[index]));
    }
  }
});

it("an answer is the likeliest part of the text", async () => {
  const model = await loadModel(fixture("tasks/question"));
  for (const one of casesOf("question")) {
    const { answer } = read(model, one, one.logits.flat());
    expect(answer).toMatchObject({ start: one.answer?.start, end: one.answer?.end });
    expect(answer?.answer).toBe(one.pair?.slice(answer?.start, answer?.end));
    expect(answer?.score).toBeCloseTo(one.answer?.score ?? 0, 4);
  }
  expect(() => encoded(model, "Who?")).toThrow(/give the question, and the text as its pair/);
});

it("labels that may hold together have probabilities of their own, values stay values", async () => {
  for (const [name, field] of [
    ["labels", "scores"],
    ["values", "values"],
  ] as const) {
    const model = await loadModel(fixture(`tasks/${name}`));
    for (const one of casesOf(name))
      expect(worst(read(model, one, one.logits.flat())[field] ?? [], one.read ?? [])).toBeLessThan(FLOAT);
  }
});

it("no such answer can be told as one label alone", () => {
  for (const name of NAMES) {
    const config = readFileSync(join(fixture(`tasks/${name}`), "config.json"), "utf8");
    expect(() => specOf(config, { answer: "label" })).toThrow(/answer with scores/);
  }
});
