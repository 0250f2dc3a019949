/** ONNX nodes as expressions: what operators and their gradients are written in. */

import type { Attribute, Graph } from "./onnx.ts";

export class Expressions {
  readonly graph: Graph;
  constructor(graph: Graph) {
    this.graph = graph;
  }

  op(name: string, ...inputs: (string | number)[]): string {
    return this.graph.node(
      name,
      inputs.map((x) => (typeof x === "number" ? this.graph.floats(x) : x)),
    );
  }

  with(name: string, attributes: Readonly<Record<string, Attribute>>, ...inputs: string[]): string {
    return this.graph.node(name, inputs, attributes);
  }

  /** Sum over one axis; the axis stays with size 1 unless `drop`. */
  sum(x: string, axis: number, drop = false): string {
    return this.graph.node("ReduceSum", [x, this.graph.ints([axis])], { keepdims: drop ? 0 : 1 });
  }

  mean(x: string, axis: number): string {
    return this.graph.node("ReduceMean", [x, this.graph.ints([axis])], { keepdims: 1 });
  }

  /** Sum of everything, a scalar. */
  total(x: string): string {
    return this.graph.node("ReduceSum", [x], { keepdims: 0 });
  }

  transpose(x: string, ...perm: number[]): string {
    return this.graph.node("Transpose", [x], { perm });
  }

  /** 1 where two tensors are equal, else 0. */
  indicator(comparison: string, x: string, y: string | number): string {
    return this.floats(this.op(comparison, x, y));
  }

  /** Integers or booleans as floats. */
  floats(x: string): string {
    return this.graph.node("Cast", [x], { to: 1 });
  }

  /** Dimensions one behind the other: numbers, and integer vectors of the graph. */
  shape(...dimensions: (string | number)[]): string {
    if (dimensions.every((one) => typeof one === "number")) return this.graph.ints(dimensions);
    return this.graph.node(
      "Concat",
      dimensions.map((one) => (typeof one === "number" ? this.graph.ints([one]) : one)),
      { axis: 0 },
    );
  }
}
