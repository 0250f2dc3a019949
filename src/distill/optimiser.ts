/**
 * AdamW (Loshchilov and Hutter, arXiv:1711.05101) with the gradients' global norm clipped, written into the graph.
 *
 * With the moments m and v, both uncorrected, a step of learning rate r at time t is
 *   w ← w·(1 - r·decay) - r·(m/c1) / (sqrt(v/c2) + ε),  c1 = 1 - β1^t, c2 = 1 - β2^t,
 * which is  w·keep - rate·m / (sqrt(v) + epsilon)  with three scalars that the host computes: so a graph serves every step.
 */

import type { Operators } from "./operators.ts";

export interface AdamOptions {
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  /** Weight decay of matrices; biases, gains and tables of norms have none. */
  readonly decay: number;
  /** The largest global norm of a step's gradients. */
  readonly clip: number;
}

/** The usual settings of BERT's fine-tuning. */
export const ADAM: AdamOptions = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, decay: 0.01, clip: 1 };

/** The scalars of a step, as inputs of the graph: [keep, rate, epsilon]. */
export const SCALARS = "optimiser";

/** @returns the scalars of step t (from 1) at a learning rate. */
export function stepScalars(
  t: number,
  learningRate: number,
  { beta1, beta2, epsilon, decay }: AdamOptions,
): Float32Array {
  const root = Math.sqrt(1 - beta2 ** t);
  return Float32Array.of(1 - learningRate * decay, (learningRate * root) / (1 - beta1 ** t), epsilon * root);
}

/** A tensor to update: its names in the graph, its shape, and whether it decays. */
export interface Updated {
  readonly name: string;
  readonly gradient: string;
  readonly shape: readonly (number | string)[];
  readonly decays: boolean;
}

/** The input names of a tensor's moments. */
export const moments = (name: string): readonly [string, string] => [`${name}#m`, `${name}#v`];

/** The output name under which a tensor's (or a moment's) new value leaves the graph. */
export const next = (name: string): string => `${name}'`;

/**
 * Writes the update of all tensors and gives the gradients' global norm. Every update depends on that norm, and so on every
 * use of every tensor: outputs may be written over the inputs' memory.
 */
export function writeAdamW(o: Operators, tensors: readonly Updated[], options: AdamOptions): string {
  const { e } = o;
  const { graph } = e;
  const squares = tensors.map(({ gradient }) => graph.node("ReduceSumSquare", [gradient], { keepdims: 0 }));
  const norm = e.op("Sqrt", squares.length === 1 ? squares[0] : graph.node("Sum", squares));
  const factor = e.op("Min", e.op("Div", options.clip, e.op("Add", norm, 1e-6)), 1);
  const scalars = graph.input(SCALARS, "float32", [3]);
  const [keep, rate, epsilon] = [0, 1, 2].map((i) => e.op("Gather", scalars, graph.ints(i)));
  const [firstShare, secondShare] = [1 - options.beta1, Math.sqrt(1 - options.beta2)].map((x) =>
    e.op("Mul", factor, x),
  );
  for (const { name, gradient, shape, decays } of tensors) {
    const [m, v] = moments(name).map((moment) => graph.input(moment, "float32", shape));
    const mNext = e.op("Add", e.op("Mul", m, options.beta1), e.op("Mul", gradient, firstShare));
    const part = e.op("Mul", gradient, secondShare);
    const vNext = e.op("Add", e.op("Mul", v, options.beta2), e.op("Mul", part, part));
    const change = e.op("Mul", e.op("Div", mNext, e.op("Add", e.op("Sqrt", vNext), epsilon)), rate);
    const wNext = e.op("Sub", decays ? e.op("Mul", name, keep) : name, change);
    graph.output(next(name), wNext, "float32", shape);
    graph.output(next(m), mNext, "float32", shape);
    graph.output(next(v), vNext, "float32", shape);
  }
  return norm;
}
