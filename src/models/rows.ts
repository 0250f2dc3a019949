/** Rows of query and key layers as other formats keep them for rotary positions. */

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
