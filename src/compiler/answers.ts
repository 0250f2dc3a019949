/** What the client is told: a text's vector, logits, or the index of the largest. */

import { magnitude, type Range } from "../program/plan.ts";
import { PlanError, type Value } from "../program/steps.ts";
import { once } from "./builder.ts";
import { argmax } from "./comparison.ts";
import type { Context } from "./context.ts";
import { type Handle, type LinearHandle, linearOf } from "./handles.ts";
import { openIn } from "./openings.ts";
import { rowsFor } from "./rows.ts";
import { emit, pending } from "./sums.ts";
import { meanOf, pickedOf, unitOf, VECTOR_BITS, VECTOR_CAP } from "./vectors.ts";

const LOGIT_BITS = 16;
/** Gumbel noise of 32 random bits lies between -3.2 and this. */
const MOST_NOISE = 23;

/** The client's view of one turn's logits: all of them as integers of up to 16 bits and a sign, or the largest one's index alone. */
export function answered(c: Context, handle: Handle): Value {
  const known = c.answers.get(handle);
  if (known !== undefined) return known;
  const told = heldBack(c, handle);
  const answer =
    told.kind === "rows"
      ? aloneOf(told, handle.kind === "share" ? "logits" : "vector")
      : linearOf(told, "the model's answer");
  c.b.label = answer.name;
  c.b.group = "answer";
  const y = emit(c, answer);
  const scale = c.target(answer.range, LOGIT_BITS, c.spec.pooling === undefined ? 14 : VECTOR_CAP);
  const opened =
    c.spec.answer === "scores"
      ? openIn(c, answer.range, y, "reveal", scale)
      : c.b.open(chosen(c, y, answer.range, scale), "toClient", 1, c.spec.labels);
  c.answers.set(handle, opened);
  return opened;
}

/** Capped logits are a share of both parties; what is revealed is cut first, and of the server's part alone. */
function heldBack(c: Context, x: Handle): Handle {
  if (x.kind !== "share") return x;
  const held = once(() => openIn(c, x.range, x.value, "toServer", c.target(x.range, LOGIT_BITS, 14)));
  return { kind: "rows", rows: x.value.rows, columns: x.value.columns, norm: null, held, range: () => x.range };
}

/** The index of the largest logit; with a temperature, of the largest after noise: a sample of their softmax. */
function chosen(c: Context, y: Value, range: Range, scale: number): Value {
  const { temperature } = c.shape;
  if (temperature === 0) return argmax(c.b, openIn(c, range, y, "forward", scale));
  const reach = magnitude(range) + temperature * MOST_NOISE;
  const noisy = c.b.value("noisy", y.rows, y.columns, y.scale, reach, "share");
  c.b.add({ kind: "noise", x: y.id, scale: temperature * y.scale }, noisy);
  return argmax(c.b, c.b.open(noisy, "exchange", scale, reach));
}

/** The mean of the text's rows. */
export function meanRow(c: Context, x: Handle): Handle {
  const op = c.next("pooled", "answer");
  const rows = rowsFor(c, x);
  const { share } = rows;
  if (share === undefined) throw new PlanError("a mean is of a norm's result: this model's structure is not supported");
  const held = once(() => c.b.within("pooled", "answer", () => meanOf(c.b, share(), c.shape)));
  return { ...rows, rows: 1, held, share: undefined, range: () => c.ranges.signed(op, "out") };
}

/** The row of the token that the client names. */
export function pickedRow(c: Context, x: Handle): Handle {
  const op = c.next("picked", "answer");
  const rows = rowsFor(c, x);
  const { share } = rows;
  if (share === undefined)
    throw new PlanError("a masked token's row is of a norm's result: this model's structure is not supported");
  const held = once(() => c.b.within("picked", "answer", () => pickedOf(c.b, share(), c.shape)));
  return { ...rows, rows: 1, held, share: undefined, range: () => c.ranges.signed(op, "out") };
}

/** A row over its length. */
export function unitRow(c: Context, x: Handle): Handle {
  const op = c.next("unit", "answer");
  const row = aloneOf(x, "pooled");
  const opened = openIn(c, row.range, emit(c, row), "forward", c.target(row.range, VECTOR_BITS, VECTOR_CAP));
  c.b.label = "unit";
  c.b.group = "answer";
  const range = c.ranges.signed(op, "out");
  const out = unitOf(c.b, opened, c.ranges.positive(op, "square"), range);
  // The product's own bits would tell both factors: what is revealed is cut first.
  const held = once(() => openIn(c, range, out, "toServer", c.target(range, VECTOR_BITS, VECTOR_CAP)));
  return { kind: "rows", rows: 1, columns: out.columns, norm: null, held, range: () => range };
}

/** A row with its norm's gain and bias, as what a linear layer gives. */
function aloneOf(x: Handle, name: string): LinearHandle {
  if (x.kind !== "rows" || x.range === undefined)
    throw new PlanError("a vector is made of a norm's result: this model's structure is not supported");
  return pending([{ kind: "residual", x }], x.rows, x.columns, name, x.range());
}
