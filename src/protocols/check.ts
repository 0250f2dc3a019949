/** Whether a program is one: checked once for each that is compiled, before any party runs it. */
import { InternalError } from "../errors.ts";
import { PlanError, type Program, type Step } from "../program/steps.ts";
import { ruleOf } from "./all.ts";

/** A compiled program that breaks a rule: a fault of the compiler, not of its input. */
export class InvalidProgram extends InternalError {
  override readonly name = "InvalidProgram";
}

/**
 * Checks that every value is written once and before it is read, that steps are in flights that can carry them, that rings
 * are as wide as their readers need, and what the rule of each kind says of shapes, forms and scales.
 *
 * @throws InvalidProgram that names the step. @throws PlanError when a plan's ranges give a value no scale.
 */
export function checkProgram(program: Program): void {
  checkValues(program);
  program.steps.forEach((step, index) => {
    expectOf(step)(step.id === index, `stands in place ${index}`);
    checkRule(step, program);
  });
  checkWrites(program);
  checkFlights(program);
}

function expectOf(step: Step): (holds: boolean, what: string) => void {
  return (holds, what) => {
    if (!holds) throw new InvalidProgram(`step ${step.id} (${step.kind}, ${step.label}): it must hold that it ${what}`);
  };
}

function checkValues({ values }: Program): void {
  values.forEach((value, index) => {
    const { id, name, rows, columns, scale, bound, form, ring } = value;
    const fail = (what: string) => {
      throw new InvalidProgram(`value ${index} (${name}): ${what}`);
    };
    if (id !== index) fail(`has id ${id}`);
    if (!(Number.isSafeInteger(rows * columns) && rows > 0 && columns > 0)) fail(`has shape [${rows}, ${columns}]`);
    // These follow from the plan's ranges, which a peer may have sent.
    if (!(Number.isFinite(scale) && scale > 0 && Number.isFinite(bound) && bound > 0))
      throw new PlanError(`"${name}" has no scale or bound in numbers: the plan's ranges are too wide`);
    // A value that no step reads may have no ring: it is written and dropped.
    if (!(Number.isInteger(ring) && ring >= 0 && ring <= 64)) fail(`is ${form} in a ring of ${ring} bits`);
  });
}

function checkRule(step: Step, program: Program): void {
  const { values } = program;
  const expect = expectOf(step);
  const rule = ruleOf(step);
  for (const id of [step.out, ...program.reads[step.id]])
    expect(values[id] !== undefined, `names value ${id}, which the program has`);
  rule.check(step, program, expect);
  rule.needs(step, values, (id, bits) => {
    expect(values[id].ring >= bits, `finds ${bits} bits in the ring of "${values[id].name}"`);
  });
  const { dealt = [], ahead, fromClient, fromServer } = rule.traffic(step, program);
  for (const block of [...dealt, ahead, fromClient, fromServer]) {
    if (block === undefined) continue;
    const whole = Number.isSafeInteger(block.length) && block.length > 0;
    expect(whole && block.bits >= 1 && block.bits <= 64, "sends blocks of 1 to 64 bits");
  }
  expect(
    "sentBy" in rule === (fromClient !== undefined || fromServer !== undefined),
    "sends in a flight, or not at all",
  );
}

/** Every value is written once, before it is read; what is answered is written. */
function checkWrites({ values, steps, reads, answers }: Program): void {
  const written = new Uint8Array(values.length);
  for (const step of steps) {
    const expect = expectOf(step);
    for (const id of reads[step.id]) {
      expect(written[id] === 1, `reads "${values[id].name}" after it is written`);
      expect(values[id].ring > 0, `reads "${values[id].name}" in a ring`);
    }
    expect(written[step.out] === 0, `is the only one to write "${values[step.out].name}"`);
    written[step.out] = 1;
  }
  for (const id of answers) if (written[id] !== 1) throw new InvalidProgram(`answer ${id} is never written`);
}

/** Every step runs once; a party has what a step reads when the step runs. */
function checkFlights({ steps, reads, flights, turns, answers }: Program): void {
  const place = new Int32Array(steps.length).fill(-1);
  flights.forEach(({ local, opens }, flight) => {
    // Local steps run before the flight's openings leave; what those bring is there in the next flight.
    for (const id of local) placeOnce(place, steps[id], 2 * flight);
    for (const id of opens) placeOnce(place, steps[id], 2 * flight + 1);
  });
  const ready = new Map(steps.map((step) => [step.out, place[step.id]]));
  for (const step of steps) {
    const expect = expectOf(step);
    expect(place[step.id] >= 0, "is in a flight");
    const rule = ruleOf(step);
    // What waits for one party alone may stand before the other party's operands are there.
    const waits = "sentBy" in rule ? rule.sentBy(step) : rule.waitsFor;
    for (const id of reads[step.id])
      if (waits === "both") expect(ready.get(id)! <= place[step.id], "runs after what it reads");
  }
  if (turns.length !== answers.length) throw new InvalidProgram(`${turns.length} turns have ${answers.length} answers`);
}

function placeOnce(place: Int32Array, step: Step, at: number): void {
  expectOf(step)(place[step.id] === -1, "is in one flight");
  place[step.id] = at;
}
