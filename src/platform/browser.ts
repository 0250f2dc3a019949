/** What all browsers' platforms have in common, and wherever there is no Node.js; the kernels' bytes come as whoever bundles has them. */
import type { Platform, Socket } from "./platform.ts";
import { gmac, newAead } from "./web-crypto.ts";

/** A platform of one thread, with the kernels that `read` gives. */
export function browserPlatform(read: () => Promise<Uint8Array<ArrayBuffer>>): Platform {
  return {
    ctr: null,
    gmac,
    newAead,
    openSocket: (url) => new WebSocket(url) as unknown as Socket,
    readKernels: async (shared) => {
      if (shared) throw new Error("threads need Node.js: create the ring with one thread");
      return read();
    },
    native: null,
    startThread: () => Promise.reject(new Error("threads need Node.js")),
    processorTime: () => 0,
    peakMemory: () => 0,
  };
}
