/** A run of training: epochs over examples, with evaluations, a log, and checkpoints from which it goes on unchanged. */

import { appendFile, mkdir, truncate } from "node:fs/promises";
import { join } from "node:path";
import { isDecoder, type ModelSpec, type TokenizedText, type Weights } from "../program/spec.ts";
import { type Batch, batchOf, cutTo, type Example, epochOf, longestAt, type Selection } from "./batches.ts";
import { type RunState, readState, readTensors, restore, writeBest, writeState } from "./checkpoint.ts";
import type { TrainingGraph } from "./graph.ts";
import type { Term } from "./objective.ts";
import { Predictor, TokenScorer } from "./predictor.ts";
import type { SessionOptions } from "./session.ts";
import type { TrainedModel } from "./trained-model.ts";
import { Trainer, type TrainerOptions } from "./trainer.ts";
import { tied } from "./weights.ts";

/** Linear warm-up to the learning rate over the first share of all steps, then linear decay to 0. */
export interface Schedule {
  readonly epochs: number;
  /** Texts of a batch. */
  readonly batch: number;
  readonly learningRate: number;
  readonly warmup: number;
  /** Texts are cut to these numbers of tokens in equal shares of the steps: short texts first cost little. */
  readonly curriculum?: readonly number[];
}

/** What a dev set says of the weights so far. */
export interface DevSet {
  readonly texts: readonly TokenizedText[];
  /**
   * Metrics by name, the one that counts first; more is better, unless `lessIsBetter`. Given each text's logits, or, by a
   * decoder, the log likelihoods of its tokens behind the first.
   */
  measure(answers: readonly ArrayLike<number>[]): Readonly<Record<string, number>>;
  readonly lessIsBetter?: boolean;
  /** Evaluations without a better value after which the run ends; 0: never. */
  readonly patience: number;
  readonly perEpoch: number;
}

export interface RunOptions {
  /** Where state and metrics are kept. */
  readonly folder: string;
  /** All that decides the result, as text: a folder with another request is not gone on with. */
  readonly request: string;
  readonly model: TrainedModel;
  readonly examples: readonly Example[];
  readonly write: (graph: TrainingGraph) => readonly Term[];
  readonly schedule: Schedule;
  readonly trainer: TrainerOptions;
  readonly dev?: DevSet;
  /** Which weights the run ends with. The dev set's metric says little of a loss that does not aim at it. */
  readonly keep: "best" | "last";
  /** Makes a batch of a selection; as the examples' labels have it, unless told. */
  readonly batchOf?: (selection: Selection, index: number) => Batch;
  readonly progress?: (status: RunStatus) => void;
  /** The state is saved after so many seconds, and with every evaluation. */
  readonly saveSeconds: number;
  /** Throws after this step, as if killed: nothing more is saved. */
  readonly stopAfter?: number;
}

export interface RunStatus {
  readonly step: number;
  readonly steps: number;
  readonly epoch: number;
  readonly loss: number;
  readonly value: number | null;
}

export interface RunResult {
  /** The best weights on the dev set; without one, the last. */
  readonly weights: Weights;
  readonly state: RunState;
  readonly steps: number;
}

const LOG_EVERY = 10;
/** How often the state is saved, unless told. */
export const SAVE_SECONDS = 120;
export const METRICS_FILE = "metrics.jsonl";

/** @throws an Error of one line when the folder holds another run, or the loss is not finite. */
export async function run(options: RunOptions): Promise<RunResult> {
  const { folder, request, model } = options;
  await mkdir(folder, { recursive: true });
  const known = await readState(folder, request);
  if (known?.done) {
    const weights = over(model, await readTensors(folder, keptOf(known, options.keep)));
    return { weights, state: known, steps: known.step };
  }
  const trainer = await Trainer.open(options.write, options.trainer);
  const weights = trainer.weights(model.weights);
  const examiner = options.dev === undefined ? null : await openExaminer(model.spec, weights, options.trainer);
  try {
    const course = new Course(options, trainer, examiner, known);
    if (known !== null) {
      await restore(folder, known.tensors, trainer.tensors);
      trainer.steps = known.step;
    }
    return await course.finish();
  } finally {
    await trainer.close();
    await examiner?.close();
  }
}

