/** Requests of OpenAI's API as this gateway understands them. What it cannot honour is refused, by its name. */
import * as v from "valibot";
import type { GenerateOptions } from "../parties/generation.ts";
import { ApiError } from "./errors.ts";

/** How a text is to go on, whichever way it is asked for. */
export interface Asked {
  readonly model: string;
  readonly stream: boolean;
  /** Whether a stream's last event tells what was used. */
  readonly includeUsage: boolean;
  /** New tokens, at most; as many as the gateway gives unless given. */
  readonly maxTokens: number | undefined;
  readonly choice: Pick<GenerateOptions, "temperature" | "topP" | "seed" | "stop">;
}

export interface CompletionRequest extends Asked {
  readonly prompt: string;
}

export interface ChatMessage {
  readonly role: "system" | "user" | "assistant";
  readonly content: string;
}

export interface ChatRequest extends Asked {
  readonly messages: readonly ChatMessage[];
}

const text = v.string("must be a text");
const flag = v.nullish(v.boolean("must be true or false"));
const whole = v.pipe(v.number("must be a whole number"), v.integer("must be a whole number"));
const from = (least: number, most: number) => {
  const message = `must be a number from ${least} to ${most}`;
  return v.nullish(v.pipe(v.number(message), v.minValue(least, message), v.maxValue(most, message)));
};
const atLeastOne = v.nullish(v.pipe(whole, v.minValue(1, "must be at least 1")));

const common = {
  model: v.string("must be the name of a model: see /v1/models"),
  stream: flag,
  stream_options: v.nullish(v.strictObject({ include_usage: flag })),
  temperature: from(0, 2),
  top_p: from(0, 1),
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
  max_tokens: atLeastOne,
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
});

/** Fields of the API whose only values here are these: those that say nothing. */
const NOTHING: Readonly<Record<string, readonly unknown[]>> = {
  n: [1],
  best_of: [1],
  echo: [false],
  suffix: [""],
  logprobs: [false],
  presence_penalty: [0],
  frequency_penalty: [0],
  store: [false],
};

/** @throws ApiError that names the field. */
export function completionRequest(body: unknown): CompletionRequest {
  const { prompt, max_tokens, ...rest } = read(completion, body);
  return { ...askedOf(rest), prompt, maxTokens: max_tokens ?? undefined };
}

/** @throws ApiError that names the field. */
export function chatRequest(body: unknown): ChatRequest {
  const { messages, max_tokens, max_completion_tokens, ...rest } = read(chat, body);
  return { ...askedOf(rest), messages, maxTokens: max_completion_tokens ?? max_tokens ?? undefined };
}

function askedOf(given: v.InferOutput<v.ObjectSchema<typeof common, undefined>>): Omit<Asked, "maxTokens"> {
  const { model, stream, stream_options: streamed, temperature, top_p, seed, stop } = given;
  if (streamed != null && stream !== true)
    throw new ApiError("stream_options is for streams: set stream", { status: 400, param: "stream_options" });
  if (top_p === 0) throw new ApiError("top_p must be above 0", { status: 400, param: "top_p" });
  return {
    model,
    stream: stream ?? false,
    includeUsage: streamed?.include_usage ?? false,
    choice: {
      // As the API has it.
      temperature: temperature ?? 1,
      topP: top_p === 1 ? undefined : (top_p ?? undefined),
      seed: seed ?? undefined,
      stop: stop ?? undefined,
    },
  };
}

function read<S extends v.GenericSchema>(schema: S, body: unknown): v.InferOutput<S> {
  const result = v.safeParse(schema, withoutNothing(body));
  if (result.success) return result.output;
  const [issue] = result.issues;
  const param = v.getDotPath(issue) ?? undefined;
  if (issue.type !== "strict_object")
    throw new ApiError(`${param ?? "the request"} ${issue.message}`, { status: 400, param, code: "invalid_value" });
  if (param === undefined) throw new ApiError("a request is a JSON object", { status: 400 });
  const [message, code] =
    issue.expected === "never"
      ? [`${param} is not known to this gateway: leave it out`, "unknown_parameter"]
      : [`${param} is missing`, "missing_required_parameter"];
  throw new ApiError(message, { status: 400, param, code });
}

/** Without fields that are null, or that ask for what every answer is. @throws ApiError for one that asks for more. */
function withoutNothing(body: unknown): unknown {
  if (typeof body !== "object" || body === null || Array.isArray(body)) return body;
  const said = Object.entries(body).filter(([field, value]) => {
    const allowed = Object.hasOwn(NOTHING, field) ? NOTHING[field] : null;
    if (value === null) return allowed === null;
    if (allowed === null) return true;
    if (allowed.includes(value)) return false;
    const only = allowed.map((one) => JSON.stringify(one)).join(", ");
    throw new ApiError(`this gateway cannot do that: ${field} is ${only} here`, {
      status: 400,
      param: field,
      code: "unsupported_value",
    });
  });
  return Object.fromEntries(said);
}
