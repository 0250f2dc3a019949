/** The whole way as a user goes it, small: from text files to a model that is measured under MPC. */
import { execFile, spawn } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { inside } from "./inside.ts";

const MAIN = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
const FIXTURES = fileURLToPath(new URL("../models/fixtures", import.meta.url));

const [SUBJECTS, GOOD, BAD] = [
  ["the film", "this story", "the music", "her acting", "the ending", "every scene", "the cast", "this book"],
  ["is wonderful", "was a great joy", "is warm and funny", "was simply excellent", "is a fine surprise"],
  ["is terrible", "was a sad waste", "is cold and dull", "was simply awful", "is a poor mistake"],
];
const sentences = SUBJECTS.flatMap((subject, i) =>
  SUBJECTS.flatMap((other, j) =>
    [GOOD, BAD].map((words, label) => {
      const ends = [words[(i + j) % 5], words[(2 * i + j) % 5]];
      return { text: `${subject} ${ends[0]} , and ${other} ${ends[1]}`, label: 1 - label };
    }),
  ),
);
/** A sentence's words, and which of them praise or blame: four behind each subject at most. */
function tagged({ text, label }: (typeof sentences)[number]): { tokens: string[]; tags: string[] } {
  const tokens = text.split(" ");
  const kind = label === 1 ? "GOOD" : "BAD";
  let inside = false;
  const tags = tokens.map((token) => {
    const begins = token === "is" || token === "was";
    inside = begins || (inside && token !== ",");
    return inside ? `${begins ? "B" : "I"}-${kind}` : "O";
  });
  return { tokens, tags };
}
const isDev = (_: unknown, i: number) => i % 5 === 0;

let dir: string;
const at = (name: string) => join(dir, name);
const small = ["--threads", "1", "--seed", "2", "--batch", "16"];

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "whole-way-"));
  const table = (rows: typeof sentences) =>
    `sentence\tlabel\n${rows.map(({ text, label }) => `${text}\t${label}`).join("\n")}\n`;
  await writeFile(at("texts.txt"), `${sentences.map(({ text }) => text).join("\n")}\n`);
  await writeFile(at("train.tsv"), table(sentences.filter((row, i) => !isDev(row, i))));
  await writeFile(at("dev.tsv"), table(sentences.filter(isDev)));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

function mpcformer(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [MAIN, ...args], { timeout: 300_000 }, (error, out, err) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? 1), out, err });
    });
  });
}

async function json(...args: string[]) {
  const { code, out, err } = await mpcformer(...args, "--json");
  expect(code, err).toBe(0);
  return JSON.parse(out);
}

const distilled = (out: string) => [
  ...["distill", "--teacher", at("teacher"), "--data", at("train.tsv"), "--dev", at("dev.tsv"), "--out", at(out)],
  ...["--layers-epochs", "12", "--layers-lr", "3e-3", "--prediction-epochs", "4", "--prediction-lr", "1e-3", ...small],
];

