/** The built site: every link and anchor leads somewhere, it can be searched, and it asks nothing of any other host. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
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
    if (!entry.name.endsWith(".html") || entry.name === "404.html") continue;
    const path = join(entry.parentPath, entry.name);
    pages.set(relative(out, path), readFileSync(path, "utf8"));
  }
}, 900_000);
afterAll(() => rmSync(out, { recursive: true, force: true }));

const all = (html: string, pattern: RegExp) => [...html.matchAll(pattern)].map(([, found]) => decoded(found));
const decoded = (text: string) => decodeURI(text.replace(/&amp;/g, "&"));
const idsOf = (html: string) => all(html, / id="([^"]+)"/g);

/** What a page names that is not there. */
function broken(path: string, html: string): string[] {
  return all(html, / (?:href|src)="([^"]*)"/g).filter((target) => {
    // Small pictures stand in the page itself.
    if (/^(?:https?|mailto|data):/.test(target)) return false;
    const [file, anchor] = target.split("#");
    const from = file === "" ? path : file.startsWith("/") ? file.slice(1) : join(dirname(path), file);
    const at = [from, join(from, "index.html"), `${from}.html`].map((name) => resolve(out, name));
    const found = at.find((name) => existsSync(name) && statSync(name).isFile());
    if (found === undefined) return true;
    const page = pages.get(relative(out, found));
    return anchor !== undefined && anchor !== "" && page !== undefined && !idsOf(page).includes(anchor);
  });
}

it("has a landing page, every guide, and the API by topic, beginning with connect", () => {
  const guides = readdirSync(join(ROOT, "docs", "guide")).map((name) => `guide/${name.replace(/\.md$/, ".html")}`);
  expect([...pages.keys()]).toEqual(expect.arrayContaining(["index.html", "overview.html", ...guides]));
  const side = pages.get("overview.html")!;
  for (const guide of guides) expect(all(side, / href="([^"]+)"/g)).toContain(`/${guide}`);
  const headings = all(pages.get("api/ask.html")!, /<h2 id="([^"]+)"/g);
  expect(headings.slice(0, 1)).toEqual(["connect"]);
  expect(headings).toContain("client");
  expect(pages.get("api/training.html")).toContain("distillationStages");
});

it("can be searched without a server, and its code copied", () => {
  const scripts = readdirSync(join(out, "assets"), { recursive: true, encoding: "utf8" });
  expect(scripts.some((name) => name.includes("localSearchIndex"))).toBe(true);
  expect(pages.get("guide/tour.html")).toContain('class="copy"');
});

it("has no link or anchor that leads nowhere", () => {
  const faults = [...pages].flatMap(([path, html]) => broken(path, html).map((target) => `${path}: ${target}`));
  expect(faults).toEqual([]);
});

describe("every page", () => {
  it("has a language, a title of its own, one heading of the first level, and pictures with words", () => {
    const titles = new Set<string>();
    for (const [path, html] of pages) {
      expect(html, path).toMatch(/<html lang="en"/);
      const [title] = all(html, /<title>([^<]+)<\/title>/g);
      expect(title?.length, path).toBeGreaterThan(3);
      titles.add(title);
      expect(html.match(/<h1[ >]/g)?.length, path).toBe(1);
      expect(html, path).not.toMatch(/<img(?![^>]* alt="[^"]{10,}")/);
    }
    expect(titles.size).toBe(pages.size);
  });

  it("asks nothing of any other host", () => {
    for (const [path, html] of pages)
      expect(all(html, /<(?:script|link|img)[^>]* (?:src|href)="(https?:[^"]*)"/g), path).toEqual([]);
    for (const name of readdirSync(out, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".css")))
      expect(readFileSync(join(out, name), "utf8"), name).not.toMatch(/url\(["']?https?:/);
  });
});
