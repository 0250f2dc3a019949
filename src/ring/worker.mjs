// One thread of a Ring's pool (threads.ts): waits for a kernel's name and numbers, runs it on the shared memory, says so.
import { parentPort, workerData } from "node:worker_threads";

const { module, memory, control, names, native } = workerData;
const state = new Int32Array(control, 0, 2);
const numbers = new Float64Array(control, 8);

const { exports } = new WebAssembly.Instance(module, {
  env: {
    memory,
    abort() {
      throw new Error("a kernel aborted: this is a fault of the program");
    },
  },
});
const kernels = { ...exports };
let attached = null;
if (native !== null) {
  const addon = { exports: {} };
  process.dlopen(addon, native);
  const { attach, ...own } = addon.exports;
  for (const [name, kernel] of Object.entries(own)) {
    kernels[name] = (...args) => {
      if (attached !== memory.buffer) {
        attached = memory.buffer;
        attach(new Uint8Array(attached));
      }
      kernel(...args);
    };
  }
}

// state[0]: 0 nothing yet, 1 there is work, 2 done, 3 failed. numbers: kernel, count, arguments.
parentPort.postMessage("ready");
for (;;) {
  for (let now = Atomics.load(state, 0); now !== 1; now = Atomics.load(state, 0)) Atomics.wait(state, 0, now);
  let end = 2;
  try {
    kernels[names[numbers[0]]](...numbers.subarray(2, 2 + numbers[1]));
  } catch {
    end = 3;
  }
  Atomics.store(state, 0, end);
  Atomics.notify(state, 0);
}
