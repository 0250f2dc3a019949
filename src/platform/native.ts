/**
 * Finds the native kernels of this processor, where they were built (`mpcformer build-native`): faster twins of the WebAssembly
 * ones on the same memory, bit for bit. A plain install has none and needs none. Node.js only.
 */
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { NativeKernels, NativeModule } from "./platform.ts";

/** Instruction sets that native kernels are built for, the widest first; each refuses to load on a lesser processor. */
export const NATIVE_LEVELS = ["x86-64-v4-ifma", "x86-64-v4", "x86-64-v3"] as const;
export type NativeLevel = (typeof NATIVE_LEVELS)[number];

/** What the compiler is told of each level's processors. IFMA: products of 52-bit integers, and wide AES (Ice Lake, Zen 4 and later). */
export const LEVEL_FLAGS: Readonly<Record<NativeLevel, readonly string[]>> = {
  "x86-64-v4-ifma": ["-march=x86-64-v4", "-mavx512ifma", "-maes", "-mvaes", "-mprefer-vector-width=512"],
  "x86-64-v4": ["-march=x86-64-v4", "-maes", "-mprefer-vector-width=512"],
  "x86-64-v3": ["-march=x86-64-v3", "-maes"],
};

/** Their source. */
export const nativeSource = new URL("../../native/kernels.c", import.meta.url);

/** Where one level's kernels are, or would be. */
export function nativeUrl(level: NativeLevel): URL {
  return new URL(`../../native/build/kernels-${level}.node`, import.meta.url);
}

/** @throws Error when they are not built, or this processor lacks their instructions. */
export function loadLevel(level: NativeLevel): NativeModule {
  const module = { exports: {} };
  process.dlopen(module, fileURLToPath(nativeUrl(level)));
  return module.exports as NativeModule;
}

/**
 * The widest level that is built and runs here. The variable MPCFORMER_KERNELS chooses: "wasm" none, "native" any, a level that one alone.
 * @throws Error when that choice is not there.
 */
export function findNative(): NativeKernels | null {
  const choice = process.env.MPCFORMER_KERNELS ?? "";
  if (choice === "wasm") return null;
  for (const level of NATIVE_LEVELS) {
    if (choice !== "" && choice !== "native" && choice !== level) continue;
    const url = nativeUrl(level);
    if (!existsSync(url)) continue;
    try {
      return { level, module: loadLevel(level), file: fileURLToPath(url) };
    } catch {
      // Built for another processor or Node: the next, or WebAssembly.
    }
  }
  if (choice !== "")
    throw new Error(`MPCFORMER_KERNELS=${choice}, but those kernels are not here: run "mpcformer build-native"`);
  return null;
}
