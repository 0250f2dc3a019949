/** In which order the steps of a program run before the text exists. */
import type { Program, Step } from "./steps.ts";

/** Whether a step takes the token that a later turn begins with. */
export function isNext(step: Step): boolean {
  return step.kind === "input" && step.after !== null;
}

const offlineOrders = new WeakMap<Program, readonly (readonly Step[])[]>();

/**
 * The order of the offline phase: steps one by one, and those that the later turns of a decoder have in common side by side.
 * Before the text nothing depends on what is chosen, so a layer's weights need to be gone through only once for all turns.
 */
export function offlineOrder(program: Program): readonly (readonly Step[])[] {
  let order = offlineOrders.get(program);
  if (order === undefined) {
    order = sideBySide(program);
    offlineOrders.set(program, order);
  }
  return order;
}

function sideBySide({ steps }: Program): readonly (readonly Step[])[] {
  const turns: Step[][] = [[]];
  for (const [i, step] of steps.entries()) {
    const begins = isNext(step) && !isNext(steps[i - 1]);
    if (begins) turns.push([]);
    turns[turns.length - 1].push(step);
  }
  const [first, second = [], ...others] = turns;
  const alike = others.every(
    (turn) => turn.length === second.length && turn.every((s, k) => s.kind === second[k].kind),
  );
  const later = alike
    ? second.map((step, k) => [step, ...others.map((turn) => turn[k])])
    : turns
        .slice(1)
        .flat()
        .map((s) => [s]);
  return [...first.map((s) => [s]), ...later];
}
