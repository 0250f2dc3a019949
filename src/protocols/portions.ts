/** The portions of the offline phase: what is made before a run begins, and what is made while it goes on. */
import type { Program, Step } from "../program/steps.ts";
import { materialOf } from "./cost.ts";

/** Later turns that are made ready together at most: enough that going through all weights is shared, few enough that nobody waits long for them. */
const PORTION_TURNS = 8;
/** About the bytes of a portion of later turns at most: a server holds two. */
const TURNS_BYTES = 2.5e8;
/** The same of the text, of which each opening takes more: fewer portions need less padding where some openings are checked (verify/sampling.ts). */
const TEXT_BYTES = 5e8;

/** A part of a program, and of its material. */
export interface Portion {
  /** The first of the flights that need it. */
  readonly flight: number;
  /** In the order of the offline phase: steps one by one, and those that several turns have in common side by side. */
  readonly steps: readonly (readonly Step[])[];
}

const all = new WeakMap<Program, readonly Portion[]>();
const ofSteps = new WeakMap<Program, Uint32Array>();

/**
 * A program's portions: the text with its first token, in several where it takes much material, then the later turns of a decoder, some at a
 * time. Before the text nothing depends on what is chosen, so that a layer's weights are gone through once for all turns of a portion; and the first
 * token waits for no other's material.
 */
export function portionsOf(program: Program): readonly Portion[] {
  let portions = all.get(program);
  if (portions === undefined) {
    portions = [...portionsOfText(program), ...portionsOfTurns(program)];
    all.set(program, portions);
  }
  return portions;
}

/** By step: which portion it is in. */
export function portionOfSteps(program: Program): Uint32Array {
  let of = ofSteps.get(program);
  if (of === undefined) {
    of = new Uint32Array(program.steps.length);
    for (const [index, { steps }] of portionsOf(program).entries()) for (const { id } of steps.flat()) of[id] = index;
    ofSteps.set(program, of);
  }
  return of;
}

/**
 * Bytes that a server holds of a run that has its portions made as it goes on: each two that follow each other are there together, as the next one
 * comes while one is used. What a check reads again stays.
 */
export function heldBytes(program: Program): number {
  const sizes = portionsOf(program).map(({ steps }) => materialIn(program, steps.flat()));
  const pairs = sizes.map((size, i) => size + (sizes[i + 1] ?? 0));
  return program.shape.verified ? sizes.reduce((sum, size) => sum + size, 0) : Math.max(...pairs);
}

/** Portions of about the same size, cut between two flights. */
function portionsOfText(program: Program): Portion[] {
  const { flights, turns } = program;
  const end = turns[1] ?? flights.length;
  const sizes = flights.slice(0, end).map((_, flight) => materialIn(program, stepsOf(program, flight, flight + 1)));
  const total = sizes.reduce((sum, size) => sum + size, 0);
  const count = Math.max(1, Math.ceil(total / TEXT_BYTES));
  const starts = [0];
  let before = 0;
  for (const [flight, size] of sizes.entries()) {
    if (flight > 0 && before >= (total / count) * starts.length) starts.push(flight);
    before += size;
  }
  return starts.map((flight, i) => ({
    flight,
    steps: stepsOf(program, flight, starts[i + 1] ?? end).map((step) => [step]),
  }));
}

function portionsOfTurns(program: Program): Portion[] {
  const { flights, turns } = program;
  if (turns.length === 1) return [];
  const size = materialIn(program, stepsOf(program, turns[1], turns[2] ?? flights.length));
  const together = Math.max(1, Math.min(PORTION_TURNS, Math.floor(TURNS_BYTES / size)));
  const portions: Portion[] = [];
  for (let turn = 1; turn < turns.length; turn += together) {
    const some = turns
      .slice(turn, turn + together)
      .map((flight, i) => stepsOf(program, flight, turns[turn + i + 1] ?? flights.length));
    portions.push({ flight: turns[turn], steps: sideBySide(some) });
  }
  return portions;
}

function sideBySide([first, ...others]: readonly (readonly Step[])[]): readonly (readonly Step[])[] {
  const alike = others.every(
    (turn) => turn.length === first.length && turn.every((step, k) => step.kind === first[k].kind),
  );
  if (alike) return first.map((step, k) => [step, ...others.map((turn) => turn[k])]);
  return [first, ...others].flat().map((step) => [step]);
}

/** The steps of some flights, in the program's order. */
function stepsOf({ flights, steps }: Program, first: number, end: number): Step[] {
  const ids = flights.slice(first, end).flatMap(({ local, opens }) => [...local, ...opens]);
  return ids.sort((a, b) => a - b).map((id) => steps[id]);
}

function materialIn(program: Program, steps: readonly Step[]): number {
  return steps.reduce((sum, step) => sum + materialOf(step, program), 0);
}
