/** Reverse-mode differentiation over a graph: each operator writes down how a gradient passes through it. */

import { Graph } from "./onnx.ts";

/** A value of the graph, and whether anything trainable lies behind it. */
export interface Value {
  readonly name: string;
  readonly needs: boolean;
}

/** From the gradient of a loss by an operator's output to that by one of its inputs, of the input's own shape. */
export type Backward = (gradient: string) => string;

interface Entry {
  readonly output: string;
  readonly inputs: readonly (readonly [Value, Backward])[];
}

/** The record of a computation, in its order. */
export class Tape {
  readonly graph = new Graph();
  readonly #entries: Entry[] = [];

  /** A value that nothing trainable lies behind. */
  constant(name: string): Value {
    return { name, needs: false };
  }

  /** Writes an operator down. A `Backward` is called at most once, and only for an input that needs its gradient. */
  record(output: string, inputs: readonly (readonly [Value, Backward])[]): Value {
    const needing = inputs.filter(([input]) => input.needs);
    if (needing.length > 0) this.#entries.push({ output, inputs: needing });
    return { name: output, needs: needing.length > 0 };
  }

  /** Writes the gradients of a scalar by the values of `of`, in their order; undefined where it does not depend on one. */
  gradients(scalar: Value, of: readonly Value[]): (string | undefined)[] {
    const found = new Map<string, string[]>([[scalar.name, [this.graph.floats(1)]]]);
    const sums = new Map<string, string>();
    const total = (name: string): string | undefined => {
      const known = sums.get(name);
      if (known !== undefined) return known;
      const parts = found.get(name);
      if (parts === undefined) return undefined;
      const sum = parts.length === 1 ? parts[0] : this.graph.node("Sum", parts);
      sums.set(name, sum);
      return sum;
    };
    for (const { output, inputs } of [...this.#entries].reverse()) {
      const gradient = total(output);
      if (gradient === undefined) continue; // nothing of it reaches the scalar
      for (const [input, backward] of inputs) {
        const parts = found.get(input.name);
        const part = backward(gradient);
        if (parts === undefined) found.set(input.name, [part]);
        else parts.push(part);
      }
    }
    return of.map(({ name }) => total(name));
  }
}
