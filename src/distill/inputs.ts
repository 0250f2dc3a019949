/** A batch as inputs of the graph, and what follows from it: masks, positions, the angles of rotary positions. */

import type { Expressions } from "./expressions.ts";
import { Operators } from "./operators.ts";
import type { Tape } from "./tape.ts";

/** Cosines and sines for heads side by side: [n, 1, w]. */
export interface Angles {
  readonly cos: string;
  readonly sin: string;
}

/** A batch's inputs, shared by teacher and student. */
export class BatchInputs {
  readonly operators: Operators;
  /** Token ids as rows of the word table given, and token types: [B·n, 1]. */
  readonly ids: string;
  readonly types: string;
  /** 1 for a text's own position, else 0: [B, n]. */
  readonly mask: string;
  /** The number of positions n: [1]. */
  readonly positions: string;
  /** Made once, when first asked for. */
  readonly #made = new Map<string, string>();

  constructor(tape: Tape) {
    this.operators = new Operators(tape);
    const { e } = this.operators;
    const flat = e.graph.ints([-1, 1]);
    this.ids = e.op("Reshape", e.graph.input("ids", "int64", ["B", "n"]), flat);
    this.types = e.op("Reshape", e.graph.input("types", "int64", ["B", "n"]), flat);
    this.mask = e.graph.input("mask", "float32", ["B", "n"]);
    this.positions = e.op("Slice", e.op("Shape", this.mask), e.graph.ints([1]), e.graph.ints([2]));
  }

  /** The mask in a shape that broadcasts: over rows of activations, keys of scores, or queries of scores. */
  maskOf(what: "rows" | "keys" | "queries"): string {
    return this.#once(what, (e) => {
      const n = this.positions;
      const shapes = { rows: [-1, 1], keys: [-1, 1, 1, n], queries: [-1, 1, n, 1] } as const;
      return e.op("Reshape", this.mask, e.shape(...shapes[what]));
    });
  }

  /** 1 for keys up to a row's own position, the last `window` of them, else 0: [n, n]. */
  past(window?: number): string {
    return this.#once(`past ${window}`, (e) => {
      const [row, key] = this.#rowAndKey();
      const before = e.floats(e.op("LessOrEqual", key, row));
      if (window === undefined) return before;
      return e.op("Mul", before, e.floats(e.op("Less", e.op("Sub", row, key), e.graph.ints(window))));
    });
  }

  /** What each head's scores lose by their distance, negative: [a, n, n]. */
  descents(slopes: readonly number[]): string {
    return this.#once(`descents ${slopes}`, (e) => {
      const [row, key] = this.#rowAndKey();
      const distance = e.floats(e.op("Sub", key, row));
      const own = e.op("Reshape", e.graph.floats(slopes), e.graph.ints([slopes.length, 1, 1]));
      return e.op("Mul", distance, own);
    });
  }

  /**
   * 1 for the keys that count, else 0: the texts' own, and with `causal` those up to a row's own position. A row of padding, whose window
   * lies beyond the text, has its own key: without any it would have no softmax.
   */
  countingKeys(causal: boolean, window?: number): string {
    if (!causal) return this.maskOf("keys");
    return this.#once(`counting ${window}`, (e) => {
      const counting = e.op("Mul", this.maskOf("keys"), this.past(window));
      if (window === undefined) return counting;
      const [row, key] = this.#rowAndKey();
      return e.op("Max", counting, e.floats(e.op("Equal", row, key)));
    });
  }

  /** How many keys count in a row: [B, 1, n, 1] if causal, else [B, 1, 1, 1]. */
  keyCounts(causal: boolean, window?: number): string {
    return this.#once(`key counts ${causal} ${window}`, (e) => e.sum(this.countingKeys(causal, window), -1));
  }

  #rowAndKey(): string[] {
    const { e } = this.operators;
    return [1, 0].map((axis) => e.op("Unsqueeze", this.#range(), e.graph.ints([axis])));
  }

  /** One over the number of a text's tokens at its own positions, else 0: [B, 1, 1, n]. */
  parts(): string {
    return this.#once("parts", (e) => {
      const parts = e.op("Div", this.mask, e.sum(this.mask, -1));
      return e.op("Reshape", parts, e.shape(-1, 1, 1, this.positions));
    });
  }

  /** The angles position·frequencies[j] of column pair j of heads, whose pairs are a half apart. */
  angles(frequencies: readonly number[]): Angles {
    const table = (of: "Cos" | "Sin") =>
      this.#once(`${of} ${frequencies}`, (e) => {
        const angles = e.op(
          "Mul",
          e.op("Unsqueeze", e.floats(this.#range()), e.graph.ints([1, 2])),
          e.graph.floats([...frequencies, ...frequencies]),
        );
        return e.op(of, angles);
      });
    return { cos: table("Cos"), sin: table("Sin") };
  }

  /** 0 to n - 1: [n]. */
  #range(): string {
    return this.#once("range", (e) => e.op("Range", e.graph.ints(0), e.op("Squeeze", this.positions), e.graph.ints(1)));
  }

  #once(what: string, make: (e: Expressions) => string): string {
    const known = this.#made.get(what);
    if (known !== undefined) return known;
    const made = make(this.operators.e);
    this.#made.set(what, made);
    return made;
  }
}
