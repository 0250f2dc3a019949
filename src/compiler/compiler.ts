/** `Ops` that emit steps: a model run over these operations becomes the integer program of all three parties. */

import type {
  EmbeddingRef,
  Heads,
  Interpreter,
  LinearRef,
  NormRef,
  RelativeRef,
  Rotary,
  SmoothName,
} from "../program/ops.ts";
import type { Plan } from "../program/plan.ts";
import type { ModelSpec } from "../program/spec.ts";
import type { Program, Shape, Step } from "../program/steps.ts";
import { multiply, polynomialOf, relu, smooth } from "./activations.ts";
import { answered, meanRow, pickedRow, unitRow } from "./answers.ts";
import { addOnKeys, remember, scoresOf, subtractRowMax, weightedMean } from "./attention.ts";
import { Context, type Fitting } from "./context.ts";
import { embed } from "./embeddings.ts";
import type { Handle } from "./handles.ts";
import { addOf, linear, rotate } from "./layers.ts";
import { layerNorm } from "./norms.ts";
import { askedRows, firstRow, maskRows } from "./rows.ts";

/** Compiles one model, plan and shape; each operation is a function of its own over the shared `Context`. */
export class Compiler implements Interpreter<Handle> {
  readonly #context: Context;

  constructor(spec: ModelSpec, plan: Plan, shape: Shape, fitting: Fitting) {
    this.#context = new Context(spec, plan, shape, fitting);
  }

  begin(operation: string): void {
    this.#context.operation = operation;
  }

  embed(ref: EmbeddingRef, after?: Handle): Handle {
    return embed(this.#context, ref, after);
  }

  linear(x: Handle, ref: LinearRef): Handle {
    return linear(this.#context, x, ref);
  }

  add(x: Handle, y: Handle): Handle {
    return addOf(this.#context, x, y);
  }

  multiply(x: Handle, y: Handle): Handle {
    return multiply(this.#context, x, y);
  }

  layerNorm(x: Handle, ref: NormRef): Handle {
    return layerNorm(this.#context, x, ref);
  }

  maskRows(x: Handle): Handle {
    return maskRows(this.#context, x);
  }

  firstRow(x: Handle): Handle {
    return firstRow(this.#context, x);
  }

  meanRow(x: Handle): Handle {
    return meanRow(this.#context, x);
  }

  pickedRow(x: Handle): Handle {
    return pickedRow(this.#context, x);
  }

  unitRow(x: Handle): Handle {
    return unitRow(this.#context, x);
  }

  askedRows(x: Handle): Handle {
    return askedRows(this.#context, x);
  }

  rotate(x: Handle, rotary: Rotary): Handle {
    return rotate(this.#context, x, rotary);
  }

  remember(before: Handle | null, x: Handle): Handle {
    return remember(this.#context, before, x);
  }

  scores(q: Handle, k: Handle, heads: Heads, relative: RelativeRef | null = null): Handle {
    return scoresOf(this.#context, q, k, heads, relative);
  }

  addOnKeys(s: Handle, kept: number, padded: number): Handle {
    return addOnKeys(this.#context, s, kept, padded);
  }

  subtractRowMax(s: Handle): Handle {
    return subtractRowMax(this.#context, s);
  }

  polynomial(x: Handle, coefficients: readonly number[]): Handle {
    return polynomialOf(this.#context, x, coefficients);
  }

  smooth(x: Handle, name: SmoothName): Handle {
    return smooth(this.#context, x, name);
  }

  relu(x: Handle): Handle {
    return relu(this.#context, x);
  }

  weightedMean(e: Handle, v: Handle, heads: Heads): Handle {
    return weightedMean(this.#context, e, v, heads);
  }

  /** The steps up to the answers of all turns, without rings. */
  drafted(answers: readonly Handle[]): readonly Step[] {
    for (const answer of answers) answered(this.#context, answer);
    return this.#context.b.emitted;
  }

  /** Opens the answers of all turns to the client, and closes the program. */
  finish(answers: readonly Handle[]): Program {
    const { b, shape, fitting } = this.#context;
    return b.finish(
      shape,
      answers.map((answer) => answered(this.#context, answer)),
      fitting.slack,
    );
  }
}
