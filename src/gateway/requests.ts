/** Requests for continuations, as OpenAI's API has them. What cannot be honoured is refused, by its name. */
import * as v from "valibot";
import type { ChatMessage } from "../models/chat-template.ts";
import type { GenerateOptions } from "../parties/generation.ts";
import { ApiError } from "./errors.ts";
import { flag, type Nothing, read, text, whole } from "./fields.ts";

/** Continuations of one text, at most: each is a run of its own. */
const MOST_CHOICES = 8;

/** How a text is to go on, whichever way it is asked for. */
export interface Asked {
  readonly model: string;
  readonly stream: boolean;
  /** Whether a stream's last event tells what was used. */
  readonly includeUsage: boolean;
  /** New tokens, at most; as many as the gateway gives unless given. */
  readonly maxTokens: number | undefined;
  /** How many continuations. */
  readonly n: number;
  readonly choice: Pick<GenerateOptions, "temperature" | "topP" | "seed" | "stop" | "logprobs">;
}

export interface CompletionRequest extends Asked {
  readonly prompt: string;
  /** What comes behind the gap that is to be filled; empty without one. */
  readonly suffix: string;
}

export interface ChatRequest extends Asked {
  readonly messages: readonly ChatMessage[];
}

const from = (least: number, most: number) => {
  const message = `must be a number from ${least} to ${most}`;
  return v.nullish(v.pipe(v.number(message), v.minValue(least, message), v.maxValue(most, message)));
};
const wholeFrom = (least: number, most: number) => {
  const message = `must be a whole number from ${least} to ${most}`;
  return v.nullish(
    v.pipe(v.number(message), v.integer(message), v.minValue(least, message), v.maxValue(most, message)),
  );
};
const atLeastOne = v.nullish(v.pipe(whole, v.minValue(1, "must be at least 1")));

const common = {
  model: v.string("must be the name of a model: see /v1/models"),
  stream: flag,
  stream_options: v.nullish(v.strictObject({ include_usage: flag })),
  temperature: from(0, 2),
  top_p: from(0, 1),
  n: wholeFrom(1, MOST_CHOICES),
  seed: v.nullish(v.pipe(whole, v.minValue(0, "must be at least 0"))),
  stop: v.nullish(
    v.union([text, v.pipe(v.array(text), v.maxLength(4, "has at most 4 texts"))], "must be a text or up to 4 of them"),
  ),
  // Who asks is told to nobody, and changes nothing.
  user: v.nullish(text),
};

const completion = v.strictObject({
  ...common,
  prompt: v.union(
    [
      text,
      v.pipe(
        v.strictTuple([text]),
        v.transform(([one]) => one),
      ),
    ],
    "must be one text",
  ),
  suffix: v.nullish(text),
  max_tokens: atLeastOne,
  logprobs: wholeFrom(0, 5),
});

/** A message's text, as such or as the parts that it may come in. */
const content = v.union(
  [
    text,
    v.pipe(
      v.array(v.strictObject({ type: v.literal("text"), text })),
      v.transform((parts) => parts.map((part) => part.text).join("")),
    ),
  ],
  "must be text",
);
const chat = v.strictObject({
  ...common,
  messages: v.pipe(
    v.array(
      v.strictObject({
        role: v.picklist(["system", "user", "assistant"], "must be system, user or assistant"),
        content,
      }),
      "must be messages with role and content",
    ),
    v.minLength(1, "must have at least one message"),
  ),
  max_tokens: atLeastOne,
  max_completion_tokens: atLeastOne,
  logprobs: flag,
  top_logprobs: wholeFrom(0, 20),
});

/** Fields of the API whose only values here are these: those that say nothing. */
const NOTHING: Nothing = {
  best_of: [1],
  echo: [false],
  presence_penalty: [0],
  frequency_penalty: [0],
  store: [false],
};

/** @throws ApiError that names the field. */
export function completionRequest(body: unknown): CompletionRequest {
  const { prompt, suffix, max_tokens, logprobs, ...rest } = read(completion, body, NOTHING);
  const asked = askedOf(rest, logprobs ?? undefined);
  return { ...asked, prompt, suffix: suffix ?? "", maxTokens: max_tokens ?? undefined };
}

/** @throws ApiError that names the field. */
export function chatRequest(body: unknown): ChatRequest {
  const { messages, max_tokens, max_completion_tokens, logprobs, top_logprobs, ...rest } = read(chat, body, NOTHING);
  if (top_logprobs != null && logprobs !== true)
    throw new ApiError("top_logprobs needs logprobs: set that to true", { status: 400, param: "top_logprobs" });
  const asked = askedOf(rest, logprobs === true ? (top_logprobs ?? 0) : undefined);
  return { ...asked, messages, maxTokens: max_completion_tokens ?? max_tokens ?? undefined };
}

function askedOf(
  given: v.InferOutput<v.ObjectSchema<typeof common, undefined>>,
  logprobs: number | undefined,
): Omit<Asked, "maxTokens"> {
  const { model, stream, stream_options: streamed, temperature, top_p, n, seed, stop } = given;
  if (streamed != null && stream !== true)
    throw new ApiError("stream_options is for streams: set stream", { status: 400, param: "stream_options" });
  if (top_p === 0) throw new ApiError("top_p must be above 0", { status: 400, param: "top_p" });
  return {
    model,
    stream: stream ?? false,
    includeUsage: streamed?.include_usage ?? false,
    n: n ?? 1,
    choice: {
      // As the API has it.
      temperature: temperature ?? 1,
      topP: top_p === 1 ? undefined : (top_p ?? undefined),
      seed: seed ?? undefined,
      stop: stop ?? undefined,
      logprobs,
    },
  };
}
