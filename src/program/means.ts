/**
 * What every output of an operand has in common, for each of its inputs: of a dense layer's weights [outputs, inputs] the means of
 * columns, of a table [rows, width] those of rows. Without them what the operand gives has mean 0.
 */
export function outputMeans(
  kind: "dense" | "table",
  data: ArrayLike<number>,
  [rows, columns]: readonly number[],
): Float64Array {
  const means = new Float64Array(kind === "dense" ? columns : rows);
  const part = kind === "dense" ? 1 / rows : 1 / columns;
  for (let r = 0, i = 0; r < rows; r++)
    for (let c = 0; c < columns; c++, i++) means[kind === "dense" ? c : r] += data[i] * part;
  return means;
}
