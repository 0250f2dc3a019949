/** Training steps: batches in, losses out, and the tensors changed in place. */

import { generator, uniforms } from "../models/random.ts";
import type { NamedTensor, Weights } from "../program/spec.ts";
import type { Batch } from "./batches.ts";
import { DROPOUT_OFFSETS, DROPOUT_POOL, type Dropout } from "./dropout.ts";
import {
  batchFeeds,
  FrozenFeeds,
  gather,
  type LOGITS,
  type LocalTokens,
  localTokens,
  MASKED_ROWS,
  MASKED_TOKENS,
  scatter,
  TARGETS,
  type Trained,
  TrainingGraph,
} from "./graph.ts";
import type { Term } from "./objective.ts";
import { type AdamOptions, moments, next, SCALARS, stepScalars, type Updated, writeAdamW } from "./optimiser.ts";
import { Session, type SessionOptions, type Tensors } from "./session.ts";

export interface TrainerOptions extends SessionOptions {
  readonly adam: AdamOptions;
  /** Rate of dropout; 0 is off. */
  readonly dropout: number;
  /** Batches whose gradients are averaged before the weights move. */
  readonly accumulate: number;
  readonly seed: number;
  readonly vocabulary: number;
  /** See `TrainingGraph`. */
  readonly wholeTables?: boolean;
}

/** What a step reports: the mean of each unweighted loss over its batches, the weighted sum, and the gradients' norm. */
export interface StepReport {
  readonly losses: Readonly<Record<string, number>>;
  readonly loss: number;
  readonly norm: number;
}

type Writer = (graph: TrainingGraph) => readonly Term[];

const NORM = "norm";
const sumName = (name: string) => `${name}#sum`;
const lossName = (term: Term) => `loss/${term.name}`;
/** Offsets into the pool of dropout factors are drawn from so many. */
const OFFSETS = 2 ** 20;

/** One graph, opened: either of the last batch of a step (it moves the weights), or of those before (it adds up gradients). */
interface Stage {
  readonly session: Session;
  readonly frozen: FrozenFeeds;
  readonly terms: readonly Term[];
  readonly reports: Tensors;
  readonly dropout: Dropout | null;
  readonly perTextInputs: ReadonlySet<typeof TARGETS | typeof LOGITS>;
  readonly readsTold: boolean;
}

export class Trainer {
  /** The tensors that change, with the optimiser's state: what a checkpoint keeps, beside `steps`. */
  readonly tensors: readonly Trained[];
  /** Steps taken. */
  steps = 0;
  readonly #options: TrainerOptions;
  readonly #last: Stage;
  readonly #before: Stage | null;
  readonly #whole: Tensors;
  readonly #sums = new Map<string, Float32Array>();
  #pool = new Float32Array(0);

  private constructor(options: TrainerOptions, tensors: readonly Trained[], last: Stage, before: Stage | null) {
    this.#options = options;
    this.tensors = tensors;
    this.#last = last;
    this.#before = before;
    this.#whole = this.#wholeTensors();
  }

  /** Copies the trained weights: those given stay as they are. @throws what the writer of the losses throws. */
  static async open(write: Writer, options: TrainerOptions): Promise<Trainer> {
    const accumulates = options.accumulate > 1;
    const tensors: Trained[] = [];
    const last = await openStage(write, options, (graph, gradients) => {
      for (const { name, tensor, byToken } of gradients.trained) {
        const value = tensor.data.slice();
        tensors.push({ name, byToken, shape: tensor.shape, value, m: zeros(value), v: zeros(value) });
      }
      const { e } = graph.batch.operators;
      const updated: Updated[] = gradients.trained.map(({ name, shape, gradient, tensor }) => ({
        name,
        shape,
        gradient: accumulates
          ? e.op("Add", graph.tape.graph.input(sumName(name), "float32", shape), gradient)
          : gradient,
        decays: tensor.shape.length === 2 && name.endsWith(".weight"),
      }));
      graph.tape.graph.output(NORM, writeAdamW(graph.batch.operators, updated, options.adam), "float32", []);
    });
    const before = !accumulates
      ? null
      : await openStage(write, options, (graph, gradients) => {
          for (const { name, shape, gradient } of gradients.trained) {
            const sum = graph.batch.operators.e.op(
              "Add",
              graph.tape.graph.input(sumName(name), "float32", shape),
              gradient,
            );
            graph.tape.graph.output(next(sumName(name)), sum, "float32", shape);
          }
        });
    return new Trainer(options, tensors, last, before);
  }

