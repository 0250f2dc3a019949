/**
 * Which words a client draws from its seed, and which of them an opening's message is made of: a rule over what steps declare
 * (docs/verification.md, "Words"). A step's traffic names its words: the mask of its opening, that mask truncated, and the client's share of
 * what is dealt; the rule of a kind says how its result is made of them.
 */

import { InternalError } from "../../errors.ts";
import type { Program, Step, StepKind, ValueId } from "../../program/steps.ts";
import { COMBINATIONS } from "../../ring/wide.ts";
import { ruleOf, trafficOf } from "../all.ts";
import { type Block, CLIENT_MASK, lengthOf, QUOTIENT, SHARE, TRUNCATED } from "../blocks.ts";
import { blockBytes } from "../cost.ts";

/** Bits that a tag has more than what it authenticates; a forged one passes with probability 2^-(TAG_BITS + 1). */
export const TAG_BITS = 28;

/** Words mod 2^bits; lanes of a few bits, several in a word; or bits that are added by XOR. */
type Flavour = "ring" | "lanes" | "bits";

/** What the client draws at one address. */
export interface ClientWords {
  readonly purpose: number;
  readonly flavour: Flavour;
  readonly blocks: readonly Block[];
}

/** A step's words, in the order in which their keys travel. */
export function clientWords(step: Step, program: Program): readonly ClientWords[] {
  const { dealt, ahead, fromClient } = trafficOf(step, program);
  const out = program.values[step.out];
  const found: ClientWords[] = [];
  const bits = out.form === "bits" || out.form === "maskedBits";
  const sent = ahead ?? fromClient;
  if (sent !== undefined) {
    found.push({ purpose: CLIENT_MASK, flavour: bits ? "bits" : "ring", blocks: [sent] });
    const truncated = step.kind === "open" && step.shift > 0;
    if (truncated)
      found.push({ purpose: TRUNCATED, flavour: "ring", blocks: [{ length: sent.length, bits: out.ring }] });
  }
  if (dealt !== undefined && !isJoined(step, program)) {
    const flavour = bits ? "bits" : step.kind === "counts" ? "lanes" : "ring";
    found.push({
      purpose: SHARE,
      flavour,
      blocks: flavour === "lanes" ? dealt.map((b) => lanesOf(b, step, program)) : dealt,
    });
  }
  if (isAnswer(step)) found.push(QUOTIENTS);
  return found;
}

interface Joins {
  readonly by: ReadonlyMap<number, Step>;
  readonly products: ReadonlySet<Step>;
}

const joins = new WeakMap<Program, Joins>();

/** Products whose dealt share is read by one opening alone, by opening: mask and share are one word of it, R + T, with one tag. */
function joinsOf(program: Program): Joins {
  const known = joins.get(program);
  if (known !== undefined) return known;
  const readers = new Map<ValueId, number>();
  for (const id of program.reads.flat()) readers.set(id, (readers.get(id) ?? 0) + 1);
  const by = new Map<number, Step>();
  for (const step of program.steps) {
    // Without a truncation the mask is read on as it is.
    if (step.kind !== "open" || step.shift === 0 || readers.get(step.x) !== 1) continue;
    const from = producer(program, step.x);
    const product = from.kind === "linear" || from.kind === "matmul";
    if (product && trafficOf(from, program).dealt !== undefined) by.set(step.id, from);
  }
  const found = { by, products: new Set(by.values()) };
  joins.set(program, found);
  return found;
}

/** The product whose dealt share is one word with an opening's mask. */
export function joinedTo(opening: Step, program: Program): Step | undefined {
  return joinsOf(program).by.get(opening.id);
}

/** Whether a step's dealt share is one word with the mask of the opening that reads it. */
export function isJoined(step: Step, program: Program): boolean {
  return joinsOf(program).products.has(step);
}

/** What hides the upper bits of a check's sums. */
const QUOTIENTS: ClientWords = {
  purpose: QUOTIENT,
  flavour: "ring",
  blocks: [{ length: COMBINATIONS, bits: TAG_BITS }],
};

/** Several lanes of a word, one by one. */
function lanesOf({ length }: Block, step: Step, program: Program): Block {
  const lanes = laneWidth(step, program);
  return { length: length * (64 / lanes), bits: lanes };
}

/** Bits of a lane of `counts`: as its rule has them. */
export function laneWidth(step: Step, program: Program): 8 | 16 {
  if (step.kind !== "counts") throw new InternalError(`step ${step.id} has no lanes`);
  return program.values[step.x].columns < 2 ** 8 ? 8 : 16;
}

/** Whether the client learns what a step opens. */
export function isAnswer(step: Step): boolean {
  return step.kind === "open" && (step.mode === "reveal" || step.mode === "toClient");
}

/** Which words of which steps, by step and purpose. */
export type WordSet = ReadonlyMap<number, ReadonlySet<number>>;

