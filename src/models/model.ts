/** A model by its spec: its blocks, and the head that answers. The one door to all families. */

import { NamedOps } from "../program/named.ts";
import type { Interpreter, Ops } from "../program/ops.ts";
import { answersTokens, type ModelSpec } from "../program/spec.ts";
import { embeddingsOf, layers, memoriesOf } from "./blocks.ts";
import { classification, nextToken, ofMasked, ofTokens, ofVector } from "./heads.ts";

export { embeddingsOf } from "./blocks.ts";

/** The logits of each turn: an encoder has one, a decoder as many as are taken. */
export function* turnsOf<T>(interpreter: Interpreter<T>, spec: ModelSpec): Generator<T, void> {
  const ops = new NamedOps(interpreter);
  if (spec.isDecoder) yield* continuation(ops, spec);
  else if (answersTokens(spec))
    yield ofTokens(
      ops,
      spec,
      encoded(ops, spec, (x) => x),
    );
  else if (spec.problem === "mask") yield ofMasked(ops, spec, picked(ops, spec));
  else if (spec.pooling?.of === "mean") yield ofVector(ops, spec.pooling, ops.meanRow(encoded(ops, spec, (x) => x)));
  else if (spec.pooling !== undefined)
    yield ofVector(
      ops,
      spec.pooling,
      encoded(ops, spec, (x) => ops.firstRow(x)),
    );
  // Only the first row of the last layer is ever read: there the queries are that row alone.
  else
    yield classification(
      ops,
      spec,
      encoded(ops, spec, (x) => ops.firstRow(x)),
    );
}

/** The logits of the first turn: [1, labels]; of a head that judges tokens, [n, labels]; a text's vector, [1, d]; of a decoder whose text is scored, [n, vocabulary]. */
export function logitsOf<T>(interpreter: Interpreter<T>, spec: ModelSpec): T {
  const first = turnsOf(interpreter, spec).next();
  if (first.done === true) throw new Error("a model has at least one turn");
  return first.value;
}

/** An encoder's last states, of all rows: [n, d]. What pre-training reads. */
export function statesOf<T>(interpreter: Interpreter<T>, spec: ModelSpec): T {
  return encoded(new NamedOps(interpreter), spec, (x) => x);
}

/** The state of the masked token. Of the last layer no other row is computed, where rows need no place of their own. */
function picked<T>(ops: Ops<T>, spec: ModelSpec): T {
  const { relative, rotary } = spec.blocks;
  if (spec.layers > 1 && relative === null && rotary === null) return encoded(ops, spec, (x) => ops.pickedRow(x));
  return ops.pickedRow(encoded(ops, spec, (x) => x));
}

function encoded<T>(ops: Ops<T>, spec: ModelSpec, asked: (x: T) => T): T {
  return layers(ops, spec, ops.embed(embeddingsOf(spec)), asked, null);
}

/**
 * The logits of turn after turn, without end: of the text's last position (or of all of them, when it is scored), then of each
 * token that the client chose. [1, vocabulary] or [n, vocabulary]
 */
function* continuation<T>(ops: Ops<T>, spec: ModelSpec): Generator<T, never> {
  const memories = memoriesOf<T>(spec);
  let logits: T | undefined;
  for (;;) {
    const embedded = ops.embed(embeddingsOf(spec), logits); // [n, d] or [1, d]
    logits = nextToken(
      ops,
      spec,
      layers(ops, spec, embedded, (x) => ops.askedRows(x), memories),
    );
    yield logits;
  }
}

/** How many operations a model's first turn has. */
export function operationsOf(spec: ModelSpec): number {
  let count = 0;
  const counting = new Proxy({} as Interpreter<object>, {
    get: (_, method) => () => {
      if (method !== "begin") count++;
      return {};
    },
  });
  logitsOf(counting, spec);
  return count;
}
