/** Norms and embeddings in floats. */

import { type EmbeddingRef, type NormRef, positionRows } from "../program/ops.ts";
import { longestText, type TokenizedText } from "../program/spec.ts";
import { rangeOf } from "./distances.ts";
import type { FloatRun } from "./run.ts";
import { centredRows, expectColumns, type FloatTensor } from "./tensor.ts";

/** Rows over their root mean square or standard deviation, with gain and bias. */
export function normalised(run: FloatRun, x: FloatTensor, ref: NormRef): FloatTensor {
  const { width, groups = 1 } = ref;
  expectColumns(x, width * groups, ref.name);
  const gain = run.tensor(`${ref.name}.weight`, [width]);
  const bias = ref.bias ? run.tensor(`${ref.name}.bias`, [width]) : new Float32Array(width);
  const centred = ref.kind === "rms" ? x.data : centredRows({ data: x.data, columns: width });
  const variances = new Float32Array(x.rows * groups);
  const data = new Float32Array(x.data.length);
  for (let row = 0; row < variances.length; row++) {
    const start = row * width;
    let squares = 0;
    for (let c = 0; c < width; c++) squares += centred[start + c] * centred[start + c];
    variances[row] = squares / width + ref.epsilon;
    const factor = 1 / Math.sqrt(squares / width + ref.epsilon);
    for (let c = 0; c < width; c++) data[start + c] = centred[start + c] * factor * gain[c] + bias[c];
  }
  run.observe("centred", { ...x, data: centred });
  run.observe("variance", { ...x, columns: groups, ownColumns: groups, data: variances });
  return { ...x, data };
}

/** The sum of a text's embeddings, normalised if the model does; `rows` of them, the first at position `before`. */
export function embedded(
  run: FloatRun,
  ref: EmbeddingRef,
  { ids, types, patches }: TokenizedText,
  { rows, before }: { readonly rows: number; readonly before: number },
): FloatTensor {
  const { width } = ref;
  const sum = new Float32Array(rows * width);
  const add = (name: string | null, size: number, what: string, rowAt: (i: number) => number) => {
    if (name === null) return;
    const table = run.table(name, width, size);
    for (let i = 0; i < rows; i++) {
      const from = rowOf(rowAt(i), size, what) * width;
      for (let c = 0; c < width; c++) sum[i * width + c] += table[from + c];
    }
  };
  if (ref.patches) addPatches(run, sum, ref.patches, patches, rows);
  else add(ref.word, ref.vocabulary, "token id", (i) => ids[i] ?? 0);
  if (ref.position !== null && before + rows + ref.positionOffset > ref.positions)
    throw new Error(`the text is beyond the model's ${longestText(ref)} positions: shorten it`);
  const own = Array.from({ length: rows }, (_, i) => ids[i] ?? 0);
  const positions = positionRows(ref, own, before);
  add(ref.position, ref.positions, "position", (i) => positions[i]);
  add(ref.type, ref.types, "token type", (i) => types[i] ?? 0);
  const x = { rows, columns: width, data: sum, heads: 1, ownRows: ids.length, ownColumns: width };
  run.observe("word", x);
  if (ref.norm !== null) {
    const normed = normalised(run, x, ref.norm);
    if (ref.readers === "centred stream") run.observe("stream", { ...normed, data: centredRows(normed) });
    return normed;
  }
  run.observeCentred(x);
  return x;
}

/** Adds an image's embedded patches, and the row before them. */
function addPatches(
  run: FloatRun,
  sum: Float32Array,
  { layer, first }: NonNullable<EmbeddingRef["patches"]>,
  patches: TokenizedText["patches"],
  rows: number,
): void {
  const { inputs, outputs } = layer;
  if (patches?.length !== rows * inputs) throw new Error("this model reads images: give one of its size");
  run.observeRange("patches", rangeOf(patches));
  const weight = run.tensor(`${layer.name}.weight`, [outputs, inputs]);
  const bias = run.tensor(`${layer.name}.bias`, [outputs]);
  const start = run.tensor(first, [outputs]);
  const embedded = run.matmul(patches, weight, rows, inputs, outputs);
  for (let i = 0; i < sum.length; i++) sum[i] += i < outputs ? start[i] : embedded[i] + bias[i % outputs];
}

function rowOf(id: number, rows: number, what: string): number {
  if (!Number.isInteger(id) || id < 0 || id >= rows) {
    throw new Error(`a ${what} is outside the table of ${rows}: use the model's own tokenizer`);
  }
  return id;
}
