import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseAddress } from "../../src/cli/address.ts";
import { checkPlaintext } from "../../src/cli/network.ts";
import { labelsIn, labelValues, readLabelled } from "../../src/tasks/labelled.ts";
import { agreement, f1, matthews, measure, pearson, spearman } from "../../src/tasks/metrics.ts";
import { readTexts } from "../../src/tasks/tables.ts";
import { taskOf } from "../../src/tasks/tasks.ts";

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "data-"));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

async function file(name: string, content: string | Uint8Array): Promise<string> {
  const path = join(dir, name);
  await writeFile(path, content);
  return path;
}

describe("labelled texts", () => {
  it.each([
    ["sst2.tsv", "sentence\tlabel\na fine film\t1\nbad\t0\n"],
    ["bare.tsv", "a fine film\t1\r\nbad\t0"],
    ["swapped.tsv", "label\tid\tsentence\n1\t7\ta fine film\n0\t8\tbad\n"],
    ["texts.csv", 'text,label\na fine film,1\n"bad",0\n'],
    ["texts.jsonl", '{"text": "a fine film", "label": 1}\n{"sentence": "bad", "label": "0"}\n'],
  ])("%s", async (name, content) => {
    const rows = await readLabelled(await file(name, content));
    expect(rows.map((r) => [r.text, r.label])).toEqual([
      ["a fine film", "1"],
      ["bad", "0"],
    ]);
  });

  it("keeps the spaces around texts and names: tokenizers and models tell them apart", async () => {
    const rows = await readLabelled(await file("spaces.tsv", "sentence\tsentence2\tlabel\n a  b \t c\t d\n"));
    expect(rows).toEqual([{ text: " a  b ", pair: " c", label: " d", line: 2 }]);
    expect(await readTexts(await file("spaces.txt", " a \n  \n\u00a0b\n"))).toEqual([" a ", "\u00a0b"]);
  });

  it("reads pairs, quotes, commas and line ends inside quotes, and knows the lines", async () => {
    const rows = await readLabelled(
      await file("pairs.csv", 'sentence1,sentence2,score\n"one, ""two""\nthree",four,2.5\nfive,six,-1\n'),
    );
    expect(rows).toEqual([
      { text: 'one, "two"\nthree', pair: "four", label: "2.5", line: 2 },
      { text: "five", pair: "six", label: "-1", line: 4 },
    ]);
    expect((await readLabelled(join(dir, "pairs.csv"), undefined, 1)).length).toBe(1);
  });

  it.each([
    ["label.tsv", "sentence\tlabel\nSECRET\t1\nSECRET\t\n", /label\.tsv, line 3: the label is empty/],
    ["columns.tsv", "sentence\tlabel\nSECRET\t1\textra\n", /columns\.tsv, line 2: 3 columns where 2 are expected/],
    ["names.tsv", "a\tb\tc\nSECRET\t1\t2\n", /names\.tsv, line 1: name the columns/],
    ["open.csv", 'text,label\n"SECRET,1\n', /open\.csv, line 2: a quote is not closed/],
    ["empty.tsv", "", /has no labelled texts/],
    ["blank.tsv", "sentence\tlabel\n  \t1\n", /blank\.tsv, line 2: the text is empty/],
    ["bad.jsonl", '{"text": "SECRET", "label": 1}\n{SECRET}\n', /bad\.jsonl, line 2: not JSON/],
  ])("refuses %s with file and line, without its content", async (name, content, message) => {
    const error = await readLabelled(await file(name, content)).then(
      () => expect.fail("accepted"),
      (e: Error) => e,
    );
    expect(error.message).toMatch(message);
    expect(error.message).not.toContain("SECRET");
  });

  it("says which line is not UTF-8, and which file is not there", async () => {
    const path = await file("latin.tsv", Uint8Array.from(Buffer.from("good\t1\ncaf\xe9\t0\n", "latin1")));
    await expect(readLabelled(path)).rejects.toThrow(/latin\.tsv, line 2: not UTF-8/);
    await expect(readLabelled(join(dir, "none.tsv"))).rejects.toThrow(/cannot read .*none\.tsv/);
    expect(await readTexts(await file("texts.txt", "one\n\n two \n"))).toEqual(["one", " two "]);
    expect(await readTexts(await file("texts.jsonl", '{"text":"a\\nb"}\n\n{"text":" c"}\n'))).toEqual(["a\nb", " c"]);
    await expect(readTexts(await file("nothing.txt", "\n \n"))).rejects.toThrow(/has no texts/);
  });
});

