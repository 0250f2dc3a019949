/** The rule of a step kind: all that compiler, parties, cost model and clear run need to know of it, in one place. */
import type { Program, Step, StepKind, StepOf, Value, ValueId } from "../program/steps.ts";
import type { Words } from "../ring/memory.ts";
import type { Block } from "./blocks.ts";
import type { Combination } from "./combination.ts";
import type { ClearScope, ClientInput, ClientOffline, Dealer, Party } from "./sides.ts";

/** What one step sends. The declaration is the price list: the parties send and expect exactly this. */
export interface Traffic {
  /** Dealer to server, offline: the server's shares of the step's correlated secrets, one behind the other in one tensor. */
  readonly dealt?: readonly Block[];
  /** Client to server, offline: what of the client's opening does not depend on the text. */
  readonly ahead?: Block;
  /** Client to server, online. */
  readonly fromClient?: Block;
  /** Server to client, online. */
  readonly fromServer?: Block;
}

/** A matrix product [m, k] · [k, n], `times` of them; with narrow plaintext weights, or of two tensors of words. */
export interface Product {
  readonly m: number;
  readonly k: number;
  readonly n: number;
  readonly times: number;
  readonly narrow: boolean;
  /** Of the result's ring. */
  readonly bits: number;
}

/** Asks that a value's ring has at least so many bits. */
type Need = (id: ValueId, bits: number) => void;

/** Says that something must hold of a step; `what` completes "the step ...". */
export type Expect = (holds: boolean, what: string) => void;

/** What a step's owner gives to a helper that plays the client (cover.ts). */
export interface CoveredInput<K extends StepKind> {
  block(step: StepOf<K>, program: Program): Block;
  /** The owner's integers. */
  fill(input: ClientInput, out: Words, step: StepOf<K>): void;
}

/** How the client's share of a result is a sum of public factors times words that it draws (docs/verification.md). */
interface ClientShare<K extends StepKind> {
  /** Opened values whose masks, as far as they are the client's, are among those words. */
  masks(step: StepOf<K>, program: Program): readonly ValueId[];
  /** Adds the products up in `t.result` or `t.bitResult`: of words, of their tags or of their keys. */
  combine(t: Combination, step: StepOf<K>): void;
}

/** What every rule says. A member that is null says that the kind has no such part; none may be left out. */
interface CommonRule<K extends StepKind> {
  /** The values that the step reads, one entry for each operand. */
  reads(step: StepOf<K>): readonly ValueId[];
  /** Which rings the operands need, once the result's is known. Steps are asked in reverse order (compiler/rings.ts). */
  needs(step: StepOf<K>, values: readonly Value[], need: Need): void;
  /** Shapes, forms and scales that must agree; check.ts checks what all kinds have in common. */
  check(step: StepOf<K>, program: Program, expect: Expect): void;
  traffic(step: StepOf<K>, program: Program): Traffic;
  /** The server's online matrix products: what no implementation of this step can leave out. */
  readonly products: ((step: StepOf<K>, program: Program) => readonly Product[]) | null;
  /** The model's masked weights that the dealer needs for this step. */
  readonly weights: ((step: StepOf<K>) => readonly number[]) | null;
  /** What `deal` and `prepare` share of steps that are alike, before either of them: work that is cheaper together. */
  readonly together: ((s: Dealer | ClientOffline, steps: readonly StepOf<K>[]) => void) | null;
  /** The dealer draws masks and computes the corrections of `traffic().dealt`. */
  readonly deal: ((d: Dealer, step: StepOf<K>) => void) | null;
  /** The client's offline side; returns the words of `traffic().ahead`. */
  readonly prepare: ((c: ClientOffline, step: StepOf<K>) => Words | null) | null;
  /** What of the client's offline result it reads again online; the client keeps it until then. */
  readonly kept: ((step: StepOf<K>, program: Program) => Block | null) | null;
  /** How the owner of a text puts in what a helper carries. */
  readonly covered: CoveredInput<K> | null;
  /** Null where the client has no share of the result, or one that is not made of words alone. */
  readonly client: ClientShare<K> | null;
  /** The same in the clear in fixed point: `out` has the shape of the result. */
  clear(c: ClearScope, step: StepOf<K>, out: Words): void;
}

/** A step without a message. */
export interface LocalRule<K extends StepKind> extends CommonRule<K> {
  /** Whose operands it waits for: a linear layer is the server's alone, since the client's part is known before the text. */
  readonly waitsFor: "both" | "server";
  run(p: Party, step: StepOf<K>): void;
}

/** A step whose messages cross the wire in a flight. */
export interface OpeningRule<K extends StepKind> extends CommonRule<K> {
  /** Whose operands the messages wait for. */
  sentBy(step: StepOf<K>): "both" | "client" | "server";
  /** This party's message. */
  send(p: Party, step: StepOf<K>): Words;
  /** What this party makes of the other's message; null where it gets none. */
  receive(p: Party, step: StepOf<K>, other: Words | null): void;
}

export type Rule<K extends StepKind> = LocalRule<K> | OpeningRule<K>;

/** The parts that most kinds do not have. */
export const NO_PARTS = {
  products: null,
  weights: null,
  together: null,
  deal: null,
  prepare: null,
  kept: null,
  covered: null,
  client: null,
} as const;

/** Of kinds that send nothing. */
export function noTraffic(): Traffic {
  return {};
}

export function elements(value: Value): number {
  return value.rows * value.columns;
}

/** The value that a step writes. */
export function outOf(step: Step, program: Program): Value {
  return program.values[step.out];
}

/** Expects two values of one shape. */
export function expectSameShape(expect: Expect, x: Value, y: Value): void {
  expect(x.rows === y.rows && x.columns === y.columns, `takes ${x.name} and ${y.name} of one shape`);
}

/** Whether two real scales are one, but for rounding. */
export function sameScale(x: number, y: number): boolean {
  return Math.abs(x / y - 1) < 1e-9;
}

/** A 64-bit constant as two's-complement halves. */
export function halves(constant: number): [number, number] {
  const high = Math.floor(constant / 2 ** 32);
  return [(constant - high * 2 ** 32) | 0, high | 0];
}