/** What a dev set measures. */
interface Examiner {
  answers(texts: readonly TokenizedText[]): Promise<readonly ArrayLike<number>[]>;
  close(): Promise<void>;
}

async function openExaminer(spec: ModelSpec, weights: Weights, options: SessionOptions): Promise<Examiner> {
  if (isDecoder(spec)) {
    const scorer = await TokenScorer.open(spec, weights, options);
    return { answers: (texts) => scorer.likelihoods(texts), close: () => scorer.close() };
  }
  const predictor = await Predictor.open(spec, weights, options);
  return { answers: (texts) => predictor.logits(texts), close: () => predictor.close() };
}

/** Linear warm-up, linear decay; `step` counts from 1. */
export function learningRateAt(step: number, steps: number, { learningRate, warmup }: Schedule): number {
  const rising = Math.max(1, Math.round(steps * warmup));
  if (step <= rising) return (learningRate * step) / rising;
  return (learningRate * (steps - step)) / Math.max(1, steps - rising);
}

const EMPTY: RunState["window"] = { count: 0, loss: 0, losses: {} };

/** A run on its way. */
class Course {
  readonly #o: RunOptions;
  readonly #trainer: Trainer;
  readonly #examiner: Examiner | null;
  readonly #lengths: readonly number[];
  readonly #perEpoch: number;
  readonly #steps: number;
  readonly #evaluateEvery: number;
  #state: Omit<RunState, "tensors">;
  #epoch: { readonly index: number; readonly batches: readonly Selection[] } | null = null;

