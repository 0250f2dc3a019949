/** Training against PyTorch's, step by step, and the trainer's own promises. */

import { readFileSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { batchOf, type Example } from "../../src/distill/batches.ts";
import type { LossWeights } from "../../src/distill/objective.ts";
import { writeObjective } from "../../src/distill/objective.ts";
import { ADAM } from "../../src/distill/optimiser.ts";
import { Predictor } from "../../src/distill/predictor.ts";
import { distillationStages, labelStages, type Training, train } from "../../src/distill/recipe.ts";
import type { TrainedModel } from "../../src/distill/trained-model.ts";
import { Trainer, type TrainerOptions } from "../../src/distill/trainer.ts";
import { initialWeights, resident, takeLayers } from "../../src/distill/weights.ts";
import { loadModel, type Model } from "../../src/models/checkpoint.ts";
import { requiredWeights } from "../../src/models/weights.ts";
import type { Weights } from "../../src/program/spec.ts";
import { fixture, golden } from "../models/fixtures.ts";

interface TorchRun {
  readonly losses: readonly (keyof LossWeights)[];
  readonly model: string;
  readonly steps: readonly Readonly<Record<string, number>>[];
  readonly logits: readonly (readonly number[])[];
}
const torch: {
  readonly settings: {
    readonly rate: number;
    readonly decay: number;
    readonly clip: number;
    readonly temperature: number;
  };
  readonly runs: readonly TorchRun[];
} = JSON.parse(readFileSync(new URL("fixtures/training.json", import.meta.url), "utf8"));

const NONE: LossWeights = { hidden: 0, scores: 0, prediction: 0, labels: 0, ranges: 0, sums: 0 };
const OBJECTIVE = { temperature: 1, freeze: "nothing", seed: 1 } as const;

function options(model: TrainedModel, more: Partial<TrainerOptions> = {}): TrainerOptions {
  return { adam: ADAM, dropout: 0, accumulate: 1, seed: 5, vocabulary: model.spec.vocabulary, threads: 1, ...more };
}

function examplesOf(name: string, labels: number): Example[] {
  return golden(name).cases.map(({ ids, types }, i) => ({ text: { ids, types }, label: i % labels }));
}

/** All weights of a model, copied. */
function snapshot({ spec }: TrainedModel, weights: Weights): Map<string, Float32Array> {
  return new Map([...requiredWeights(spec).keys()].map((name) => [name, weights.get(name).data.slice()]));
}

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "training-"));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

describe("five steps are PyTorch's:", () => {
  for (const run of torch.runs) {
    it(`${run.model}, ${run.losses.join(" and ")}`, async () => {
      const { rate, decay, clip, temperature } = torch.settings;
      const teacher = await loadModel(fixture(run.model));
      const student: Model = { ...teacher, spec: { ...teacher.spec, gelu: "quad", softmax: "2quad:5" } };
      const plain = examplesOf(run.model, student.spec.labels);
      const predictor = await Predictor.open(teacher.spec, teacher.weights, { threads: 1 });
      const logits = await predictor.logits(plain.map(({ text }) => text));
      await predictor.close();
      const batch = batchOf(
        plain.map((example, i) => ({ ...example, logits: logits[i] })),
        student.spec,
      );
      const weights = { ...NONE, ...Object.fromEntries(run.losses.map((name) => [name, 1])) };
      const trainer = await Trainer.open(
        (graph) => writeObjective(graph, student, teacher, { ...OBJECTIVE, weights, temperature }),
        options(student, { adam: { ...ADAM, decay, clip } }),
      );
      for (const expected of run.steps) {
        const { losses, norm } = await trainer.step([batch], rate);
        for (const [name, value] of Object.entries({ ...losses, norm })) {
          expect(Math.abs(value / expected[name] - 1), `${name}: ${value}, PyTorch has ${expected[name]}`).toBeLessThan(
            2e-3,
          );
        }
      }
      const after = await Predictor.open(student.spec, trainer.weights(student.weights), { threads: 1 });
      const answers = await after.logits(plain.map(({ text }) => text));
      answers.forEach((row, i) => {
        row.forEach((x, j) => {
          expect(Math.abs(x - run.logits[i][j])).toBeLessThan(5e-3);
        });
      });
      await after.close();
      await trainer.close();
    });
  }
});

