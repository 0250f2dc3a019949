/** Conversations as the model reads them: its folder's own chat template writes them. */
import { Template } from "@huggingface/jinja";
import * as v from "valibot";
import type { TextTokenizer } from "../models/tokenizer.ts";
import type { TokenizedText } from "../program/spec.ts";
import { ApiError } from "./errors.ts";
import type { ChatMessage } from "./requests.ts";

/** One template, or several by name. */
const templates = v.union([v.string(), v.array(v.object({ name: v.string(), template: v.string() }))]);
const special = v.nullish(
  v.union([
    v.string(),
    v.pipe(
      v.object({ content: v.string() }),
      v.transform((token) => token.content),
    ),
  ]),
);
const config = v.object({
  chat_template: v.nullish(templates),
  bos_token: special,
  eos_token: special,
  unk_token: special,
  pad_token: special,
});

/**
 * A conversation's tokens, ready for the assistant's next words.
 * @throws ApiError for a model without a template, and for a conversation that its template refuses.
 */
export function conversation(tokenizer: TextTokenizer, messages: readonly ChatMessage[]): TokenizedText {
  const { chat_template, ...specials } = v.parse(config, JSON.parse(tokenizer.files["tokenizer_config.json"] ?? "{}"));
  const source = tokenizer.files["chat_template.jinja"] ?? named(chat_template);
  if (source === undefined)
    throw new ApiError("this model has no chat template: ask it by /v1/completions", {
      status: 400,
      code: "no_chat_template",
      param: "messages",
    });
  return tokenizer.encode(rendered(source, { ...specials, messages, add_generation_prompt: true }), undefined, {
    bare: true,
  });
}

function named(given: v.InferOutput<typeof templates> | null | undefined): string | undefined {
  if (given === null || given === undefined || typeof given === "string") return given ?? undefined;
  return (given.find(({ name }) => name === "default") ?? given[0])?.template;
}

/** What a template throws may quote the conversation: it stays here. */
function rendered(source: string, values: Record<string, unknown>): string {
  try {
    return new Template(source).render(values);
  } catch (cause) {
    throw new ApiError("the model's chat template cannot write this conversation: are its roles in turn?", {
      status: 400,
      code: "invalid_value",
      param: "messages",
      cause,
    });
  }
}
