// The documentation as a static site: README.md, docs/, the shipped models' cards and the API's reference. No JavaScript in it,
// relative links alone: it is read from a folder as well as from a server, under any path.
//
//   node scripts/build-site.mjs [--out site]
//
// docs/site.json is its navigation. A page that is only linked becomes a page too; a file of the repository that is linked is shown
// as its source. A link to nothing ends the build.
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, extname, join, posix } from "node:path";
import { parseArgs } from "node:util";
import { apiPages } from "./site/api.mjs";
import { render, renderSource } from "./site/markdown.mjs";
import { pageHtml } from "./site/template.mjs";

const { values } = parseArgs({ options: { out: { type: "string", default: "site" } } });
const { out } = values;
const IMAGES = new Set([".svg", ".png"]);
const OUTSIDE = /^(?:[a-z]+:|#)/i;

const site = JSON.parse(readFileSync("docs/site.json", "utf8"));
const generated = await apiPages();
const navigation = site.sections.map(({ title, pages }) => ({
  title,
  pages: pages.map((path) => ({ path, url: urlOf(path), title: titleOf(textOf(path)) })),
}));

/** Where a path of the repository lies in the site. */
function urlOf(path) {
  if (path === "README.md") return "index.html";
  if (path.startsWith("api/")) return path.replace(/\.md$/, ".html");
  const own = path.replace(/^docs\//, "");
  if (path.endsWith(".md")) return own.replace(/\.md$/, ".html");
  return IMAGES.has(extname(path)) ? own : `source/${path}.html`;
}

function textOf(path) {
  const text = generated.get(path);
  if (text !== undefined) return text;
  if (!existsSync(path)) throw new Error(`${path} is in docs/site.json, and not in the repository`);
  return readFileSync(path, "utf8");
}

function titleOf(text) {
  return /^# (.+)$/m.exec(text)?.[1].replace(/`/g, "") ?? "";
}

function write(url, content) {
  const path = join(out, url);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
}

const queue = navigation.flatMap((section) => section.pages.map(({ path }) => path));
const seen = new Set(queue);

/** The link as it is written in a page: to a page, an image or a source, all of which then become part of the site. */
function linkFrom(page) {
  return (href) => {
    if (OUTSIDE.test(href)) return href;
    const [target, anchor] = href.split("#");
    const path = posix.normalize(posix.join(posix.dirname(page), target)).replace(/\/$/, "");
    if (!generated.has(path) && !existsSync(path)) throw new Error(`${page}: a link leads to nothing: ${href}`);
    if (!seen.has(path)) {
      seen.add(path);
      queue.push(path);
    }
    const url = posix.relative(posix.dirname(urlOf(page)), urlOf(path));
    return anchor === undefined ? url : `${url}#${anchor}`;
  };
}

function build(path) {
  const url = urlOf(path);
  if (IMAGES.has(extname(path))) {
    mkdirSync(dirname(join(out, url)), { recursive: true });
    cpSync(path, join(out, url));
    return;
  }
  const link = linkFrom(path);
  const isPage = path.endsWith(".md");
  const { html, headings } = isPage ? render(textOf(path), link, generated.has(path)) : sourceOf(path, link);
  const title = isPage ? titleOf(textOf(path)) : path;
  write(url, pageHtml({ site: site.title, title, url, html, headings, navigation }));
}

function sourceOf(path, link) {
  if (!statSync(path).isDirectory()) return renderSource(path, readFileSync(path, "utf8"));
  const list = readdirSync(path).map((name) => `- [${name}](${name})`);
  return render(`# ${path}\n\n${list.join("\n")}\n`, (href) => link(`${posix.basename(path)}/${href}`));
}

rmSync(out, { recursive: true, force: true });
while (queue.length > 0) build(queue.shift());
cpSync("scripts/site/style.css", join(out, "style.css"));
console.log(`${seen.size} pages and files in ${out}/: open ${join(out, "index.html")}`);
