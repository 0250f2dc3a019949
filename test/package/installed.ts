/** The package as somebody else has it: packed, unpacked elsewhere, with its dependencies and nothing else beside it. */
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rename, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

export interface Installed {
  /** The project that has it in its node_modules. */
  readonly folder: string;
  /** The packed file. */
  readonly tarball: Uint8Array<ArrayBuffer>;
  /** Paths within the package. */
  readonly files: readonly string[];
}

/** Packs what is built here. */
export async function install(): Promise<Installed> {
  const folder = await mkdtemp(join(tmpdir(), "mpcformer-package-"));
  const modules = join(folder, "node_modules");
  await mkdir(modules);
  const options = ["--json", "--ignore-scripts", "--pack-destination", folder];
  const { stdout } = await run("npm", ["pack", ...options], { maxBuffer: 1 << 26 });
  const [{ filename, files }] = JSON.parse(stdout) as [{ filename: string; files: readonly { path: string }[] }];
  await run("tar", ["-xzf", join(folder, filename), "-C", folder]);
  await rename(join(folder, "package"), join(modules, "mpcformer"));
  const { dependencies } = JSON.parse(await readFile("package.json", "utf8")) as {
    dependencies: Record<string, string>;
  };
  for (const name of Object.keys(dependencies)) {
    await mkdir(dirname(join(modules, name)), { recursive: true });
    await symlink(resolve("node_modules", name), join(modules, name));
  }
  const tarball = new Uint8Array(await readFile(join(folder, filename)));
  return { folder, tarball, files: files.map(({ path }) => path) };
}
