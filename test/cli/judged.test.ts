/** What `evaluate` measures of each kind of answer, on models whose answers PyTorch has given. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { judgedOf } from "../../src/cli/judged.ts";
import { loadModel } from "../../src/models/checkpoint.ts";
import { logitsOf } from "../../src/models/model.ts";
import { FloatOps } from "../../src/reference/float.ts";
import { fixture } from "../models/fixtures.ts";

const dir = mkdtempSync(join(tmpdir(), "judged-"));
afterAll(() => rmSync(dir, { recursive: true }));
const file = (name: string, content: string) => {
  writeFileSync(join(dir, name), content);
  return join(dir, name);
};

async function judged(name: string, data: string, task?: string) {
  const model = await loadModel(fixture(`tasks/${name}`));
  const judged = await judgedOf(model, { data, task });
  const logits = judged.texts.map((text) => [
    ...logitsOf(new FloatOps(model.weights, text, text.ids.length), model.spec).data,
  ]);
  return { judged, logits, values: judged.measure(logits) };
}

const golden = (name: string) => JSON.parse(readFileSync(fixture(`tasks/${name}/golden.json`), "utf8")).cases;

it("entities: all are found where the file has the model's own, and none where it has others", async () => {
  const text = "The captain wrote a letter to the passengers in 1998 .";
  const words = text.split(" ");
  const model = await loadModel(fixture("tasks/entities"));
  const own = await judgedOf(model, {
    data: file("w.jsonl", JSON.stringify({ tokens: words, tags: words.map(() => "O") })),
  });
  const logits = own.texts.map((one) => [
    ...logitsOf(new FloatOps(model.weights, one, one.ids.length), model.spec).data,
  ]);
  expect(own.measure(logits)).toEqual({ f1: 0, precision: 0, recall: 0 });
  // A row of logits that makes the first two words one entity.
  const labels = model.spec.labelNames;
  const { spans } = model.tokenizer.encodeWithSpans(text);
  const tags = words.map((_, i) => (i === 0 ? "B-PER" : i === 1 ? "I-PER" : "O"));
  const right = spans.flatMap((span) => {
    const word = span === null ? -1 : text.slice(0, span.from).split(" ").length - 1;
    return labels.map((label) => Number(label === (tags[word] ?? "O")));
  });
  const data = file("x.jsonl", JSON.stringify({ tokens: words, tags }));
  const theirs = await judgedOf(model, { data });
  expect(theirs.measure([right])).toEqual({ f1: 1, precision: 1, recall: 1 });
  expect(theirs.alike([right], [right])).toEqual({ agreement: 1 });
  expect(theirs.alike([right], logits)).toEqual({ agreement: 0 });
});

it("answers: those of transformers' pipeline are exact", async () => {
  const cases = golden("question") as { text: string; pair: string; answer: { start: number; end: number } }[];
  const rows = cases.map(({ text, pair, answer }) => ({
    question: text,
    context: pair,
    answers: [pair.slice(answer.start, answer.end)],
  }));
  const data = file("q.jsonl", rows.map((row) => JSON.stringify(row)).join("\n"));
  const { values, judged: one, logits } = await judged("question", data);
  expect(values).toEqual({ f1: 1, exact_match: 1 });
  expect(one.alike(logits, logits)).toEqual({ agreement: 1 });
});

it("labels that hold together: of each the share that is right", async () => {
  const cases = golden("labels") as { text: string; read: number[] }[];
  const names = ["news", "film", "sea"];
  const rows = cases.slice(0, 1).map(({ text, read }) => {
    const right = names.filter((_, i) => read[i] > 0.5 !== (i === 2));
    return `${text}\t${right.join("|") || "-"}`;
  });
  const { values } = await judged("labels", file("l.tsv", rows.join("\n")));
  expect(values).toMatchObject({ "accuracy of news": 1, "accuracy of film": 1, "accuracy of sea": 0 });
  expect(values.accuracy).toBeCloseTo(2 / 3, 10);
  await expect(judged("labels", file("m.tsv", "a text\tnews|weather"))).rejects.toThrow(/line 1: a label is none/);
});

it("vectors: the cosine of two sentences against how alike they are", async () => {
  const rows = [
    ["The captain wrote a letter.", "The captain wrote a letter.", "5"],
    ["The captain wrote a letter.", "It was", "1"],
    ["It was", "Every river runs to the sea!", "0"],
  ];
  const data = file("s.tsv", `sentence1\tsentence2\tscore\n${rows.map((row) => row.join("\t")).join("\n")}\n`);
  const { values, judged: one, logits } = await judged("embed-mean", data, "stsb");
  expect(one.texts).toHaveLength(6);
  expect(one.lines).toEqual([2, 2, 3, 3, 4, 4]);
  expect(values.pearson).toBeGreaterThan(0.5);
  expect(
    one.measure([
      [1, 0],
      [1, 0],
      [1, 0],
      [1, 1],
      [1, 0],
      [0, 1],
    ]).spearman,
  ).toBeCloseTo(1, 10);
  expect(one.alike(logits, logits)).toMatchObject({ agreement: 1, least_cosine: expect.closeTo(1, 6) });
  await expect(judged("embed-mean", file("t.tsv", "text\tscore\na\t1\n"))).rejects.toThrow(/line 2: a pair is missing/);
});

it("a task of one label is none for answers of another kind", async () => {
  const model = await loadModel(fixture("tasks/entities"));
  await expect(judgedOf(model, { data: "none", task: "sst2" })).rejects.toThrow(/--task is for models that/);
});
