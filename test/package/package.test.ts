/** The package as others get it: what is in it, its doors for Node and browsers, and the five lines. */
import { execFile } from "node:child_process";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { type Analysis, checkPackage, createPackageFromTarballData } from "@arethetypeswrong/core";
import { build as buildByEsbuild } from "esbuild";
import { publint } from "publint";
import { build as buildByVite } from "vite";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { blocksOf } from "../docs/blocks.ts";
import { layFiles } from "../docs/files.ts";
import { runPage } from "../docs/page.ts";
import { type Installed, install } from "./installed.ts";

const run = promisify(execFile);

let installed: Installed;
let folder = "";
beforeAll(async () => {
  installed = await install();
  folder = installed.folder;
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe("the package", () => {
  it("is small and has what it promises", async () => {
    const { tarball, files } = installed;
    expect(tarball.length).toBeLessThan(6e6);
    const { exports, bin } = JSON.parse(await readFile("package.json", "utf8")) as {
      exports: Record<string, unknown>;
      bin: Record<string, string>;
    };
    const named = JSON.stringify([exports, bin]).match(/dist\/[^"]+/g)!;
    for (const path of [...named, "dist/web/index.html", "dist/web/console.html", "dist/ring/kernels.wasm"])
      expect(files).toContain(path);
    expect(files.filter((path) => /(^|\/)(test|src|shared|node_modules|bench)\//.test(path))).toEqual([]);
    // Maps would name sources that are not in it.
    expect(files.filter((path) => path.endsWith(".map"))).toEqual([]);
  });

  it("has nothing that publint finds wrong", async () => {
    const { messages } = await publint({ pack: { tarball: installed.tarball.buffer }, strict: true });
    expect(messages).toEqual([]);
  });

  it("has types that every way of importing finds", async () => {
    const { tarball } = installed;
    const result = (await checkPackage(createPackageFromTarballData(tarball))) as Analysis;
    expect(result.types).toEqual({ kind: "included" });
    // The oldest way of resolving knows no `exports`; and require() of a module works since Node.js 20.19.
    const problems = result.problems.filter(
      (problem) => !("resolutionKind" in problem && ["node10", "node16-cjs"].includes(problem.resolutionKind)),
    );
    expect(problems).toEqual([]);
  });

  it("needs no script at its installation", async () => {
    const { scripts } = JSON.parse(await readFile("package.json", "utf8")) as { scripts: Record<string, string> };
    for (const name of ["preinstall", "install", "postinstall"]) expect(scripts).not.toHaveProperty(name);
  });
});

describe("the package's doors", () => {
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

  describe.each(["vite", "esbuild"] as const)("bundled for browsers by %s, without an option", (bundler) => {
    let files: Bundle = [];
    beforeAll(async () => {
      const page = join(folder, `${bundler}.js`);
      await writeFile(page, 'export { connect, Ring } from "mpcformer";');
      files = bundler === "vite" ? await bundledByVite(page, folder) : await bundledByEsbuild(page);
    });

    it("has no module of Node's, nothing but scripts, and little code", () => {
      const code = files.map((file) => file.code).join("\n");
      expect(code.match(/["'`](node:[a-z_/]+|ws|[^"'`\s]+\.wasm)["'`]/g)).toBeNull();
      expect(code).not.toContain("import.meta");
      expect(code).not.toContain("commander");
      // Vite leaves the white space of a library's module.
      expect(Buffer.byteLength(code)).toBeLessThan(bundler === "vite" ? 600_000 : 470_000);
    });

    it("computes", async () => {
      const place = join(folder, `${bundler}-bundle`);
      await mkdir(place);
      await writeFile(join(place, "package.json"), '{ "type": "module" }');
      for (const { name, code } of files) await writeFile(join(place, name), code);
      const { Ring } = (await import(
        pathToFileURL(join(place, files[0].name)).href
      )) as typeof import("../../src/browser.ts");
      const ring = await Ring.create();
      const [a, b] = [ring.alloc(2), ring.alloc(2)];
      a.i32().set([1, 2, 3, 4]);
      ring.add(b, a, a);
      expect([...b.i32()]).toEqual([2, 4, 6, 8]);
      await expect(Ring.create({ threads: 2 })).rejects.toThrow("threads need Node.js");
    });
  });

  it("needs none of the packages that only some users need", async () => {
    const main = join(folder, "node_modules", "mpcformer", "dist", "cli", "main.js");
    // Whatever lies in folders above is not found through an empty one.
    await mkdir(join(folder, "node_modules", "d3-scale"));
    const svg = join(folder, "bench.svg");
    const options = ["--length", "8", "--runs", "1", "--json", "--svg", svg];
    const { stdout, stderr } = await run(process.execPath, [main, "bench", "bert-tiny", ...options]);
    expect(JSON.parse(stdout)).toMatchObject({ model: "bert-tiny" });
    expect(stderr).toContain(`${svg} is not drawn: npm install d3-scale d3-shape`);
    const { dependencies } = JSON.parse(await readFile("package.json", "utf8")) as { dependencies: object };
    for (const name of ["d3-scale", "d3-shape", "prom-client", "@redis/client", "onnxruntime-node"])
      expect(dependencies).not.toHaveProperty(name);
  });

  it("opens by require() as by import", async () => {
    await writeFile(
      join(folder, "required.cjs"),
      `for (const door of ["mpcformer", "mpcformer/browser", "mpcformer/training"])
        if (Object.keys(require(door)).length === 0) throw new Error(door);`,
    );
    await run(process.execPath, [join(folder, "required.cjs")]);
  });

  it("serve, classify, chat and embed by the README's commands, from the packed file alone", {
    timeout: 600_000,
  }, async () => {
    const own = join(folder, "fresh");
    await mkdir(own);
    await layFiles(own);
    const blocks = blocksOf(await readFile("README.md", "utf8"), "README.md");
    const [block] = blocks.filter(({ kind, text }) => kind === "commands" && text.includes("--profile"));
    expect(block.text.trim().split("\n").length).toBeLessThanOrEqual(12);
    const main = join(folder, "node_modules", "mpcformer", "dist", "cli", "main.js");
    const { printed } = await runPage("README.md", [block], new Map(), own, main);
    const told = printed.get(block)!;
    expect(told).toContain("label: positive");
    // The embedder's vector.
    expect(told).toMatch(/^\[-?\d+\.\d+(e-?\d+)?,/m);
    for (const name of ["service", "chat", "embedder"])
      expect(JSON.parse(await readFile(join(own, `${name}.json`), "utf8"))).toHaveProperty("server.model");
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

/** What a bundler made: the file of the entry, then those that it loads when they are needed. */
type Bundle = readonly { readonly name: string; readonly code: string }[];

async function bundledByVite(page: string, root: string): Promise<Bundle> {
  const bundled = await buildByVite({
    root,
    configFile: false,
    logLevel: "silent",
    build: { write: false, lib: { entry: page, formats: ["es"] }, minify: true },
  });
  const [{ output }] = bundled as { output: { fileName: string; code?: string }[] }[];
  expect(output.filter(({ code }) => code === undefined)).toEqual([]);
  return output.map(({ fileName, code }) => ({ name: fileName, code: code! }));
}

async function bundledByEsbuild(page: string): Promise<Bundle> {
  const { outputFiles, warnings } = await buildByEsbuild({
    entryPoints: [page],
    bundle: true,
    platform: "browser",
    format: "esm",
    minify: true,
    write: false,
  });
  expect(warnings).toEqual([]);
  return [{ name: "bundle.js", code: outputFiles[0].text }];
}
