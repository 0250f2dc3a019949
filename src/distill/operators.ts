/**
 * The differentiable operators that programs and losses are made of, each with its gradient beside it.
 *
 * Shapes: rows of activations are [N, d]; heads are [B, a, r, w]; weights are as Hugging Face stores them, [outputs, inputs].
 * A gradient has its value's shape. All are checked against central differences in float64 (test/distill/operators.test.ts).
 */

import type { SmoothName } from "../program/ops.ts";
import { Expressions } from "./expressions.ts";
import { smoothOperator } from "./smooth.ts";
import type { Tape, Value } from "./tape.ts";

/** Operators over a tape. */
export class Operators {
  readonly tape: Tape;
  readonly e: Expressions;

  constructor(tape: Tape) {
    this.tape = tape;
    this.e = new Expressions(tape.graph);
  }

  /** x·Wᵀ + b: x [N, k], W [o, k], b [o] or none. */
  linear(x: Value, weight: Value, bias: Value | null = null): Value {
    const { e } = this;
    const inputs = [x, weight, ...(bias === null ? [] : [bias])].map(({ name }) => name);
    return this.tape.record(e.with("Gemm", { transB: 1 }, ...inputs), [
      [x, (g) => e.op("MatMul", g, weight.name)],
      [weight, (g) => e.with("Gemm", { transA: 1 }, g, x.name)],
      ...(bias === null ? [] : [[bias, (g: string) => e.sum(g, 0, true)] as const]),
    ]);
  }

  /** Sum of two values of one shape. */
  add(x: Value, y: Value): Value {
    return this.tape.record(this.e.op("Add", x.name, y.name), [
      [x, (g) => g],
      [y, (g) => g],
    ]);
  }

  /** Elementwise product of two values of one shape. */
  multiply(x: Value, y: Value): Value {
    const { e } = this;
    return this.tape.record(e.op("Mul", x.name, y.name), [
      [x, (g) => e.op("Mul", g, y.name)],
      [y, (g) => e.op("Mul", g, x.name)],
    ]);
  }

  /** Times a constant tensor that broadcasts to x's shape. */
  scale(x: Value, factor: string | number): Value {
    const { e } = this;
    return this.tape.record(e.op("Mul", x.name, factor), [[x, (g) => e.op("Mul", g, factor)]]);
  }

  /** Plus a constant tensor that broadcasts to x's shape. */
  shift(x: Value, by: string | number): Value {
    return this.tape.record(this.e.op("Add", x.name, by), [[x, (g) => g]]);
  }

  /** The same numbers in another shape; a gradient goes back to the shape that x has. */
  reshape(x: Value, shape: string): Value {
    const { e } = this;
    return this.tape.record(e.op("Reshape", x.name, shape), [[x, (g) => e.op("Reshape", g, e.op("Shape", x.name))]]);
  }

  transpose(x: Value, ...perm: number[]): Value {
    const { e } = this;
    const inverse = perm.map((_, i) => perm.indexOf(i));
    return this.tape.record(e.transpose(x.name, ...perm), [[x, (g) => e.transpose(g, ...inverse)]]);
  }

  /** x·yᵀ over the last two of four axes, for x [.., r, w] and y [.., n, w]. */
  timesTransposed(x: Value, y: Value): Value {
    const { e } = this;
    return this.tape.record(e.op("MatMul", x.name, e.transpose(y.name, 0, 1, 3, 2)), [
      [x, (g) => e.op("MatMul", g, y.name)],
      [y, (g) => e.op("MatMul", e.transpose(g, 0, 1, 3, 2), x.name)],
    ]);
  }

  /** Rows to mean 0 and variance 1, times the gain, plus the bias: x [N, d]. */
  layerNorm(x: Value, gain: Value, bias: Value, epsilon: number): Value {
    const { e } = this;
    const inputs = [x.name, gain.name, bias.name];
    const attributes = { axis: -1, epsilon: { float: epsilon } };
    if (!x.needs && !gain.needs && !bias.needs)
      return this.tape.constant(e.graph.node("LayerNormalization", inputs, attributes));
    const [y, mean, inverse] = e.graph.nodes("LayerNormalization", inputs, 3, attributes);
    const normal = e.op("Mul", e.op("Sub", x.name, mean), inverse);
    return this.tape.record(y, [
      [
        x,
        (g) => {
          const byNormal = e.op("Mul", g, gain.name);
          const along = e.op("Mul", normal, e.mean(e.op("Mul", byNormal, normal), -1));
          return e.op("Mul", e.op("Sub", e.op("Sub", byNormal, e.mean(byNormal, -1)), along), inverse);
        },
      ],
      [gain, (g) => e.sum(e.op("Mul", g, normal), 0, true)],
      [bias, (g) => e.sum(g, 0, true)],
    ]);
  }

