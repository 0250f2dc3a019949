/** A continuation in the words of OpenAI's API: as a whole, and piece by piece. */
import { randomUUID } from "node:crypto";
import type { Generated } from "../parties/generation.ts";

/** What a request took: tokens as the API counts them, and what crossed the wire for them. */
export interface Usage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly total_tokens: number;
  readonly mpc: {
    readonly padded_length: number;
    readonly flights: number;
    readonly bytes_to_server: number;
    readonly bytes_from_server: number;
    readonly seconds_online: number;
    readonly seconds_offline: number;
  };
}

export function usageOf(promptTokens: number, { tokens, length, flights, bytes, seconds }: Generated): Usage {
  return {
    prompt_tokens: promptTokens,
    completion_tokens: tokens,
    total_tokens: promptTokens + tokens,
    mpc: {
      padded_length: length,
      flights,
      bytes_to_server: bytes.online.client_to_server + bytes.offline.client_to_server,
      bytes_from_server: bytes.online.server_to_client + bytes.offline.server_to_client,
      seconds_online: seconds.online,
      seconds_offline: seconds.offline,
    },
  };
}

/** One answer's objects. */
export interface Form {
  whole(text: string, ended: Generated["ended"], usage: Usage): object;
  /** Before the first piece of a stream; null where there is nothing to say. */
  first(): object | null;
  piece(text: string): object;
  last(ended: Generated["ended"]): object;
  /** Behind all, where it was asked for. */
  used(usage: Usage): object;
}

export function completionForm(model: string): Form {
  const head = { id: `cmpl-${randomUUID()}`, object: "text_completion", created: seconds(), model };
  const choice = (text: string, finish_reason: Generated["ended"] | null) => ({
    ...head,
    choices: [{ index: 0, text, logprobs: null, finish_reason }],
  });
  return {
    whole: (text, ended, usage) => ({ ...choice(text, ended), usage }),
    first: () => null,
    piece: (text) => choice(text, null),
    last: (ended) => choice("", ended),
    used: (usage) => ({ ...head, choices: [], usage }),
  };
}

export function chatForm(model: string): Form {
  const id = `chatcmpl-${randomUUID()}`;
  const common = { id, created: seconds(), model };
  const chunk = (delta: object, finish_reason: Generated["ended"] | null) => ({
    ...common,
    object: "chat.completion.chunk",
    choices: [{ index: 0, delta, logprobs: null, finish_reason }],
  });
  return {
    whole: (content, finish_reason, usage) => ({
      ...common,
      object: "chat.completion",
      choices: [{ index: 0, message: { role: "assistant", content, refusal: null }, logprobs: null, finish_reason }],
      usage,
    }),
    first: () => chunk({ role: "assistant", content: "" }, null),
    piece: (content) => chunk({ content }, null),
    last: (ended) => chunk({}, ended),
    used: (usage) => ({ ...common, object: "chat.completion.chunk", choices: [], usage }),
  };
}

function seconds(): number {
  return Math.floor(Date.now() / 1000);
}
