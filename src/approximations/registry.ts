/**
 * The registry of stand-ins for the functions that cost most in multi-party computation: GELU, SiLU and softmax.
 *
 * To add one, write an `Approximation` in one file and call `register` before a model is loaded: its form over `Ops<T>` is
 * all that every interpreter (trace, floats, fixed point, parties, training) needs.
 */

import type { Ops } from "../program/ops.ts";
import type { Approximation, ApproximationKind } from "./approximation.ts";
import { geluApproximations } from "./gelu.ts";
import { siluApproximations } from "./silu.ts";
import { softmaxApproximations } from "./softmax.ts";

/** An approximation with its parameter fixed. */
export interface BoundApproximation {
  /** The canonical name, parameter included: "2quad:5". */
  readonly name: string;
  readonly entry: Approximation;
  apply<T>(ops: Ops<T>, x: T): T;
}

const NAME = /^[a-z0-9][a-z0-9_-]{0,30}$/;
const NUMBER = /^-?\d{1,9}(\.\d{1,9})?(e-?\d)?$/;
const entries = new Map<string, Approximation>();

/**
 * Adds an approximation.
 * @throws an Error when the name is malformed or already taken for its kind.
 */
export function register(entry: Approximation): void {
  if (!NAME.test(entry.name)) {
    throw new Error("an approximation's name has up to 31 lower-case letters, digits, - and _: choose another");
  }
  const key = `${entry.kind}/${entry.name}`;
  if (entries.has(key)) throw new Error(`${entry.kind} "${entry.name}" is already registered: choose another name`);
  entries.set(key, entry);
}

/** All approximations, or those of one kind, in the order of their registration. */
export function list(kind?: ApproximationKind): readonly Approximation[] {
  return [...entries.values()].filter((entry) => kind === undefined || entry.kind === kind);
}

/** The GELU stand-in of this name, `name` or `name:number`. @throws an Error that lists the known ones. */
export function gelu(name: string): BoundApproximation {
  return bind("gelu", name);
}

/** The SiLU stand-in of this name, `name` or `name:number`. @throws an Error that lists the known ones. */
export function silu(name: string): BoundApproximation {
  return bind("silu", name);
}

/** The softmax stand-in of this name, `name` or `name:number`. @throws an Error that lists the known ones. */
export function softmax(name: string): BoundApproximation {
  return bind("softmax", name);
}

function bind(kind: ApproximationKind, name: string): BoundApproximation {
  const colon = name.indexOf(":");
  const bare = colon < 0 ? name : name.slice(0, colon);
  const entry = entries.get(`${kind}/${bare}`);
  if (entry === undefined) {
    const known = list(kind).map((one) => one.name);
    throw new Error(`unknown ${kind}${NAME.test(bare) ? ` "${bare}"` : ""}: use one of ${known.join(", ")}`);
  }
  const parameter = colon < 0 ? entry.parameter : parameterOf(entry, name.slice(colon + 1));
  return {
    name: parameter === undefined ? entry.name : `${entry.name}:${parameter}`,
    entry,
    apply: (ops, x) => entry.apply(ops, x, parameter ?? 0),
  };
}

function parameterOf(entry: Approximation, text: string): number {
  if (entry.parameter === undefined) {
    throw new Error(`${entry.kind} "${entry.name}" takes no parameter: write it without a colon`);
  }
  if (!NUMBER.test(text)) {
    throw new Error(`${entry.kind} "${entry.name}" takes a number: write it as ${entry.name}:${entry.parameter}`);
  }
  return Number(text);
}

for (const entry of [...geluApproximations, ...siluApproximations, ...softmaxApproximations]) register(entry);
