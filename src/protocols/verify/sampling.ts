/** Which openings of a session are checked: all, or a secret random part that server and dealer draw from the server's seed. */
import type { Program, Step } from "../../program/steps.ts";
import type { Prg } from "../../ring/prg.ts";
import type { Ring } from "../../ring/ring.ts";
import { QUOTIENT, SAMPLE } from "../rule.ts";
import { coneOf, isAnswer, isChecked, keyBytes, type WordSet } from "./words.ts";

/** Of how many openings one is checked: 1 for all of them, 0 for none. */
export type Verify = number;

/** At most so many openings to one that is checked. */
export const MOST_VERIFY = 1024;

/** The openings that can be checked. */
export function checkable(program: Program): Step[] {
  return program.steps.filter((step) => isChecked(step, program));
}

/** Those that are checked in a session. An opening is chosen with probability 1/verify, whatever the others are. */
export function sampled(ring: Ring, program: Program, withServer: Prg, verify: Verify): Step[] {
  if (verify === 0) return [];
  const all = checkable(program);
  if (verify === 1) return all;
  const word = ring.alloc(1);
  const chosen = all.filter(({ id }) => {
    withServer.words(ring, word, id, SAMPLE, 32);
    return word.i32()[0] >>> 0 < Math.floor(2 ** 32 / verify);
  });
  ring.free(word);
  return chosen;
}

/** The words whose keys the server gets: those of the chosen openings, and what hides each check's sums. */
export function keyedWords(program: Program, openings: readonly Step[]): WordSet {
  const set = new Map<number, Set<number>>();
  for (const [step, purposes] of coneOf(program, openings).words) set.set(step, new Set(purposes));
  for (const step of program.steps) {
    if (isAnswer(step)) set.set(step.id, new Set([...(set.get(step.id) ?? []), QUOTIENT]));
  }
  return set;
}

/** Bytes of keys of a session: of all openings, or so many times fewer in the mean, that room is kept for twice as many. */
export function mostKeyBytes(program: Program, verify: Verify): number {
  if (verify === 0) return 0;
  const all = keyBytesOf(program, checkable(program));
  return verify === 1 ? all : Math.min(all, Math.ceil((2 * all) / verify));
}

/** Bytes of the keys of some openings. */
function keyBytesOf(program: Program, openings: readonly Step[]): number {
  const set = keyedWords(program, openings);
  return program.steps.reduce((sum, step) => sum + keyBytes(step, program, set), 0);
}
