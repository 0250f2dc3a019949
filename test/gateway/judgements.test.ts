/** The gateway in the words of text-embeddings-inference. */
import OpenAI from "openai";
import { afterAll, beforeAll, expect, it } from "vitest";
import { TINY } from "../parties/harness.ts";
import { ENCODER_WORDS } from "../parties/words.ts";
import { World } from "../parties/world.ts";
import { gatewayTo, plain } from "./world.ts";

interface Told {
  readonly error?: { readonly message: string; readonly code: string; readonly param: string };
}
type Label = { label: string; score: number };

let here: World;
const opened: { close(): Promise<void> }[] = [];
beforeAll(async () => {
  here = await World.create(60_000);
});
afterAll(async () => {
  for (const one of opened) await one.close();
  await here.close();
});

async function serving(spec: object = {}) {
  const g = await gatewayTo(here, { spec, tokenizer: ENCODER_WORDS });
  opened.push(g);
  const ask = <B = Told>(path: string, body: object) => plain<B>(g.port, { path, body: JSON.stringify(body) });
  return { ...g, ask };
}

it("/predict gives every label with its score, the likeliest first: of a text, of a pair, of many", async () => {
  const g = await serving();
  const client = await g.connect();
  const [one, pair] = [await client.classify("w7 w8"), await client.classify("w7", "w9 w10")];
  await client.close();
  const close = (told: Label[], wanted: readonly number[]) => {
    expect(told.map(({ label }) => label).sort()).toEqual([...g.spec.labelNames].sort());
    // Two private runs are rounded apart: a model so small has errors of a hundredth.
    for (const { label, score } of told)
      expect(Math.abs(score - wanted[g.spec.labelNames.indexOf(label)])).toBeLessThan(0.02);
    const scores = told.map(({ score }) => score);
    expect(scores).toEqual([...scores].sort((a, b) => b - a));
  };
  close((await g.ask<Label[]>("/predict", { inputs: "w7 w8" })).body, one.scores!);
  const raw = await g.ask<Label[]>("/predict", { inputs: ["w7 w8"], raw_scores: true });
  close(raw.body, one.logits);
  close((await g.ask<Label[]>("/predict", { inputs: ["w7", "w9 w10"], truncate: false })).body, pair.scores!);
  const many = await g.ask<Label[][]>("/predict", { inputs: [["w7 w8"], ["w7", "w9 w10"]] });
  close(many.body[0], one.scores!);
  close(many.body[1], pair.scores!);
});

it("/rerank sorts texts by their scores with a query", async () => {
  const g = await serving({ problem: "regression", labels: 1, labelNames: ["score"] });
  const texts = ["w7 w8", "w9", "w10 w11 w12"];
  const client = await g.connect();
  const values = await Promise.all(texts.map(async (text) => (await client.classify("w20", text)).value!));
  await client.close();
  const raw = await g.ask<{ index: number; score: number; text: string }[]>("/rerank", {
    ...{ query: "w20", texts, raw_scores: true, return_text: true },
  });
  expect(raw.body.map(({ index }) => index).sort()).toEqual([0, 1, 2]);
  const scores = raw.body.map(({ score }) => score);
  expect(scores).toEqual([...scores].sort((a, b) => b - a));
  for (const { index, score, text } of raw.body) {
    expect(Math.abs(score - values[index])).toBeLessThan(0.02);
    expect(text).toBe(texts[index]);
  }
  const { body } = await g.ask<{ score: number }[]>("/rerank", { query: "w20", texts });
  expect(body[0].score).toBeCloseTo(1 / (1 + Math.exp(-raw.body[0].score)), 2);
  expect(body[0]).not.toHaveProperty("text");
  expect(await g.ask("/predict", { inputs: "w7" })).toMatchObject({
    status: 501,
    body: { error: { code: "wrong_model" } },
  });
});

it("embeds texts for OpenAI's client and for /embed", async () => {
  const g = await serving({
    problem: "vector",
    pooling: { of: "mean", unit: false },
    labels: TINY.hidden,
    labelNames: [],
  });
  const texts = ["w7 w8", "w9 w10 w11"];
  const client = await g.connect();
  const wanted = await client.embed(texts);
  await client.close();
  const near = (told: readonly number[], vector: readonly number[]) => {
    expect(told).toHaveLength(vector.length);
    for (const [i, x] of told.entries()) expect(x).toBeCloseTo(vector[i], 1);
  };
  const openai = new OpenAI({ baseURL: `http://127.0.0.1:${g.port}/v1`, apiKey: "any", maxRetries: 0 });
  // Its own client asks for base64, and reads it.
  const { data, usage } = await openai.embeddings.create({ model: "tiny", input: texts });
  for (const [i, { embedding }] of data.entries()) near(embedding, wanted[i]);
  expect(usage).toMatchObject({ prompt_tokens: 9, mpc: { flights: expect.any(Number) } });
  const plainly = await openai.embeddings.create({ model: "tiny", input: texts[0], encoding_format: "float" });
  near(plainly.data[0].embedding, wanted[0]);
  const [vector] = (await g.ask<number[][]>("/embed", { inputs: texts[0] })).body;
  near([Math.hypot(...vector)], [1]);
  near((await g.ask<number[][]>("/embed", { inputs: texts, normalize: false })).body[1], wanted[1]);
  const refused = await openai.embeddings
    .create({ model: "tiny", input: texts, dimensions: 4 })
    .catch((e: unknown) => e);
  expect(refused).toMatchObject({ status: 400, param: "dimensions" });
  expect(await g.ask("/predict", { inputs: "w7" })).toMatchObject({ status: 501 });
});

it("what cannot be honoured is refused by its name, before anything is sent", async () => {
  const g = await serving({ answer: "label" });
  const refused: [string, object, number, object][] = [
    ["/predict", { inputs: "w7", truncate: true }, 400, { param: "truncate", code: "unsupported_value" }],
    ["/predict", { inputs: "w7", made_up: 1 }, 400, { param: "made_up", code: "unknown_parameter" }],
    ["/predict", { inputs: ["w7", "w8", "w9"] }, 400, { param: "inputs", code: "invalid_value" }],
    ["/predict", {}, 400, { param: "inputs", code: "missing_required_parameter" }],
    // This server tells the label alone.
    ["/predict", { inputs: "w7" }, 501, { code: "wrong_model" }],
    ["/embed", { inputs: "w7" }, 501, { code: "wrong_model" }],
    ["/embed", { inputs: "w7", dimensions: 2 }, 400, { param: "dimensions" }],
    ["/v1/embeddings", { model: "tiny", input: [[1, 2]] }, 400, { param: "input" }],
    ["/v1/embeddings", { model: "other", input: "w7" }, 404, { code: "model_not_found" }],
    ["/rerank", { query: "w7", texts: [] }, 400, { param: "texts" }],
    ["/rerank", { query: "w7", texts: ["w8"] }, 501, { code: "wrong_model" }],
    ["/v1/completions", { model: "tiny", prompt: "w7" }, 501, { code: "wrong_model" }],
  ];
  for (const [path, body, status, error] of refused)
    expect([path, body, await g.ask(path, body)]).toMatchObject([path, body, { status, body: { error } }]);
  const whole = await serving();
  const long = Array.from({ length: 80 }, () => "w7").join(" ");
  const told = await whole.ask("/predict", { inputs: [["w7"], [long]] });
  expect(told).toMatchObject({ status: 400, body: { error: { code: "context_length_exceeded" } } });
  expect(told.body.error?.message).toMatch(/^text 1: /);
});
