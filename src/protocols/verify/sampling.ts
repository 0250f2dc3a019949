/**
 * Which openings of a session are checked: all, or a secret random part that server and dealer draw from the server's seed.
 *
 * A part is one of N classes. The openings that one check is about are dealt into N classes, the same for everybody, whose keys have nearly the
 * same bytes; every check draws its class. So each opening is checked with probability 1/N, and what is dealt is padded to what the
 * largest classes take: neither its bytes nor its time tell which class it is.
 */
import type { Program, Step, ValueId } from "../../program/steps.ts";
import type { Prg } from "../../ring/prg.ts";
import type { Ring } from "../../ring/ring.ts";
import { trafficOf } from "../all.ts";
import { QUOTIENT, SAMPLE } from "../blocks.ts";
import { FRAME_HEADER } from "../cost.ts";
import { portionOfSteps, portionsOf } from "../portions.ts";
import type { DueChecks } from "../sides.ts";
import { coneOf, isAnswer, isChecked, keyBytes, type WordSet } from "./words.ts";

/** Of how many openings one is checked: 1 for all of them, 0 for none. */
export type Verify = number;

/** At most so many openings to one that is checked. */
export const MOST_VERIFY = 1024;

/** One check of a session. */
interface Check {
  readonly answer: Step;
  /** The openings that the answer waits for and no earlier one did, in the program's order. */
  readonly openings: readonly Step[];
}

const checks = new WeakMap<Program, readonly Check[]>();

/** A session's checks, in their order. */
export function checksOf(program: Program): readonly Check[] {
  const known = checks.get(program);
  if (known !== undefined) return known;
  const found: Check[] = [];
  let here: Step[] = [];
  for (const { opens } of program.flights) {
    const steps = opens.map((id) => program.steps[id]);
    const answer = steps.find(isAnswer);
    // Of the answer's own flight the client's part is here where it was sent ahead.
    const isHere = (step: Step) => answer === undefined || trafficOf(step, program).ahead !== undefined;
    here.push(...steps.filter((step) => isChecked(step, program) && isHere(step)));
    if (answer === undefined) continue;
    found.push({ answer, openings: here.sort((a, b) => a.id - b.id) });
    here = steps.filter((step) => isChecked(step, program) && !isHere(step));
  }
  checks.set(program, found);
  return found;
}

/** The openings that are checked where all are. */
export function checkable(program: Program): readonly Step[] {
  return checksOf(program).flatMap(({ openings }) => openings);
}

/** The checks of some openings. */
export function dueChecks(program: Program, openings: readonly Step[]): DueChecks {
  const own = new Set(openings);
  const due = checksOf(program).map((check) => ({
    answer: check.answer,
    openings: check.openings.filter((step) => own.has(step)),
  }));
  const lastOf = new Map<ValueId, number>();
  for (const [i, { openings }] of due.entries()) for (const id of coneOf(program, openings).publics) lastOf.set(id, i);
  const lastRead = due.map((): ValueId[] => []);
  for (const [id, i] of lastOf) lastRead[i].push(id);
  return new Map(due.map(({ answer, openings }, i) => [answer, { openings, lastRead: lastRead[i] }]));
}

const wholes = new WeakMap<Program, DueChecks>();

/** The checks of all openings: what a client makes ready for. */
export function allChecks(program: Program): DueChecks {
  const found = wholes.get(program) ?? dueChecks(program, checkable(program));
  wholes.set(program, found);
  return found;
}

/**
 * The classes of a check's openings: the largest first, each to the class that has least in the portion where its own keys are most. Padding is by
 * portion, so that classes have to be alike in each.
 */
function classesOf(program: Program, { openings }: Check, verify: Verify): readonly (readonly Step[])[] {
  const classes = Array.from({ length: verify }, () => ({
    bytes: portionsOf(program).map(() => 0),
    steps: [] as Step[],
  }));
  const sized = openings.map((step) => {
    const bytes = portionsOf(program).map(() => 0);
    addKeys(program, coneOf(program, [step]).words, bytes);
    return { step, bytes, main: bytes.indexOf(Math.max(...bytes)) };
  });
  const size = ({ bytes }: { readonly bytes: readonly number[] }) => bytes.reduce((sum, portion) => sum + portion, 0);
  for (const { step, bytes, main } of sized.sort((a, b) => size(b) - size(a) || a.step.id - b.step.id)) {
    const least = classes.reduce((a, b) => (b.bytes[main] < a.bytes[main] ? b : a));
    for (const [portion, own] of bytes.entries()) least.bytes[portion] += own;
    least.steps.push(step);
  }
  return classes.map(({ steps }) => steps.sort((a, b) => a.id - b.id));
}

