/** How far the answers of two runs of a model are apart, text by text. */
import { logLikelihood, type Perplexity, perplexityOf } from "../distill/perplexity.ts";
import { indexOfLargest } from "../program/largest.ts";

/** The logits of every token of a text, one row behind the other. */
export type Rows = Float32Array;

/** Padding stands before a decoder's text. */
export function behindPadding(logits: readonly number[], right: Rows): Rows {
  return Float32Array.from(logits.slice(logits.length - right.length));
}

/** What texts' logits tell of a model, and how far they are from the right ones; the logits themselves are not kept. */
export class Comparison {
  private readonly columns: number;
  private readonly likelihoods: number[][] = [];
  texts = 0;
  private same = 0;
  private rows = 0;
  private error = 0;

  constructor(columns: number) {
    this.columns = columns;
  }

  /** One text's; of a decoder with its tokens. */
  add(found: Rows, right: Rows, ids: readonly number[] = []): void {
    const { columns } = this;
    for (let at = 0; at < right.length; at += columns, this.rows++)
      if (indexOfLargest(found.subarray(at, at + columns)) === indexOfLargest(right.subarray(at, at + columns)))
        this.same++;
    this.error = right.reduce((most, x, i) => Math.max(most, Math.abs(x - found[i])), this.error);
    this.texts++;
    this.likelihoods.push(
      ids.slice(1).map((id, i) => logLikelihood(found.subarray(i * columns, (i + 1) * columns), id)),
    );
  }

  get perplexity(): Perplexity {
    return perplexityOf(this.likelihoods);
  }

  get told() {
    return { agreement: this.same / this.rows, max_abs_logit_error: this.error };
  }
}