describe("a task's labels", () => {
  const rows = (...labels: string[]) => labels.map((label, i) => ({ text: "a", label, line: i + 2 }));
  const of = (...labelNames: string[]) => ({ problem: "classification" as const, labelNames });
  const rte = taskOf("rte");

  it("are the model's by their names, whatever order it has them in", () => {
    const turned = of("NOT ENTAILMENT", "Entailment");
    expect(labelValues(rows("0", "1", "entailment", "not_entailment"), turned, "f", rte)).toEqual([1, 0, 1, 0]);
    expect(labelValues(rows("0", "1"), turned, "f")).toEqual([0, 1]);
  });

  it("are in the task's order where the model has no names", () => {
    const unnamed = of("LABEL_0", "LABEL_1");
    expect(labelValues(rows("0", "not_entailment", "LABEL_1"), unnamed, "f", rte)).toEqual([0, 1, 1]);
  });

  it("are not guessed where the model has other ones", () => {
    for (const other of [of("no", "yes"), of("entailment", "not_entailment", "unknown")])
      expect(() => labelValues(rows("0"), other, "f.tsv", rte)).toThrow(
        /^f\.tsv: the task's labels are entailment, not_entailment, the model's are others: leave --task out/,
      );
  });
});

describe("labels", () => {
  const rows = (...labels: string[]) => labels.map((label, i) => ({ text: "a", label, line: i + 2 }));
  const space = { problem: "classification", labelNames: ["no", "yes"] } as const;

  it("are names or numbers of classes, or values", () => {
    expect(labelValues(rows("yes", "0", "no", "1"), space, "f")).toEqual([1, 0, 0, 1]);
    expect(labelValues(rows("2.5", "-1"), { ...space, problem: "regression" }, "f")).toEqual([2.5, -1]);
    expect(labelValues(rows("Yes", "NO"), space, "f")).toEqual([1, 0]);
    expect(labelsIn(rows("b", "a", "b"))).toEqual(["a", "b"]);
    expect(labelsIn(rows("2", "0"))).toEqual(["LABEL_0", "LABEL_1", "LABEL_2"]);
  });

  it("that are none of the model's are refused with file and line, unnamed", () => {
    expect(() => labelValues(rows("yes", "SECRET"), space, "f.tsv")).toThrow(
      /^f\.tsv, line 3: the label is none of 0 to 1/,
    );
    expect(() => labelValues(rows(" yes"), space, "f.tsv")).toThrow(/line 2: .*; it has spaces around it$/);
    expect(() => labelValues(rows("2"), space, "f.tsv")).toThrow(/line 2/);
    expect(() => labelValues(rows("1.5"), space, "f.tsv")).toThrow(/line 2/);
    expect(() => labelValues(rows("yes"), { ...space, problem: "regression" }, "f.tsv")).toThrow(/not a number/);
  });
});

