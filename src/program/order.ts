/** In which order the steps of a program run before the text exists. */
import type { Program, Step } from "./steps.ts";

/** Whether a step takes the token that a later turn begins with. */
export function isNext(step: Step): boolean {
  return step.kind === "input" && step.after !== null;
}

/** Later turns that are made ready together: enough that going through all weights is shared, few enough that nobody waits long for them. */
const PORTION_TURNS = 8;

/** A part of the offline phase: steps one by one, and those that several turns have in common side by side. */
export type Portion = readonly (readonly Step[])[];

const allPortions = new WeakMap<Program, readonly Portion[]>();

/**
 * The offline phase of a program, portion by portion: the text with its first token, then the later turns of a decoder, some at a time. Before
 * the text nothing depends on what is chosen, so that a layer's weights are gone through once for all turns of a portion; and the first token waits for its own
 * portion alone.
 */
export function portionsOf(program: Program): readonly Portion[] {
  let portions = allPortions.get(program);
  if (portions === undefined) {
    portions = inPortions(program);
    allPortions.set(program, portions);
  }
  return portions;
}

/** Which portion is needed from a later turn (1, 2, ...) on, and not before; null where that one is at hand already. */
export function portionFrom(turn: number): number | null {
  return (turn - 1) % PORTION_TURNS === 0 ? 1 + (turn - 1) / PORTION_TURNS : null;
}

/** By step: which portion it is in. */
export function portionOfSteps(program: Program): Uint32Array {
  const of = new Uint32Array(program.steps.length);
  for (const [index, portion] of portionsOf(program).entries()) for (const { id } of portion.flat()) of[id] = index;
  return of;
}

function inPortions({ steps }: Program): readonly Portion[] {
  const turns: Step[][] = [[]];
  for (const [i, step] of steps.entries()) {
    const begins = isNext(step) && !isNext(steps[i - 1]);
    if (begins) turns.push([]);
    turns[turns.length - 1].push(step);
  }
  const portions: Portion[] = [turns[0].map((step) => [step])];
  for (let first = 1; first < turns.length; first += PORTION_TURNS)
    portions.push(sideBySide(turns.slice(first, first + PORTION_TURNS)));
  return portions;
}

function sideBySide([first, ...others]: readonly (readonly Step[])[]): Portion {
  const alike = others.every(
    (turn) => turn.length === first.length && turn.every((step, k) => step.kind === first[k].kind),
  );
  if (alike) return first.map((step, k) => [step, ...others.map((turn) => turn[k])]);
  return [first, ...others].flat().map((step) => [step]);
}
