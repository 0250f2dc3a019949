/**
 * Real models in fixed point in the clear, rounded as three parties round, beside their floats, at the bits that `calibrate` gives them: an embedding's vectors, a chat model's
 * tokens. Each is skipped without its model and texts, which are not shipped:
 *
 *   EMBEDDER=DIR SENTENCES=texts.txt STSB=sts-dev.csv npm run long -- precision
 *   CHAT=model.gguf TEXTS=texts.jsonl PASSAGES=passages.txt npm run long -- precision
 *
 * SENTENCES and TEXTS are calibrated on (conversations of the chat model among them), the others are measured: pairs in STS-B's layout, 2,000
 * tokens of plain text, one passage a line.
 */
import { expect, it } from "vitest";
import { behindPadding, Comparison } from "../../src/cli/comparison.ts";
import { floatMatmul } from "../../src/cli/float.ts";
import { judgedOf } from "../../src/cli/judged.ts";
import { measured } from "../../src/cli/prediction.ts";
import { fixedPointOf } from "../../src/cli/ranges.ts";
import { type ModelSource, openModel } from "../../src/cli/source.ts";
import { conversationText } from "../../src/models/chat-template.ts";
import { greedyTokens } from "../../src/models/greedy.ts";
import { logitsOf } from "../../src/models/model.ts";
import { indexOfLargest } from "../../src/program/largest.ts";
import type { TokenizedText } from "../../src/program/spec.ts";
import { FloatOps } from "../../src/reference/float.ts";
import { Prg, randomKey } from "../../src/ring/prg.ts";
import { Ring } from "../../src/ring/ring.ts";
import { cosine } from "../../src/tasks/metrics.ts";
import { readTexts } from "../../src/tasks/tables.ts";

const { EMBEDDER = "", SENTENCES = "", STSB = "", CHAT = "", TEXTS = "", PASSAGES = "" } = process.env;
const PAIRS = 1500;
const COSINES = 200;
const PASSAGE_TOKENS = 2000;
const NEW_TOKENS = 100;
const PROMPTS = [
  "What is the capital of France, and what is it known for?",
  "Write a short poem about the sea.",
  "Explain photosynthesis to a ten year old.",
  "Give me three tips for sleeping better.",
  "I have eggs, flour and milk. What can I cook?",
  "Write a polite email asking my landlord to fix the heating.",
  "What is the difference between a virus and a bacterium?",
  "Tell me a story about a dragon who is afraid of fire.",
  "How do I reverse a list in Python?",
  "My friend is sad because her dog died. What can I say to her?",
];

const matmul = await floatMatmul();

/** The model with the plan that `calibrate` would write. */
async function calibrated(folder: string, data: string): Promise<ModelSource> {
  const source = await openModel(folder, { overrides: {}, calibration: data, matmul });
  const texts = (await readTexts(data)).map((text) => source.tokenizer.encode(text, undefined, { truncate: true }));
  const { plan, foretold } = await measured(source, texts, matmul, () => {});
  console.warn(folder, JSON.stringify({ precision: plan.precision ?? null, ...foretold }));
  return { ...source, plan };
}

function floats({ spec, weights }: ModelSource, text: TokenizedText): Float32Array {
  return logitsOf(new FloatOps(weights, text, text.ids.length, { matmul, scoring: true }), spec).data;
}

it.skipIf([EMBEDDER, SENTENCES, STSB].includes(""))("vectors keep their direction, and their likeness", async () => {
  const model = await calibrated(EMBEDDER, SENTENCES);
  const judged = await judgedOf(model, { data: STSB, task: "stsb", limit: PAIRS });
  const run = fixedPointOf(model, await Ring.create(), new Prg(randomKey()));
  const [clear, fixed]: number[][][] = [[], []];
  let beyond = 0;
  for (const text of judged.texts) {
    const { logits, outside } = await run(text);
    clear.push([...floats(model, text)]);
    fixed.push(logits);
    if (outside !== null) beyond++;
  }
  // 200 of them, from all evenly.
  const step = Math.max(1, Math.floor(fixed.length / COSINES));
  const cosines = fixed.map((vector, i) => cosine(vector, clear[i])).filter((_, i) => i % step === 0);
  const [own, right] = [judged.measure(fixed).spearman, judged.measure(clear).spearman];
  console.warn(
    `least cosine ${Math.min(...cosines)} of ${cosines.length}, spearman ${own} (clear ${right}), ${beyond} beyond`,
  );
  expect(beyond).toBe(0);
  expect(Math.min(...cosines)).toBeGreaterThanOrEqual(0.9999);
  expect(Math.abs(own - right)).toBeLessThanOrEqual(0.001);
});

it.skipIf([CHAT, TEXTS].includes(""))("a chat model says what it says in floats", async () => {
  const model = await calibrated(CHAT, TEXTS);
  const run = fixedPointOf(model, await Ring.create(), new Prg(randomKey()));
  const columns = model.spec.vocabulary;
  let equal = 0;
  for (const content of PROMPTS) {
    const text = conversationText(model.tokenizer, [{ role: "user", content }]);
    const prompt = model.tokenizer.encode(text, undefined, { bare: true });
    const said = greedyTokens(model.spec, model.weights, prompt, NEW_TOKENS, matmul);
    // Where each token follows from those before it, the first that differs is where the texts part.
    const ids = [...prompt.ids, ...said.slice(0, -1)];
    const { logits, outside } = await run({ ids, types: ids.map(() => 0) });
    const rows = Float32Array.from(logits.slice(-NEW_TOKENS * columns));
    const parted = said.findIndex((id, i) => indexOfLargest(rows.subarray(i * columns, (i + 1) * columns)) !== id);
    console.warn(
      `${JSON.stringify(content)}: ${parted < 0 ? "all equal" : `parted at ${parted}`}, beyond: ${outside?.name ?? "none"}`,
    );
    if (parted < 0) equal++;
  }
  expect(equal).toBeGreaterThanOrEqual(9);
});

it.skipIf([CHAT, TEXTS, PASSAGES].includes(""))("a chat model foretells passages as in floats", async () => {
  const model = await calibrated(CHAT, TEXTS);
  const run = fixedPointOf(model, await Ring.create(), new Prg(randomKey()));
  const [fixed, exact] = [new Comparison(model.spec.vocabulary), new Comparison(model.spec.vocabulary)];
  let tokens = 0;
  for (const passage of await readTexts(PASSAGES)) {
    const whole = model.tokenizer.encode(passage, undefined, { truncate: true });
    const ids = whole.ids.slice(0, Math.min(256, PASSAGE_TOKENS - tokens));
    if (ids.length < 2) break;
    tokens += ids.length;
    const text = { ids, types: ids.map(() => 0) };
    const right = floats(model, text);
    fixed.add(behindPadding((await run(text)).logits, right), right, ids);
    exact.add(right, right, ids);
  }
  const [own, right] = [fixed.perplexity.perplexity, exact.perplexity.perplexity];
  console.warn(`${tokens} tokens: perplexity ${own} (clear ${right}), ${JSON.stringify(fixed.told)}`);
  expect(fixed.told.agreement).toBeGreaterThanOrEqual(0.99);
  expect(Math.abs(own / right - 1)).toBeLessThanOrEqual(0.005);
});
