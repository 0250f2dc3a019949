/** A model's answers to many texts at once, in the clear: how a student is measured while it is trained. */

import { logitsOf } from "../models/model.ts";
import { answersEachToken, type ModelSpec, type TokenizedText, type Weights } from "../program/spec.ts";
import { batchOf, inOrder } from "./batches.ts";
import { batchFeeds, FrozenFeeds, localTokens, TrainingGraph } from "./graph.ts";
import { logLikelihoods } from "./losses.ts";
import { Session, type SessionOptions } from "./session.ts";
import { TrainingOps } from "./training-ops.ts";
import { tiedParameters } from "./weights.ts";

const BATCH_TOKENS = 2048;

type Told = (done: number, total: number) => void;

/** Runs a model's program over batches. The weights may change between two calls. */
export class Predictor {
  readonly #runner: BatchRunner;
  private constructor(runner: BatchRunner) {
    this.#runner = runner;
  }

  static async open(spec: ModelSpec, weights: Weights, options: SessionOptions = {}): Promise<Predictor> {
    return new Predictor(await BatchRunner.open(spec, weights, options, (_, logits) => logits));
  }

  /** The logits of every text, in the texts' order; where tokens are judged those of all its tokens, one row behind the other. */
  logits(texts: readonly TokenizedText[], progress?: Told): Promise<Float32Array[]> {
    const rows = this.#runner.byToken ? (text: TokenizedText) => text.ids.length : () => 1;
    return this.#runner.run(texts, rows, progress);
  }

  close(): Promise<void> {
    return this.#runner.close();
  }
}

/** Judges texts by a decoder. The weights may change between two calls. */
export class TokenScorer {
  readonly #runner: BatchRunner;
  private constructor(runner: BatchRunner) {
    this.#runner = runner;
  }

  static async open(spec: ModelSpec, weights: Weights, options: SessionOptions = {}): Promise<TokenScorer> {
    const likelihoods = (graph: TrainingGraph, logits: string) =>
      logLikelihoods(graph.batch.operators, logits, graph.told());
    return new TokenScorer(await BatchRunner.open(spec, weights, options, likelihoods));
  }

  /** The logarithm of the probability of every token behind the first, text by text. */
  likelihoods(texts: readonly TokenizedText[], progress?: Told): Promise<Float32Array[]> {
    return this.#runner.run(texts, (text) => text.ids.length - 1, progress);
  }

  close(): Promise<void> {
    return this.#runner.close();
  }
}

/** Batches through a graph with one output, whose rows are texts, or positions. */
class BatchRunner {
  /** Whether a text has a row for each of its tokens. */
  readonly byToken: boolean;
  readonly #session: Session;
  readonly #feeds: FrozenFeeds;
  readonly #spec: ModelSpec;
  readonly #graph: TrainingGraph;

  private constructor(session: Session, graph: TrainingGraph, spec: ModelSpec) {
    this.byToken = answersEachToken(spec);
    this.#session = session;
    this.#feeds = new FrozenFeeds(session, graph.frozen);
    this.#spec = spec;
    this.#graph = graph;
  }

  /** `output` makes the output of the model's logits: [rows, any]. */
  static async open(
    spec: ModelSpec,
    weights: Weights,
    options: SessionOptions,
    output: (graph: TrainingGraph, logits: string) => string,
  ): Promise<BatchRunner> {
    const graph = new TrainingGraph(false, spec.tied);
    const ops = new TrainingOps(graph.batch, tiedParameters(spec, graph.constants("", weights)));
    const logits = logitsOf(ops, spec).value.name;
    graph.tape.graph.output("answers", output(graph, logits), "float32", ["rows", "columns"]);
    return new BatchRunner(await Session.open(graph.tape.graph.encode(), options), graph, spec);
  }

  /** Every text's first `rowsOf` rows, in the texts' order. */
  async run(
    texts: readonly TokenizedText[],
    rowsOf: (text: TokenizedText) => number,
    progress?: Told,
  ): Promise<Float32Array[]> {
    const lengths = texts.map((text) => text.ids.length);
    const size = Math.max(1, Math.min(64, Math.floor(BATCH_TOKENS / Math.max(...lengths))));
    const out: Float32Array[] = new Array(texts.length);
    let done = 0;
    for (const selection of inOrder(lengths, size)) {
      const answers = await this.#answers(selection.map((i) => texts[i]));
      selection.forEach((index, b) => {
        out[index] = answers.data.slice(b * answers.stride, b * answers.stride + rowsOf(texts[index]) * answers.width);
      });
      done += selection.length;
      progress?.(done, texts.length);
    }
    return out;
  }

  /** A batch's rows, `width` numbers each, a text's beginning every `stride` numbers. */
  async #answers(texts: readonly TokenizedText[]): Promise<{ data: Float32Array; width: number; stride: number }> {
    const batch = batchOf(
      texts.map((text) => ({ text, label: 0 })),
      this.#spec,
    );
    const local = localTokens([batch], this.#spec.vocabulary, this.#graph.wholeTables);
    const own = batchFeeds(this.#session, batch, local.rows[0], this.#graph.readsTold);
    const { answers } = await this.#session.results({ ...own, ...this.#feeds.of(local.tokens) });
    const width = answers.dims[1];
    return { data: answers.data as Float32Array, width, stride: width * (this.byToken ? batch.positions : 1) };
  }

  async close(): Promise<void> {
    await this.#session.close();
  }
}
