// Markdown and source files to HTML: headings with anchors as GitHub makes them, tables and code that scroll on their own.
import hljs from "highlight.js/lib/core";
import bash from "highlight.js/lib/languages/bash";
import c from "highlight.js/lib/languages/c";
import dockerfile from "highlight.js/lib/languages/dockerfile";
import javascript from "highlight.js/lib/languages/javascript";
import json from "highlight.js/lib/languages/json";
import python from "highlight.js/lib/languages/python";
import typescript from "highlight.js/lib/languages/typescript";
import yaml from "highlight.js/lib/languages/yaml";
import MarkdownIt from "markdown-it";

for (const [name, language] of Object.entries({ bash, c, dockerfile, javascript, json, python, typescript, yaml }))
  hljs.registerLanguage(name, language);

const BY_ENDING = {
  ts: "typescript",
  mjs: "javascript",
  sh: "bash",
  py: "python",
  yml: "yaml",
  Dockerfile: "dockerfile",
};

/**
 * A page's HTML and its second-level headings. `link` turns the page's targets into the site's; `html`: typedoc's pages have
 * anchors of their own, as tags.
 */
export function render(text, link, html = false) {
  const markdown = new MarkdownIt({ html, highlight });
  const headings = [];
  markdown.core.ruler.push("anchors", (state) => addAnchors(state.tokens, headings));
  markdown.core.ruler.push("links", (state) => changeLinks(state.tokens, link));
  const { fence } = markdown.renderer.rules;
  markdown.renderer.rules.fence = (...args) => fence(...args).replace(/^<pre>/, '<pre tabindex="0">');
  markdown.renderer.rules.table_open = () =>
    '<div class="wide" tabindex="0" role="region" aria-label="Table"><table>\n';
  markdown.renderer.rules.table_close = () => "</table></div>\n";
  return { html: markdown.render(text), headings };
}

/** A file of the repository as a page. */
export function renderSource(path, text) {
  const { escapeHtml } = new MarkdownIt().utils;
  const code = highlight(text, path.split(/[./]/).at(-1)) || escapeHtml(text);
  return { html: `<h1>${escapeHtml(path)}</h1>\n<pre tabindex="0"><code>${code}</code></pre>\n`, headings: [] };
}

function highlight(code, name) {
  const language = BY_ENDING[name] ?? name;
  return hljs.getLanguage(language) === undefined ? "" : hljs.highlight(code, { language }).value;
}

function addAnchors(tokens, headings) {
  const taken = new Map();
  tokens.forEach((token, i) => {
    if (token.type !== "heading_open") return;
    const title = tokens[i + 1].children.map(({ content }) => content).join("");
    const slug = slugOf(title);
    const count = taken.get(slug) ?? 0;
    taken.set(slug, count + 1);
    const id = count === 0 ? slug : `${slug}-${count}`;
    token.attrSet("id", id);
    if (token.tag === "h2") headings.push({ id, title });
  });
}

/** As GitHub makes it. */
function slugOf(title) {
  return title
    .trim()
    .toLowerCase()
    .replace(/[^\p{L}\p{M}\p{N}\p{Pc}\- ]/gu, "")
    .replace(/ /g, "-");
}

function changeLinks(tokens, link) {
  for (const token of tokens) {
    for (const child of token.children ?? []) {
      if (child.type === "link_open") child.attrSet("href", link(child.attrGet("href")));
      if (child.type === "image") child.attrSet("src", link(child.attrGet("src")));
    }
  }
}
