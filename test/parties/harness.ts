/** One model, all parties in this process: what the tests of whole inferences share. */

import { calibrate } from "../../src/compiler/calibrate.ts";
import { compile } from "../../src/compiler/compile.ts";
import { randomText, randomWeights } from "../../src/models/catalog.ts";
import { baseOf } from "../../src/models/families/all.ts";
import { logitsOf } from "../../src/models/model.ts";
import type { Witness } from "../../src/parties/engine.ts";
import { embedderOf } from "../../src/parties/public-tables.ts";
import { maskedOperands } from "../../src/parties/rehearse.ts";
import { type Simulation, type SimulationInputs, simulate } from "../../src/parties/simulate.ts";
import { answerOf, TextInput } from "../../src/parties/text.ts";
import { IntegerWeights, StoredWeights, WeightMasks } from "../../src/parties/weights.ts";
import type { Plan, Range } from "../../src/program/plan.ts";
import { isDecoder, type ModelSpec, type TokenizedText, type Weights } from "../../src/program/spec.ts";
import { oneTurn, type Program, type Shape } from "../../src/program/steps.ts";
import { type Choose, type ClearOptions, runClear } from "../../src/protocols/clear.ts";
import { FloatOps } from "../../src/reference/float.ts";
import { randomKey } from "../../src/ring/prg.ts";
import { Ring } from "../../src/ring/ring.ts";
import { Secret } from "../../src/ring/secret.ts";

export const TINY: ModelSpec = {
  ...baseOf("bert"),
  layers: 2,
  hidden: 32,
  heads: 4,
  keyHeads: 4,
  headWidth: 8,
  intermediate: 64,
  vocabulary: 60,
  positions: 64,
  types: 2,
  labels: 3,
  epsilon: 1e-12,
  positionOffset: 0,
  tied: false,
  problem: "classification",
  labelNames: ["a", "b", "c"],
  gelu: "quad",
  softmax: "2quad:5",
  embedding: "private",
  answer: "scores",
};

/** What makes a small decoder of it. */
export const TINY_GPT2: Partial<ModelSpec> = {
  ...baseOf("gpt2"),
  tied: true,
  types: 1,
  labels: 60,
  labelNames: [],
  problem: "generation",
  softmax: "exact",
  gelu: "exact",
};

/** What makes an encoder of it whose answer is a vector. */
export const TINY_VECTOR = {
  problem: "vector",
  pooling: { of: "mean", unit: true },
  labels: TINY.hidden,
  labelNames: [],
} satisfies Partial<ModelSpec>;

export interface Harness {
  readonly ring: Ring;
  readonly spec: ModelSpec;
  readonly weights: Weights;
  readonly plan: Plan;
  readonly program: Program;
  float(text: TokenizedText): number[];
  clear(text: TokenizedText, options?: ClearOptions): { logits: readonly number[]; violations: readonly unknown[] };
  secure(
    text: TokenizedText,
    witness?: Witness,
    offlineWitness?: SimulationInputs["offlineWitness"],
    choose?: Choose,
    verify?: number,
  ): Promise<{ logits: number[]; run: Simulation }>;
}

/** A random model, calibrated on random texts of lengths that fit, compiled for one padded length or another shape. */
export async function harness(
  overrides: Partial<ModelSpec>,
  given: number | Shape,
  texts?: readonly TokenizedText[],
  change = (plan: Plan) => plan,
  reweigh = (_name: string, data: Float32Array) => data,
): Promise<Harness> {
  const spec = { ...TINY, ...overrides };
  const shape = typeof given === "number" ? oneTurn(given) : given;
  const { length } = shape;
  const ring = await Ring.create();
  const raw = randomWeights(spec, 5);
  const weights: Weights = { get: (name) => ({ shape: raw.get(name).shape, data: reweigh(name, raw.get(name).data) }) };
  const samples = texts ?? Array.from({ length: 12 }, (_, i) => randomText(spec, 3 + (i % (length - 2)), i));
  const plan = change(calibrate(spec, weights, samples));
  const program = compile(spec, plan, shape);
  const integers = new IntegerWeights(ring);
  const server = await integers.for(program, async () => weights);
  const weightMasks = await WeightMasks.create(ring, program, new Secret(randomKey()));
  const masked = await maskedOperands(ring, program, integers, weightMasks);
  const tables = spec.embedding === "public" ? embedderOf(spec, weights) : null;
  const inputOf = (text: TokenizedText) => new TextInput(ring, program, spec, text, tables);
  return {
    ring,
    spec,
    weights,
    plan,
    program,
    float: (text) => {
      const { scoring } = shape;
      const padded = isDecoder(spec) ? text.ids.length : length;
      return [...logitsOf(new FloatOps(weights, text, padded, { scoring }), spec).data];
    },
    clear: (text, options) => runClear(ring, program, server, inputOf(text), options),
    async secure(text, witness, offlineWitness, choose, verify) {
      const maskedWeights = new StoredWeights(masked, program.weights);
      const input = inputOf(text);
      const run = await simulate(ring, program, {
        input,
        weights: server,
        maskedWeights,
        weightMasks,
        witness,
        offlineWitness,
        choose,
        verify,
      });
      const { answers } = program;
      const ended = !run.client.has("public", answers[answers.length - 1]);
      const logits = ended ? [] : answerOf(run.client, input.findings);
      input.findings.raise();
      return { logits, run };
    },
  };
}

/** The plan with another range of its last operation, the answer. @throws Error when that is another one. */
export function withLast(plan: Plan, range: Range): Plan {
  const last = Object.keys(plan.ranges).at(-1) ?? "";
  if (!/^(classifier|head)\.out$/.test(last)) throw new Error(`a plan ends with its answer, not with ${last}`);
  return { ...plan, ranges: { ...plan.ranges, [last]: range } };
}
