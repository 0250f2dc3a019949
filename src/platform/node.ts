/** The platform in Node.js (and Deno and Bun, which have Node's modules). */
import { createCipheriv, createDecipheriv } from "node:crypto";
import { readFile } from "node:fs/promises";
import { Worker } from "node:worker_threads";
import { WebSocket } from "ws";
import { findNative } from "./native.ts";
import type { CtrCipher, Gmac, NewAead, Platform, Socket } from "./platform.ts";

/** Larger pieces leave the cache, smaller ones pay for the call (measured: 6 GB/s at 64 kB, 2 to 3 at 2 MB). */
const CHUNK = 1 << 16;
const ZEROS = new Uint8Array(CHUNK);
const TAG_BYTES = 16;

const ctr: CtrCipher = (key, counter, target) => {
  const cipher = createCipheriv("aes-128-ctr", key, counter);
  for (let at = 0; at < target.length; at += CHUNK) {
    target.set(cipher.update(ZEROS.subarray(0, Math.min(CHUNK, target.length - at))), at);
  }
};

const gmacOfParts: Gmac = (key, iv, parts) => {
  const cipher = createCipheriv("aes-128-gcm", key, iv);
  for (const part of parts) if (part.length > 0) cipher.setAAD(part);
  cipher.final();
  return cipher.getAuthTag();
};

/** Deno 2.9 fills each part up to a block: there parts are joined first, which copies them. */
const gmac: Gmac = joinsParts()
  ? gmacOfParts
  : (key, iv, parts) => gmacOfParts(key, iv, parts.length === 1 ? parts : [Buffer.concat(parts)]);

/** Whether the tag of two parts is that of the whole. */
function joinsParts(): boolean {
  const [key, iv, whole] = [new Uint8Array(TAG_BYTES), new Uint8Array(12), new Uint8Array(3)];
  const [one, two] = [[whole], [whole.subarray(0, 1), whole.subarray(1)]].map((parts) => gmacOfParts(key, iv, parts));
  return Buffer.compare(one, two) === 0;
}

const newAead: NewAead = async (key) => ({
  seal(iv, content) {
    const cipher = createCipheriv("aes-256-gcm", key, iv);
    return new Uint8Array(Buffer.concat([cipher.update(content), cipher.final(), cipher.getAuthTag()]));
  },
  open(iv, record) {
    const decipher = createDecipheriv("aes-256-gcm", key, iv, { authTagLength: TAG_BYTES });
    decipher.setAuthTag(record.subarray(-TAG_BYTES));
    const content = decipher.update(record.subarray(0, -TAG_BYTES));
    decipher.final();
    return content;
  },
});

export const platform: Platform = {
  ctr,
  gmac,
  newAead,
  // Node's own, where it has one (22 and later).
  openSocket: (url) => new (globalThis.WebSocket ?? WebSocket)(url) as unknown as Socket,
  readKernels: async (shared) => {
    const file = shared ? "../ring/kernels-shared.wasm" : "../ring/kernels.wasm";
    return new Uint8Array(await readFile(new URL(file, import.meta.url)));
  },
  native: findNative(),
  startThread(workerData) {
    const worker = new Worker(new URL("../ring/worker.mjs", import.meta.url), { workerData });
    return new Promise((resolve, reject) => {
      worker.once("error", reject);
      worker.once("message", () => {
        worker.unref();
        resolve();
      });
    });
  },
  processorTime() {
    const { user, system } = process.cpuUsage();
    return user + system;
  },
  peakMemory: () => process.resourceUsage().maxRSS * 1024,
};