describe("from text files to a private service:", () => {
  it("pretrain", async () => {
    const shape = ["--vocabulary", "160", "--layers", "2", "--width", "32", "--heads", "2", "--intermediate", "64"];
    const args = ["--texts", at("texts.txt"), "--out", at("small"), "--length", "32", "--epochs", "8", "--lr", "5e-3"];
    const { loss, vocabulary } = await json("pretrain", ...args, ...shape, ...small);
    expect(vocabulary).toBeLessThanOrEqual(160);
    expect(loss).toBeLessThan(0.8 * Math.log(vocabulary));
    const config = JSON.parse(await readFile(at("small/config.json"), "utf8"));
    expect(config.architectures).toEqual(["BertModel"]);
    // Without a classifier it embeds texts.
    const served = await mpcformer("plan", at("small"), "--length", "16");
    expect([served.code, served.err]).toEqual([0, expect.stringContaining("has no ranges")]);
  });

  it("finetune", async () => {
    const args = ["--from", at("small"), "--data", at("train.tsv"), "--dev", at("dev.tsv"), "--task", "sst2"];
    const { stages } = await json(
      "finetune",
      ...args,
      "--out",
      at("teacher"),
      "--epochs",
      "6",
      "--lr",
      "3e-3",
      ...small,
    );
    expect(stages[0].after.accuracy).toBeGreaterThan(0.9);
    const config = JSON.parse(await readFile(at("teacher/config.json"), "utf8"));
    expect(config.id2label).toEqual({ 0: "negative", 1: "positive" });
    expect(await readFile(at("teacher/training/curves.svg"), "utf8")).toMatch(/^<svg.*dev accuracy/s);
  });

  it("distill, which a kill does not change", async () => {
    const { stages, gelu, softmax } = await json(...distilled("student"));
    expect([gelu, softmax]).toEqual(["quad", "2quad:5"]);
    expect(stages.map((stage: { stage: string }) => stage.stage)).toEqual(["layers", "prediction"]);
    expect(stages[1].after.accuracy).toBeGreaterThan(0.85);
    await killedWhileTraining(distilled("killed"), at("killed/training/layers/metrics.jsonl"));
    await json(...distilled("killed"));
    expect(await readFile(at("killed/model.safetensors"))).toEqual(await readFile(at("student/model.safetensors")));
    expect(await readFile(at("killed/mpcformer.json"))).toEqual(await readFile(at("student/mpcformer.json")));
  });

  it("hold texts out of the data, and begin with short ones", async () => {
    const held = (out: string, ...more: string[]) => [
      ...["finetune", "--from", at("small"), "--data", at("train.tsv"), "--task", "sst2", "--out", at(out)],
      ...["--epochs", "2", "--lr", "3e-3", "--hold-out", "20", ...small, ...more],
    ];
    const lines = (out: string) => readFile(at(`${out}/training/labels/metrics.jsonl`), "utf8");
    const { stages } = await json(...held("held"));
    expect(stages[0].steps).toBe(2 * Math.ceil((102 - 20) / 16));
    expect((stages[0].after.accuracy * 20) % 1).toBeCloseTo(0, 9);
    await json(...held("short", "--curriculum", "6,128"));
    expect(await lines("short")).not.toBe(await lines("held"));
    await json(...held("long", "--curriculum", "128"));
    expect(await lines("long")).toBe(await lines("held"));
  });

  it("a student that marks words, as its teacher does", async () => {
    await writeFile(at("tagged.jsonl"), `${sentences.map((row) => JSON.stringify(tagged(row))).join("\n")}\n`);
    const data = ["--data", at("tagged.jsonl"), "--hold-out", "16", ...small];
    const from = ["finetune", "--tokens", "--from", at("small"), "--out", at("marker")];
    const taught = await json(...from, ...data, "--epochs", "24", "--lr", "3e-3");
    expect(taught.stages[0].after.accuracy).toBeGreaterThan(0.9);
    // A folder's classifier of other labels is replaced, as by labels of texts.
    await json("finetune", "--tokens", "--from", at("teacher"), "--out", at("remade"), ...data, "--epochs", "0.2");
    const config = JSON.parse(await readFile(at("marker/config.json"), "utf8"));
    expect(Object.values(config.id2label)).toEqual(["O", "B-BAD", "I-BAD", "B-GOOD", "I-GOOD"]);
    const rates = [
      "--layers-epochs",
      "8",
      "--layers-lr",
      "3e-3",
      "--prediction-epochs",
      "4",
      "--prediction-lr",
      "1e-3",
    ];
    const { stages } = await json("distill", "--teacher", at("marker"), "--out", at("marking"), ...data, ...rates);
    expect(stages[1].after.agreement).toBeGreaterThan(0.9);
    const more = ["--data", at("tagged.jsonl"), "--limit", "3", "--private"];
    expect(await json("evaluate", at("marking"), ...more)).toMatchObject({ metric: "f1", agreement: 1 });
  });

  it("a student that embeds texts, as its teacher does", async () => {
    const data = ["--data", at("texts.txt"), "--hold-out", "16", ...small];
    const rates = [
      "--layers-epochs",
      "4",
      "--layers-lr",
      "3e-3",
      "--prediction-epochs",
      "4",
      "--prediction-lr",
      "1e-3",
    ];
    const { stages } = await json("distill", "--teacher", at("small"), "--out", at("embedding"), ...data, ...rates);
    const [layers, prediction] = stages;
    expect(layers.before.cosine).toBeLessThan(layers.after.cosine);
    expect(prediction.after.cosine).toBeGreaterThan(0.9);
    expect(prediction.after.least_cosine).toBeLessThanOrEqual(prediction.after.cosine);
  });

  it("a student that answers questions, as its teacher does", async () => {
    const asked = sentences
      .slice(0, 48)
      .map(({ text }) => ({ question: "what", context: text, answers: [text.slice(0, 3)] }));
    await writeFile(at("asked.jsonl"), `${asked.map((row) => JSON.stringify(row)).join("\n")}\n`);
    const rates = [
      "--layers-epochs",
      "3",
      "--layers-lr",
      "3e-3",
      "--prediction-epochs",
      "2",
      "--prediction-lr",
      "1e-3",
    ];
    const args = [
      "--teacher",
      join(FIXTURES, "tasks/question"),
      "--data",
      at("asked.jsonl"),
      "--hold-out",
      "8",
      ...small,
    ];
    const { stages } = await json("distill", "--out", at("answering"), ...args, ...rates);
    expect(stages[0].before.cosine).toBeLessThan(stages[1].after.cosine);
    expect(stages[1].after.cosine).toBeGreaterThan(0.8);
  });

  it("evaluate under MPC", async () => {
    const result = await json("evaluate", at("student"), "--data", at("dev.tsv"), "--task", "sst2", "--private");
    expect(result).toMatchObject({ metric: "accuracy", agreement: 1, texts: 26, outside_range: 0 });
    expect(result.value).toBe(result.clear_value);
    expect(result.value).toBeGreaterThan(0.85);
  });

  it("study, which measures a test set that chose nothing", async () => {
    const task = {
      name: "held",
      train: "train.tsv",
      "hold-out": 12,
      test: "dev.tsv",
      teacher: { from: "small", finetune: { epochs: 1, lr: 3e-3 } },
      pairs: [["quad", "2quad"]],
      columns: ["without_d"],
      common: { threads: 1, batch: 16 },
      labels: { "prediction-epochs": 1 },
    };
    await writeFile(at("held.yaml"), JSON.stringify({ title: "Held", tasks: [task] }));
    const { rows } = await json("study", at("held.yaml"), "--out", at("held-study"));
    const clear = async (id: string) => JSON.parse(await readFile(at(`held-study/held/results/${id}.json`), "utf8"));
    const student = await clear("quad+2quad.without_d.clear");
    expect(student.texts).toBe(26);
    expect(rows[0]).toMatchObject({
      measured_on: "test",
      paper: null,
      model: "small",
      teacher: (await clear("teacher-clear")).value,
      without_d: student.value,
      both: null,
    });
  });

  it("study, which runs only what is missing", async () => {
    const task = {
      name: "reviews",
      task: "sst2",
      train: "train.tsv",
      dev: "dev.tsv",
      teacher: "teacher",
      pairs: [["quad", "2quad"]],
      columns: ["without_d", "both"],
      common: { threads: 1, batch: 16 },
      distill: { "layers-epochs": 2, "layers-lr": 1e-3, "prediction-epochs": 1 },
      labels: { "prediction-epochs": 1 },
      private: 3,
      length: 16,
    };
    await writeFile(at("study.yaml"), JSON.stringify({ title: "Small", tasks: [task] })); // JSON is YAML
    const run = () => mpcformer("study", at("study.yaml"), "--out", at("study"));
    const first = await run();
    expect(first.code, first.err).toBe(0);
    expect(first.out).toMatch(/\| reviews \| quad \+ 2quad \| accuracy \| \d/);
    const { rows } = JSON.parse(await readFile(at("study/results.json"), "utf8"));
    expect(rows[0]).toMatchObject({
      task: "reviews",
      without_pd: null,
      private: { texts: 3, agreement: 1 },
      cost: { length: 16 },
    });
    expect(rows[0].cost.flights).toBeGreaterThan(10);
    expect(rows[0].teacher).toBeGreaterThan(0.9);
    // The task is SST-2 by name: the paper has numbers of it.
    expect(rows[0]).toMatchObject({ model: "teacher", measured_on: "dev", paper: { teacher: 93.1, both: 92 } });
    expect(first.out).toMatch(/\| paper: BERT-base \| 93\.1 \|/);
    expect(first.out).toMatch(/\| here: teacher \| \d/);
    expect(await readFile(at("study/cost.svg"), "utf8")).toContain("reviews: quad + 2quad");
    expect(await readFile(at("study/results.svg"), "utf8")).toContain("reviews (accuracy)");
    const again = await run();
    expect(again.out).toBe(first.out);
    expect(again.err).not.toContain("mpcformer distill");
  });
});

