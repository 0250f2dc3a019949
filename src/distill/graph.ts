/**
 * A training step as a graph: its inputs are a batch, the trained and the frozen tensors and the optimiser's state; its
 * outputs are the loss and the new state. Tensors stay in the host's memory; a run writes over them.
 */

import type { NamedTensor, Weights } from "../program/spec.ts";
import { type Batch, nextTokens } from "./batches.ts";
import { Dropout } from "./dropout.ts";
import { BatchInputs } from "./inputs.ts";
import type { Session, Tensors } from "./session.ts";
import { Tape, type Value } from "./tape.ts";
import type { Parameters } from "./training-ops.ts";

/** A trained tensor and its moments (uncorrected). A table has a row for every token, of which a batch uses few. */
export interface Trained {
  readonly name: string;
  readonly shape: readonly number[];
  readonly value: Float32Array;
  readonly m: Float32Array;
  readonly v: Float32Array;
  /** Its rows are picked by token: only a batch's rows go into the graph. */
  readonly byToken: boolean;
}

/** A frozen tensor under its name in the graph. */
interface Frozen {
  readonly input: string;
  readonly tensor: NamedTensor;
  readonly byToken: boolean;
}

/** The table whose rows are tokens. */
export const WORDS = "embeddings.word";

/** The inputs of a batch's labels and of its teacher's logits, where a loss asks for them. */
export const TARGETS = "targets";
export const LOGITS = "logits";

/** The input of what is to be told at each position [B, n]: its label, or of language models the token behind it; -1: nothing. */
const TOLD = "told";

/** The inputs of a masked batch: rows of B·n, and the tokens that were there; both [M, 1]. */
export const MASKED_ROWS = "masked.rows";
export const MASKED_TOKENS = "masked.tokens";

/** The graph under construction, with the tensors that are its inputs. */
export class TrainingGraph {
  readonly tape = new Tape();
  readonly batch: BatchInputs;
  readonly dropout: Dropout | null;
  readonly trained = new Map<
    string,
    { readonly tensor: NamedTensor; readonly value: Value; readonly byToken: boolean }
  >();
  readonly frozen: Frozen[] = [];
  readonly perTextInputs = new Set<typeof TARGETS | typeof LOGITS>();
  #told: string | null = null;

  /** Whether whole tables go into the graph, not the rows of a batch's tokens: where a loss reads every row. */
  readonly wholeTables: boolean;

  constructor(dropout: boolean, wholeTables = false) {
    this.wholeTables = wholeTables;
    this.batch = new BatchInputs(this.tape);
    this.dropout = dropout ? new Dropout(this.batch.operators) : null;
  }

  /** The batch's targets, or its teacher's logits: [B, labels]. */
  perText(name: typeof TARGETS | typeof LOGITS, labels: number): string {
    this.perTextInputs.add(name);
    return this.tape.graph.input(name, "float32", ["B", labels]);
  }

  /** The label of each position, or of language models the token behind it, as `TOLD` has it: [B·n, 1]. */
  told(): string {
    const { e } = this.batch.operators;
    this.#told ??= e.op("Reshape", this.tape.graph.input(TOLD, "int64", ["B", "n"]), e.graph.ints([-1, 1]));
    return this.#told;
  }

  get readsTold(): boolean {
    return this.#told !== null;
  }

  /** Parameters that are trained, but for those that `isFrozen` names. */
  trainable(weights: Weights, isFrozen: (name: string) => boolean): Parameters {
    const frozen = this.constants("", weights);
    return (name, shape) => (isFrozen(name) ? frozen(name, shape) : this.train(name, weights.get(name)));
  }

  /** One trained tensor: a model's, or one that exists for a loss alone. */
  train(name: string, tensor: NamedTensor): Value {
    const known = this.trained.get(name);
    if (known !== undefined) return known.value;
    const byToken = this.#isByToken(name);
    const value = { name: this.tape.graph.input(name, "float32", inputShape(tensor, byToken)), needs: true };
    this.trained.set(name, { tensor, value, byToken });
    return value;
  }

