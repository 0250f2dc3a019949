// One page of the site.

import { posix } from "node:path";
import MarkdownIt from "markdown-it";

const { escapeHtml } = new MarkdownIt().utils;
/** Fewer headings than this need no list. */
const FEWEST_LISTED = 4;

export function pageHtml({ site, title, url, html, headings, navigation }) {
  const to = (target) => posix.relative(posix.dirname(url), target);
  const name = title === site ? site : `${title} · ${site}`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escapeHtml(name)}</title>
<link rel="stylesheet" href="${to("style.css")}">
</head>
<body>
<header><a class="home" href="${to("index.html")}">${escapeHtml(site)}</a> <a class="menu" href="#contents">All pages</a></header>
<main id="page-text">
${withContents(html, headings)}</main>
<nav id="contents" class="pages" aria-label="All pages">
${navigation.map((section) => sectionHtml(section, url, to)).join("\n")}
</nav>
</body>
</html>
`;
}

function sectionHtml({ title, pages }, url, to) {
  const items = pages.map((page) => {
    const current = page.url === url ? ' aria-current="page"' : "";
    return `<li><a href="${to(page.url)}"${current}>${escapeHtml(page.title)}</a></li>`;
  });
  return `<p>${escapeHtml(title)}</p>\n<ul>\n${items.join("\n")}\n</ul>`;
}

/** The page with a list of its parts behind its title. */
function withContents(html, headings) {
  if (headings.length < FEWEST_LISTED) return html;
  const items = headings.map(({ id, title }) => `<li><a href="#${id}">${escapeHtml(title)}</a></li>`);
  const list = `<nav class="parts" aria-label="On this page"><ul>\n${items.join("\n")}\n</ul></nav>\n`;
  const at = html.indexOf("</h1>") + "</h1>\n".length;
  return html.slice(0, at) + list + html.slice(at);
}
