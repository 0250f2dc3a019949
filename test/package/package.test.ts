/** The package as others get it: what is in it, its doors for Node and browsers, and the five lines. */
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { build } from "vite";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const run = promisify(execFile);

interface Packed {
  readonly size: number;
  readonly files: readonly { readonly path: string; readonly size: number }[];
}

async function packed(): Promise<Packed> {
  const { stdout } = await run("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"]);
  return (JSON.parse(stdout) as [Packed])[0];
}

describe("npm pack", () => {
  it("is small and has what it promises", async () => {
    const { size, files } = await packed();
    const paths = files.map(({ path }) => path);
    expect(size).toBeLessThan(6e6);
    const { exports, bin } = JSON.parse(await readFile("package.json", "utf8")) as {
      exports: Record<string, unknown>;
      bin: Record<string, string>;
    };
    const named = JSON.stringify([exports, bin]).match(/dist\/[^"]+/g)!;
    for (const path of [...named, "dist/web/index.html", "dist/web/console.html", "dist/ring/kernels.wasm"])
      expect(paths).toContain(path);
    expect(paths.filter((path) => /(^|\/)(test|src|shared|node_modules|bench)\//.test(path))).toEqual([]);
  });

  it("needs no script at its installation", async () => {
    const { scripts } = JSON.parse(await readFile("package.json", "utf8")) as { scripts: Record<string, string> };
    for (const name of ["preinstall", "install", "postinstall"]) expect(scripts).not.toHaveProperty(name);
  });
});

describe("the package's doors", () => {
  let folder = "";
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "mpcformer-package-"));
    await mkdir(join(folder, "node_modules"));
    await symlink(resolve("."), join(folder, "node_modules", "mpcformer"));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it("have types and code for every name", async () => {
    await writeFile(
      join(folder, "doors.mjs"),
      `for (const door of ["mpcformer", "mpcformer/browser", "mpcformer/training"]) {
        const names = Object.keys(await import(door));
        if (names.length === 0) throw new Error(door);
      }`,
    );
    await run(process.execPath, [join(folder, "doors.mjs")]);
  });

  it("bundle for browsers without Node's modules", async () => {
    await writeFile(join(folder, "page.js"), 'import { connect } from "mpcformer"; globalThis.connect = connect;');
    const bundled = await build({
      root: folder,
      configFile: false,
      logLevel: "silent",
      build: { write: false, rolldownOptions: { input: join(folder, "page.js") } },
    });
    const { output } = bundled as { output: { type: string; fileName: string; code?: string }[] };
    const code = output.map((file) => file.code ?? "").join("\n");
    // Behind guards, where only Node comes.
    const left = [...code.matchAll(/(from|import)\s*["'(][^"')]*["'`](node:[a-z_/]+|ws)["'`]/g)].map(
      ([match]) => match,
    );
    expect(left.filter((match) => !match.startsWith("import"))).toEqual([]);
    expect(output.some(({ fileName }) => fileName.endsWith(".wasm"))).toBe(true);
    expect(code).not.toContain("commander");
    expect(Buffer.byteLength(code)).toBeLessThan(400_000);
  });

  it("compile in five typed lines", async () => {
    const program = `import { connect } from "mpcformer";
const client = await connect({ server: { url: "tcp://127.0.0.1:7700" }, dealer: { url: "tcp://127.0.0.1:7701" } });
const { label, scores } = await client.classify("a gripping film");
console.log(label satisfies string | undefined, scores satisfies readonly number[] | undefined);
await client.close();
`;
    await writeFile(join(folder, "five.mts"), program);
    const checks = "--strict --noEmit --module nodenext --target es2022 --skipLibCheck --types node --typeRoots".split(
      " ",
    );
    const options = [...checks, resolve("node_modules/@types")];
    const tsc = resolve("node_modules/typescript/bin/tsc");
    const { stdout } = await run(process.execPath, [tsc, ...options, "five.mts"], { cwd: folder }).catch(
      (error) => error,
    );
    expect(stdout).toBe("");
  });
});