  /** Rows to mean square 1, times the gain: x [N, d]. */
  rmsNorm(x: Value, gain: Value, epsilon: number): Value {
    const { e } = this;
    const inverse = e.op("Reciprocal", e.op("Sqrt", e.op("Add", e.mean(e.op("Mul", x.name, x.name), -1), epsilon)));
    const normal = e.op("Mul", x.name, inverse);
    return this.tape.record(e.op("Mul", normal, gain.name), [
      [
        x,
        (g) => {
          const byNormal = e.op("Mul", g, gain.name);
          const along = e.op("Mul", normal, e.mean(e.op("Mul", byNormal, normal), -1));
          return e.op("Mul", e.op("Sub", byNormal, along), inverse);
        },
      ],
      [gain, (g) => e.sum(e.op("Mul", g, normal), 0, true)],
    ]);
  }

  /** Rows over their lengths (last axis). */
  unit(x: Value): Value {
    const { e } = this;
    const inverse = e.op("Reciprocal", e.op("Sqrt", e.sum(e.op("Mul", x.name, x.name), -1)));
    const y = e.op("Mul", x.name, inverse);
    return this.tape.record(y, [
      [x, (g) => e.op("Mul", e.op("Sub", g, e.op("Mul", y, e.sum(e.op("Mul", g, y), -1))), inverse)],
    ]);
  }

