import { join } from "node:path";
import { learnBytePairs } from "../distill/byte-pairs.ts";
import { labelStages, train } from "../distill/recipe.ts";
import { initialWeights, resident } from "../distill/weights.ts";
import { anyTokenizer } from "../models/any-tokenizer.ts";
import { loadTokenizer, type Model } from "../models/checkpoint.ts";
import { baseOf } from "../models/families/all.ts";
import type { TextTokenizer } from "../models/tokenizer.ts";
import type { ModelSpec } from "../program/spec.ts";
import { UsageError } from "./failure.ts";
import { floatMatmul } from "./float.ts";
import { languageData, readDocuments } from "./language.ts";
import { isQuiet, type OutputOptions } from "./options.ts";
import { Progress } from "./progress.ts";
import { note, print, printJson } from "./terminal.ts";
import { finish, sessionOf, stageSummaries, TRAINING, trainingProgress } from "./training.ts";
import type { TrainingOptions } from "./training-options.ts";

/** What `pretrain` makes. */
export const ARCHITECTURES = ["bert", "gpt2", "llama"] as const;
type Trainable = Exclude<(typeof ARCHITECTURES)[number], "bert">;

export interface PretrainOptions extends OutputOptions {
  readonly texts: string;
  readonly architecture: (typeof ARCHITECTURES)[number];
  readonly out: string;
  readonly tokenizer?: string;
  readonly vocabulary: number;
  readonly layers: number;
  readonly width: number;
  readonly heads: number;
  /** Of a decoder. */
  readonly keyHeads?: number;
  readonly intermediate: number;
  readonly length: number;
  readonly epochs: number;
  readonly batch: number;
  /** Of a decoder: texts to measure by, and the rate of dropout. */
  readonly dev?: string;
  readonly dropout: number;
  readonly lr: number;
  readonly seed: number;
  readonly threads?: number;
  readonly provider: TrainingOptions["provider"];
}

interface DecoderOptions extends PretrainOptions {
  readonly architecture: Trainable;
}

/** Documents from which a vocabulary is learnt: words that matter occur in the first ones. */
const VOCABULARY_DOCUMENTS = 20_000;

/** Makes a small decoder from plain text: a vocabulary of bytes, and the next token at every position. */
export async function pretrainDecoder(options: DecoderOptions): Promise<void> {
  const progress = new Progress(isQuiet(options));
  const seed = options.seed;
  const { spec, tokenizer } = await startOf(options);
  const model: Model = { spec, tokenizer, weights: resident(spec, initialWeights(spec, seed)) };
  const { examples, dev } = await languageData(model, {
    ...{ data: options.texts, dev: options.dev, length: options.length, patience: 0, evaluations: 1 },
  });
  const matmul = await floatMatmul();
  const { weights, stages } = await train({
    model,
    teacher: null,
    examples,
    dev,
    stages: labelStages(options.epochs, options.lr),
    settings: {
      batch: options.batch,
      dropout: options.dropout,
      ...{ accumulate: 1, warmup: 0.05, decay: 0.1, clip: 1, temperature: 1, freeze: "nothing", seed },
    },
    session: sessionOf(options),
    folder: join(options.out, TRAINING),
    matmul,
    progress: (stage) => trainingProgress(progress)(stage === "labels" ? "next tokens" : stage),
  });
  await finish(options.out, { ...model, weights }, examples, stages, matmul, seed, progress);
  progress.stop();
  const [{ steps, seconds, after }] = stageSummaries(stages);
  if (options.json) return printJson({ out: options.out, steps, seconds, dev: after, vocabulary: spec.vocabulary });
  const measured = after === null ? "" : `; dev perplexity ${after.perplexity.toFixed(3)}`;
  print(`${steps} steps in ${seconds} s${measured}`);
  print(`wrote ${options.out}: distil it with "mpcformer distill --teacher ${options.out}"`);
}

/** The shape, and another model's tokenizer or one learnt from the texts. */
async function startOf(o: DecoderOptions): Promise<Pick<Model, "spec" | "tokenizer">> {
  const shape = shapeOf(o);
  if (o.tokenizer === undefined && !isQuiet(o)) note(`learning ${shape.vocabulary} pieces of words`);
  const { files, size } =
    o.tokenizer === undefined
      ? await learnt(o, shape)
      : await loadTokenizer(o.tokenizer, { ...shape, vocabulary: Number.MAX_SAFE_INTEGER });
  const spec = { ...shape, vocabulary: size, labels: size };
  return { spec, tokenizer: anyTokenizer(files, spec) };
}

async function learnt(o: DecoderOptions, shape: ModelSpec): Promise<TextTokenizer> {
  const documents = await readDocuments(o.texts);
  return anyTokenizer(learnBytePairs(documents.slice(0, VOCABULARY_DOCUMENTS), shape.vocabulary), shape);
}

function shapeOf(o: DecoderOptions): ModelSpec {
  const { architecture } = o;
  const [hidden, heads] = [o.width, o.heads];
  const keyHeads = o.keyHeads ?? heads;
  checkHeads(architecture, hidden, heads, keyHeads);
  const vocabulary = o.vocabulary;
  return {
    ...baseOf(architecture),
    layers: o.layers,
    hidden,
    heads,
    keyHeads,
    headWidth: hidden / heads,
    intermediate: o.intermediate,
    vocabulary,
    positions: o.length,
    types: 1,
    labels: vocabulary,
    epsilon: 1e-5,
    positionOffset: 0,
    tied: true,
    problem: "generation",
    labelNames: [],
    gelu: architecture === "llama" ? "exact" : "tanh",
    softmax: "exact",
    embedding: "private",
    answer: "scores",
  };
}

function checkHeads(architecture: Trainable, hidden: number, heads: number, keyHeads: number): void {
  if (hidden % heads !== 0) throw new UsageError("--heads must divide --width");
  if (heads % keyHeads !== 0) throw new UsageError("--key-heads must divide --heads");
  if (architecture === "gpt2" && keyHeads !== heads) throw new UsageError("GPT-2 has no groups: leave --key-heads out");
  if (architecture === "llama" && (hidden / heads) % 2 !== 0) {
    throw new UsageError("Llama's heads have an even width: take another --width or --heads");
  }
}
