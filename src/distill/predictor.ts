/** A model's answers to many texts at once, in the clear: how a student is measured while it is trained. */

import { classifier } from "../models/bert.ts";
import type { ModelSpec, TokenizedText, Weights } from "../program/spec.ts";
import { batchOf, inOrder } from "./batches.ts";
import { batchFeeds, FrozenFeeds, localTokens, TrainingGraph } from "./graph.ts";
import { Session, type SessionOptions } from "./session.ts";
import { TrainingOps } from "./training-ops.ts";

const BATCH_TOKENS = 2048;

/** Runs a model's program over batches. The weights may change between two calls. */
export class Predictor {
  readonly #session: Session;
  readonly #feeds: FrozenFeeds;
  readonly #spec: ModelSpec;

  private constructor(session: Session, feeds: FrozenFeeds, spec: ModelSpec) {
    this.#session = session;
    this.#feeds = feeds;
    this.#spec = spec;
  }

  static async open(spec: ModelSpec, weights: Weights, options: SessionOptions = {}): Promise<Predictor> {
    const graph = new TrainingGraph(false);
    const ops = new TrainingOps(graph.batch, graph.constants("", weights));
    const logits = classifier(ops, spec);
    graph.tape.graph.output("logits", logits.value.name, "float32", ["B", spec.labels]);
    const session = await Session.open(graph.tape.graph.encode(), options);
    return new Predictor(session, new FrozenFeeds(session, graph.frozen), spec);
  }

  /** The logits of every text, in the texts' order. */
  async logits(
    texts: readonly TokenizedText[],
    progress?: (done: number, total: number) => void,
  ): Promise<Float32Array[]> {
    const { labels } = this.#spec;
    const lengths = texts.map((text) => text.ids.length);
    const size = Math.max(1, Math.min(64, Math.floor(BATCH_TOKENS / Math.max(...lengths))));
    const out: Float32Array[] = new Array(texts.length);
    let done = 0;
    for (const selection of inOrder(lengths, size)) {
      const batch = batchOf(
        selection.map((i) => ({ text: texts[i], label: 0 })),
        this.#spec,
      );
      const local = localTokens([batch], this.#spec.vocabulary);
      const feeds = { ...batchFeeds(this.#session, batch, local.rows[0]), ...this.#feeds.of(local.tokens) };
      const logits = (await this.#session.results(feeds)).logits.data as Float32Array;
      selection.forEach((index, b) => {
        out[index] = logits.slice(b * labels, (b + 1) * labels);
      });
      done += selection.length;
      progress?.(done, texts.length);
    }
    return out;
  }

  async close(): Promise<void> {
    await this.#session.close();
  }
}
