/**
 * Covers: what lets somebody ask who doesn't compute. The owner of a text draws covers v from a seed that the server has too. A helper
 * plays the client, on inputs that it gets covered (x + v); the server takes v off the masked input x + v + r and goes on as always.
 * The answer leaves the server under one more cover, so that what the helper unmasks is y + v, and the owner alone has y. The helper
 * sees uniform values, the server what it always sees; together they see all.
 *
 *   input    the client's integers, mod 2^ring           the server subtracts v from what comes
 *   entry    what else the client would know             the server's share is -v
 *   answer   the last opening, to the client alone       the server adds v to what leaves
 */
import { InternalError } from "../errors.ts";
import type { Program, Step, StepKind } from "../program/steps.ts";
import type { Words } from "../ring/memory.ts";
import type { Prg } from "../ring/prg.ts";
import type { Ring } from "../ring/ring.ts";
import { ruleOf } from "./all.ts";
import { type Block, COVER } from "./blocks.ts";
import { type CoveredInput, elements } from "./rule.ts";
import type { ClientInput, InputStep, SharedInput } from "./sides.ts";

/** Where the text enters, in the program's order. */
export function coveredSteps(program: Program): Step[] {
  return program.steps.filter((step) => ruleOf(step).covered !== null);
}

/** What the owner gives the helper for each of them. */
export function coveredBlock(step: Step, program: Program): Block {
  return coveredOf(step).block(step, program);
}

function coveredOf(step: Step): CoveredInput<StepKind> {
  const { covered } = ruleOf(step);
  if (covered === null) throw new InternalError(`step ${step.id} takes no input: ${step.kind}`);
  return covered;
}

/** What the helper gives back. */
export function answerBlock(program: Program): Block {
  const value = program.values[program.answers[0]];
  return { length: elements(value), bits: value.ring };
}

/** The owner's message for one step: x + v. The caller frees it. */
export function coverInput(ring: Ring, program: Program, cover: Prg, input: ClientInput, step: Step): Words {
  const { length, bits } = coveredBlock(step, program);
  const [x, v] = [ring.alloc(length), ring.alloc(length)];
  try {
    coveredOf(step).fill(input, x, step);
  } catch (error) {
    for (const words of [x, v]) ring.free(words);
    throw error;
  }
  cover.words(ring, v, step.id, COVER);
  ring.add(x, x, v);
  ring.reduce(x, x, bits);
  ring.free(v);
  return x;
}

/** The answer, in place, of what the helper gave back. */
export function uncoverAnswer(ring: Ring, program: Program, cover: Prg, words: Words): void {
  const { length, bits } = answerBlock(program);
  const v = ring.alloc(length);
  cover.words(ring, v, answerStep(program).id, COVER);
  ring.subtract(words, words, v);
  ring.reduce(words, words, bits);
  ring.free(v);
}

function answerStep(program: Program): Step {
  return program.steps.find((step) => step.out === program.answers[0])!;
}

/** The helper's side: hands on what it was given, by step. */
export class CarriedInput implements SharedInput {
  private readonly ring: Ring;
  private readonly given: ReadonlyMap<number, Words>;

  constructor(ring: Ring, given: ReadonlyMap<number, Words>) {
    this.ring = ring;
    this.given = given;
  }

  fill(out: Words, step: InputStep): void {
    const words = this.given.get(step.id);
    if (words === undefined) throw new InternalError(`step ${step.id} reads an input that was not given`);
    this.ring.copy(out, words);
  }
}
