/** A text's tokens, or an image's patches, to what the first layer reads. */

import type { EmbeddingRef } from "../program/ops.ts";
import { magnitude } from "../program/plan.ts";
import type { InputSource, Value } from "../program/steps.ts";
import { answered } from "./answers.ts";
import { once } from "./builder.ts";
import type { Context } from "./context.ts";
import { type Handle, type LinearPart, linearOf, type RowsHandle } from "./handles.ts";
import { begun } from "./layers.ts";
import { normalise } from "./norms.ts";
import { openIn } from "./openings.ts";
import { emit, pending } from "./sums.ts";

/** Significant bits of a pixel's values. */
const PIXEL_BITS = 14;

/** What the first layer reads of a text, an image, or of the token after an answer. */
export function embed(c: Context, ref: EmbeddingRef, after?: Handle): Handle {
  const answer = after === undefined ? null : answered(c, after);
  c.turn++;
  const op = c.next("embeddings", "embedding");
  const input = (source: InputSource, columns: number, form: Partial<Value> = {}) => {
    const value = c.b.value(source, c.turnRows, columns, form.scale ?? 1, 1, "masked");
    return c.b.add({ kind: "input", source, after: answer?.id ?? null }, Object.assign(value, form));
  };
  if (c.spec.embedding === "public") return embedded(c, ref, op, input);
  const parts: LinearPart[] = [firstPart(c, ref, op, input)];
  if (ref.type !== null) parts.push({ kind: "table", x: input("types", ref.types), name: ref.type, rows: ref.types });
  // Where a decoder's text begins, and where a text has tokens without a position, only the client knows.
  if (ref.position !== null && (ref.norm !== null || ref.patches) && ref.padding === null)
    parts.push({
      ...{ kind: "positions", name: ref.position, offset: ref.positionOffset },
      ...(ref.patches ? { first: ref.patches.first } : {}),
    });
  else if (ref.position !== null)
    parts.push({ kind: "table", x: input("positions", ref.positions), name: ref.position, rows: ref.positions });
  const sum = pending(parts, c.turnRows, ref.width, ref.word, c.ranges.signed(op, "word"));
  if (ref.norm !== null) return streamed(c, normalise(c, sum, ref.norm, op), ref, op);
  const centred = ref.readers === "centred stream";
  const range = c.ranges.signed(op, centred ? "centred" : "out");
  const opened = () => {
    const share = emit(c, { ...sum, range }, { centre: centred });
    return openIn(c, range, share, "forward", c.inputScale(ref, range));
  };
  return begun(c, ref, range, once(opened));
}

/** Words by their table, or an image's patches by their layer. */
function firstPart(
  c: Context,
  ref: EmbeddingRef,
  op: string,
  input: (source: InputSource, columns: number, form?: Partial<Value>) => Value,
): LinearPart {
  if (!ref.patches) return { kind: "table", x: input("words", ref.vocabulary), name: ref.word, rows: ref.vocabulary };
  const { layer } = ref.patches;
  const range = c.ranges.signed(op, "patches");
  const scale = c.target(range, PIXEL_BITS, PIXEL_BITS);
  const x = input("patches", layer.inputs, { scale, bound: Math.ceil(magnitude(range) * scale) + 2 });
  const rows: RowsHandle = {
    ...{ kind: "rows", rows: c.turnRows, columns: layer.inputs, norm: null, held: () => x },
  };
  return { kind: "dense", x: rows, ref: layer };
}

/** The public embedding: the client's own sum under its mask. */
function embedded(
  c: Context,
  ref: EmbeddingRef,
  op: string,
  input: (source: InputSource, columns: number, form: Partial<Value>) => Value,
): Handle {
  const isCentred = ref.readers === "centred stream";
  const range = c.ranges.signed(op, isCentred ? (ref.norm === null ? "centred" : "stream") : "out");
  const scale = c.inputScale(ref, range);
  const bound = Math.ceil(magnitude(range) * scale) + 2;
  const value = input("embedding", ref.width, { name: "embeddings", scale, bound });
  return begun(c, ref, range, () => value);
}

/** The embeddings' norm, where a residual stream begins with it. */
function streamed(c: Context, rows: RowsHandle, ref: EmbeddingRef, op: string): Handle {
  if (ref.readers === "layers") return rows;
  const centred = ref.readers === "centred stream";
  const range = c.ranges.signed(op, centred ? "stream" : "out");
  const sum = linearOf(rows, "embed");
  const opened = () =>
    openIn(c, range, emit(c, { ...sum, range }, { centre: centred }), "forward", c.inputScale(ref, range));
  return begun(c, ref, range, once(opened));
}
