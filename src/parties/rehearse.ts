/** One text through all three parties in one process, from a model alone: to see what a stand-in or a plan does. */
import { compile } from "../compiler/compile.ts";
import { bucketFor } from "../program/lengths.ts";
import type { Plan } from "../program/plan.ts";
import { longestText, type ModelSpec, type TokenizedText, type Weights } from "../program/spec.ts";
import { oneTurn, type Program } from "../program/steps.ts";
import { runClear } from "../protocols/clear.ts";
import type { Violation } from "../protocols/sides.ts";
import type { Words } from "../ring/memory.ts";
import { randomKey } from "../ring/prg.ts";
import type { Ring } from "../ring/ring.ts";
import { Secret } from "../ring/secret.ts";
import { ownRows } from "./answer.ts";
import { embedderOf } from "./public-tables.ts";
import { simulate } from "./simulate.ts";
import { answerOf, TextInput } from "./text.ts";
import { IntegerWeights, StoredWeights, WeightMasks } from "./weights.ts";

/** A model that can be run privately. */
export interface PlannedModel {
  readonly spec: ModelSpec;
  /** From `calibrate`. */
  readonly plan: Plan;
  readonly weights: Weights;
}

export interface TextSimulation {
  /** What the client learns. */
  readonly logits: readonly number[];
  /** The same in fixed point in the clear: what differs from it is the protocols' rounding, from the floats the plan's. */
  readonly clear: readonly number[];
  /** Values that left their planned range; if there are any, `logits` may be wrong. */
  readonly violations: readonly Violation[];
  /** What was run; `costOf` tells its price. */
  readonly program: Program;
  readonly flights: number;
}

/** Runs `simulate` on one text, padded as a server would pad it; of a decoder, up to the first new token's logits. */
export async function simulateText(
  ring: Ring,
  { spec, plan, weights }: PlannedModel,
  text: TokenizedText,
): Promise<TextSimulation> {
  const program = compile(spec, plan, oneTurn(bucketFor(text.ids.length, longestText(spec))));
  const integers = new IntegerWeights(ring);
  const served = await integers.for(program, async () => weights);
  const weightMasks = await WeightMasks.create(ring, program, new Secret(randomKey()));
  const maskedWeights = new StoredWeights(await maskedOperands(ring, program, integers, weightMasks), program.weights);
  const input = () =>
    new TextInput(ring, program, spec, text, spec.embedding === "public" ? embedderOf(spec, weights) : null);
  const { logits: all, violations } = runClear(ring, program, served, input());
  const clear = ownRows(spec, text, [...all]);
  const own = input();
  const run = await simulate(ring, program, { input: own, weights: served, maskedWeights, weightMasks });
  try {
    const logits = ownRows(spec, text, answerOf(run.client, own.findings));
    own.findings.raise();
    return { logits, clear, violations, program, flights: run.channel.onlineFlights };
  } finally {
    run.close();
  }
}

/** W - R of every operand: what a server tells the dealer once. */
export async function maskedOperands(
  ring: Ring,
  program: Program,
  integers: IntegerWeights,
  masks: WeightMasks,
): Promise<Words[]> {
  const operands: Words[] = [];
  for (const slot of program.weights) {
    const words = ring.alloc(slot.rows * slot.columns);
    operands.push(words);
    let at = 0;
    await integers.mask(slot, masks, async (part) => {
      words.bytes().set(part, at);
      at += part.length;
    });
  }
  return operands;
}
