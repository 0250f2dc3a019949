/** What an entry of the registry is. */

import type { Ops } from "../program/ops.ts";

/** What an approximation stands in for. A softmax entry gives the *unnormalised* weights; `weightedMean` normalises. */
export type ApproximationKind = "gelu" | "silu" | "softmax";

/** One stand-in: how people find it, and its one definition over the program's operations. */
export interface Approximation {
  /** Lower-case letters, digits, `-` and `_`. With a parameter it is written `name:number`. */
  readonly name: string;
  readonly kind: ApproximationKind;
  /** One line. */
  readonly description: string;
  readonly formula: string;
  readonly source: string;
  /** The default of its parameter; absent: it takes none. */
  readonly parameter?: number;
  /** `x`: the intermediate (gate) layer's output, or the scores, those of keys that don't count being 0 (softmax). */
  apply<T>(ops: Ops<T>, x: T, parameter: number): T;
}
