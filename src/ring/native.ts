/**
 * The native kernels of this processor, where they were built (`mpcformer build-native`): faster twins of the WebAssembly
 * ones on the same memory, bit for bit. A plain install has none and needs none.
 */
import type { Kernels } from "./kernels.ts";
import type { Memory } from "./memory.ts";

/** Instruction sets that native kernels are built for, the widest first; each refuses to load on a lesser processor. */
export const NATIVE_LEVELS = ["x86-64-v4", "x86-64-v3"] as const;
export type NativeLevel = (typeof NATIVE_LEVELS)[number];

/** `attach` says which memory the pointers of the calls that follow lie in. */
export type NativeModule = Partial<Kernels> & { attach(memory: Uint8Array): void };

interface Native {
  readonly level: NativeLevel;
  readonly kernels: NativeModule;
}

/** What MPCFORMER_KERNELS may hold: "wasm" leaves the native kernels aside, a level takes that one alone. */
const CHOICE = typeof process === "undefined" ? undefined : process.env?.MPCFORMER_KERNELS;

/** Not `import.meta.url` in its place: bundlers would take the files along, which Node alone can load. */
const HERE = import.meta.url;

/** Where one level's kernels are, or would be. */
export function nativeUrl(level: NativeLevel): URL {
  return new URL(`../../native/build/kernels-${level}.node`, HERE);
}

const native: Native | null = await findNative();

/** The file of the native kernels in use, for threads to load as well. */
export async function nativeFile(): Promise<string | null> {
  if (native === null) return null;
  return (await import(/* @vite-ignore */ /* webpackIgnore: true */ "node:url")).fileURLToPath(nativeUrl(native.level));
}

/** The instruction set of the native kernels in use; null where WebAssembly does it all. */
export const nativeLevel: NativeLevel | null = native?.level ?? null;

async function findNative(): Promise<Native | null> {
  if (CHOICE === "wasm" || typeof process === "undefined" || process.versions?.node === undefined) return null;
  const { existsSync } = await import(/* @vite-ignore */ /* webpackIgnore: true */ "node:fs");
  for (const level of NATIVE_LEVELS) {
    if (CHOICE !== undefined && CHOICE !== "" && CHOICE !== "native" && CHOICE !== level) continue;
    const url = nativeUrl(level);
    if (url.protocol !== "file:" || !existsSync(url)) continue;
    try {
      return { level, kernels: await loadLevel(level) };
    } catch {
      // Built for another processor or Node: the next, or WebAssembly.
    }
  }
  if (CHOICE !== undefined && CHOICE !== "")
    throw new Error(`MPCFORMER_KERNELS=${CHOICE}, but those kernels are not here: run "mpcformer build-native"`);
  return null;
}

/** @throws Error when they are not built, or this processor lacks their instructions. */
export async function loadLevel(level: NativeLevel): Promise<NativeModule> {
  const { fileURLToPath } = await import(/* @vite-ignore */ /* webpackIgnore: true */ "node:url");
  const module = { exports: {} };
  process.dlopen(module, fileURLToPath(nativeUrl(level)));
  return module.exports as NativeModule;
}

let attached: ArrayBufferLike | null = null;

/** `kernels`, with the native ones in place of those that exist natively. */
export function withNative(kernels: Kernels, memory: Memory): Kernels {
  if (native === null) return kernels;
  const { attach, ...own } = native.kernels;
  const both: Record<string, unknown> = { ...kernels };
  for (const [name, kernel] of Object.entries(own) as [string, (...numbers: number[]) => number][]) {
    both[name] = (...numbers: number[]) => {
      const { buffer } = memory.wasm;
      if (attached !== buffer) {
        attach(new Uint8Array(buffer)); // Another memory, or it has grown and moved.
        attached = buffer;
      }
      return kernel(...numbers);
    };
  }
  return both as unknown as Kernels;
}
