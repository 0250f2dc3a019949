/** Every link, anchor and source file that a document names is there. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { expect, it } from "vitest";

const documents = [
  ...readdirSync(".").filter((name) => name.endsWith(".md")),
  ...["docs", "examples", "assets"].flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".md"))
      .map((name) => join(folder, name)),
  ),
].filter((path) => path !== "CHANGELOG.md");

const sources = ["src", "test", "web", "scripts", "bench", "studies", "examples"].flatMap((folder) =>
  readdirSync(folder, { recursive: true, encoding: "utf8" }).map((name) => join(folder, name)),
);
const withoutBlocks = (text: string) => text.replace(/^```.*?^```/gms, "");

/** As GitHub and VitePress make them of headings. */
const anchorOf = (heading: string) =>
  heading
    .toLowerCase()
    .replace(/[`*]|\[([^\]]*)\]\([^)]*\)/g, "$1")
    .replace(/[^\p{L}\p{N}\s_-]/gu, "")
    .trim()
    .replace(/\s/g, "-");

it.each(documents)("%s links to what is there", (path) => {
  const text = withoutBlocks(readFileSync(path, "utf8"));
  const links = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target);
  const broken = links.filter((target) => {
    if (/^(https?|mailto):/.test(target)) return false;
    const [file, anchor] = target.split("#");
    const at = file === "" ? path : resolve(dirname(path), file);
    if (!existsSync(at)) return true;
    if (anchor === undefined) return false;
    const headings = [...withoutBlocks(readFileSync(at, "utf8")).matchAll(/^#+ (.+)$/gm)].map(([, heading]) => heading);
    return !headings.map(anchorOf).includes(anchor);
  });
  expect(broken).toEqual([]);
});

it.each(documents)("%s names source files that exist", (path) => {
  const text = withoutBlocks(readFileSync(path, "utf8"));
  const named = [...text.matchAll(/`([\w./-]+\.(?:ts|tsx|mjs|py|yaml))`/g)].map(([, file]) => file);
  const missing = named.filter(
    (file) => !existsSync(file) && !sources.some((source) => source === file || source.endsWith(`/${file}`)),
  );
  expect(missing).toEqual([]);
});
