/** The platform in browsers, and wherever there is no Node.js. */
import { KERNELS } from "./kernels-base64.mjs";
import type { Platform, Socket } from "./platform.ts";
import { gmac, newAead } from "./web-crypto.ts";

export const platform: Platform = {
  ctr: null,
  gmac,
  newAead,
  openSocket: (url) => new WebSocket(url) as unknown as Socket,
  readKernels: async (shared) => {
    if (shared) throw new Error("threads need Node.js: create the ring with one thread");
    return Uint8Array.from(atob(KERNELS), (character) => character.charCodeAt(0));
  },
  native: null,
  startThread: () => Promise.reject(new Error("threads need Node.js")),
  processorTime: () => 0,
  peakMemory: () => 0,
};
