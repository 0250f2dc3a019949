// The documentation as a static site by VitePress: README.md, docs/, the examples, the shipped models' cards and the API's reference.
//
//   node scripts/build-site.mjs [--out site]        SITE_BASE=/path/ where it is served under a path
//
// docs/site.json is its navigation. A page that is only linked becomes a page too; a file of the repository that is linked is shown
// as its source. A link to nothing ends the build, here or in VitePress.
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, extname, join, posix, resolve } from "node:path";
import { parseArgs } from "node:util";
import { build } from "vitepress";
import { apiPages } from "./site/api.mjs";

const { values } = parseArgs({ options: { out: { type: "string", default: "site" } } });
/** Within the repository, so that VitePress finds its modules. */
const STAGE = ".site";
const IMAGES = new Set([".svg", ".png"]);
const OUTSIDE = /^(?:[a-z]+:|#)/i;
const NAMES = { "README.md": "overview.md", "CHANGELOG.md": "changelog.md" };

const site = JSON.parse(readFileSync("docs/site.json", "utf8"));
const generated = await apiPages();

/** Where a path of the repository lies in the site. */
function placeOf(path) {
  if (path in NAMES) return NAMES[path];
  if (generated.has(path)) return path;
  const own = path.replace(/^docs\//, "");
  if (path.endsWith(".md"))
    return own.replace(/(^|\/)README\.md$/, "$1index.md").replace(/^[A-Z]+\.md$/, (name) => name.toLowerCase());
  // VitePress takes an .html at the end of an address away.
  return IMAGES.has(extname(path)) ? own : `source/${path.replace(/\.html$/, "-html")}.md`;
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

const queue = site.sections.flatMap(({ pages }) => pages);
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
    const url = posix.relative(posix.dirname(placeOf(page)), placeOf(path));
    const local = url.startsWith(".") ? url : `./${url}`;
    return anchor === undefined ? local : `${local}#${anchor}`;
  };
}

/** Changes a page's links, those of its blocks of code left alone. */
function relinked(text, link) {
  return text
    .split(/^(```.*?^```$)/ms)
    .map((part) => (part.startsWith("```") ? part : part.replace(/\]\(([^)\s]+)\)/g, (_, href) => `](${link(href)})`)))
    .join("");
}

function sourceOf(path, link) {
  if (statSync(path).isDirectory()) {
    const list = readdirSync(path).map((name) => `- [${name}](${link(`${posix.basename(path)}/${name}`)})`);
    return `# ${path}\n\n${list.join("\n")}\n`;
  }
  const language = {
    ".mjs": "js",
    ".ts": "ts",
    ".py": "py",
    ".json": "json",
    ".yaml": "yaml",
    ".js": "js",
    ".html": "html",
  };
  return `# ${path}\n\n\`\`\`\`\`${language[extname(path)] ?? "txt"}\n${readFileSync(path, "utf8")}\n\`\`\`\`\`\n`;
}

function stage(path) {
  const place = join(STAGE, placeOf(path));
  mkdirSync(dirname(place), { recursive: true });
  if (IMAGES.has(extname(path))) return cpSync(path, place);
  const link = linkFrom(path);
  writeFileSync(place, path.endsWith(".md") ? relinked(textOf(path), link) : sourceOf(path, link));
}

rmSync(STAGE, { recursive: true, force: true });
while (queue.length > 0) stage(queue.shift());
const navigation = site.sections.map(({ title, pages }) => ({
  text: title,
  items: pages.map((path) => ({ text: titleOf(textOf(path)), link: `/${placeOf(path).replace(/(index)?\.md$/, "")}` })),
}));
mkdirSync(join(STAGE, ".vitepress"), { recursive: true });
writeFileSync(join(STAGE, ".vitepress", "navigation.json"), JSON.stringify({ title: site.title, navigation }));
cpSync("scripts/site/config.mjs", join(STAGE, ".vitepress", "config.mjs"));
cpSync("docs/home.md", join(STAGE, "index.md"));
await build(STAGE, { outDir: resolve(values.out) });
rmSync(STAGE, { recursive: true, force: true });
console.log(`${seen.size} pages and files in ${values.out}/: npx vite preview --outDir ${values.out}`);
