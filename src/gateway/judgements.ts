/** Texts that are judged, in the words of text-embeddings-inference: `/predict` and `/rerank`. */
import * as v from "valibot";
import type { Answer } from "../parties/answer.ts";
import type { Client } from "../parties/client.ts";
import type { CallOptions } from "../parties/connection.ts";
import type { TextOrPair } from "../parties/text-client.ts";
import { ApiError } from "./errors.ts";
import { flag, type Nothing, read, text } from "./fields.ts";

/** Texts of one request, at most. */
const MOST_TEXTS = 128;

/** A request once it is read: what a client is asked, and the answer's body. */
export type Judgement = (client: Client, options: JudgeOptions) => Promise<object>;

export interface JudgeOptions extends CallOptions {
  /** The padded length of every text; each one's own unless given. */
  readonly length?: number;
}

/** Texts are never shortened here, and never put behind words of the model's own. */
export const NOTHING: Nothing = {
  truncate: [false],
  truncation_direction: ["Right", "right"],
  prompt_name: [],
};

/** An array of them, neither empty nor too long. */
export const several = <T extends v.GenericSchema>(one: T, message: string) =>
  v.pipe(v.array(one, message), v.minLength(1, message), v.maxLength(MOST_TEXTS, `has at most ${MOST_TEXTS} texts`));
const parts = v.union([v.strictTuple([text]), v.strictTuple([text, text])]);
const predict = v.strictObject({
  inputs: v.union(
    [
      v.pipe(
        v.union([text, parts]),
        v.transform((one) => ({ single: true, texts: [one] })),
      ),
      v.pipe(
        several(parts, "must have texts"),
        v.transform((texts) => ({ single: false, texts })),
      ),
    ],
    `must be a text, two texts of a pair, or an array of up to ${MOST_TEXTS} arrays of them`,
  ),
  raw_scores: flag,
});
const rerank = v.strictObject({
  query: text,
  texts: several(text, "must be an array of texts"),
  raw_scores: flag,
  return_text: flag,
});

/** `POST /predict`: each text's labels, the likeliest first. @throws ApiError that names the field. */
export function predictRequest(body: unknown): Judgement {
  const { inputs, raw_scores } = read(predict, body, NOTHING);
  return async (client, options) => {
    const { problem, answer, labelNames } = client.spec;
    if ((problem !== "classification" && problem !== "labels") || answer === "label")
      throw wrongModel("a model that tells the scores of its labels");
    const texts = inputs.texts.map((one): TextOrPair => (typeof one === "string" ? one : pairOf(one)));
    const answers = (await judged(client, texts, options)).map(({ logits, scores = [] }) => {
      const values = raw_scores === true ? logits : scores;
      return values.map((score, i) => ({ score, label: labelNames[i] ?? String(i) })).sort((a, b) => b.score - a.score);
    });
    return inputs.single ? answers[0] : answers;
  };
}

/** `POST /rerank`: which of the texts answers a query, the best first. @throws ApiError that names the field. */
export function rerankRequest(body: unknown): Judgement {
  const { query, texts, raw_scores, return_text } = read(rerank, body, NOTHING);
  return async (client, options) => {
    const { labels, problem } = client.spec;
    if (problem !== "regression" || labels !== 1) throw wrongModel("a model with one score for a pair of texts");
    const pairs = texts.map((one): TextOrPair => [query, one]);
    const answers = await judged(client, pairs, options);
    return answers
      .map(({ logits: [logit] }, index) => {
        const score = raw_scores === true ? logit : 1 / (1 + Math.exp(-logit));
        return return_text === true ? { index, text: texts[index], score } : { index, score };
      })
      .sort((a, b) => b.score - a.score);
  };
}

function pairOf(texts: readonly [string] | readonly [string, string]): TextOrPair {
  return texts.length === 1 ? texts[0] : texts;
}

/** Answers of one padded length share a run's flights. @throws what the first text without an answer was told */
export async function judged(
  client: Client,
  texts: readonly TextOrPair[],
  options: JudgeOptions,
): Promise<readonly Answer[]> {
  checkLengths(client, texts, options);
  return (await client.classifyAll(texts, options)).map((one) => {
    if (one.status === "rejected") throw one.reason;
    return one.value;
  });
}

/** Before anything is sent: whoever asks about many is told which one is too long. @throws ApiError */
function checkLengths(client: Client, texts: readonly TextOrPair[], { length }: JudgeOptions): void {
  for (const [i, given] of texts.entries()) {
    const [own, pair] = typeof given === "string" ? [given] : given;
    try {
      client.shapeFor([client.encode(own, pair).ids.length], length);
    } catch (cause) {
      const which = texts.length === 1 ? "" : `text ${i}: `;
      const message = `${which}${(cause as Error).message}`;
      throw new ApiError(message, { status: 400, code: "context_length_exceeded", cause });
    }
  }
}

export function wrongModel(wanted: string): ApiError {
  return new ApiError(`the server's model cannot do this: it needs ${wanted}`, { status: 501, code: "wrong_model" });
}
