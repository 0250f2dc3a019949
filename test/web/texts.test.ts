/** The page's files of texts: each text as it stands, and the line where it stands. */
import { expect, it } from "vitest";
import { csvParts, textsOf } from "../../web/page/texts.ts";

it("a text keeps its line and its spaces; blank lines are none, and are counted", async () => {
  const texts = await textsOf(new Blob(["\ufeffa film\r\n\n  \n b \nc"]));
  expect(texts).toEqual([
    { line: 1, text: "a film" },
    { line: 4, text: " b " },
    { line: 5, text: "c" },
  ]);
  const rows = csvParts(texts, [undefined, { line: 1, error: "too long" }], ["no", "yes"]);
  expect(rows.slice(1)).toEqual(["1,a film,,,,not asked\r\n", "4, b ,,,,too long\r\n", "5,c,,,,not asked\r\n"]);
});

it("a file without texts is refused", async () => {
  await expect(textsOf(new Blob(["\n \n"]))).rejects.toThrow(/has no texts/);
});