  /**
   * Pairs of columns turned by angles: x [.., w] is x·cos + half-turned(x)·sin, for constants that broadcast to its shape.
   * Back go the gradients by the opposite angles.
   */
  rotate(x: Value, cos: string, sin: string): Value {
    const { e } = this;
    return this.tape.record(e.op("Add", e.op("Mul", x.name, cos), e.op("Mul", this.#halfTurned(x.name), sin)), [
      [x, (g) => e.op("Sub", e.op("Mul", g, cos), e.op("Mul", this.#halfTurned(g), sin))],
    ]);
  }

  /** sum_j coefficients[j]·x^j, elementwise. */
  polynomial(x: Value, coefficients: readonly number[]): Value {
    const derivative = coefficients.slice(1).map((c, j) => c * (j + 1));
    return this.tape.record(this.#horner(x.name, coefficients), [
      [x, (g) => this.e.op("Mul", g, this.#horner(x.name, derivative))],
    ]);
  }

  /** One of the program's smooth functions, elementwise. */
  smooth(x: Value, name: SmoothName): Value {
    const { value, backward } = smoothOperator(name)(this.e, x.name);
    return this.tape.record(value, [[x, backward]]);
  }

  /** max(x, 0); its derivative at 0 is 0. */
  relu(x: Value): Value {
    const { e } = this;
    return this.tape.record(e.op("Relu", x.name), [[x, (g) => e.op("Mul", g, e.indicator("Greater", x.name, 0))]]);
  }

  /** Each row (last axis) minus its largest entry. Entries that share the maximum share its gradient. */
  subtractRowMax(x: Value): Value {
    const { e } = this;
    const max = e.graph.node("ReduceMax", [x.name, e.graph.ints([-1])], { keepdims: 1 });
    return this.tape.record(e.op("Sub", x.name, max), [
      [
        x,
        (g) => {
          const top = e.indicator("Equal", x.name, max);
          return e.op("Sub", g, e.op("Mul", top, e.op("Div", e.sum(g, -1), e.sum(top, -1))));
        },
      ],
    ]);
  }

  /** Rows divided by their sums (last axis); a row whose sum is 0 becomes 0 wherever it is 0, as the program has it. */
  normalise(x: Value): Value {
    const { e } = this;
    const sum = e.sum(x.name, -1);
    const divisor = e.op("Add", sum, e.indicator("Equal", sum, 0));
    const y = e.op("Div", x.name, divisor);
    return this.tape.record(y, [[x, (g) => e.op("Div", e.op("Sub", g, e.sum(e.op("Mul", g, y), -1)), divisor)]]);
  }

  /** Rows' softmax (last axis). */
  softmax(x: Value): Value {
    const { e } = this;
    const y = e.with("Softmax", { axis: -1 }, x.name);
    return this.tape.record(y, [[x, (g) => e.op("Mul", y, e.op("Sub", g, e.sum(e.op("Mul", g, y), -1)))]]);
  }

  /** x·y over the last two of four axes. */
  times(x: Value, y: Value): Value {
    const { e } = this;
    return this.tape.record(e.op("MatMul", x.name, y.name), [
      [x, (g) => e.op("MatMul", g, e.transpose(y.name, 0, 1, 3, 2))],
      [y, (g) => e.op("MatMul", e.transpose(x.name, 0, 1, 3, 2), g)],
    ]);
  }

  /** The rows of a table [V, d] at indices of shape [N, 1]: [N, d]. */
  rows(table: Value, indices: string): Value {
    const { e } = this;
    return this.tape.record(e.op("GatherND", table.name, indices), [
      [
        table,
        (g) => {
          const zeros = e.op("Mul", table.name, 0);
          const positions = e.op("Expand", indices, e.op("Shape", g));
          return e.with("ScatterElements", { axis: 0, reduction: "add" }, zeros, positions, g);
        },
      ],
    ]);
  }

  /** Rows `from` to `from + count` of a table, repeated for every text: [B, count, d] from [P, d], added to x of that shape. */
  addPositions(x: Value, table: Value, from: number, count: string): Value {
    const { e } = this;
    const { graph } = e;
    const start = graph.ints([from]);
    const end = e.op("Add", count, start);
    const slice = e.op("Slice", table.name, start, end, graph.ints([0]));
    return this.tape.record(e.op("Add", x.name, slice), [
      [x, (g) => g],
      [
        table,
        (g) => {
          const rows = e.op("Shape", table.name);
          const height = e.op("Slice", rows, graph.ints([0]), graph.ints([1]));
          const after = e.op("Sub", height, end);
          const pads = graph.node("Concat", [start, graph.ints([0]), after, graph.ints([0])], { axis: 0 });
          return e.op("Pad", e.sum(g, 0, true), pads);
        },
      ],
    ]);
  }

  /** The first of each text's rows: [B, d] from [B, n, d]. */
  first(x: Value, positions: string): Value {
    const { e } = this;
    const zero = e.graph.ints(0);
    return this.tape.record(e.with("Gather", { axis: 1 }, x.name, zero), [
      [
        x,
        (g) => {
          // 1 at position 0, else 0: [n, 1]
          const range = e.op("Range", e.graph.ints(0), e.op("Squeeze", positions), e.graph.ints(1));
          const isFirst = e.op("Unsqueeze", e.indicator("Equal", range, zero), e.graph.ints([1]));
          return e.op("Mul", e.op("Unsqueeze", g, e.graph.ints([1])), isFirst);
        },
      ],
    ]);
  }

  /** A weighted sum of scalars. */
  combine(terms: readonly (readonly [number, Value])[]): Value {
    const { e } = this;
    const scaled = terms.map(([weight, x]) => e.op("Mul", x.name, weight));
    return this.tape.record(
      e.op("Sum", ...scaled),
      terms.map(([weight, x]) => [x, (g) => e.op("Mul", g, weight)]),
    );
  }

  /** Of columns (u, v), halves of the last axis, (-v, u). */
  #halfTurned(x: string): string {
    const { e } = this;
    const [u, v] = e.graph.nodes("Split", [x], 2, { axis: -1, num_outputs: 2 });
    return e.with("Concat", { axis: -1 }, e.op("Neg", v), u);
  }

  #horner(x: string, coefficients: readonly number[]): string {
    const { e } = this;
    const trimmed = coefficients.slice(0, coefficients.findLastIndex((c) => c !== 0) + 1);
    if (trimmed.length <= 1) return e.op("Add", e.op("Mul", x, 0), trimmed[0] ?? 0);
    let [sum, left] = [trimmed[trimmed.length - 1] as number | string, trimmed.length - 1];
    while (left > 0) {
      left--;
      // a leading 1 and absent terms cost nothing
      sum = sum === 1 ? x : e.op("Mul", x, sum);
      if (trimmed[left] !== 0) sum = e.op("Add", sum, trimmed[left]);
    }
    return sum as string;
  }
}
