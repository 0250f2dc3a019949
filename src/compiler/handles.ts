/** What the compiler hands out for a model's values: not yet emitted sums, rows, shares, residual streams, remembered keys. */
import { log2 } from "../program/maths.ts";
import type { LinearRef, NormRef, Rotary } from "../program/ops.ts";
import { magnitude, type Range } from "../program/plan.ts";
import { type BiasRef, PlanError, type Value } from "../program/steps.ts";

/** A sum of weighted inputs that has not been emitted yet, so that what follows can still fold into it. */
export interface LinearHandle {
  readonly kind: "linear";
  readonly rows: number;
  readonly columns: number;
  readonly parts: readonly LinearPart[];
  readonly name: string;
  readonly rowsMasked: boolean;
  readonly rotary: Rotary | null;
  readonly range: Range;
  memo: Value | null;
  /** The same as rows for a linear layer, once it was asked for. */
  held: RowsHandle | null;
}

export type LinearPart =
  | { readonly kind: "dense"; readonly x: RowsHandle; readonly ref: LinearRef }
  | { readonly kind: "table"; readonly x: Value; readonly name: string; readonly rows: number }
  | { readonly kind: "positions"; readonly name: string; readonly offset: number; readonly first?: string }
  | { readonly kind: "residual"; readonly x: RowsHandle };

/** Rows that enter linear layers: held by the server, zero on padding, a norm's gain and bias still to come. */
export interface RowsHandle {
  readonly kind: "rows";
  readonly rows: number;
  readonly columns: number;
  readonly norm: NormRef | null;
  readonly held: () => Value;
  /** What the server holds of it before that is opened, for who sums it first. */
  readonly share?: () => Value;
  /** Of a norm's result, its gain and bias applied. */
  readonly range?: () => Range;
}

/** Which columns of causal scores count: those up to `past` + i in row i of a head's `queries` rows. */
export interface Causal {
  readonly past: number;
  readonly queries: number;
  /** How many of them at most. */
  readonly window: number | null;
}

export interface ShareHandle {
  readonly kind: "share";
  readonly value: Value;
  readonly range: Range;
  readonly group: string;
  readonly causal: Causal | null;
  /** Causal: what the columns that don't count hold: products that mean nothing, a known value, or zero. */
  readonly behind: "nothing" | "known" | "zero";
  /** What columns beyond the text hold beside what keys that are zero score: what distances add, up to this. Null: nothing. */
  readonly beyond: Range | null;
  /** What each head's scores are still to lose for every position between a row and a key. */
  readonly slopes: readonly number[] | null;
}

/** A residual stream: opened for the norm that reads it, at a precision of its own, and summed from there on. */
export interface StreamHandle {
  readonly kind: "stream";
  readonly rows: number;
  readonly columns: number;
  readonly range: Range;
  /** Whether each row's mean has been left out: no layer norm takes notice. */
  readonly centred: boolean;
  readonly opened: () => Value;
}

/** Keys or values of all tokens so far, masked; rows from `filled` on are still zero. */
export interface KeysHandle {
  readonly kind: "keys";
  readonly value: Value;
  readonly filled: number;
  readonly range: Range;
}

export type Handle = LinearHandle | RowsHandle | ShareHandle | StreamHandle | KeysHandle;

/** A share that is no score. */
export function plainShare(value: Value, range: Range, group: string): ShareHandle {
  return { kind: "share", value, range, group, causal: null, behind: "zero", beyond: null, slopes: null };
}

/** @throws PlanError for anything but a share. */
export function shareOf(x: Handle): ShareHandle {
  if (x.kind !== "share") throw new PlanError("this operation takes scores or activations");
  return x;
}

/** @throws PlanError for anything but the result of a linear layer or a norm, or a sum of such; `what` asks for it. */
export function linearOf(x: Handle, what: string): LinearHandle {
  if (x.kind === "linear") return x;
  if (x.kind !== "rows" || x.norm === null)
    throw new PlanError(`${what} takes a linear layer's result: this model's structure is not supported`);
  // A norm's gain is a layer of its own where no other follows.
  const { rows, columns, norm } = x;
  const parts = [{ kind: "residual", x } as const];
  return {
    kind: "linear",
    rows,
    columns,
    parts,
    name: norm.name,
    rowsMasked: false,
    rotary: null,
    range: rangeOf(x),
    memo: null,
    held: null,
  };
}

/** @throws PlanError for rows that no norm gave. */
export function rangeOf(x: Handle): Range {
  if (x.kind !== "rows") return x.range;
  if (x.range === undefined) throw new PlanError("rows may only enter a linear layer or a sum");
  return x.range();
}

export function groupOf(x: Handle): string {
  return x.kind === "share" ? x.group : "activation";
}

export function labelOf(x: Handle): string | null {
  if (x.kind === "rows") return x.norm?.name ?? null;
  return x.kind === "linear" ? x.name : null;
}

export function rowsOf(x: Handle): number {
  return x.kind === "share" || x.kind === "keys" ? x.value.rows : x.rows;
}

/** The row that the server adds for a sum of layers, and of norms' biases carried through them; null where there is none. */
export function biasOf(parts: readonly LinearPart[], scale: number, centred: boolean): BiasRef | null {
  const dense = parts.filter((p) => p.kind === "dense");
  const positions = parts.find((p) => p.kind === "positions");
  const layers = dense.filter((p) => p.ref.bias).map((p) => p.ref.name);
  const norms = parts.flatMap((p) => (p.kind === "residual" && hasBias(p.x.norm) ? [p.x.norm.name] : []));
  const folded = dense.flatMap((p) => (hasBias(p.x.norm) ? [{ layer: p.ref.name, norm: p.x.norm.name }] : []));
  if (layers.length + norms.length + folded.length === 0 && positions === undefined) return null;
  return {
    layers,
    norms,
    folded,
    positions: positions === undefined ? null : placesOf(positions),
    scale,
    centred,
  };
}

function placesOf({ name, offset, first }: Extract<LinearPart, { kind: "positions" }>): BiasRef["positions"] {
  return first === undefined ? { name, offset } : { name, offset, first };
}

function hasBias(norm: NormRef | null): norm is NormRef {
  return norm?.bias === true;
}

/** Significant bits that a value keeps, however small all of it is: the bits after the point that others do with are no bound for it. */
export const LEAST_BITS = 11;

/**
 * The largest power of two at which `range` keeps `bits` significant bits, at most 2^cap; beyond that where it would keep fewer than
 * `least`.
 */
export function scaleFor(range: Range, bits: number, cap: number, least = LEAST_BITS): number {
  const top = Math.ceil(log2(magnitude(range)));
  const usual = Math.min(cap, bits - top);
  return 2 ** (isZero(range) ? usual : Math.max(usual, Math.min(bits, least) - top));
}

function isZero([lo, hi]: Range): boolean {
  return lo === 0 && hi === 0;
}