describe("a trainer", () => {
  const labelled = { ...OBJECTIVE, weights: { ...NONE, labels: 1 } };

  async function stepped(
    more: Partial<TrainerOptions>,
    batches: readonly (readonly number[])[],
    freeze: "nothing" | "words" = "nothing",
  ) {
    const model = await loadModel(fixture("bert-topics"));
    const examples = examplesOf("bert-topics", 3);
    const trainer = await Trainer.open(
      (graph) => writeObjective(graph, model, null, { ...labelled, freeze }),
      options(model, more),
    );
    const accumulate = more.accumulate ?? 1;
    for (let at = 0; at < batches.length; at += accumulate) {
      const group = batches.slice(at, at + accumulate);
      await trainer.step(
        group.map((selection) =>
          batchOf(
            selection.map((i) => examples[i]),
            model.spec,
          ),
        ),
        1e-3,
      );
    }
    const weights = snapshot(model, trainer.weights(model.weights));
    await trainer.close();
    return { first: snapshot(model, model.weights), weights };
  }

  it("that accumulates gets what one large batch gets", async () => {
    const whole = await stepped({}, [[0, 1, 2, 3, 4, 5, 6, 7]]);
    const parts = await stepped({ accumulate: 4 }, [
      [0, 1],
      [2, 3],
      [4, 5],
      [6, 7],
    ]);
    // A step is 1e-3; the key's bias is the least exact, for softmax does not see it and its gradient is rounding alone.
    for (const [name, expected] of whole.weights) {
      const difference = Math.max(
        ...expected.map((x, i) => Math.abs(x - (parts.weights.get(name)?.[i] ?? Number.NaN))),
      );
      expect(difference, name).toBeLessThan(1e-4);
    }
    // and it moved at all
    expect(whole.weights.get("classifier.weight")).not.toEqual(whole.first.get("classifier.weight"));
  });

  it("leaves frozen tables and tokens that no text has as they are", async () => {
    const frozen = await stepped({}, [[0, 1]], "words");
    expect(frozen.weights.get("embeddings.word")).toEqual(frozen.first.get("embeddings.word"));
    const trained = await stepped({}, [[0, 1]]);
    const used = new Set([0, 1].flatMap((i) => [0, ...golden("bert-topics").cases[i].ids]));
    const [before, after] = [trained.first.get("embeddings.word"), trained.weights.get("embeddings.word")];
    const changed = Array.from({ length: (before?.length ?? 0) / 32 }, (_, token) =>
      before?.subarray(token * 32, token * 32 + 32).some((x, i) => x !== after?.[token * 32 + i]),
    );
    changed.forEach((moved, token) => {
      if (!used.has(token)) expect(moved).toBe(false);
    });
    expect(changed.filter(Boolean).length).toBeGreaterThan(5);
  });

  it("draws dropout by seed and step", async () => {
    const [a, b, other, none] = await Promise.all([
      stepped({ dropout: 0.3 }, [
        [0, 1],
        [2, 3],
      ]),
      stepped({ dropout: 0.3 }, [
        [0, 1],
        [2, 3],
      ]),
      stepped({ dropout: 0.3, seed: 6 }, [
        [0, 1],
        [2, 3],
      ]),
      stepped({}, [
        [0, 1],
        [2, 3],
      ]),
    ]);
    expect(a.weights).toEqual(b.weights);
    expect(a.weights).not.toEqual(other.weights);
    expect(a.weights).not.toEqual(none.weights);
  });

  it("says when a loss is not finite", async () => {
    const model = await loadModel(fixture("bert-topics"));
    const trainer = await Trainer.open((graph) => writeObjective(graph, model, null, labelled), options(model));
    const batch = batchOf(examplesOf("bert-topics", 3), model.spec);
    batch.targets.fill(Number.NaN);
    await expect(trainer.step([batch], 1e-3)).rejects.toThrow(/not finite at step 1: lower the learning rate/);
    await trainer.close();
  });

  it("refuses models that do not fit together", async () => {
    const teacher = await loadModel(fixture("bert-topics"));
    const open = (student: TrainedModel, weights: Partial<LossWeights>, other: TrainedModel | null = teacher) =>
      Trainer.open(
        (graph) => writeObjective(graph, student, other, { ...OBJECTIVE, weights: { ...NONE, ...weights } }),
        options(student),
      );
    await expect(open(teacher, {})).rejects.toThrow(/every loss has weight 0/);
    await expect(open(teacher, { hidden: 1 }, null)).rejects.toThrow(/need a teacher/);
    await expect(open(teacher, { ranges: 1 })).rejects.toThrow(/needs the teacher's ranges/);
    const as = (spec: Partial<TrainedModel["spec"]>) => ({
      spec: { ...teacher.spec, ...spec },
      weights: teacher.weights,
    });
    await expect(open(teacher, { hidden: 1 }, as({ vocabulary: 99 }))).rejects.toThrow(/share a vocabulary/);
    await expect(open(as({ heads: 2 }), { scores: 1 })).rejects.toThrow(/equal numbers of heads/);
    expect(() => takeLayers(teacher, 3, "even")).toThrow(/the model has 2 layers/);
  });
});

describe("a training", () => {
  async function setup(folder: string, more: Partial<Training> = {}): Promise<Training> {
    const teacher = await loadModel(fixture("bert-topics"));
    const spec = { ...teacher.spec, gelu: "quad", softmax: "2quad:5" };
    const examples = examplesOf("bert-topics", 3);
    return {
      model: { spec, weights: teacher.weights },
      teacher,
      examples,
      dev: {
        texts: examples.map(({ text }) => text),
        measure: (logits) => ({ mean: logits.reduce((sum, l) => sum + l[0], 0) }),
        patience: 0,
        perEpoch: 1,
      },
      stages: distillationStages(
        { epochs: 4, learningRate: 1e-3 },
        { epochs: 3, learningRate: 1e-3 },
        { ...NONE, hidden: 1, scores: 1, prediction: 1, ranges: 0.1 },
      ),
      settings: {
        batch: 2,
        accumulate: 2,
        warmup: 0.2,
        dropout: 0.1,
        decay: 0.01,
        clip: 1,
        temperature: 1,
        freeze: "nothing",
        seed: 3,
      },
      session: { threads: 1 },
      folder: join(dir, folder),
      ...more,
    };
  }

  it("stopped after any step goes on to the same weights, bit for bit, and the same log", async () => {
    const whole = await train(await setup("whole"));
    expect(whole.stages.map(({ steps }) => steps)).toEqual([8, 6]);
    for (const stopAfter of [1, 3, 5]) {
      const folder = `stopped-${stopAfter}`;
      // killed behind the last state, here that of the first evaluation
      await expect(train(await setup(folder, { stopAfter: 1 }))).rejects.toThrow(/stopped after step/);
      // once with a state saved at that very step, once killed with the last state some steps back
      await expect(train(await setup(folder, { stopAfter, saveSeconds: 0 }))).rejects.toThrow(/stopped after step/);
      await expect(train(await setup(folder, { stopAfter: stopAfter + 2 }))).rejects.toThrow(/stopped after step/);
      const resumed = await train(await setup(folder));
      const model = (await setup(folder)).model;
      expect(snapshot(model, resumed.weights)).toEqual(snapshot(model, whole.weights));
      for (const stage of ["layers", "prediction"]) {
        const log = (name: string) => readFile(join(dir, name, stage, "metrics.jsonl"), "utf8");
        expect(await log(folder)).toBe(await log("whole"));
      }
    }
    const again = await train(await setup("whole"));
    const { model } = await setup("whole");
    expect(snapshot(model, again.weights)).toEqual(snapshot(model, whole.weights));
  });

  it("does not go on with other settings", async () => {
    const asked = await setup("other");
    await expect(train({ ...asked, stopAfter: 2 })).rejects.toThrow(/stopped/);
    const settings = { ...asked.settings, seed: 4 };
    await expect(train({ ...asked, settings })).rejects.toThrow(/holds a run with other settings or data/);
    await expect(train({ ...asked, examples: asked.examples.slice(1) })).rejects.toThrow(/holds a run with other/);
  });

  it("stops when the dev set says nothing better for a while, and keeps the best", async () => {
    const asked = await setup("early");
    let calls = 0;
    const measure = () => ({ value: [0.5, 0.7, 0.6, 0.6, 0.9][calls++] });
    const dev = { texts: asked.examples.map(({ text }) => text), measure, patience: 2, perEpoch: 1 };
    const { stages } = await train({ ...asked, teacher: null, dev, stages: labelStages(10, 1e-3) });
    expect(stages[0].state.evaluations.map(({ values }) => values.value)).toEqual([0.5, 0.7, 0.6, 0.6]);
    expect(stages[0].state.best).toEqual({ step: 2, value: 0.7 });
    expect(stages[0].state.done).toBe(true);
  });

  it("brings a student nearer to its teacher, whatever its width", async () => {
    const asked = await setup("narrow");
    const spec = { ...asked.model.spec, hidden: 16, heads: 4, headWidth: 4, intermediate: 24 };
    const model = { spec, weights: resident(spec, initialWeights(spec, 1)) };
    const stages = distillationStages(
      { epochs: 60, learningRate: 5e-3 },
      { epochs: 0, learningRate: 1e-3 },
      { ...NONE, hidden: 1, scores: 1 },
    );
    await train({
      ...asked,
      model,
      stages,
      dev: undefined,
      settings: { ...asked.settings, dropout: 0, accumulate: 1 },
    });
    const log = (await readFile(join(dir, "narrow", "layers", "metrics.jsonl"), "utf8"))
      .trim()
      .split("\n")
      .map((l) => JSON.parse(l).loss);
    expect(log.at(-1)).toBeLessThan(0.6 * log[0]);
  });
});
