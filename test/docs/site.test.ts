/** The built site: every link and anchor leads somewhere, every page can be read by whoever comes, however. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const out = mkdtempSync(join(tmpdir(), "site-"));
/** By path in the site. */
const pages = new Map<string, string>();

beforeAll(() => {
  execFileSync(process.execPath, ["scripts/build-site.mjs", "--out", out], { cwd: ROOT, stdio: "pipe" });
  for (const entry of readdirSync(out, { recursive: true, withFileTypes: true })) {
    if (!entry.name.endsWith(".html")) continue;
    const path = join(entry.parentPath, entry.name);
    pages.set(relative(out, path), readFileSync(path, "utf8"));
  }
}, 300_000);
afterAll(() => rmSync(out, { recursive: true, force: true }));

const all = (html: string, pattern: RegExp) => [...html.matchAll(pattern)].map(([, found]) => decoded(found));
const decoded = (text: string) => decodeURI(text.replace(/&amp;/g, "&"));
const idsOf = (html: string) => all(html, / id="([^"]+)"/g);

/** What a page names that is not there. */
function broken(path: string, html: string): string[] {
  return all(html, / (?:href|src)="([^"]*)"/g).filter((target) => {
    if (/^(?:https?|mailto):/.test(target)) return false;
    const [file, anchor] = target.split("#");
    const at = file === "" ? join(out, path) : resolve(out, dirname(path), file);
    if (relative(out, at).startsWith("..") || target.startsWith("/") || !existsSync(at)) return true;
    return anchor !== undefined && !idsOf(readFileSync(at, "utf8")).includes(anchor);
  });
}

it("has every guide, and all of it within reach of the first page", () => {
  const guides = readdirSync(join(ROOT, "docs", "guide")).map((name) => `guide/${name.replace(/\.md$/, ".html")}`);
  const contents = pages.get("index.html")!.split('<nav id="contents"')[1];
  for (const guide of guides) expect(all(contents, / href="([^"]+)"/g)).toContain(guide);
  expect(pages.get("api/index.html")).toContain("simulateText");
  expect(pages.get("api/training.html")).toContain("distillationStages");
});

it("has no link or anchor that leads nowhere", () => {
  const faults = [...pages].flatMap(([path, html]) => broken(path, html).map((target) => `${path}: ${target}`));
  expect(faults).toEqual([]);
});

describe("every page", () => {
  it("has a language, a title of its own and one heading of the first level", () => {
    const titles = new Set<string>();
    for (const [path, html] of pages) {
      expect(html, path).toMatch(/^<!doctype html>\n<html lang="en">/);
      const [title] = all(html, /<title>([^<]+)<\/title>/g);
      expect(title?.length, path).toBeGreaterThan(3);
      titles.add(title);
      expect(html.match(/<h1[ >]/g)?.length, path).toBe(1);
    }
    expect(titles.size).toBe(pages.size);
  });

  it("has landmarks, ids that are given once, pictures with words, and no script", () => {
    for (const [path, html] of pages) {
      for (const landmark of ["<header>", "<main ", '<nav id="contents" class="pages" aria-label="'])
        expect(html, path).toContain(landmark);
      const ids = idsOf(html);
      expect(new Set(ids).size, path).toBe(ids.length);
      expect(html, path).not.toMatch(/<img(?![^>]* alt="[^"]{10,}")/);
      expect(html, path).not.toMatch(/<script| on[a-z]+="/);
      expect(html, path).toContain('name="viewport" content="width=device-width');
    }
  });

  it("asks nothing of any other host", () => {
    for (const [path, html] of pages)
      expect(all(html, / (?:src|rel="stylesheet" href)="(https?:[^"]*)"/g), path).toEqual([]);
    expect(readFileSync(join(out, "style.css"), "utf8")).not.toMatch(/@import|url\(/);
  });
});

it("contrasts enough in the light and in the dark (WCAG: 4.5 to 1)", () => {
  const css = readFileSync(join(out, "style.css"), "utf8");
  const themes = all(css, /:root \{([^}]*)\}/g).map((body) => new Map(all2(body, /--(\w+): (#\w{6})/g)));
  expect(themes).toHaveLength(2);
  for (const colours of themes) {
    for (const ink of ["ink", "soft", "link", "key", "string", "number"]) {
      for (const paper of ["paper", "code"]) {
        expect(contrast(colours.get(ink)!, colours.get(paper)!), `${ink} on ${paper}`).toBeGreaterThan(4.5);
      }
    }
  }
});

function all2(text: string, pattern: RegExp): [string, string][] {
  return [...text.matchAll(pattern)].map(([, name, value]) => [name, value]);
}

/** The ratio of relative luminances. */
function contrast(a: string, b: string): number {
  const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (high + 0.05) / (low + 0.05);
}

function luminance(colour: string): number {
  const [r, g, b] = [1, 3, 5].map((at) => {
    const x = Number.parseInt(colour.slice(at, at + 2), 16) / 255;
    return x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