/** A part of a program's openings. */
interface Parts {
  /** Of each check. */
  readonly classes: readonly (readonly (readonly Step[])[])[];
  /** By portion of the offline phase (portions.ts): bytes of the keys of any choice, padding included. */
  readonly bytes: readonly number[];
}

const parts = new WeakMap<Program, Map<Verify, Parts>>();

function partsOf(program: Program, verify: Verify): Parts {
  const all = parts.get(program) ?? new Map<Verify, Parts>();
  parts.set(program, all);
  let known = all.get(verify);
  if (known === undefined) {
    const classes = checksOf(program).map((check) => classesOf(program, check, verify));
    const sizes = classes.map((some) => some.map((steps) => keyBytesOf(program, steps)));
    const bytes = keyBytesOf(program, checkable(program)).map((whole, portion) => {
      const most = sizes.reduce((sum, some) => sum + Math.max(...some.map((size) => size[portion])), 0);
      // One more, so that there is something to send.
      return verify === 1 ? whole : Math.min(whole, most) + 1;
    });
    known = { classes, bytes };
    all.set(verify, known);
  }
  return known;
}

/** Those that are checked in a session: of each check, one class. */
export function sampled(ring: Ring, program: Program, withServer: Prg, verify: Verify): Step[] {
  if (verify === 0) return [];
  const word = ring.alloc(1);
  const chosen = partsOf(program, verify).classes.flatMap((classes, i) => {
    withServer.words(ring, word, checksOf(program)[i].answer.id, SAMPLE, 32);
    return classes[Math.floor(((word.i32()[0] >>> 0) / 2 ** 32) * verify)];
  });
  ring.free(word);
  return chosen;
}

/** What a challenge names at most, of each check: null where it is everything. */
export function mostNamed(program: Program, verify: Verify): readonly (readonly number[] | null)[] {
  if (verify === 1) return checksOf(program).map(() => null);
  const written = (steps: readonly Step[]) => JSON.stringify(steps.map(({ id }) => id)).length;
  return partsOf(program, verify).classes.map((classes) =>
    classes.reduce((a, b) => (written(b) > written(a) ? b : a)).map(({ id }) => id),
  );
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

/** Bytes that keys add to what a session's server is dealt, whatever was drawn: with headers and padding. */
export function sessionKeyBytes(program: Program, verify: Verify): number {
  if (verify === 0) return 0;
  const { bytes } = partsOf(program, verify);
  return bytes.reduce((sum, portion) => sum + portion + (verify === 1 ? 0 : FRAME_HEADER), 0);
}

/**
 * Bytes of the message that ends the dealing of each portion, so that its size does not tell which part of the openings is checked; null where all or
 * nothing is.
 */
export function paddingBytes(program: Program, openings: readonly Step[], verify: Verify): readonly number[] | null {
  if (verify <= 1) return null;
  const own = keyBytesOf(program, openings);
  return partsOf(program, verify).bytes.map((bytes, portion) => bytes - own[portion]);
}

/** By portion: bytes of the keys of some openings, with the headers of the messages that they alone make. */
function keyBytesOf(program: Program, openings: readonly Step[]): readonly number[] {
  const bytes = portionsOf(program).map(() => 0);
  addKeys(program, keyedWords(program, openings), bytes);
  return bytes;
}

/** Adds the bytes of words' keys to those of their portions. */
function addKeys(program: Program, words: WordSet, bytes: number[]): void {
  const portions = portionOfSteps(program);
  for (const id of words.keys()) bytes[portions[id]] += bytesOfKey(program, words, id);
}

function bytesOfKey(program: Program, words: WordSet, id: number): number {
  const step = program.steps[id];
  const header = trafficOf(step, program).dealt === undefined ? FRAME_HEADER : 0;
  return keyBytes(step, program, words) + header;
}
