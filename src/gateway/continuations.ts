/** Completions and chats: a text continued, once or several times, as a whole or as it comes. */
import type { ServerResponse } from "node:http";
import type { Client } from "../parties/client.ts";
import { type Generated, type GenerateOptions, sampler } from "../parties/generation.ts";
import { isDecoder, type TokenizedText } from "../program/spec.ts";
import { ApiError } from "./errors.ts";
import { type Choice, type Form, usageOf } from "./forms.ts";
import { EventStream, sendJson } from "./http.ts";
import { TokenTexts, type TokenWords } from "./logprobs.ts";
import type { Asked } from "./requests.ts";

/** What a gateway gives, whoever asks. */
export interface Bounds {
  /** New tokens of one request, at most. */
  readonly maxTokens: number;
  /** The padded length of every prompt; each prompt's own unless given. */
  readonly length?: number;
  /** Every request makes `maxTokens`, wherever its text ends. */
  readonly fixed?: boolean;
}

/** A text to continue, and how. */
interface Continuation {
  readonly text: TokenizedText;
  readonly options: GenerateOptions;
}

/** What a request asks of a client. @throws ApiError for what cannot be done, before anything is sent. */
export function continuationOf(
  client: Client,
  asked: Asked,
  { maxTokens: most, length, fixed }: Bounds,
  textOf: (client: Client) => TokenizedText,
): Continuation {
  if (!isDecoder(client.spec))
    throw new ApiError("the server's model judges texts: it continues none", { status: 501, code: "wrong_model" });
  const maxTokens = asked.maxTokens ?? most;
  if (maxTokens > most)
    throw new ApiError(`this gateway gives up to ${most} new tokens`, {
      status: 400,
      param: "max_tokens",
      code: "invalid_value",
    });
  const options = { ...asked.choice, maxTokens, length, turns: fixed ? most : undefined };
  try {
    sampler(client.spec, options);
  } catch (cause) {
    throw new ApiError((cause as Error).message, { status: 400, code: "unsupported_value", cause });
  }
  try {
    const text = textOf(client);
    client.generationShape(text.ids.length, options);
    return { text, options };
  } catch (cause) {
    if (cause instanceof ApiError) throw cause;
    const message = (cause as Error).message;
    throw new ApiError(message, { status: 400, code: "context_length_exceeded", param: "prompt", cause });
  }
}

/** Runs a continuation as often as it is asked for, and answers. */
export async function answered(
  client: Client,
  { text, options }: Continuation,
  asked: Asked,
  form: Form,
  response: ServerResponse,
): Promise<void> {
  const { stream, includeUsage, n } = asked;
  const events = stream ? new EventStream(response) : null;
  const choices: Choice[] = [];
  const runs: Generated[] = [];
  for (let index = 0; index < n; index++) {
    const { choice, run } = await one(client, { text, options: seeded(options, index) }, { index, form, events });
    choices.push(choice);
    runs.push(run);
  }
  const usage = usageOf(text.ids.length, runs);
  if (events === null) return sendJson(response, 200, form.whole(choices, usage));
  if (includeUsage) events.send(form.used(usage));
  events.end();
}

/** With one seed all would be the same text. */
function seeded(options: GenerateOptions, index: number): GenerateOptions {
  return options.seed === undefined ? options : { ...options, seed: options.seed + index };
}

interface Told {
  readonly index: number;
  readonly form: Form;
  /** Null where the answer is told as a whole. */
  readonly events: EventStream | null;
}

async function one(client: Client, { text, options }: Continuation, { index, form, events }: Told) {
  const texts = new TokenTexts(client.tokenizer!, text.ids);
  const all: TokenWords[] = [];
  const pieces = client.generate(text, options);
  let step = await pieces.next();
  const first = form.first(index);
  if (first !== null) events?.send(first);
  for (; step.done !== true; step = await pieces.next()) {
    const words = texts.of(step.value);
    if (words !== null) all.push(words);
    if (step.value.text !== "" || words !== null)
      events?.send(form.piece({ index, text: step.value.text, logprobs: words && [words] }));
  }
  const run = step.value;
  events?.send(form.last(index, run.ended));
  const logprobs = options.logprobs === undefined ? null : all;
  const choice: Choice = { index, text: run.text, ended: run.ended, logprobs };
  return { choice, run };
}
