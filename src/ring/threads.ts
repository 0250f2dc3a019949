/**
 * Threads that run kernels on one shared memory beside the caller. A batch is a few calls of one kernel on parts of the
 * same tensors; the caller runs one part itself and returns when all are done.
 */
import { platform } from "#platform";
import { InternalError } from "../errors.ts";
import type { Kernels } from "./kernels.ts";
import type { Memory } from "./memory.ts";

type Kernel = keyof Kernels;

/** Kernels that are run in parts. */
const NAMES = ["matmul", "matmulNarrow"] as const satisfies readonly Kernel[];
export type ParallelKernel = (typeof NAMES)[number];

/** A thread's state: 0 before its first work, 2 behind work well done. */
const [WORK, FAILED] = [1, 3];
/** Numbers that a call may have. */
const MOST_NUMBERS = 16;
/** How often a finished caller looks before it sleeps: waking costs tens of microseconds. */
const SPINS = 2000;

interface Thread {
  readonly state: Int32Array;
  readonly numbers: Float64Array;
}

export class Threads {
  /** The caller's included. */
  readonly count: number;
  private readonly threads: readonly Thread[];

  private constructor(threads: readonly Thread[]) {
    this.threads = threads;
    this.count = threads.length + 1;
  }

  /**
   * `count` - 1 threads beside the caller; they end with the process. Resolves when all wait for work.
   * @throws Error when a thread cannot begin.
   */
  static async start(count: number, memory: Memory, module: WebAssembly.Module): Promise<Threads> {
    const native = platform.native?.file ?? null;
    const started = Array.from({ length: count - 1 }, async () => {
      const control = new SharedArrayBuffer(8 + 8 * (2 + MOST_NUMBERS));
      await platform.startThread({ module, memory: memory.wasm, control, names: NAMES, native });
      return { state: new Int32Array(control, 0, 2), numbers: new Float64Array(control, 8) };
    });
    return new Threads(await Promise.all(started));
  }

  /** Runs `kernel` once for each list of numbers, at most `count` of them, at the same time. */
  run(kernels: Kernels, kernel: ParallelKernel, calls: readonly (readonly number[])[]): void {
    const [own, ...others] = calls;
    others.forEach((numbers, i) => {
      const thread = this.threads[i];
      thread.numbers.set([NAMES.indexOf(kernel), numbers.length, ...numbers]);
      Atomics.store(thread.state, 0, WORK);
      Atomics.notify(thread.state, 0);
    });
    (kernels[kernel] as (...numbers: number[]) => void)(...own);
    for (let i = 0; i < others.length; i++) this.join(this.threads[i]);
  }

  private join({ state }: Thread): void {
    for (let spin = 0; spin < SPINS && Atomics.load(state, 0) === WORK; spin++);
    while (Atomics.load(state, 0) === WORK) Atomics.wait(state, 0, WORK);
    if (Atomics.load(state, 0) === FAILED)
      throw new InternalError("a kernel failed in a thread: this is a fault of the program");
  }
}
