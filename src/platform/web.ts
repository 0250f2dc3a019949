/** The platform in browsers, and wherever there is no Node.js. */
import { browserPlatform } from "./browser.ts";
import { KERNELS } from "./kernels-base64.mjs";
import type { Platform } from "./platform.ts";

export const platform: Platform = browserPlatform(async () =>
  Uint8Array.from(atob(KERNELS), (character) => character.charCodeAt(0)),
);