/** What openings are made of. */
export interface Cone {
  /** Steps whose results the client's messages are sums of, in the program's order. */
  readonly steps: readonly Step[];
  readonly words: WordSet;
  /** Opened values that factors are made of. */
  readonly publics: ReadonlySet<ValueId>;
}

/** An opening whose client's message is made of drawn words alone: all but inputs. */
export function isChecked(step: Step, program: Program): boolean {
  if (step.kind !== "open" && step.kind !== "openBits") return false;
  const { ahead, fromClient } = trafficOf(step, program);
  return (ahead ?? fromClient) !== undefined && producer(program, step.x).kind !== "entry";
}

const producers = new WeakMap<Program, readonly Step[]>();

/** The step that writes a value. */
export function producer(program: Program, id: ValueId): Step {
  let all = producers.get(program);
  if (all === undefined) {
    const by: Step[] = [];
    for (const step of program.steps) by[step.out] = step;
    all = by;
    producers.set(program, all);
  }
  return all[id];
}

/** What some openings, and the check before an answer, need. */
export function coneOf(program: Program, openings: readonly Step[]): Cone {
  const words = new Map<number, Set<number>>();
  const steps = new Set<Step>();
  const publics = new Set<ValueId>();
  const need = (step: Step, purpose: number) => {
    const known = words.get(step.id) ?? new Set();
    words.set(step.id, known.add(purpose));
  };
  const masks = new Set<ValueId>();
  const masked = (id: ValueId): void => {
    if (masks.has(id)) return;
    masks.add(id);
    const step = producer(program, id);
    for (const from of maskFrom(step)) {
      if (typeof from === "number") need(step, from);
      else masked(from.of);
    }
  };
  const share = (id: ValueId): void => {
    const step = producer(program, id);
    if (steps.has(step)) return;
    steps.add(step);
    const { client } = ruleOf(step);
    if (client === null) throw new InternalError(`a client's share of ${step.kind} is not made of words`);
    if (trafficOf(step, program).dealt !== undefined && !isJoined(step, program)) need(step, SHARE);
    for (const from of client.masks(step, program)) masked(from);
    for (const read of program.reads[step.id]) {
      const { form } = program.values[read];
      if (form === "share" || form === "bits") share(read);
      else if (!["linear", "keys", "relative"].includes(step.kind)) publics.add(read);
    }
  };
  for (const step of openings) {
    need(step, CLIENT_MASK);
    if (step.kind === "open" || step.kind === "openBits") share(step.x);
  }
  return { steps: [...steps].sort((a, b) => a.id - b.id), words, publics };
}

/** Where the client's part of a value's mask comes from: words of the step itself, or masks of what it reads. */
export function maskFrom(step: Step): readonly (number | { readonly of: ValueId })[] {
  switch (step.kind) {
    case "input":
    case "openBits":
      return [CLIENT_MASK];
    case "open":
      return [step.shift > 0 ? TRUNCATED : CLIENT_MASK];
    case "slice":
      return [{ of: step.x }];
    case "place":
      return [{ of: step.x }, { of: step.y }];
    case "entry":
    case "linear":
    case "shift":
    case "difference":
    case "matmul":
    case "polynomial":
    case "iota":
    case "rowSum":
    case "columnSum":
    case "relative":
    case "keys":
    case "noise":
    case "fourier":
    case "spline":
    case "counts":
    case "nonzero":
    case "lessThan":
    case "carry":
      throw new InternalError(`the client has no part of the mask of ${step.kind}`);
    default:
      return step satisfies never;
  }
}

/** The keys of a step's words as blocks on the wire. */
export function keyBlocks(words: ClientWords): readonly Block[] {
  const { flavour, blocks } = words;
  if (flavour === "bits") return Array.from({ length: TAG_BITS }, () => blocks).flat();
  return [...blocks.map(low), ...blocks.flatMap((b) => high(b) ?? [])];
}

function low({ length, bits }: Block): Block {
  return { length, bits: Math.min(64, bits + TAG_BITS) };
}

function high({ length, bits }: Block): Block | null {
  return bits + TAG_BITS > 64 ? { length, bits: bits + TAG_BITS - 64 } : null;
}

/** Whether keys of some of these words have a high plane. */
export function isWide({ blocks }: ClientWords): boolean {
  return blocks.some((b) => high(b) !== null);
}

/** Bytes of a step's keys. */
export function keyBytes(step: Step, program: Program, set: WordSet): number {
  const wanted = set.get(step.id);
  if (wanted === undefined) return 0;
  return clientWords(step, program)
    .filter(({ purpose }) => wanted.has(purpose))
    .flatMap(keyBlocks)
    .reduce((sum, b) => sum + blockBytes(b), 0);
}

/** Elements of words. */
export function wordCount({ blocks }: ClientWords): number {
  return lengthOf(blocks);
}

/** Whether a program opens bits. */
export function opensBits(program: Program): boolean {
  return program.steps.some((step: { readonly kind: StepKind }) => step.kind === "openBits");
}
