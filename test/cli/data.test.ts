import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readLabelled, readTexts } from "../../src/cli/data.ts";
import { agreement, pearson } from "../../src/cli/metrics.ts";
import { checkPlaintext, parseAddress } from "../../src/cli/network.ts";

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
    ["sst2.tsv", "sentence\tlabel\na fine film \t1\nbad\t0\n"],
    ["bare.tsv", "a fine film\t1\r\nbad\t0"],
    ["swapped.tsv", "label\tid\tsentence\n1\t7\ta fine film\n0\t8\tbad\n"],
    ["texts.csv", 'text,label\na fine film,1\n"bad",0\n'],
    ["texts.jsonl", '{"text": "a fine film", "label": 1}\n{"sentence": "bad", "label": "0"}\n'],
  ])("%s", async (name, content) => {
    const rows = await readLabelled(await file(name, content));
    expect(rows.map((r) => [r.text, r.label])).toEqual([
      ["a fine film", 1],
      ["bad", 0],
    ]);
  });

  it("reads pairs, quotes, commas and line ends inside quotes, and knows the lines", async () => {
    const rows = await readLabelled(
      await file("pairs.csv", 'sentence1,sentence2,score\n"one, ""two""\nthree",four,2.5\nfive,six,-1\n'),
    );
    expect(rows).toEqual([
      { text: 'one, "two"\nthree', pair: "four", label: 2.5, line: 2 },
      { text: "five", pair: "six", label: -1, line: 4 },
    ]);
    expect((await readLabelled(join(dir, "pairs.csv"), 1)).length).toBe(1);
  });

  it.each([
    ["label.tsv", "sentence\tlabel\nSECRET\t1\nSECRET\tpositive\n", /label\.tsv, line 3: the label is not a number/],
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
    expect(await readTexts(await file("texts.txt", "one\n\n two \n"))).toEqual(["one", "two"]);
    await expect(readTexts(await file("nothing.txt", "\n \n"))).rejects.toThrow(/has no texts/);
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
    expect(() => checkPlaintext(away, { deadline: "1" })).toThrow(/not encrypted/);
    checkPlaintext(away, { deadline: "1", plaintext: true });
    checkPlaintext({ host: "::1", port: 1 }, { deadline: "1" });
  });
});
