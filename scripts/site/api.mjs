// The API's reference as Markdown by topic, from the docstrings of what the package exports.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, posix } from "node:path";
import { Application } from "typedoc";
import { TOPICS } from "./topics.mjs";

/** By path, the pages' text. */
export async function apiPages() {
  const out = mkdtempSync(join(tmpdir(), "api-"));
  try {
    const app = await Application.bootstrapWithPlugins({
      plugin: ["typedoc-plugin-markdown"],
      entryPoints: ["src/index.ts", "src/training.ts"],
      tsconfig: "tsconfig.build.json",
      out,
      router: "module",
      readme: "none",
      excludePrivate: true,
      excludeExternals: true,
      disableSources: true,
      hideBreadcrumbs: true,
      hidePageHeader: true,
      hideGroupHeadings: true,
      parametersFormat: "table",
      interfacePropertiesFormat: "table",
      classPropertiesFormat: "table",
      typeDeclarationFormat: "table",
      // `npm run typecheck` does it.
      skipErrorChecking: true,
      validation: { notExported: false, invalidLink: true, notDocumented: false },
      logLevel: "Error",
    });
    const project = await app.convert();
    if (project === undefined) throw new Error("the API's reference cannot be made");
    await app.generateOutputs(project);
    return new Map([...byTopic(bodyOf(out, "index"), bodyOf(out, "training"))]);
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
}

/** A module's page without its title, and without the anchors that typedoc writes as tags into tables. */
function bodyOf(out, name) {
  return readFileSync(join(out, `${name}.md`), "utf8")
    .replace(/^# .*$/m, "")
    .replace(/<a id="[^"]*"><\/a> ?/g, "");
}

/** One page a topic, and one of training; links between names lead to the page that has them, those to members are left out. */
function byTopic(body, training) {
  const sections = body
    .split(/^(?=## )/m)
    .filter((section) => section.startsWith("## "))
    .map((text) => {
      const heading = /^## (.*)$/m.exec(text)[1].replaceAll("`", "");
      return { name: /(\w+)(\(\))?$/.exec(heading)[1], anchor: slugOf(heading), text };
    });
  const topicOf = ({ name }) => TOPICS.find(({ names }) => names.includes(name)) ?? TOPICS.at(-1);
  const home = new Map(sections.map((section) => [section.anchor, topicOf(section).path]));
  const pages = TOPICS.map(({ path, title, about, names }) => {
    const placeOf = ({ name }) => (names.indexOf(name) + names.length + 1) % (names.length + 1);
    const own = sections.filter((section) => topicOf(section).path === path).sort((a, b) => placeOf(a) - placeOf(b));
    const text = own.map((section) => section.text).join("\n");
    return [path, `# ${title}\n\n${about}\n\n${relinked(text, path, home)}`];
  });
  return [...pages, ["api/training.md", `# API: training\n\n${relinked(training, "api/training.md", home)}`]];
}

function relinked(text, path, home) {
  return text.replace(/\[([^\]]*)\]\((?:index\.md)?#([^)]+)\)/g, (_, words, anchor) => {
    const target = home.get(anchor);
    if (target === undefined) return words;
    return `[${words}](${target === path ? "" : posix.basename(target)}#${anchor})`;
  });
}

/** As VitePress makes it of the headings that there are. */
function slugOf(heading) {
  return heading.toLowerCase().replace(/[()]/g, "").replace(/ /g, "-");
}
