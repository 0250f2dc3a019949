/** Pipelines against running services: the shapes of transformers.js, and what transformers' pipelines give for the same models. */
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Entity } from "../../src/answers/entities.ts";
import { memoryPair } from "../../src/channels/memory.ts";
import { calibrate } from "../../src/compiler/calibrate.ts";
import { loadModel } from "../../src/models/checkpoint.ts";
import { Client } from "../../src/parties/client.ts";
import { DealerService } from "../../src/parties/dealer.ts";
import { encoded } from "../../src/parties/greeting.ts";
import { pipeline } from "../../src/parties/pipeline.ts";
import { servedModel } from "../../src/parties/served.ts";
import { ServerService } from "../../src/parties/server.ts";
import { Ring } from "../../src/ring/ring.ts";
import { fixture } from "../models/fixtures.ts";

interface Golden {
  readonly text: string;
  readonly pair: string | null;
  readonly logits: readonly (readonly number[])[];
  readonly spans: readonly (readonly number[] | null)[];
  readonly entities: readonly { readonly entity_group: string; readonly score: number; readonly start: number }[];
  readonly answer: { readonly score: number; readonly start: number; readonly end: number };
  readonly vector: readonly number[];
  readonly filled: readonly { readonly token: number; readonly score: number; readonly sequence: string }[];
  readonly read: readonly number[];
  readonly multi: boolean;
  readonly labels: readonly string[];
  readonly scores: readonly number[];
}

/** What a logit of these models may be off by under MPC; a random model has tokens whose labels are nearer than that. */
const PRIVATE = 0.02;

/** By how much the likeliest label leads. */
function lead(logits: readonly number[]): number {
  const [first, second] = [...logits].sort((a, b) => b - a);
  return first - second;
}

const clients: Client[] = [];
let ring: Ring;
beforeAll(async () => {
  ring = await Ring.create();
});
afterAll(() => Promise.all(clients.map((client) => client.close())));

const goldenOf = (name: string): readonly Golden[] =>
  JSON.parse(readFileSync(fixture(`tasks/${name}/golden.json`), "utf8")).cases;

/** A client of a service of this folder, all in this process. */
async function serviceOf(name: string, texts: readonly (readonly [string, string?])[]): Promise<Client> {
  const model = await loadModel(fixture(name));
  const calibrated = texts.map(([text, pair]) => encoded(model, text, pair));
  const served = await servedModel(model, calibrate(model.spec, model.weights, calibrated));
  const dealer = new DealerService(ring);
  const connectDealer = async () => {
    const [ours, theirs] = memoryPair();
    dealer.serve(theirs).catch(() => {});
    return ours;
  };
  const server = new ServerService(ring, served, { connectDealer });
  const [ours, theirs] = memoryPair();
  server.serve(theirs).catch(() => {});
  const client = await Client.connect(await Ring.create(), ours, { connectDealer });
  clients.push(client);
  return client;
}

/** A service of a fixture, calibrated on its own texts. */
const ofTask = (name: string) =>
  serviceOf(
    `tasks/${name}`,
    goldenOf(name).map(({ text, pair }) => [text, pair ?? undefined] as const),
  );

