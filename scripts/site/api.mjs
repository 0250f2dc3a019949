// The API's reference as Markdown, from the docstrings of what the package exports.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Application } from "typedoc";

const NAMES = { index: "API: mpcformer", training: "API: mpcformer/training" };

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
      logLevel: "Warn",
    });
    const project = await app.convert();
    if (project === undefined) throw new Error("the API's reference cannot be made");
    await app.generateOutputs(project);
    return new Map(
      Object.entries(NAMES).map(([name, title]) => [`api/${name}.md`, pageOf(join(out, `${name}.md`), title)]),
    );
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
}

/** One page of typedoc's, with a title that says what it is. */
function pageOf(path, title) {
  return readFileSync(path, "utf8").replace(/^# .*$/m, `# ${title}`);
}
