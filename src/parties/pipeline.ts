/**
 * Private answers in the calls and results of transformers.js's pipelines, so that a program written for them asks a service instead.
 * Options have its names. Everything that a pipeline makes of an answer is made here, on the client.
 */

import * as v from "valibot";
import { type Entity, type TokenLabel, tokenLabels } from "../answers/entities.ts";
import { type FilledMask, filledMasks } from "../answers/filled.ts";
import { type AnswerSpan, answerSpans } from "../answers/question.ts";
import type { SpannedText } from "../models/tokenizer.ts";
import type { ModelSpec } from "../program/spec.ts";
import { checkArguments, mustBe } from "./arguments.ts";
import type { Client } from "./client.ts";
import type { CallOptions } from "./connection.ts";
import { PartyError } from "./messages.ts";
import type { TextClient, TextOptions, TextOrPair } from "./text-client.ts";

/** Whom a pipeline asks: a client of a service, as `connect` gives it, or a thin one. */
export type PipelineService = TextClient<{ readonly logits: readonly number[] }>;

export interface PipelineOptions {
  /** Hears how many of a call's texts are answered. */
  readonly progress?: (done: number, total: number) => void;
}

/** A label and its probability. */
export interface LabelScore {
  readonly label: string;
  readonly score: number;
}

export interface ClassificationOptions extends TextOptions {
  /** How many labels, the likeliest first; 1 unless told, null: all. */
  readonly top_k?: number | null;
}

/** One text: its likeliest labels. Several: the likeliest of each, or with another `top_k` than 1 those of each. */
export interface TextClassificationPipeline {
  (text: string, options?: ClassificationOptions): Promise<LabelScore[]>;
  (texts: readonly string[], options?: ClassificationOptions & { readonly top_k?: 1 }): Promise<LabelScore[]>;
  (texts: readonly string[], options: ClassificationOptions): Promise<LabelScore[] | LabelScore[][]>;
}

export interface TokenOptions extends TextOptions {
  /** Labels that are left out; "O" unless told. */
  readonly ignore_labels?: readonly string[];
}

/** `none` gives tokens' labels, `simple` entities: neighbours with one label. */
export interface TokenClassificationPipeline {
  (text: string, options: TokenOptions & { readonly aggregation_strategy: "simple" }): Promise<Entity[]>;
  (texts: readonly string[], options: TokenOptions & { readonly aggregation_strategy: "simple" }): Promise<Entity[][]>;
  (text: string, options?: TokenOptions & { readonly aggregation_strategy?: "none" }): Promise<TokenLabel[]>;
  (
    texts: readonly string[],
    options?: TokenOptions & { readonly aggregation_strategy?: "none" },
  ): Promise<TokenLabel[][]>;
}

export interface QuestionOptions extends TextOptions {
  /** How many answers; 1 unless told. */
  readonly top_k?: number;
}

export interface QuestionAnsweringPipeline {
  (question: string, context: string, options?: QuestionOptions & { readonly top_k?: 1 }): Promise<AnswerSpan>;
  (question: string, context: string, options: QuestionOptions): Promise<AnswerSpan | AnswerSpan[]>;
}

export interface FillMaskOptions extends TextOptions {
  /** How many tokens; 5 unless told. */
  readonly top_k?: number;
}

/** A text with one masked word, as the model's tokenizer writes it ("[MASK]", "<mask>"). */
export interface FillMaskPipeline {
  (text: string, options?: FillMaskOptions): Promise<FilledMask[]>;
  (texts: readonly string[], options?: FillMaskOptions): Promise<FilledMask[][]>;
}

export interface ZeroShotOptions extends TextOptions {
  /** The sentence about a label, which goes where `{}` stands; "This example is {}." unless told. */
  readonly hypothesis_template?: string;
  /** Whether labels may hold together. */
  readonly multi_label?: boolean;
}

/** Labels, the likeliest first. */
export interface ZeroShotResult {
  readonly sequence: string;
  readonly labels: string[];
  readonly scores: number[];
}

export interface ZeroShotPipeline {
  (text: string, labels: string | readonly string[], options?: ZeroShotOptions): Promise<ZeroShotResult>;
  (texts: readonly string[], labels: string | readonly string[], options?: ZeroShotOptions): Promise<ZeroShotResult[]>;
}

export interface ExtractionOptions extends TextOptions {
  /** What the service's model does, or this is refused: states leave the parties pooled alone. */
  readonly pooling?: "mean" | "cls";
  /** The same for the norm. A model without one is normalised here, on the client. */
  readonly normalize?: boolean;
}

/** Rows of numbers, as transformers.js's tensors. */
export interface VectorTensor {
  readonly type: "float32";
  /** [texts, width] */
  readonly dims: readonly [number, number];
  readonly data: Float32Array;
  tolist(): number[][];
}

export type FeatureExtractionPipeline = (
  texts: string | readonly string[],
  options?: ExtractionOptions,
) => Promise<VectorTensor>;

