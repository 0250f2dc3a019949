/** The client's side of generation: choosing tokens from logits, and handing them out as they come. */
import * as v from "valibot";
import { generator, uniforms } from "../models/random.ts";
import { indexOfLargest } from "../program/largest.ts";
import type { ModelSpec } from "../program/spec.ts";
import { abortSignal, checkArguments, mustBe } from "./arguments.ts";
import type { Logprobs } from "./logprobs.ts";
import { MOST_TURNS, PartyError } from "./messages.ts";
import type { Run } from "./run.ts";
import type { TextOptions } from "./text-client.ts";

export interface GenerateOptions extends TextOptions {
  /** New tokens, at most: material is made for all of them. May be left out where `turns` is given, which it is then. */
  readonly maxTokens?: number;
  /**
   * Tokens that the run makes, wherever the text ends: the server sees this number alone, and not when the text was over. Each costs as
   * much as one that is shown. Without it the run ends with the text.
   */
  readonly turns?: number;
  /** 0: always the likeliest token. */
  readonly temperature?: number;
  /** Only the so many likeliest tokens. */
  readonly topK?: number;
  /** Only the likeliest tokens whose probabilities sum up to this. */
  readonly topP?: number;
  /** Draws with the same random numbers again: the same text, unless two tokens nearly tie (logits differ in their last bits). The operating system's generator without. */
  readonly seed?: number;
  /** Tells of each token how likely it was, and so many of the likeliest; the server must tell scores. */
  readonly logprobs?: number;
  /** Tokens that end the text, the model's own unless given; the one that did is handed out too. */
  readonly stopAt?: readonly number[];
  /** The text ends before the first of these; or a function, called with all new tokens so far, that ends it when it is true. */
  readonly stop?: string | readonly string[] | ((tokens: readonly number[]) => boolean);
}

/** One new token, and the text that is certain with it: what a later token may change, or may turn into a stop, comes with that one. */
export interface GeneratedPiece {
  readonly token: number;
  /** Empty where nothing new is certain, and always where the server has no tokenizer. All pieces' texts together are the new text. */
  readonly text: string;
  /** Where they were asked for. */
  readonly logprobs?: Logprobs;
}

/** What a run of generation took, and how many tokens it gave. */
export interface Generated extends Run {
  /** The new text, up to what ended it; empty where the server has no tokenizer. */
  readonly text: string;
  readonly ids: readonly number[];
  /** How many new ones. */
  readonly tokens: number;
  /** What ended it: a token or a text that stops it (or the listener left), or that there are `maxTokens`. */
  readonly ended: "stop" | "length";
  /** From the beginning of the online phase to each token, with the material that was made between. */
  readonly secondsToToken: readonly number[];
}

const number = v.optional(v.number(mustBe("a number")));
const generateSchema = v.strictObject({
  maxTokens: number,
  turns: number,
  length: number,
  temperature: number,
  topK: number,
  topP: number,
  seed: number,
  logprobs: number,
  stopAt: v.optional(v.array(v.number(mustBe("a token's number")), mustBe("an array of tokens' numbers"))),
  stop: v.optional(
    v.union(
      [v.string(), v.array(v.string()), v.function()],
      mustBe("a text, an array of texts, or a function of the tokens so far"),
    ),
  ),
  signal: abortSignal,
});

/** @throws TypeError that says which option is wrong, or is none. */
export function checkGenerateOptions(given: unknown): void {
  checkArguments(generateSchema, given, "generate");
}

/** How many tokens a text gets at most, how many its run makes, and whether it makes all of them. @throws PartyError */
export function turnsOf({ maxTokens, turns }: GenerateOptions): {
  readonly maxTokens: number;
  readonly turns: number;
  readonly fixed: boolean;
} {
  const [most, all] = [maxTokens ?? turns, turns ?? maxTokens];
  if (most === undefined || all === undefined || ![most, all].every(isTurns))
    throw new PartyError(`a run gives 1 to ${MOST_TURNS} new tokens: say how many (maxTokens)`);
  if (most > all) throw new PartyError(`${all} turns give no ${most} tokens: ask for fewer, or take more turns`);
  return { maxTokens: most, turns: all, fixed: turns !== undefined };
}

function isTurns(n: number): boolean {
  return Number.isInteger(n) && n >= 1 && n <= MOST_TURNS;
}

/** Chooses a token from logits; or takes the one that the protocol chose. */
export type Sampler = (logits: readonly number[]) => number;

/** @throws PartyError for a setting out of range, or one that a server of tokens alone cannot grant. */
export function sampler(spec: ModelSpec, options: GenerateOptions): Sampler {
  const { temperature = 0, topK = spec.vocabulary, topP = 1, seed, logprobs = 0 } = options;
  if (!(temperature >= 0 && temperature <= 100)) throw new PartyError("a temperature lies between 0 and 100");
  if (!(Number.isInteger(topK) && topK >= 1)) throw new PartyError("top-k takes a number of tokens from 1");
  if (!(topP > 0 && topP <= 1)) throw new PartyError("top-p takes a probability above 0, up to 1");
  if (!(Number.isInteger(logprobs) && logprobs >= 0 && logprobs <= spec.vocabulary))
    throw new PartyError("logprobs takes a number of tokens from 0");
  if (spec.answer === "label") {
    if ([options.topK, options.topP, seed, options.logprobs].some((x) => x !== undefined))
      throw new PartyError("this server tells the next token alone: top-k, top-p, logprobs and a seed need its logits");
    // A void answer may be no index at all; the run goes on all the same (findings.ts).
    return ([token]) => Math.min(Math.max(Math.round(token), 0), spec.vocabulary - 1);
  }
  const uniform = seed === undefined ? systemUniforms() : uniforms(generator("sampling", seed));
  return (logits) =>
    temperature === 0 ? indexOfLargest(logits) : sample(logits, { temperature, topK, topP }, uniform);
}

/**
 * Draws as the largest of logits / temperature with Gumbel noise of each token's own: the same probabilities as softmax's. Two private
 * runs differ in their logits' last bits, and with the same noise they part only where the two largest sums nearly tie. A draw along
 * cumulated probabilities would part with every pair of neighbours that change places.
 */
function sample(
  logits: readonly number[],
  { temperature, topK, topP }: { temperature: number; topK: number; topP: number },
  uniform: () => number,
): number {
  const order = [...logits.keys()].sort((a, b) => logits[b] - logits[a]).slice(0, topK);
  const powers = order.map((i) => Math.exp((logits[i] - logits[order[0]]) / temperature));
  const all = powers.reduce((sum, p) => sum + p, 0);
  let kept = 0;
  for (let sum = 0; kept < powers.length && (kept === 0 || sum < topP * all); kept++) sum += powers[kept];
  const candidates = new Set(order.slice(0, kept));
  // Every token takes its number, kept or not, so that what is kept moves no other's.
  const noisy = logits.map((logit, i) => {
    const u = uniform() + 2 ** -33;
    return candidates.has(i) ? logit / temperature - Math.log(-Math.log(u)) : Number.NEGATIVE_INFINITY;
  });
  return indexOfLargest(noisy);
}

/** Uniform numbers in [0, 1) from the operating system's generator. */
function systemUniforms(): () => number {
  const words = new Uint32Array(1024);
  let at = words.length;
  return () => {
    if (at === words.length) {
      crypto.getRandomValues(words);
      at = 0;
    }
    return words[at++] / 2 ** 32;
  };
}