describe("tasks", () => {
  it.each([
    [
      "cola",
      "gj04\t1\t\tIt rains.\ngj04\t0\t*\tRains it.\n",
      [
        ["It rains.", undefined, "1"],
        ["Rains it.", undefined, "0"],
      ],
    ],
    [
      "mrpc",
      '\uFEFFQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\n1\t7\t8\tHe said "no\tShe said no\n',
      [['He said "no', "She said no", "1"]],
    ],
    [
      "stsb",
      "main\tMSR\t2012\t1\t5.000\tone\ttwo\nmain\tMSR\t2012\t2\t0.5\tthree\tfour\tsource\n",
      [
        ["one", "two", "5.000"],
        ["three", "four", "0.5"],
      ],
    ],
    ["rte", "index\tsentence1\tsentence2\tlabel\n0\tone\ttwo\tentailment\n", [["one", "two", "entailment"]]],
    ["qnli", "index\tquestion\tsentence\tlabel\n0\twho?\tyou\tnot_entailment\n", [["who?", "you", "not_entailment"]]],
    ["imdb", "label\tid\ttext\n0\t7\tbad\n", [["bad", undefined, "0"]]],
  ])("%s", async (task, content, expected) => {
    const rows = await readLabelled(await file(`${task}.tsv`, content), taskOf(task));
    expect(rows.map(({ text, pair, label }) => [text, pair, label])).toEqual(expected);
  });

  it("name their columns when a file lacks them, and the known ones when asked for another", async () => {
    const path = await file("wrong.tsv", "a\tb\tc\td\n1\t2\t3\t4\n");
    await expect(readLabelled(path, taskOf("rte"))).rejects.toThrow(
      /line 1: name the columns in a header: sentence1, sentence2, label/,
    );
    expect(() => taskOf("sst3")).toThrow(/use one of cola, sst2/);
  });
});

describe("metrics", () => {
  it("agreement and correlation", () => {
    expect(agreement([1, 0, 1, 1], [1, 1, 1, 0])).toBe(0.5);
    expect(() => agreement([], [])).toThrow(RangeError);
    expect(pearson([1, 2, 3], [2, 4, 6])).toBeCloseTo(1, 12);
    // By hand: covariance -1/3, deviations sqrt(2/3) and sqrt(14/9).
    expect(pearson([1, 2, 3], [3, 5, 2])).toBeCloseTo(-1 / 3 / Math.sqrt((2 / 3) * (14 / 9)), 12);
    expect(pearson([1, 1], [1, 2])).toBe(0);
  });

  it("ranks, F1 and Matthews, by hand", () => {
    expect(spearman([1, 2, 3, 4], [10, 100, 1000, 9999])).toBeCloseTo(1, 12);
    expect(spearman([1, 1, 2], [1, 2, 3])).toBeCloseTo(Math.sqrt(3) / 2, 12); // ranks ½, ½, 2
    const [predicted, labels] = [
      [1, 1, 1, 0, 0, 0],
      [1, 1, 0, 1, 0, 0],
    ];
    expect(f1(predicted, labels)).toBeCloseTo(4 / 6, 12);
    expect(matthews(predicted, labels)).toBeCloseTo((2 * 2 - 1 * 1) / 9, 12); // (tp·tn - fp·fn) / sqrt(3·3·3·3)
    expect(matthews([1, 1], [0, 1])).toBe(0);
    expect(f1([0], [0])).toBe(0);
  });

  it("are named, in order, over logits", () => {
    expect(
      measure(
        ["f1", "accuracy"],
        [
          [0, 1],
          [2, 1],
        ],
        [1, 1],
      ),
    ).toEqual({ f1: 2 / 3, accuracy: 0.5 });
    expect(measure(["pearson"], [[1], [3]], [2, 4])).toEqual({ pearson: 1 });
  });
});

describe("addresses", () => {
  it.each([
    ["127.0.0.1:7700", "127.0.0.1", 7700],
    [":80", "127.0.0.1", 80],
    ["80", "127.0.0.1", 80],
    ["[::1]:9", "::1", 9],
  ])("%s", (text, host, port) => expect(parseAddress(text)).toEqual({ host, port }));

  it.each(["host", "host:x", "host:70000", ""])("refuses %j", (text) =>
    expect(() => parseAddress(text)).toThrow(/is no address: write host:port/),
  );

  it("keeps plain text on this machine unless told", () => {
    const away = { host: "10.0.0.7", port: 1 };
    expect(() => checkPlaintext(away, { deadline: 1 })).toThrow(/not encrypted/);
    checkPlaintext(away, { deadline: 1, plaintext: true });
    checkPlaintext({ host: "::1", port: 1 }, { deadline: 1 });
  });
});