describe("pipeline", () => {
  it("text-classification: the likeliest label, all of them, of one text and of several", async () => {
    const [first, second] = goldenOf("labels");
    const told: [number, number][] = [];
    const classify = pipeline("text-classification", await ofTask("labels"), { progress: (...of) => told.push(of) });
    const all = await classify(first.text, { top_k: null });
    expect(all).toHaveLength(3);
    expect(all[0].score).toBeCloseTo(Math.max(...first.read), 1);
    expect(all.map(({ score }) => score)).toEqual(all.map(({ score }) => score).sort((a, b) => b - a));
    const one = await classify(first.text);
    expect(one).toEqual([{ label: all[0].label, score: expect.closeTo(all[0].score, 2) }]);
    told.length = 0;
    expect(await classify([first.text, second.text])).toMatchObject([
      { label: all[0].label },
      { score: expect.any(Number) },
    ]);
    expect(told).toEqual([[2, 2]]);
    const both = await classify([first.text, second.text], { top_k: 2 });
    expect(both.map((row) => (Array.isArray(row) ? row.length : 0))).toEqual([2, 2]);
  });

  it("token-classification: entities are transformers' own, tokens have labels and places", async () => {
    const cases = goldenOf("entities").filter(({ logits }) => Math.min(...logits.map(lead)) > 2 * PRIVATE);
    expect(cases).toHaveLength(2);
    const ner = pipeline("token-classification", await ofTask("entities"));
    const texts = cases.map(({ text }) => text);
    const found: Entity[][] = await ner(texts, { aggregation_strategy: "simple" });
    const plain = (all: readonly { entity_group: string; start: number }[]) =>
      all.map(({ entity_group, start }) => [entity_group, start]);
    expect(found.map(plain)).toEqual(cases.map(({ entities }) => plain(entities)));
    const every = await ner(texts[0], { ignore_labels: [] });
    expect(every).toHaveLength(cases[0].spans.filter((span) => span !== null).length);
    expect(every.every(({ word, score, start, end }) => word !== "" && score > 0 && end > start)).toBe(true);
    const [{ entity: left }] = every;
    const others = await ner(texts[0], { ignore_labels: [left] });
    expect(others).toHaveLength(every.filter(({ entity }) => entity !== left).length);
  });

  it.each(["masked", "masked-roberta"])(
    "fill-mask: the tokens, scores and texts of transformers' own (%s)",
    async (name) => {
      const cases = goldenOf(name);
      const fill = pipeline("fill-mask", await ofTask(name));
      const [one] = cases;
      const filled = await fill(one.text, { top_k: 3 });
      const expected = one.filled.map(({ score, sequence, token }) => ({
        score: expect.closeTo(score, 2),
        sequence,
        token,
        token_str: expect.any(String),
      }));
      expect(filled).toEqual(expected);
      for (const { sequence, token_str } of filled) expect(sequence).toContain(token_str.trim().replace(/^##/, ""));
      const several = await fill(cases.map(({ text }) => text));
      expect(several.map((row) => row.length)).toEqual(cases.map(() => 5));
    },
  );

  it("question-answering: the answer and its place, or several", async () => {
    const [{ text, pair, answer }] = goldenOf("question");
    const ask = pipeline("question-answering", await ofTask("question"));
    const one = await ask(text, pair ?? "");
    expect(one).toMatchObject({ start: answer.start, end: answer.end, score: expect.closeTo(answer.score, 2) });
    const three = await ask(text, pair ?? "", { top_k: 3 });
    expect(three).toHaveLength(3);
    expect(Array.isArray(three) && three[0].answer).toBe(one.answer);
  });

  it("zero-shot-classification: labels of one's own, the likeliest first", async () => {
    const cases = goldenOf("entailment");
    const candidates = ["news", "film", "sea"];
    const sentences = cases.flatMap(({ text }) =>
      candidates.map((label) => [text, `This example is ${label}.`] as const),
    );
    const classify = pipeline("zero-shot-classification", await serviceOf("tasks/entailment", sentences));
    for (const { text, multi, labels, scores } of cases.slice(0, 2)) {
      const found = await classify(text, candidates, { multi_label: multi });
      expect(found.sequence).toBe(text);
      for (const [i, label] of labels.entries())
        expect(found.scores[found.labels.indexOf(label)]).toBeCloseTo(scores[i], 1);
    }
    expect(await classify([cases[0].text], "news")).toMatchObject([{ labels: ["news"] }]);
  });

  it("feature-extraction: a row for each text; what the service does not do is refused", async () => {
    const cases = goldenOf("embed-mean");
    const extract = pipeline("feature-extraction", await ofTask("embed-mean"));
    const texts = cases.map(({ text }) => text);
    const tensor = await extract(texts, { pooling: "mean", normalize: true });
    expect([tensor.type, tensor.dims, tensor.data.length]).toEqual(["float32", [3, 32], 96]);
    for (const [i, row] of tensor.tolist().entries())
      for (const [j, x] of row.entries()) expect(x).toBeCloseTo(cases[i].vector[j], 2);
    expect((await extract(texts[0])).dims).toEqual([1, 32]);
    await expect(extract(texts, { pooling: "cls" })).rejects.toThrow(/pools by mean/);
    await expect(extract(texts, { normalize: false })).rejects.toThrow(/length 1/);
  });

  it("text-generation: the prompt and how it goes on", async () => {
    const prompt = "It was";
    const generate = pipeline("text-generation", await serviceOf("gpt2", [["The captain wrote a letter to the sea."]]));
    const [{ generated_text }] = await generate(prompt, { max_new_tokens: 2 });
    expect(generated_text.startsWith(prompt)).toBe(true);
    const [[bare]] = await generate([prompt], { max_new_tokens: 2, return_full_text: false });
    expect(prompt + bare.generated_text).toBe(generated_text);
  });

  it("ends with its signal, and takes no other task than the service's, nor an unknown one", async () => {
    const client = await ofTask("labels");
    const classify = pipeline("sentiment-analysis", client);
    await expect(classify("It was", { signal: AbortSignal.abort() })).rejects.toThrow(/abort/i);
    expect(() => pipeline("ner", client)).toThrow(/not for ner/);
    expect(() => pipeline("image-classification" as "ner", client)).toThrow(
      /no such task: use one of text-classification/,
    );
    expect(() => pipeline("ner", client, { progress: 3 } as never)).toThrow(/pipeline/);
    await expect(classify(["It was", ""])).rejects.toThrow(/the text is empty/);
  });
});