export interface TextGenerationOptions extends CallOptions {
  readonly max_new_tokens?: number;
  /** Whether tokens are sampled; otherwise the likeliest is taken. */
  readonly do_sample?: boolean;
  readonly temperature?: number;
  /** Whether the prompt stands before the continuation; it does unless told. */
  readonly return_full_text?: boolean;
}

export interface GeneratedText {
  readonly generated_text: string;
}

export interface TextGenerationPipeline {
  (text: string, options?: TextGenerationOptions): Promise<GeneratedText[]>;
  (texts: readonly string[], options?: TextGenerationOptions): Promise<GeneratedText[][]>;
}

/** What each task gives. */
export interface Pipelines {
  "text-classification": TextClassificationPipeline;
  "sentiment-analysis": TextClassificationPipeline;
  "token-classification": TokenClassificationPipeline;
  ner: TokenClassificationPipeline;
  "question-answering": QuestionAnsweringPipeline;
  "fill-mask": FillMaskPipeline;
  "zero-shot-classification": ZeroShotPipeline;
  "feature-extraction": FeatureExtractionPipeline;
  "text-generation": TextGenerationPipeline;
}

export type PipelineTask = keyof Pipelines;

/** The kinds of answers that a task is made of. */
const PROBLEMS: Readonly<Record<PipelineTask, readonly ModelSpec["problem"][]>> = {
  "text-classification": ["classification", "labels"],
  "sentiment-analysis": ["classification", "labels"],
  "token-classification": ["tokens"],
  ner: ["tokens"],
  "question-answering": ["spans"],
  "fill-mask": ["mask"],
  "zero-shot-classification": ["classification"],
  "feature-extraction": ["vector"],
  "text-generation": ["generation"],
};

/** Texts that are asked about before progress is told. */
const BATCH = 16;

const optionsSchema = v.strictObject({ progress: v.optional(v.function(mustBe("a function"))) });

/**
 * A pipeline of a task over a service: called with a text, or several, it gives what transformers.js's gives. A call takes a `signal`
 * (and a padded `length`) among its options.
 * @throws TypeError for an unknown task; PartyError where the service's model gives another kind of answer.
 * @example
 * const classify = pipeline("text-classification", await connect(addresses));
 * const [{ label, score }] = await classify("a gripping film");
 */
export function pipeline<T extends "text-generation">(
  task: T,
  service: Client,
  options?: PipelineOptions,
): Pipelines[T];
export function pipeline<T extends Exclude<PipelineTask, "text-generation">>(
  task: T,
  service: PipelineService,
  options?: PipelineOptions,
): Pipelines[T];
export function pipeline(task: PipelineTask, service: PipelineService, options: PipelineOptions = {}): unknown {
  checkArguments(optionsSchema, options, "pipeline");
  if (!Object.hasOwn(PROBLEMS, task))
    throw new TypeError(`pipeline: there is no such task: use one of ${Object.keys(PROBLEMS).join(", ")}`);
  if (!PROBLEMS[task].includes(service.spec.problem))
    throw new PartyError(`this server's model is not for ${task}: ask one whose model is`);
  const own = new Texts(service, options.progress);
  switch (task) {
    case "text-classification":
    case "sentiment-analysis":
      return classification(own);
    case "token-classification":
    case "ner":
      return tokens(own);
    case "question-answering":
      return questions(own);
    case "fill-mask":
      return masks(own);
    case "zero-shot-classification":
      return zeroShot(own);
    case "feature-extraction":
      return extraction(own);
    case "text-generation":
      return generation(own, service as Client);
    default:
      return task satisfies never;
  }
}

type Answered = Awaited<ReturnType<PipelineService["classify"]>>;

/** Asks about texts, and tells how many are answered. */
class Texts {
  readonly service: PipelineService;
  readonly #progress: PipelineOptions["progress"];

  constructor(service: PipelineService, progress: PipelineOptions["progress"]) {
    this.service = service;
    this.#progress = progress;
  }

  /** The answers in their order. Texts of one padded length share a run. @throws the first error of any text. */
  async all(texts: readonly TextOrPair[], { signal, length }: TextOptions): Promise<Answered[]> {
    const answers: Answered[] = [];
    for (let at = 0; at < texts.length; at += BATCH) {
      const results = await this.service.classifyAll(texts.slice(at, at + BATCH), { signal, length });
      for (const one of results) {
        if (one.status === "rejected") throw one.reason;
        answers.push(one.value);
      }
      this.#progress?.(answers.length, texts.length);
    }
    return answers;
  }

  /** One after the other, each by a call of its own. */
  async each<T>(texts: readonly string[], ask: (text: string) => Promise<T>): Promise<T[]> {
    const answers: T[] = [];
    for (const text of texts) {
      answers.push(await ask(text));
      this.#progress?.(answers.length, texts.length);
    }
    return answers;
  }
}

/** One text or several as a list. */
function listOf(given: string | readonly string[]): readonly string[] {
  return typeof given === "string" ? [given] : given;
}