describe("mistakes in training end in one line", () => {
  const files = () => ["--data", at("train.tsv"), "--out", at("wrong")];
  const distill = () => ["distill", "--teacher", join(FIXTURES, "bert-cased"), ...files()];
  it.each([
    ["an unknown task", () => [...distill(), "--task", "sst3"], /'sst3' is invalid\. Allowed choices are cola, sst2/],
    [
      "other columns",
      () => [...distill(), "--task", "rte"],
      /train\.tsv, line 1: name the columns in a header: sentence1/,
    ],
    [
      "labels of another kind",
      () => ["distill", "--teacher", join(FIXTURES, "bert-score"), "--data", at("names.tsv"), "--out", at("wrong")],
      /names\.tsv, line 2: the label is not a number/,
    ],
    ["everything held out", () => [...distill(), "--hold-out", "102"], /--hold-out takes fewer texts than the 102/],
    ["held out and a dev set", () => [...distill(), "--hold-out", "2", "--dev", at("dev.tsv")], /cannot be used with/],
    ["lengths that are none", () => [...distill(), "--curriculum", "128,,512"], /--curriculum takes whole numbers/],
    ["no losses", () => [...distill(), "--layers-epochs", "0", "--prediction", "0"], /every loss has weight 0/],
    ["a number out of bounds", () => [...distill(), "--dropout", "2"], /--dropout takes a number from 0 to 0\.9/],
    [
      "an unknown choice",
      () => [...distill(), "--freeze", "all"],
      /--freeze.*Allowed choices are nothing, words, embeddings/,
    ],
    [
      "a task for a model that embeds texts",
      () => ["distill", "--teacher", at("small"), ...files(), "--task", "sst2"],
      /answers are no task's labels: leave --task out/,
    ],
    ["a text file without texts", () => ["pretrain", "--texts", at("empty.txt"), "--out", at("wrong")], /has no texts/],
    ["no study", () => ["study", at("train.tsv"), "--out", at("wrong")], /cannot be read as YAML|top level/],
    [
      "a study without its fields",
      () => ["study", at("bad.yaml"), "--out", at("wrong")],
      /bad\.yaml, tasks\.0: a task has dev, or hold-out and test/,
    ],
  ])("%s", async (_what, args, message) => {
    await writeFile(at("names.tsv"), "sentence\tlabel\nSECRET\tpositive\n");
    await writeFile(at("empty.txt"), "\n");
    await writeFile(at("bad.yaml"), "title: x\ntasks: [{name: a, train: b, teacher: c, pairs: [[quad, 2quad]]}]\n");
    const { code, err, out } = await inside(...args());
    expect(code).not.toBe(0);
    expect(out).toBe("");
    expect(err).toMatch(message);
    expect(err.trim().split("\n").length).toBe(1);
    expect(err).not.toContain("SECRET");
  });

  it("and other settings are not mixed into a run that was begun", async () => {
    expect(await readdir(at("student"))).toContain("model.safetensors");
    const { code, err } = await mpcformer(...distilled("student"), "--clip", "2");
    expect(code).toBe(1);
    expect(err).toMatch(/holds a run with other settings or data: choose another --out/);
  });
});

/** Runs a command until its log has some lines, then kills it without warning. */
async function killedWhileTraining(args: readonly string[], log: string): Promise<void> {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: "ignore" });
  const ended = new Promise((resolve) => child.on("exit", resolve));
  for (;;) {
    const lines = await readFile(log, "utf8").then(
      (text) => text.split("\n").length,
      () => 0,
    );
    if (lines > 6 || child.exitCode !== null) break;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  expect(child.exitCode).toBe(null); // it was still at work
  child.kill("SIGKILL");
  await ended;
}
