/** Prompts that are more than a text: conversations, and texts with a gap in their middle. */
import { type ChatMessage, ChatTemplateError, conversationText } from "../models/chat-template.ts";
import type { TextTokenizer } from "../models/tokenizer.ts";
import type { Client } from "../parties/client.ts";
import type { TokenizedText } from "../program/spec.ts";
import { ApiError } from "./errors.ts";

/**
 * A conversation's tokens, ready for the assistant's next words.
 * @throws ApiError for a model without a template, and for a conversation that its template refuses.
 */
export function conversation(tokenizer: TextTokenizer, messages: readonly ChatMessage[]): TokenizedText {
  let text: string;
  try {
    text = conversationText(tokenizer, messages);
  } catch (cause) {
    if (!(cause instanceof ChatTemplateError)) throw cause;
    const [message, code] = cause.missing
      ? [`${cause.message}: ask it by /v1/completions`, "no_chat_template"]
      : [cause.message, "invalid_value"];
    throw new ApiError(message, { status: 400, code, param: "messages", cause });
  }
  return tokenizer.encode(text, undefined, { bare: true });
}

/** What models that were trained to fill gaps have before the text, behind it, and at the end, in this order. */
const GAP_TOKENS: readonly (readonly [prefix: string, suffix: string, middle: string])[] = [
  // StarCoder, SmolLM; Qwen-Coder, CodeGemma; SantaCoder; DeepSeek-Coder.
  ["<fim_prefix>", "<fim_suffix>", "<fim_middle>"],
  ["<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"],
  ["<fim-prefix>", "<fim-suffix>", "<fim-middle>"],
  ["<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"],
];

/** A text with a gap between prompt and suffix, as editors send it. @throws ApiError for a model that fills none. */
export function gapText(client: Client, prompt: string, suffix: string): TokenizedText {
  const tokens = GAP_TOKENS.find((all) => all.every((token) => client.tokenizer?.idOf(token) !== undefined));
  if (tokens === undefined)
    throw new ApiError("this model was not made to fill gaps (it has no such tokens): leave suffix out", {
      status: 400,
      param: "suffix",
      code: "unsupported_value",
    });
  const [before, behind, middle] = tokens;
  return client.encode(`${before}${prompt}${behind}${suffix}${middle}`);
}