  constructor(o: RunOptions, trainer: Trainer, examiner: Examiner | null, known: RunState | null) {
    this.#o = o;
    this.#trainer = trainer;
    this.#examiner = examiner;
    this.#lengths = o.examples.map(({ text }) => text.ids.length);
    this.#perEpoch = Math.ceil(o.examples.length / o.schedule.batch);
    const { accumulate } = o.trainer;
    this.#steps = Math.max(1, Math.ceil((o.schedule.epochs * this.#perEpoch) / accumulate));
    this.#evaluateEvery = Math.max(1, Math.round(this.#perEpoch / accumulate / (o.dev?.perEpoch ?? 1)));
    this.#state = known ?? {
      request: o.request,
      step: 0,
      evaluations: [],
      best: null,
      logged: 0,
      seconds: 0,
      window: EMPTY,
      done: false,
      bestTensors: null,
    };
  }

  async finish(): Promise<RunResult> {
    const log = join(this.#o.folder, METRICS_FILE);
    await appendFile(log, "");
    await truncate(log, this.#state.logged);
    const before = this.#state.seconds;
    const start = performance.now();
    let saved = start;
    if (this.#state.evaluations.length === 0) await this.#evaluate();
    while (this.#trainer.steps < this.#steps && !this.#isStale()) {
      await this.#step();
      const step = this.#trainer.steps;
      const now = performance.now();
      this.#state = { ...this.#state, step, seconds: before + (now - start) / 1000 };
      const evaluates = step % this.#evaluateEvery === 0 || step === this.#steps;
      if (step % LOG_EVERY === 0 || evaluates) await this.#logLosses();
      if (evaluates) await this.#evaluate();
      if (now - saved >= this.#o.saveSeconds * 1000) {
        await writeState(this.#o.folder, this.#state, this.#trainer.tensors);
        saved = now;
      }
      if (step === this.#o.stopAfter) throw new Error(`stopped after step ${step}, as asked`);
    }
    this.#state = { ...this.#state, done: true };
    await writeState(this.#o.folder, this.#state, this.#trainer.tensors);
    const state = { ...this.#state, tensors: `state-${this.#state.step}.safetensors` };
    const kept = await readTensors(this.#o.folder, keptOf(state, this.#o.keep));
    return { weights: over(this.#o.model, kept), state, steps: this.#steps };
  }

  async #step(): Promise<void> {
    const { accumulate } = this.#o.trainer;
    const batches = Array.from({ length: accumulate }, (_, i) => this.#batch(this.#trainer.steps * accumulate + i));
    const rate = learningRateAt(this.#trainer.steps + 1, this.#steps, this.#o.schedule);
    const { loss, losses } = await this.#trainer.step(batches, rate);
    const { window } = this.#state;
    const sums = Object.entries(losses).map(([name, value]) => [name, (window.losses[name] ?? 0) + value]);
    const next = { count: window.count + 1, loss: window.loss + loss, losses: Object.fromEntries(sums) };
    this.#state = { ...this.#state, window: next };
    this.#o.progress?.({
      step: this.#trainer.steps,
      steps: this.#steps,
      epoch: (this.#trainer.steps * accumulate) / this.#perEpoch,
      loss: next.loss / next.count,
      value: this.#state.best?.value ?? null,
    });
  }

  /** Batch number `index` of the run: epochs follow each other without a gap. */
  #batch(index: number): Batch {
    const epoch = Math.floor(index / this.#perEpoch);
    if (this.#epoch?.index !== epoch) {
      const batches = epochOf(this.#lengths, this.#o.schedule.batch, this.#o.trainer.seed, epoch);
      this.#epoch = { index: epoch, batches };
    }
    const selection = this.#epoch.batches[index % this.#perEpoch];
    if (this.#o.batchOf !== undefined) return this.#o.batchOf(selection, index);
    const { accumulate } = this.#o.trainer;
    const longest = longestAt(index / (this.#steps * accumulate), this.#o.schedule.curriculum);
    const examples = selection.map((i) => this.#o.examples[i]);
    return batchOf(
      examples.map((one) => ({ ...one, text: cutTo(one.text, longest) })),
      this.#o.model.spec,
    );
  }

  async #evaluate(): Promise<void> {
    const { keep, folder, dev } = this.#o;
    if (this.#examiner === null || dev === undefined) return;
    const step = this.#trainer.steps;
    const values = { ...dev.measure(await this.#examiner.answers(dev.texts)) };
    const value = Object.values(values)[0];
    await this.#log({ step, dev: values });
    this.#state = { ...this.#state, step, evaluations: [...this.#state.evaluations, { step, values }] };
    const { best } = this.#state;
    // Of equal ones the later: it has learnt longer.
    if (best === null || (dev.lessIsBetter ? value <= best.value : value >= best.value)) {
      const bestTensors = keep === "last" ? null : await writeBest(folder, step, this.#trainer.tensors);
      this.#state = { ...this.#state, best: { step, value }, bestTensors };
    }
    await writeState(this.#o.folder, this.#state, this.#trainer.tensors);
  }

  #isStale(): boolean {
    const { evaluations, best } = this.#state;
    const patience = this.#o.dev?.patience ?? 0;
    if (patience === 0 || best === null) return false;
    return evaluations.filter(({ step }) => step > best.step).length >= patience;
  }

  async #logLosses(): Promise<void> {
    const { count, loss, losses } = this.#state.window;
    if (count === 0) return;
    const means = Object.fromEntries(Object.entries(losses).map(([name, sum]) => [name, sum / count]));
    const step = this.#trainer.steps;
    const rate = learningRateAt(step, this.#steps, this.#o.schedule);
    await this.#log({ step, loss: loss / count, losses: means, learning_rate: rate });
    this.#state = { ...this.#state, window: EMPTY };
  }

  async #log(entry: Readonly<Record<string, unknown>>): Promise<void> {
    const line = `${JSON.stringify(entry)}\n`;
    await appendFile(join(this.#o.folder, METRICS_FILE), line);
    this.#state = { ...this.#state, logged: this.#state.logged + line.length };
  }
}

function keptOf({ bestTensors, tensors }: RunState, keep: "best" | "last"): string {
  return keep === "best" && bestTensors !== null ? bestTensors : tensors;
}

function over({ spec, weights }: TrainedModel, trained: Awaited<ReturnType<typeof readTensors>>): Weights {
  return tied(spec, { get: (name) => trained.get(name) ?? weights.get(name) });
}
