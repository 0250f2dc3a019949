/** A continuation in the words of OpenAI's API: as a whole, and piece by piece. */
import { randomUUID } from "node:crypto";
import type { Generated } from "../parties/generation.ts";
import type { TokenWords } from "./logprobs.ts";
import { chatLogprobs, completionLogprobs } from "./logprobs.ts";

/** What a request took: tokens as the API counts them, and what crossed the wire for them. */
export interface Usage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly total_tokens: number;
  readonly mpc: Spent;
}

interface Spent {
  readonly padded_length: number;
  readonly flights: number;
  readonly bytes_to_server: number;
  readonly bytes_from_server: number;
  readonly seconds_online: number;
  readonly seconds_offline: number;
}

/** What runs took together. */
export function spentBy(runs: readonly Pick<Generated, "length" | "flights" | "bytes" | "seconds">[]): Spent {
  const sum = (f: (run: (typeof runs)[number]) => number) => runs.reduce((all, run) => all + f(run), 0);
  return {
    padded_length: Math.max(...runs.map(({ length }) => length)),
    flights: sum(({ flights }) => flights),
    bytes_to_server: sum(({ bytes }) => bytes.online.client_to_server + bytes.offline.client_to_server),
    bytes_from_server: sum(({ bytes }) => bytes.online.server_to_client + bytes.offline.server_to_client),
    seconds_online: sum(({ seconds }) => seconds.online),
    seconds_offline: sum(({ seconds }) => seconds.offline),
  };
}

/** Of one text and its continuations. */
export function usageOf(promptTokens: number, runs: readonly Generated[]): Usage {
  const tokens = runs.reduce((all, run) => all + run.tokens, 0);
  return {
    prompt_tokens: promptTokens,
    completion_tokens: tokens,
    total_tokens: promptTokens + tokens,
    mpc: spentBy(runs),
  };
}

/** One continuation. */
export interface Choice {
  readonly index: number;
  readonly text: string;
  readonly ended: Generated["ended"];
  /** Null where they were not asked for. */
  readonly logprobs: readonly TokenWords[] | null;
}

/** A part of one, as it comes. */
type Piece = Omit<Choice, "ended">;

/** One answer's objects. */
export interface Form {
  whole(choices: readonly Choice[], usage: Usage): object;
  /** Before the first piece of a stream; null where there is nothing to say. */
  first(index: number): object | null;
  piece(piece: Piece): object;
  last(index: number, ended: Generated["ended"]): object;
  /** Behind all, where it was asked for. */
  used(usage: Usage): object;
}

export function completionForm(model: string): Form {
  const head = { id: `cmpl-${randomUUID()}`, object: "text_completion", created: seconds(), model };
  const choice = ({ index, text, logprobs }: Piece, finish_reason: Generated["ended"] | null) => ({
    index,
    text,
    logprobs: logprobs && completionLogprobs(logprobs),
    finish_reason,
  });
  return {
    whole: (choices, usage) => ({ ...head, choices: choices.map((one) => choice(one, one.ended)), usage }),
    first: () => null,
    piece: (piece) => ({ ...head, choices: [choice(piece, null)] }),
    last: (index, ended) => ({ ...head, choices: [choice({ index, text: "", logprobs: null }, ended)] }),
    used: (usage) => ({ ...head, choices: [], usage }),
  };
}

export function chatForm(model: string): Form {
  const common = { id: `chatcmpl-${randomUUID()}`, created: seconds(), model };
  const chunk = (index: number, delta: object, logprobs: object | null, finish_reason: Generated["ended"] | null) => ({
    ...common,
    object: "chat.completion.chunk",
    choices: [{ index, delta, logprobs, finish_reason }],
  });
  return {
    whole: (choices, usage) => ({
      ...common,
      object: "chat.completion",
      choices: choices.map(({ index, text, logprobs, ended }) => ({
        index,
        message: { role: "assistant", content: text, refusal: null },
        logprobs: logprobs && chatLogprobs(logprobs),
        finish_reason: ended,
      })),
      usage,
    }),
    first: (index) => chunk(index, { role: "assistant", content: "" }, null, null),
    piece: ({ index, text, logprobs }) => chunk(index, { content: text }, logprobs && chatLogprobs(logprobs), null),
    last: (index, ended) => chunk(index, {}, null, ended),
    used: (usage) => ({ ...common, object: "chat.completion.chunk", choices: [], usage }),
  };
}

function seconds(): number {
  return Math.floor(Date.now() / 1000);
}
