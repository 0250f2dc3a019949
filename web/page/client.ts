/** The worker as the page calls it. */
import type { Call, Calls, FromWorker, Happening, ToWorker } from "./messages.ts";

interface Waiting {
  resolve(given: Calls[Call]["given"]): void;
  reject(error: Error): void;
  happened(happening: Happening): void;
}

export class WorkerClient {
  private readonly worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
  private readonly waiting = new Map<number, Waiting>();
  private count = 0;
  private fault: Error | null = null;
  private loaded: () => void = () => {};
  private readonly ready = new Promise<void>((resolve) => {
    this.loaded = resolve;
  });

  constructor() {
    this.worker.onmessage = ({ data }: MessageEvent<FromWorker>) => this.heard(data);
    this.worker.onerror = () => this.broken("this browser cannot run the page: it needs WebAssembly with SIMD");
  }

  /** @throws Error of one line for people. */
  call<C extends Call>(call: C, asked: Calls[C]["asked"], happened: (h: Happening) => void = () => {}) {
    return new Promise<Calls[C]["given"]>((resolve, reject) => {
      if (this.fault !== null) return reject(this.fault);
      const id = this.count++;
      this.waiting.set(id, { resolve: resolve as Waiting["resolve"], reject, happened });
      void this.ready.then(() => this.worker.postMessage({ id, call, asked } satisfies ToWorker));
    });
  }

  private heard(message: FromWorker): void {
    if ("ready" in message) return this.loaded();
    const waiting = this.waiting.get(message.id);
    if (waiting === undefined) return;
    if ("happening" in message) return waiting.happened(message.happening);
    this.waiting.delete(message.id);
    if ("error" in message) waiting.reject(new Error(message.error));
    else waiting.resolve(message.given);
  }

  private broken(why: string): void {
    this.fault = new Error(why);
    for (const { reject } of this.waiting.values()) reject(this.fault);
    this.waiting.clear();
  }
}
