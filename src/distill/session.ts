/** onnxruntime, which runs the graphs. An optional package: only training needs it. */

import type { InferenceSession, Tensor } from "onnxruntime-node";

type Runtime = typeof import("onnxruntime-node");

/** Where graphs run. CUDA and WebGPU need a machine (and a build of onnxruntime-node) that has them. */
export const PROVIDERS = ["cpu", "cuda", "webgpu"] as const;
type Provider = (typeof PROVIDERS)[number];

export interface SessionOptions {
  /** Threads of the CPU; all cores unless told. The same number gives the same results, bit for bit. */
  readonly threads?: number;
  readonly provider?: Provider;
}

/** Tensors by their names in the graph. */
export type Tensors = Readonly<Record<string, Tensor>>;

/** @throws an Error of one line that says what to install. */
async function runtime(): Promise<Runtime> {
  try {
    return await import("onnxruntime-node");
  } catch (cause) {
    const why = "training needs onnxruntime: ONNXRUNTIME_NODE_INSTALL=skip npm install onnxruntime-node";
    throw new Error(why, { cause });
  }
}

/** A graph ready to run, and the makers of its tensors. Host memory is used as it is, without copies. */
export class Session {
  readonly #runtime: Runtime;
  readonly #session: InferenceSession;

  private constructor(ort: Runtime, session: InferenceSession) {
    this.#runtime = ort;
    this.#session = session;
  }

  /** @throws an Error when the provider is not available here, or a graph is not valid. */
  static async open(graph: Uint8Array, options: SessionOptions = {}): Promise<Session> {
    const ort = await runtime();
    const session = await ort.InferenceSession.create(graph, {
      executionProviders: [options.provider ?? "cpu"],
      graphOptimizationLevel: "all",
      // Patterns keep a plan of memory for every shape ever seen; batches come in many.
      enableMemPattern: false,
      logSeverityLevel: 3,
      ...(options.threads === undefined ? {} : { intraOpNumThreads: options.threads }),
    });
    return new Session(ort, session);
  }

  /** Wraps numbers: writing to `data` later changes the tensor. */
  floats(data: Float32Array, shape: readonly number[]): Tensor {
    return new this.#runtime.Tensor("float32", data, shape);
  }

  integers(data: BigInt64Array, shape: readonly number[]): Tensor {
    return new this.#runtime.Tensor("int64", data, shape);
  }

  /** Runs once; `into` gives outputs their memory, which may be that of inputs where the graph reads those before. */
  async run(feeds: Tensors, into: Tensors): Promise<void> {
    await this.#session.run(feeds, into);
  }

  /** Runs once, outputs in memory of their own. */
  async results(feeds: Tensors): Promise<Tensors> {
    return await this.#session.run(feeds);
  }

  async close(): Promise<void> {
    await this.#session.release();
  }
}
