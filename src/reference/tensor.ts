/** Matrices of floats, and which of their entries belong to the text. */

/** A matrix, row-major. Attention scores stack one block of rows per head; the text's own part of a block is its corner. */
export interface FloatTensor {
  readonly rows: number;
  readonly columns: number;
  readonly data: Float32Array;
  /** Blocks of rows: 1, or the number of heads. */
  readonly heads: number;
  /** Rows of each block that belong to the text, not to its padding. */
  readonly ownRows: number;
  /** Columns that belong to the text: all, but for scores. */
  readonly ownColumns: number;
  /** Causal scores: the first row of a block counts up to this column, each later row one column more. */
  readonly past?: number;
  /** Causal scores: the most columns that count in a row. */
  readonly window?: number;
}

/** How many of its columns count in a row: of causal scores, those up to its own position. */
export function keysOf(s: FloatTensor, row: number): number {
  return s.past === undefined ? s.ownColumns : s.past + 1 + (row % (s.rows / s.heads));
}

/** The first of its columns that counts in a row. */
export function firstOf(s: FloatTensor, row: number): number {
  return s.window === undefined ? 0 : Math.max(0, keysOf(s, row) - s.window);
}

export function countOf(s: FloatTensor, row: number): number {
  return keysOf(s, row) - firstOf(s, row);
}

export function countsIn(s: FloatTensor, row: number, column: number): boolean {
  return column < keysOf(s, row) && column >= firstOf(s, row);
}

/** Each row minus its own mean. */
export function centredRows(x: Pick<FloatTensor, "data" | "columns">): Float32Array {
  const out = new Float32Array(x.data.length);
  for (let start = 0; start < out.length; start += x.columns) {
    let sum = 0;
    for (let c = 0; c < x.columns; c++) sum += x.data[start + c];
    for (let c = 0; c < x.columns; c++) out[start + c] = x.data[start + c] - sum / x.columns;
  }
  return out;
}

export function headWidth(x: FloatTensor, heads: number): number {
  if (x.columns % heads !== 0) throw new Error(`${heads} heads do not divide a width of ${x.columns}: check the model`);
  return x.columns / heads;
}

export function expectColumns(x: FloatTensor, columns: number, name: string): void {
  if (x.columns !== columns) throw new Error(`${name} needs ${columns} columns, got ${x.columns}: check the model`);
}
