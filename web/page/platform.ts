/** The page's platform: the kernels are a file beside its scripts, which is a third smaller on the wire than their bytes as text. */
import { browserPlatform } from "../../src/platform/browser.ts";
import type { Platform } from "../../src/platform/platform.ts";

export const platform: Platform = browserPlatform(async () => {
  const response = await fetch(new URL("../../src/ring/kernels.wasm", import.meta.url));
  if (!response.ok) throw new Error("the page's kernels could not be loaded: load the page again");
  return new Uint8Array(await response.arrayBuffer());
});
