/** Decoders through the graph: their logits against the float reference, their losses against their definitions. */

import { describe, expect, it } from "vitest";
import { batchOf, nextTokens } from "../../src/distill/batches.ts";
import { TrainingGraph } from "../../src/distill/graph.ts";
import { boundsOf } from "../../src/distill/layer-losses.ts";
import { type LossWeights, writeObjective } from "../../src/distill/objective.ts";
import { ADAM } from "../../src/distill/optimiser.ts";
import { logLikelihood, perplexity, perplexityOf } from "../../src/distill/perplexity.ts";
import { Predictor, TokenScorer } from "../../src/distill/predictor.ts";
import type { TrainedModel } from "../../src/distill/trained-model.ts";
import { Trainer } from "../../src/distill/trainer.ts";
import { logitsOf } from "../../src/models/model.ts";
import { requiredWeights } from "../../src/models/weights.ts";
import type { EmbeddingRef, Heads, NormRef } from "../../src/program/ops.ts";
import type { ModelSpec, TokenizedText } from "../../src/program/spec.ts";
import { FloatOps } from "../../src/reference/float.ts";
import type { FloatTensor } from "../../src/reference/tensor.ts";
import { decoders, decoderWeights, tokenTexts } from "./decoders.ts";

const LENGTHS = [5, 1, 17, 9, 16];
const NONE: LossWeights = { hidden: 0, scores: 0, prediction: 0, labels: 0, ranges: 0, sums: 0 };
const OBJECTIVE = { temperature: 1, freeze: "nothing", seed: 1 } as const;

/** The float reference that keeps hidden states and scores, as a reader of `models/blocks.ts` finds them. */
class Watching extends FloatOps {
  readonly hidden: FloatTensor[] = [];
  readonly attention: FloatTensor[] = [];
  #postNorm = false;
  #ends = false;

  override embed(ref: EmbeddingRef): FloatTensor {
    this.#postNorm = ref.readers === "layers";
    const x = super.embed(ref);
    this.hidden.push(x);
    return x;
  }

