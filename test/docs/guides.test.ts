/**
 * Every command and code block of README.md and of docs/guide, run as a reader would run it. What differs is in rules.ts. A new
 * page is found by itself; a block of an unknown kind fails.
 */
import { readdirSync, readFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { NO_REDIS } from "../parties/redis.ts";
import { type Block, blocksOf } from "./blocks.ts";
import { layFiles } from "./files.ts";
import { missing } from "./output.ts";
import { runPage, sandbox } from "./page.ts";
import { compiled } from "./programs.ts";
import { LEFT_OUT, REPLACED, SCALED } from "./rules.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const GUIDES = join(ROOT, "docs", "guide");
const pages = ["README.md", ...readdirSync(GUIDES).map((name) => `docs/guide/${name}`)]
  .filter((page) => page.endsWith(".md"))
  .map((page) => ({ page, blocks: blocksOf(readFileSync(join(ROOT, page), "utf8"), page) }));

/** Where a program is missing that a page needs, its blocks are left out: those that name it. */
const runnable = (block: Block) => NO_REDIS === undefined || !/redis/.test(block.text);
if (NO_REDIS !== undefined) console.warn(`blocks with Redis are not run: ${NO_REDIS}`);

let programs: Map<Block, string>;
const folders: string[] = [];
const opened = async () => {
  const folder = await sandbox(layFiles);
  folders.push(folder);
  return folder;
};
beforeAll(async () => {
  const all = pages.flatMap(({ page, blocks }) => blocks.map((block) => ({ page, block })));
  programs = compiled(
    all.filter(({ block }) => block.kind === "program"),
    await opened(),
  );
});
afterAll(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true }))));

const used = new Set<string>();

/** Pages run side by side, so many at once: most of a page is waiting. */
const free = [0, 1];
const queue: (() => void)[] = [];
async function inTurn<T>(work: () => Promise<T>): Promise<T> {
  if (free.pop() === undefined) await new Promise<void>((go) => queue.push(go));
  try {
    return await work();
  } finally {
    const next = queue.shift();
    if (next === undefined) free.push(0);
    else next();
  }
}

describe.concurrent.each(pages)("$page", { timeout: 600_000 }, ({ page, blocks }) => {
  it("runs", async ({ expect }) => {
    const wanted = blocks.filter(runnable);
    const outcome = await inTurn(async () => runPage(page, wanted, programs, await opened()));
    for (const rule of outcome.used) used.add(rule);
    let before: Block | undefined;
    for (const block of wanted) {
      if (block.kind === "output") {
        const printed = outcome.printed.get(before!) ?? "";
        expect(missing(block.text, printed), `${page}:${block.line} shows what was not printed:\n${printed}`).toBe(
          null,
        );
      } else if (block.kind !== "excerpt") before = block;
    }
  });

  it("quotes files as they are", ({ expect }) => {
    for (const { kind, path, text, line } of blocks) {
      if (kind === "excerpt") expect(readFileSync(join(ROOT, path), "utf8"), `${page}:${line}`).toContain(text);
    }
  });
});

it.skipIf(NO_REDIS !== undefined)("every rule is needed by some page", () => {
  const rules = [...REPLACED, ...LEFT_OUT].map(({ pattern }) => String(pattern));
  expect([...rules, ...Object.keys(SCALED)].filter((rule) => !used.has(rule))).toEqual([]);
});