  /** Parameters that stay as they are; `prefix` keeps two models' names apart. */
  constants(prefix: string, weights: Weights): Parameters {
    const known = new Map<string, Value>();
    return (name) => {
      const old = known.get(name);
      if (old !== undefined) return old;
      const tensor = weights.get(name);
      const byToken = this.#isByToken(name);
      const input = this.tape.graph.input(prefix + name, "float32", inputShape(tensor, byToken));
      this.frozen.push({ input, tensor, byToken });
      const value = this.tape.constant(input);
      known.set(name, value);
      return value;
    };
  }

  #isByToken(name: string): boolean {
    return name === WORDS && !this.wholeTables;
  }
}

/** The batch's tokens as rows of the tables' parts that go into the graph. */
export interface LocalTokens {
  /** The tokens of the part's rows. */
  readonly tokens: Int32Array;
  /** For every position of every batch given, its row. */
  readonly rows: readonly BigInt64Array[];
}

/** The different tokens of some batches, in order of their number; `whole`: all there are. */
export function localTokens(batches: readonly Batch[], vocabulary: number, whole = false): LocalTokens {
  if (whole) {
    const rows = batches.map(({ ids }) => BigInt64Array.from(ids, BigInt));
    return { tokens: Int32Array.from({ length: vocabulary }, (_, id) => id), rows };
  }
  const rowOf = new Int32Array(vocabulary).fill(-1);
  for (const { ids } of batches) for (const id of ids) rowOf[id] = 0;
  const tokens: number[] = [];
  for (let id = 0; id < vocabulary; id++) {
    if (rowOf[id] < 0) continue;
    rowOf[id] = tokens.length;
    tokens.push(id);
  }
  return {
    tokens: Int32Array.from(tokens),
    rows: batches.map(({ ids }) => BigInt64Array.from(ids, (id) => BigInt(rowOf[id]))),
  };
}

/** Copies a table's rows into a smaller one. */
export function gather(table: Float32Array, width: number, tokens: Int32Array): Float32Array {
  const out = new Float32Array(tokens.length * width);
  tokens.forEach((token, i) => {
    out.set(table.subarray(token * width, (token + 1) * width), i * width);
  });
  return out;
}

/** Copies a part's rows back into their table. */
export function scatter(part: Float32Array, table: Float32Array, width: number, tokens: Int32Array): void {
  tokens.forEach((token, i) => {
    table.set(part.subarray(i * width, (i + 1) * width), token * width);
  });
}

/** Feeds frozen tensors: whole ones are wrapped once, tables by token are gathered for every batch. */
export class FrozenFeeds {
  readonly #session: Session;
  readonly #whole: Tensors;
  readonly #tables: readonly Frozen[];

  constructor(session: Session, frozen: readonly Frozen[]) {
    this.#session = session;
    this.#tables = frozen.filter((one) => one.byToken);
    this.#whole = Object.fromEntries(
      frozen
        .filter((one) => !one.byToken)
        .map(({ input, tensor }) => [input, session.floats(tensor.data, tensor.shape)]),
    );
  }

  of(tokens: Int32Array): Tensors {
    const gathered = this.#tables.map(({ input, tensor: { data, shape } }) => {
      return [input, this.#session.floats(gather(data, shape[1], tokens), [tokens.length, shape[1]])] as const;
    });
    return { ...this.#whole, ...Object.fromEntries(gathered) };
  }
}

/** A batch's own tensors, its tokens as local rows; with `told` what is to be told of each. */
export function batchFeeds(session: Session, batch: Batch, rows: BigInt64Array, told = false): Tensors {
  const shape = [batch.size, batch.positions];
  const all = () => BigInt64Array.from(batch.tokenLabels ?? nextTokens(batch), BigInt);
  return {
    ...(told ? { [TOLD]: session.integers(all(), shape) } : {}),
    ids: session.integers(rows, shape),
    types: session.integers(BigInt64Array.from(batch.types, BigInt), shape),
    mask: session.floats(batch.mask, shape),
  };
}

function inputShape(tensor: NamedTensor, byToken: boolean): readonly (number | string)[] {
  return byToken ? ["words", tensor.shape[1]] : tensor.shape;
}