function classification(own: Texts) {
  return async (given: string | readonly string[], { top_k = 1, ...options }: ClassificationOptions = {}) => {
    const { labelNames, answer } = own.service.spec;
    const answers = await own.all(listOf(given), options);
    const perText = answers.map(({ label = "", scores }) => {
      // The server tells the label alone.
      if (scores === undefined) return [{ label, score: 1 }];
      const all = scores.map((score, i) => ({ label: labelNames[i], score })).sort((a, b) => b.score - a.score);
      return all.slice(0, top_k ?? undefined);
    });
    if (typeof given === "string") return perText[0];
    return top_k === 1 || answer === "label" ? perText.flat() : perText;
  };
}

function tokens(own: Texts) {
  type Options = TokenOptions & { readonly aggregation_strategy?: "none" | "simple" };
  return async (given: string | readonly string[], options: Options = {}) => {
    const { ignore_labels: ignored = ["O"], aggregation_strategy: strategy = "none", ...call } = options;
    const texts = listOf(given);
    const answers = await own.all(texts, call);
    const perText = answers.map(({ entities = [], logits }, i) => {
      if (strategy === "simple") return entities.filter(({ entity_group }) => !ignored.includes(entity_group));
      return labelsOf(own.service, texts[i], logits).filter(({ entity }) => !ignored.includes(entity));
    });
    return typeof given === "string" ? perText[0] : perText;
  };
}

/** The label of every token of a text. */
function labelsOf(service: PipelineService, text: string, logits: readonly number[]): TokenLabel[] {
  const { tokenizer, spec } = service;
  return tokenizer === null ? [] : tokenLabels(service.encode(text) as SpannedText, logits, spec.labelNames, tokenizer);
}

function questions(own: Texts) {
  return async (question: string, context: string, { top_k = 1, ...options }: QuestionOptions = {}) => {
    const [{ logits }] = await own.all([[question, context]], options);
    const spanned = own.service.encode(question, context) as SpannedText;
    const answers = answerSpans(spanned, logits, context, { topK: top_k });
    return top_k === 1 ? answers[0] : answers;
  };
}

function masks(own: Texts) {
  return async (given: string | readonly string[], { top_k = 5, ...options }: FillMaskOptions = {}) => {
    const { service } = own;
    const texts = listOf(given);
    const answers = await own.all(texts, options);
    // Who has no tokenizer has no text to ask about either.
    const perText = answers.map(({ logits }, i) =>
      filledMasks(service.tokenizer!, service.encode(texts[i]).ids, logits, top_k),
    );
    return typeof given === "string" ? perText[0] : perText;
  };
}

function zeroShot(own: Texts) {
  return async (
    given: string | readonly string[],
    candidates: string | readonly string[],
    asked: ZeroShotOptions = {},
  ) => {
    const { hypothesis_template: template, multi_label: several, ...options } = asked;
    const labels = listOf(candidates);
    const results = await own.each(listOf(given), async (sequence) => {
      const { labels: sorted, scores } = await own.service.classifyAs(sequence, labels, {
        template,
        several,
        ...options,
      });
      return { sequence, labels: [...sorted], scores: [...scores] };
    });
    return typeof given === "string" ? results[0] : results;
  };
}

function extraction(own: Texts): FeatureExtractionPipeline {
  return async (given, { pooling, normalize, ...options } = {}) => {
    const { pooling: made, hidden } = own.service.spec;
    const name = made?.of === "first" ? "cls" : "mean";
    if (pooling !== undefined && pooling !== name)
      throw new PartyError(`this server's model pools by ${name}: leave pooling out, or ask another server`);
    if (normalize === false && made?.unit === true)
      throw new PartyError("this server's model gives vectors of length 1: leave normalize out, or ask another server");
    const answers = await own.all(listOf(given), options);
    const rows = answers.map(({ logits }) => (normalize === true && made?.unit === false ? unit(logits) : logits));
    const data = Float32Array.from(rows.flat());
    const tolist = () => rows.map((_, i) => [...data.subarray(i * hidden, (i + 1) * hidden)]);
    return { type: "float32", dims: [rows.length, hidden], data, tolist };
  };
}

function unit(row: readonly number[]): readonly number[] {
  const length = Math.sqrt(row.reduce((sum, x) => sum + x * x, 0)) || 1;
  return row.map((x) => x / length);
}

function generation(own: Texts, client: Client) {
  return async (given: string | readonly string[], options: TextGenerationOptions = {}) => {
    const { max_new_tokens: maxTokens = 20, do_sample = false, return_full_text = true, signal } = options;
    const temperature = do_sample ? (options.temperature ?? 1) : 0;
    const results = await own.each(listOf(given), async (text) => {
      const stream = client.generate(text, { maxTokens, temperature, signal });
      for (;;) {
        const next = await stream.next();
        if (next.done !== true) continue;
        return [{ generated_text: return_full_text ? text + next.value.text : next.value.text }];
      }
    });
    return typeof given === "string" ? results[0] : results;
  };
}
