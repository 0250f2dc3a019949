/** `build-native`: the native kernels, compiled on this machine. */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, rename, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Command } from "commander";
import { LEVEL_FLAGS, NATIVE_LEVELS, nativeSource, nativeUrl } from "../../platform/native.ts";
import { Failure } from "../failure.ts";
import { type OutputOptions, output } from "../options.ts";
import { note, printJson } from "../terminal.ts";

/** No contraction of products and sums: every rounding must be WebAssembly's. */
const FLAGS = [
  "-O3",
  "-std=gnu11",
  "-ffp-contract=off",
  "-fno-math-errno",
  "-fno-trapping-math",
  "-fPIC",
  "-Wno-psabi",
];

export function addBuildNative(program: Command): void {
  const command = program
    .command("build-native")
    .description(
      "compile faster kernels for this machine's processor, with its C compiler; without them WebAssembly does it",
    )
    .option("--cc <command>", "the C compiler", process.env.CC ?? "cc");
  output(command).action(buildNative);
}

/** Compiles the kernels for every level that this kind of processor has. @throws UsageError without compiler or headers. */
async function buildNative(options: OutputOptions & { readonly cc: string }): Promise<void> {
  if (process.arch !== "x64") throw new Failure("native kernels exist for x64 alone: WebAssembly does it here");
  const headers = nodeHeaders();
  const built: string[] = [];
  for (const level of NATIVE_LEVELS) {
    const target = fileURLToPath(nativeUrl(level));
    await mkdir(dirname(target), { recursive: true });
    const partial = `${target}.partial`;
    const shared = process.platform === "darwin" ? ["-bundle", "-undefined", "dynamic_lookup"] : ["-shared"];
    const args = [
      ...FLAGS,
      ...LEVEL_FLAGS[level],
      ...shared,
      `-I${headers}`,
      fileURLToPath(nativeSource),
      "-o",
      partial,
      "-lm",
    ];
    try {
      await compiled(options.cc, args);
      // A process that has the old one loaded keeps it.
      await rename(partial, target);
    } finally {
      await rm(partial, { force: true });
    }
    built.push(level);
    if (!options.json) note(`built for ${level}`);
  }
  if (options.json) printJson({ built });
}

function nodeHeaders(): string {
  const require = createRequire(import.meta.url);
  const candidates = [
    join(dirname(process.execPath), "..", "include", "node"),
    "/usr/include/node",
    "/usr/include/nodejs/src",
  ];
  try {
    candidates.push(join(dirname(require.resolve("node-api-headers/package.json")), "include"));
  } catch {
    // Not installed: Node's own are the usual ones.
  }
  const found = candidates.find((folder) => existsSync(join(folder, "node_api.h")));
  if (found === undefined) throw new Failure("Node's headers are not here: npm install node-api-headers");
  return found;
}

function compiled(cc: string, args: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(cc, args, { stdio: ["ignore", "ignore", "pipe"] });
    let said = "";
    child.stderr.on("data", (chunk: Buffer) => {
      said += chunk.toString();
    });
    child.on("error", (cause) =>
      reject(new Failure(`no C compiler "${cc}" here: install gcc or clang, or name one by --cc`, { cause })),
    );
    child.on("close", (code) => {
      if (code === 0) resolve();
      else
        reject(
          new Failure(`${cc} failed: ${said.split("\n").find((line) => line.includes("error")) ?? `exit ${code}`}`),
        );
    });
  });
}
