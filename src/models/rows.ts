/** Rows as other formats keep them: of query and key layers for rotary positions, and as columns. */

/**
 * Heads whose rotary pairs lie side by side, as llama2.c and GGUF store them, to pairs a half of the head apart, as the program
 * has them: of each head, row 2j to row j and row 2j + 1 to row j + width / 2.
 * @param data [rows, columns]; a bias has one column
 */
export function unpaired(data: Float32Array, rows: number, columns: number, heads: number): Float32Array {
  const out = new Float32Array(data.length);
  const width = rows / heads;
  for (let row = 0; row < rows; row++) {
    const inHead = row % width;
    const to = row - inHead + (inHead >> 1) + (inHead % 2) * (width / 2);
    out.set(data.subarray(row * columns, (row + 1) * columns), to * columns);
  }
  return out;
}

/** A matrix [rows, columns] as [columns, rows]. */
export function transpose(data: Float32Array, rows: number, columns: number): Float32Array {
  const out = new Float32Array(data.length);
  for (let r = 0; r < rows; r++) for (let c = 0; c < columns; c++) out[c * rows + r] = data[r * columns + c];
  return out;
}
