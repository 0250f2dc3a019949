/** In which order files have the rows of queries and keys whose heads are turned by their positions. */

import type { ModelSpec } from "../../program/spec.ts";

/** Where the columns of a pair lie in a file: a half of the turned part apart, or side by side (GPT-J). */
export type Pairs = "halves" | "neighbours";

/**
 * The stored column of each of a head's columns. The program has a pair a half of the head apart, whatever part of a head is
 * turned: those that are not stand behind the others in both halves. Queries and keys alike, no score notices.
 */
export function headColumns({ headWidth, blocks }: ModelSpec, pairs: Pairs = "halves"): readonly number[] {
  const half = headWidth / 2;
  const turned = (blocks.rotary?.width ?? headWidth) / 2;
  return Array.from({ length: headWidth }, (_, column) => {
    const [second, j] = [column >= half, column % half];
    if (j >= turned) return turned * 2 + (second ? half - turned : 0) + (j - turned);
    if (pairs === "neighbours") return 2 * j + (second ? 1 : 0);
    return j + (second ? turned : 0);
  });
}

/**
 * Queries, keys and values stored as one, head after head, each head's three beside each other (GPT-NeoX): the stored row of each
 * row of the queries, then the keys, then the values.
 */
export function interleavedRows(spec: ModelSpec): readonly number[] {
  const { heads, headWidth } = spec;
  const columns = headColumns(spec);
  const plain = columns.map((_, column) => column);
  return [columns, columns, plain].flatMap((of, part) =>
    Array.from({ length: heads }, (_, head) => of.map((column) => (3 * head + part) * headWidth + column)).flat(),
  );
}

/** The stored row of each row of queries or keys: head after head. Null: the same order. */
export function turnedRows(spec: ModelSpec, heads: number, pairs: Pairs = "halves"): readonly number[] | null {
  if (pairs === "halves" && (spec.blocks.rotary?.width ?? null) === null) return null;
  const columns = headColumns(spec, pairs);
  return Array.from({ length: heads }, (_, head) => columns.map((column) => head * spec.headWidth + column)).flat();
}