  /**
   * One step over `accumulate` batches.
   * @throws an Error when the loss is not finite.
   */
  async step(batches: readonly Batch[], learningRate: number): Promise<StepReport> {
    const { accumulate, adam, vocabulary } = this.#options;
    if (batches.length !== accumulate)
      throw new RangeError(`a step takes ${accumulate} batches, got ${batches.length}`);
    const local = localTokens(batches, vocabulary, this.#options.wholeTables);
    const parts = this.#partsOf(local);
    const total: Record<string, number> = {};
    const addLosses = ({ terms, reports }: Stage) => {
      for (const term of terms) {
        total[term.name] = (total[term.name] ?? 0) + (reports[lossName(term)].data as Float32Array)[0] / accumulate;
      }
    };
    const sums = this.#before === null ? null : this.#sumTensors(this.#before.session, local);
    for (let i = 0; i < accumulate - 1; i++) {
      const stage = this.#before as Stage;
      const feeds = { ...this.#feeds(stage, batches[i], local, i), ...parts.values, ...sums };
      await stage.session.run(feeds, { ...stage.reports, ...renamed(sums as Tensors) });
      addLosses(stage);
    }
    const scalars = stepScalars(this.steps + 1, learningRate, adam);
    const stage = this.#last;
    const state = { ...this.#whole, ...parts.state };
    const feeds = {
      ...this.#feeds(stage, batches[accumulate - 1], local, accumulate - 1),
      ...state,
      ...sums,
      [SCALARS]: stage.session.floats(scalars, [3]),
    };
    await stage.session.run(feeds, { ...stage.reports, ...renamed(state) });
    addLosses(stage);
    const norm = (stage.reports[NORM].data as Float32Array)[0];
    const loss = stage.terms.reduce((sum, term) => sum + term.weight * total[term.name], 0);
    if (!Number.isFinite(loss) || !Number.isFinite(norm)) {
      throw new Error(
        `the loss is not finite at step ${this.steps + 1}: lower the learning rate, or go on from a checkpoint`,
      );
    }
    parts.write();
    this.steps++;
    return { losses: total, loss, norm };
  }

  /** Weights with the trained tensors in the place of the first ones. They change with every step. */
  weights(first: Weights): Weights {
    const trained = new Map<string, NamedTensor>(
      this.tensors.map(({ name, shape, value }) => [name, { shape, data: value }]),
    );
    return { get: (name) => trained.get(name) ?? first.get(name) };
  }

  async close(): Promise<void> {
    await this.#last.session.close();
    await this.#before?.session.close();
  }

  #feeds(stage: Stage, batch: Batch, local: LocalTokens, index: number): Tensors {
    const { session } = stage;
    return {
      ...batchFeeds(session, batch, local.rows[index], stage.readsTold),
      ...stage.frozen.of(local.tokens),
      ...Object.fromEntries([...stage.perTextInputs].map((name) => [name, this.#perText(session, batch, name)])),
      ...(batch.masked === undefined ? {} : maskedFeeds(session, batch.masked)),
      ...(stage.dropout === null ? {} : this.#dropout(session, stage.dropout, batch, index)),
    };
  }

  #perText(session: Session, batch: Batch, name: typeof TARGETS | typeof LOGITS): Tensors[string] {
    const data = name === TARGETS ? batch.targets : batch.logits;
    if (data === undefined) throw new Error("the examples lack their teacher's logits: compute them first");
    return session.floats(data, [batch.size, data.length / batch.size]);
  }

  /** Dropout's factors of this step: the offsets follow from the seed and the step, so a resumed run draws the same. */
  #dropout(session: Session, sites: Dropout, batch: Batch, index: number): Tensors {
    const { seed, dropout, accumulate } = this.#options;
    const wanted = OFFSETS + sites.most(batch.size, batch.positions);
    if (this.#pool.length < wanted) {
      const uniform = uniforms(generator("dropout's pool", seed));
      this.#pool = Float32Array.from({ length: wanted }, () => (uniform() < dropout ? 0 : 1 / (1 - dropout)));
    }
    const draw = uniforms(generator(`dropout of batch ${this.steps * accumulate + index}`, seed));
    const offsets = BigInt64Array.from({ length: sites.sites }, () => BigInt(Math.floor(draw() * OFFSETS)));
    return {
      [DROPOUT_POOL]: session.floats(this.#pool, [this.#pool.length]),
      [DROPOUT_OFFSETS]: session.integers(offsets, [sites.sites]),
    };
  }

  /** The whole tensors and their moments, as inputs of the last stage. */
  #wholeTensors(): Tensors {
    const { session } = this.#last;
    return Object.fromEntries(
      this.tensors
        .filter((one) => !one.byToken)
        .flatMap(({ name, shape, value, m, v }) => {
          const [mName, vName] = moments(name);
          return [
            [name, session.floats(value, shape)],
            [mName, session.floats(m, shape)],
            [vName, session.floats(v, shape)],
          ];
        }),
    );
  }

  /** The rows of the tables by token that these batches use; `write` puts the new ones back. */
  #partsOf({ tokens }: LocalTokens): { readonly values: Tensors; readonly state: Tensors; write(): void } {
    const { session } = this.#last;
    const [state, writes]: [Record<string, Tensors[string]>, (() => void)[]] = [{}, []];
    for (const { name, shape, value, m, v, byToken } of this.tensors) {
      if (!byToken) continue;
      const width = shape[1];
      [name, ...moments(name)].forEach((input, i) => {
        const full = [value, m, v][i];
        const part = gather(full, width, tokens);
        state[input] = session.floats(part, [tokens.length, width]);
        writes.push(() => scatter(part, full, width, tokens));
      });
    }
    const values = Object.fromEntries(this.tensors.map(({ name }) => [name, state[name] ?? this.#whole[name]]));
    return { values, state, write: () => writes.forEach((write) => void write()) };
  }

  /** Sums of gradients, zero at a step's begin. */
  #sumTensors(session: Session, { tokens }: LocalTokens): Tensors {
    return Object.fromEntries(
      this.tensors.map(({ name, shape, byToken, value }) => {
        if (byToken)
          return [sumName(name), session.floats(new Float32Array(tokens.length * shape[1]), [tokens.length, shape[1]])];
        const sum = this.#sums.get(name) ?? zeros(value);
        this.#sums.set(name, sum.fill(0));
        return [sumName(name), session.floats(sum, shape)];
      }),
    );
  }
}

interface Gradients {
  readonly trained: readonly {
    readonly name: string;
    readonly tensor: NamedTensor;
    readonly byToken: boolean;
    readonly shape: readonly (number | string)[];
    readonly gradient: string;
  }[];
}

async function openStage(
  write: Writer,
  options: TrainerOptions,
  finish: (graph: TrainingGraph, gradients: Gradients) => void,
): Promise<Stage> {
  const graph = new TrainingGraph(options.dropout > 0, options.wholeTables);
  const terms = write(graph);
  const { operators } = graph.batch;
  const loss = operators.combine(terms.map(({ weight, value }) => [weight / options.accumulate, value]));
  const candidates = [...graph.trained];
  const gradients = graph.tape.gradients(
    loss,
    candidates.map(([, { value }]) => value),
  );
  const trained = candidates.flatMap(([name, { tensor, byToken }], i) => {
    const gradient = gradients[i];
    // What no loss reaches stays as it is.
    if (gradient === undefined) graph.frozen.push({ input: name, tensor, byToken });
    const shape = byToken ? ["words", tensor.shape[1]] : tensor.shape;
    return gradient === undefined ? [] : [{ name, tensor, byToken, shape, gradient }];
  });
  for (const term of terms) graph.tape.graph.output(lossName(term), term.value.name, "float32", []);
  finish(graph, { trained });
  const session = await Session.open(graph.tape.graph.encode(), options);
  const scalars = [...terms.map(lossName), NORM].map(
    (name) => [name, session.floats(new Float32Array(1), [])] as const,
  );
  const reports = Object.fromEntries(scalars.filter(([name]) => name !== NORM || graph.tape.graph.hasOutput(NORM)));
  return {
    session,
    frozen: new FrozenFeeds(session, graph.frozen),
    terms,
    reports,
    dropout: graph.dropout,
    perTextInputs: graph.perTextInputs,
    readsTold: graph.readsTold,
  };
}

function maskedFeeds(session: Session, { rows, tokens }: NonNullable<Batch["masked"]>): Tensors {
  const column = (values: Int32Array) => session.integers(BigInt64Array.from(values, BigInt), [values.length, 1]);
  return { [MASKED_ROWS]: column(rows), [MASKED_TOKENS]: column(tokens) };
}

/** Inputs as the outputs that replace them. */
function renamed(state: Tensors): Tensors {
  return Object.fromEntries(Object.entries(state).map(([name, tensor]) => [next(name), tensor]));
}

function zeros(like: Float32Array): Float32Array {
  return new Float32Array(like.length);
}