  override layerNorm(x: FloatTensor, ref: NormRef): FloatTensor {
    const y = super.layerNorm(x, ref);
    this.#ends = this.#postNorm && /^layer\.\d+\.branch\.norm$/.test(ref.name);
    if (this.#postNorm && /^layer\.\d+\.norm$/.test(ref.name)) this.hidden.push(y);
    if (!this.#postNorm && /^(norm|layer\.[1-9]\d*\.attention\.norm)$/.test(ref.name)) this.hidden.push(x);
    return y;
  }

  override add(x: FloatTensor, y: FloatTensor): FloatTensor {
    const sum = super.add(x, y);
    if (this.#ends) this.hidden.push(sum);
    this.#ends = false;
    return sum;
  }

  override scores(q: FloatTensor, k: FloatTensor, heads: Heads): FloatTensor {
    const s = super.scores(q, k, heads);
    this.attention.push(s);
    return s;
  }
}

function watched({ spec, weights }: TrainedModel, text: TokenizedText) {
  const ops = new Watching(weights, text, text.ids.length, { scoring: true });
  const logits = logitsOf<FloatTensor>(ops, spec);
  return { logits, hidden: ops.hidden, attention: ops.attention };
}

const modelOf = (spec: ModelSpec, seed = 3): TrainedModel => ({ spec, weights: decoderWeights(spec, seed) });
const sum = (values: Iterable<number>) => [...values].reduce((a, b) => a + b, 0);

describe("a batch through the graph is FloatOps text by text:", () => {
  for (const [name, base] of Object.entries(decoders)) {
    for (const gelu of [base.gelu, "quad"]) {
      for (const softmax of ["exact", "2quad:5", "2relu:0.01"]) {
        it(`${name}, ${gelu}, ${softmax}`, async () => {
          const { spec, weights } = modelOf({ ...base, gelu, softmax });
          const texts = tokenTexts(spec, LENGTHS);
          const predictor = await Predictor.open(spec, weights, { threads: 1 });
          const logits = await predictor.logits(texts);
          await predictor.close();
          texts.forEach((text, i) => {
            const expected = watched({ spec, weights }, text).logits.data;
            expect(logits[i].length).toBe(expected.length);
            const size = Math.max(...expected.map(Math.abs));
            expected.forEach((x, j) => {
              expect(Math.abs(logits[i][j] - x) / size).toBeLessThan(1e-4);
            });
          });
        });
      }
    }
  }
});

describe("perplexity", () => {
  it("is the same through the graph and in the float reference", async () => {
    const { spec, weights } = modelOf(decoders.llama);
    const texts = tokenTexts(spec, LENGTHS);
    const scorer = await TokenScorer.open(spec, weights, { threads: 1 });
    const likelihoods = await scorer.likelihoods(texts);
    await scorer.close();
    expect(likelihoods.map(({ length }) => length)).toEqual(LENGTHS.map((n) => n - 1));
    const expected = perplexity(spec, weights, texts);
    const measured = perplexityOf(likelihoods);
    expect(measured.tokens).toBe(expected.tokens);
    expect(measured.loss).toBeCloseTo(expected.loss, 4);
    expect(expected.perplexity).toBeCloseTo(Math.exp(expected.loss), 6);
    expect(() => perplexity(spec, weights, tokenTexts(spec, [1]))).toThrow(/two tokens or more/);
  });

  it("of a model that knows nothing is the size of its vocabulary", () => {
    expect(logLikelihood(new Float32Array(60), 7)).toBeCloseTo(-Math.log(60), 5);
    expect(perplexityOf([[-Math.log(60)], [-Math.log(60), -Math.log(60)]]).perplexity).toBeCloseTo(60, 5);
  });
});

/** The losses of a first step, and the gradients as the step's doing: with rate 0 nothing moves. */
async function firstLosses(
  student: TrainedModel,
  teacher: TrainedModel | null,
  texts: readonly TokenizedText[],
  weights: LossWeights,
  more: { temperature?: number; bounds?: ReadonlyMap<string, number> } = {},
): Promise<Readonly<Record<string, number>>> {
  const trainer = await Trainer.open(
    (graph) => writeObjective(graph, student, teacher, { ...OBJECTIVE, weights, ...more }),
    options(student, teacher),
  );
  const batch = batchOf(
    texts.map((text) => ({ text, label: 0 })),
    student.spec,
  );
  const { losses } = await trainer.step([batch], 0);
  await trainer.close();
  return losses;
}

function options({ spec }: TrainedModel, teacher: TrainedModel | null) {
  const wholeTables = spec.tied || (teacher?.spec.tied ?? false);
  return { adam: ADAM, dropout: 0, accumulate: 1, seed: 5, vocabulary: spec.vocabulary, threads: 1, wholeTables };
}

/** Of a text's scores s under 2quad:5, how far sums of (s + 5)² are beyond 4 times what scores of 0 give, squared. */
function farSums({ rows, columns, data, heads, window = columns }: FloatTensor, cap: number | null): number {
  const through = (s: number) => (cap === null ? s : cap * Math.tanh(s / cap));
  return sum(
    Array.from({ length: rows }, (_, row) => {
      const end = 1 + (row % (rows / heads));
      const keys = Math.min(end, window);
      const own = data.slice(row * columns + end - keys, row * columns + end);
      const total = sum(own.map((s) => (through(s) + 5) ** 2));
      return Math.max(Math.abs(Math.log(Math.max(total / (25 * keys), 1e-3))) / Math.log(4) - 1, 0) ** 2;
    }),
  );
}

/** Queries four times as large: scores that are far from 0. */
function withSharpQueries({ spec, weights }: TrainedModel): TrainedModel {
  const get = (name: string) => {
    const { shape, data } = weights.get(name);
    return name.includes("query") ? { shape, data: data.map((x) => 4 * x) } : { shape, data };
  };
  return { spec, weights: { get } };
}

describe("a decoder's losses are their definitions:", () => {
  for (const [name, base] of Object.entries(decoders)) {
    it(name, async () => {
      const teacher = modelOf(base);
      const student = withSharpQueries(modelOf({ ...base, gelu: "quad", softmax: "2quad:5" }, 4));
      const texts = tokenTexts(base, LENGTHS);
      const [mine, theirs] = [student, teacher].map((model) => texts.map((text) => watched(model, text)));
      const tokens = sum(LENGTHS);
      const error = (a: FloatTensor, b: FloatTensor) => sum(a.data.map((x, i) => (x - b.data[i]) ** 2));
      const hidden = sum(texts.flatMap((_, t) => mine[t].hidden.map((h, i) => error(h, theirs[t].hidden[i]))));
      const { window } = base.blocks;
      const pairsOf = (layer: number) => {
        const beyond = window?.layers.includes(layer) ? window.size : Number.POSITIVE_INFINITY;
        return sum(LENGTHS.flatMap((n) => Array.from({ length: n }, (_, row) => Math.min(row + 1, beyond))));
      };
      // Scores that a row does not see are 0 for both.
      const scores = sum(
        texts.flatMap((_, t) =>
          mine[t].attention.map((s, i) => error(s, theirs[t].attention[i]) / (pairsOf(i) * base.heads)),
        ),
      );
      const row = ({ data, columns }: FloatTensor, r: number) => data.subarray(r * columns, (r + 1) * columns);
      const softened = (x: Float32Array) => x.map((z) => z / 2);
      const prediction = sum(
        texts.flatMap(({ ids }, t) =>
          ids.map((_, r) => {
            const [s, p] = [mine, theirs].map((all) => softened(row(all[t].logits, r)));
            return -sum(s.map((_, token) => Math.exp(logLikelihood(p, token)) * logLikelihood(s, token)));
          }),
        ),
      );
      const losses = await firstLosses(
        student,
        teacher,
        texts,
        { ...NONE, hidden: 1, scores: 1, prediction: 1, labels: 1, sums: 1 },
        {
          temperature: 2,
        },
      );
      expect(mine[0].hidden.length).toBe(base.layers + 1);
      const close = (actual: number, expected: number) => expect(Math.abs(actual / expected - 1)).toBeLessThan(1e-4);
      close(losses.hidden, hidden / (tokens * base.hidden));
      close(losses.scores, scores);
      close(losses.prediction, prediction / tokens);
      close(
        losses.sums,
        mine.reduce(
          (total, { attention }) => total + sum(attention.map((s) => farSums(s, base.blocks.caps.scores))),
          0,
        ) /
          (tokens * base.heads),
      );
      close(losses.labels, perplexity(student.spec, student.weights, texts).loss);
    });
  }

  it("ranges count what is beyond the teacher's largest values, and nothing within", async () => {
    const teacher = modelOf(decoders.llama);
    const texts = tokenTexts(teacher.spec, LENGTHS);
    const bounds = boundsOf(teacher, texts, new TrainingGraph(false));
    expect([...bounds.keys()]).toEqual(expect.arrayContaining(["scores.1", "layer.0.gate", "head"]));
    const within = await firstLosses(teacher, null, texts, { ...NONE, ranges: 1 }, { bounds });
    expect(within.ranges).toBeLessThan(1e-10);
    const halved = new Map([...bounds].map(([name, bound]) => [name, bound / 2]));
    const beyond = await firstLosses(teacher, null, texts, { ...NONE, ranges: 1 }, { bounds: halved });
    expect(beyond.ranges).toBeGreaterThan(0.01);
  });

  it("next tokens end where a text ends", () => {
    const [a, b] = tokenTexts(decoders.gpt2, [3, 6]);
    const batch = batchOf(
      [
        { text: a, label: 0 },
        { text: b, label: 0 },
      ],
      decoders.gpt2,
    );
    expect([...nextTokens(batch)]).toEqual([a.ids[1], a.ids[2], -1, -1, -1, -1, -1, -1, ...b.ids.slice(1), -1, -1, -1]);
  });
});

describe("a decoder's gradients are the slopes of its losses:", () => {
  for (const [name, base] of Object.entries(decoders)) {
    it(name, async () => {
      const teacher = modelOf(base);
      const student = modelOf({ ...base, gelu: "quad", softmax: "2quad:5" }, 4);
      const weights = { ...NONE, hidden: 0.1, scores: 0.1, prediction: 1, labels: 1, sums: 1 };
      const batch = batchOf(
        tokenTexts(base, [7, 4]).map((text) => ({ text, label: 0 })),
        student.spec,
      );
      const trainer = await Trainer.open(
        (graph) => writeObjective(graph, student, teacher, { ...OBJECTIVE, weights }),
        { ...options(student, teacher), adam: { ...ADAM, decay: 0, clip: 1e9 } },
      );
      await trainer.step([batch], 0); // at rate 0 nothing moves; a first moment is then a tenth of the gradient
      const gradients = trainer.tensors.map(({ m }) => m.map((x) => x * 10));
      const names = [...requiredWeights(base).keys()].filter((one) => !(base.tied && one === "head.weight"));
      expect(trainer.tensors.map((one) => one.name).sort()).toEqual(names.sort());
      for (const [index, { name: tensor, value }] of trainer.tensors.entries()) {
        const gradient = gradients[index];
        const length = Math.sqrt(sum(gradient.map((g) => g * g)));
        const start = value.slice();
        const at = async (distance: number) => {
          value.set(start.map((x, i) => x + (distance * gradient[i]) / (length || 1)));
          const { loss } = await trainer.step([batch], 0);
          value.set(start);
          return loss;
        };
        const slope = ((await at(2e-3)) - (await at(-2e-3))) / 4e-3;
        // A loss of about 10 is rounded to 1e-6.
        const off = Math.abs(slope - length);
        expect(off, `${tensor}: slope ${slope}, gradient ${length}`).toBeLessThan(0.01 * length + 1e-3);
      }
      await trainer.close();
    });
  }
});
