/** What the pages' tests would miss if they were wrong themselves. */
import { rm } from "node:fs/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { blocksOf } from "./blocks.ts";
import { missing } from "./output.ts";
import { runPage, sandbox } from "./page.ts";
import { compiled } from "./programs.ts";

let folder: string;
beforeAll(async () => {
  folder = await sandbox(async () => {});
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const fenced = (info: string, text: string) => `# Page\n\n\`\`\`${info}\n${text}\n\`\`\`\n`;

it.each(["", "sh", "console", "js", "text file", "yaml", "toml a.toml"])("refuses a block of kind %j", (info) => {
  expect(() => blocksOf(fenced(info, "x"), "page.md")).toThrow(/page\.md:3: a block .* is not run by any test/);
});

it("refuses an indented block", () => {
  expect(() => blocksOf("# Page\n\n    mpcformer demo\n", "page.md")).toThrow(/page\.md:3: fence this block/);
});

it("tells the page and the line of a command that fails, whatever follows it", async () => {
  const blocks = blocksOf(
    `${fenced("bash", "true")}\n${fenced("bash", "echo seen; false\necho not reached")}`,
    "page.md",
  );
  await expect(runPage("page.md", blocks, new Map(), folder)).rejects.toThrow(/^page\.md:9: code 1\nseen\n$/);
});

it("fails for a wrong option of the program", async () => {
  const blocks = blocksOf(fenced("bash", "mpcformer plan demo --length 16 --geul quad"), "page.md");
  await expect(runPage("page.md", blocks, new Map(), folder)).rejects.toThrow(/unknown option .--geul./);
});

it("refuses a program that does not type-check", () => {
  const [block] = blocksOf(fenced("ts", 'import { Ring } from "mpcformer";\nRing.craete();'), "page.md");
  expect(() => compiled([{ page: "page.md", block }], folder)).toThrow(/page\.md:5: .*craete/);
});

it.each<[string, string, string | null]>([
  ["label: negative", "label: positive\n", "label: negative"],
  ["label: positive\nscores: 1%", "label: positive\nscores: 99.5%\n", null],
  ["a 1 kB\nc", "a 22 MB\nb\nc\n", "c"],
  ["a\n...\nc", "a\nb\nc\n", null],
  ["c\na", "a\nb\nc\n", "a"],
  ["key: 00ffaa00ff", "key: 1234567890abcdef\n", null],
])("of what is shown, %j, finds in %j what was not printed: %j", (shown, printed, expected) => {
  expect(missing(shown, printed)).toBe(expected);
});
