/** Labelled parts of texts: layouts of files, and measures against numbers worked out by hand. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { answerScores, entityScores, readAsked, readMarked } from "../../src/tasks/spans.ts";

const dir = mkdtempSync(join(tmpdir(), "spans-"));
afterAll(() => rmSync(dir, { recursive: true }));
const file = (name: string, content: string) => {
  writeFileSync(join(dir, name), content);
  return join(dir, name);
};

it("reads words with tags, in both layouts", async () => {
  const conll = file(
    "a.conll",
    "-DOCSTART- O\n\nAda NNP B-PER\nLovelace NNP I-PER\nin IN O\nLondon NNP I-LOC\n\nhere O\n",
  );
  const expected = [
    {
      text: "Ada Lovelace in London",
      entities: [
        { label: "PER", start: 0, end: 12 },
        { label: "LOC", start: 16, end: 22 },
      ],
    },
    { text: "here", entities: [] },
  ];
  expect(await readMarked(conll)).toMatchObject(expected);
  expect((await readMarked(conll)).map(({ line }) => line)).toEqual([3, 8]);
  const rows = [
    { tokens: ["Ada", "Lovelace", "in", "London"], tags: ["B-PER", "I-PER", "O", "I-LOC"] },
    { tokens: ["here"], ner_tags: ["O"] },
  ];
  expect(await readMarked(file("a.jsonl", rows.map((row) => JSON.stringify(row)).join("\n")))).toMatchObject(expected);
  // One entity behind another of its kind.
  const [{ entities }] = await readMarked(file("b.conll", "Ada B-PER\nGrace B-PER\n"));
  expect(entities.map(({ start }) => start)).toEqual([0, 4]);
});

it("reads questions, and says what is wrong with a line", async () => {
  const squad = { question: "Who?", context: "Ada did.", answers: { text: ["Ada"], answer_start: [0] } };
  const none = { question: "Why?", context: "Ada did.", answers: [] };
  const path = file("q.jsonl", `${JSON.stringify(squad)}\n\n${JSON.stringify(none)}\n`);
  expect(await readAsked(path)).toMatchObject([{ answers: ["Ada"] }, { answers: [], line: 3 }]);
  expect(await readAsked(path, 1)).toHaveLength(1);
  await expect(readAsked(file("r.jsonl", '{"question": "Who?"}'))).rejects.toThrow(/line 1: give question, context/);
  await expect(readMarked(file("c.conll", "Ada\n"))).rejects.toThrow(/line 1: a word has no tag/);
  await expect(readMarked(file("c.jsonl", '{"tokens": ["a"], "tags": []}'))).rejects.toThrow(
    /line 1: give tokens and tags/,
  );
  await expect(readMarked(file("d.conll", "\n"))).rejects.toThrow(/has no texts/);
});

it("an entity is right where label, beginning and end are", () => {
  const [a, b, c] = [
    { label: "PER", start: 0, end: 3 },
    { label: "LOC", start: 5, end: 9 },
    { label: "PER", start: 5, end: 9 },
  ];
  expect(entityScores([[a, c], []], [[a, b], [b]])).toEqual({ f1: 0.4, precision: 0.5, recall: 1 / 3 });
  expect(entityScores([[]], [[]])).toEqual({ f1: 0, precision: 0, recall: 0 });
});

it("an answer is right but for case, marks and articles; words in common count in part", () => {
  expect(answerScores(["The Cat!", "a black dog"], [["cat"], ["dog", "black cats"]])).toEqual({
    exact_match: 0.5,
    f1: (1 + 2 / 3) / 2,
  });
  expect(answerScores(["", "no"], [[], []])).toEqual({ exact_match: 0.5, f1: 0.5 });
});
