/** `doctor`: what this machine runs on. */
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { availableParallelism, totalmem } from "node:os";
import type { Command } from "commander";
import { platform } from "#platform";
import { NATIVE_LEVELS, nativeUrl } from "../../platform/native.ts";
import { Prg, randomKey } from "../../ring/prg.ts";
import { Ring } from "../../ring/ring.ts";
import { type OutputOptions, output } from "../options.ts";
import { print, printJson } from "../terminal.ts";

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

export function addDoctor(program: Command): void {
  output(program.command("doctor").description("what this machine runs: versions, kernels, speed of one core")).action(
    doctor,
  );
}

/** Prints what runs here, and how fast. */
async function doctor(options: OutputOptions): Promise<void> {
  const found: Diagnosis = {
    node: process.version,
    cores: availableParallelism(),
    memory_gb: Math.round(totalmem() / 2 ** 30),
    kernels: platform.native?.level ?? "wasm",
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
  const packed = ring.products.packWeights(
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
    words: best(() => ring.products.matmul(out, a, b, m, k, n)),
    weights: best(() => ring.products.matmulNarrow(out, a, packed, m)),
  };
}
