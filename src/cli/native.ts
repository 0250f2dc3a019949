/** `build-native` compiles the native kernels on this machine; `doctor` says what this machine runs on. */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, rename, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { availableParallelism, totalmem } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { NATIVE_LEVELS, nativeLevel, nativeUrl } from "../ring/native.ts";
import { Prg, randomKey } from "../ring/prg.ts";
import { Ring } from "../ring/ring.ts";
import { note, print, printJson, UsageError } from "./terminal.ts";

const SOURCE = fileURLToPath(new URL("../../native/kernels.c", import.meta.url));
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

/** Compiles the kernels for every level that this kind of processor has. @throws UsageError without compiler or headers. */
export async function buildNative(options: { readonly cc: string; readonly json?: boolean }): Promise<void> {
  if (process.arch !== "x64") throw new UsageError("native kernels exist for x64 alone: WebAssembly does it here");
  const headers = nodeHeaders();
  const built: string[] = [];
  for (const level of NATIVE_LEVELS) {
    const target = fileURLToPath(nativeUrl(level));
    await mkdir(dirname(target), { recursive: true });
    const partial = `${target}.partial`;
    const wide = level === "x86-64-v4" ? ["-mprefer-vector-width=512"] : [];
    const shared = process.platform === "darwin" ? ["-bundle", "-undefined", "dynamic_lookup"] : ["-shared"];
    const args = [...FLAGS, `-march=${level}`, ...wide, ...shared, `-I${headers}`, SOURCE, "-o", partial, "-lm"];
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
  if (found === undefined) throw new UsageError("Node's headers are not here: npm install node-api-headers");
  return found;
}

function compiled(cc: string, args: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(cc, args, { stdio: ["ignore", "ignore", "pipe"] });
    let said = "";
    child.stderr.on("data", (chunk: Buffer) => {
      said += chunk.toString();
    });
    child.on("error", () =>
      reject(new UsageError(`no C compiler "${cc}" here: install gcc or clang, or name one by --cc`)),
    );
    child.on("close", (code) => {
      if (code === 0) resolve();
      else
        reject(
          new UsageError(`${cc} failed: ${said.split("\n").find((line) => line.includes("error")) ?? `exit ${code}`}`),
        );
    });
  });
}

interface Diagnosis {
  readonly node: string;
  readonly cores: number;
  readonly memory_gb: number;
  /** "wasm", or the instruction set of the native kernels. */
  readonly kernels: string;
  readonly built: readonly string[];
  /** Billions of multiplications and additions a second on one core: 64×64 bits, and 64 bits × weights. */
  readonly gmacs: { readonly words: number; readonly weights: number };
  readonly training: boolean;
}

/** Prints what runs here, and how fast. */
export async function doctor(options: { readonly json?: boolean }): Promise<void> {
  const found: Diagnosis = {
    node: process.version,
    cores: availableParallelism(),
    memory_gb: Math.round(totalmem() / 2 ** 30),
    kernels: nativeLevel ?? "wasm",
    built: NATIVE_LEVELS.filter((level) => existsSync(nativeUrl(level))),
    gmacs: await speed(),
    training: canTrain(),
  };
  if (options.json) return printJson(found);
  const advice =
    found.built.length === 0 && process.arch === "x64" ? " (mpcformer build-native makes faster ones)" : "";
  print(`Node.js ${found.node}, ${found.cores} cores, ${found.memory_gb} GB`);
  print(`kernels: ${found.kernels === "wasm" ? "WebAssembly" : `native, ${found.kernels}`}${advice}`);
  print(`one core: ${found.gmacs.words.toFixed(1)} GMAC/s on words, ${found.gmacs.weights.toFixed(1)} on weights`);
  print(`training: ${found.training ? "onnxruntime-node is here" : "npm install onnxruntime-node for it"}`);
}

function canTrain(): boolean {
  try {
    createRequire(import.meta.url).resolve("onnxruntime-node");
    return true;
  } catch {
    return false;
  }
}

/** Best of a few products of BERT-base's size. */
async function speed(): Promise<{ words: number; weights: number }> {
  const ring = await Ring.create();
  const [m, k, n] = [128, 768, 768];
  const [a, b, out] = [m * k, k * n, m * n].map((size) => ring.alloc(size));
  const prg = new Prg(randomKey());
  prg.words(ring, a, 0, 0);
  prg.words(ring, b, 0, 1);
  const packed = ring.packWeights(
    Int16Array.from({ length: k * n }, (_, i) => ((i * 7919) % 8191) - 4095),
    k,
    n,
  );
  const best = (product: () => void) => {
    let seconds = Number.POSITIVE_INFINITY;
    for (let i = 0; i < 8; i++) {
      const started = performance.now();
      product();
      seconds = Math.min(seconds, (performance.now() - started) / 1000);
    }
    return (m * k * n) / seconds / 1e9;
  };
  return {
    words: best(() => ring.matmul(out, a, b, m, k, n)),
    weights: best(() => ring.matmulNarrow(out, a, packed, m)),
  };
}
