/** Conversations as a model reads them: its folder's own chat template writes them. */
import { Template } from "@huggingface/jinja";
import * as v from "valibot";
import type { TextTokenizer } from "./tokenizer.ts";

export interface ChatMessage {
  readonly role: "system" | "user" | "assistant";
  readonly content: string;
}

/** A model without a template, or a conversation that its template refuses. Never quotes the conversation. */
export class ChatTemplateError extends Error {
  override readonly name = "ChatTemplateError";
  /** Whether there is a template at all. */
  readonly missing: boolean;

  constructor(message: string, options: ErrorOptions & { readonly missing: boolean }) {
    super(message, options);
    this.missing = options.missing;
  }
}

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
 * A conversation's text, ready for the assistant's next words; its special tokens are in it.
 * @throws ChatTemplateError
 */
export function conversationText(tokenizer: TextTokenizer, messages: readonly ChatMessage[]): string {
  const { chat_template, ...specials } = v.parse(config, JSON.parse(tokenizer.files["tokenizer_config.json"] ?? "{}"));
  const source = tokenizer.files["chat_template.jinja"] ?? named(chat_template);
  if (source === undefined) throw new ChatTemplateError("this model has no chat template", { missing: true });
  try {
    return new Template(source).render({ ...specials, messages, add_generation_prompt: true });
  } catch (cause) {
    // What a template throws may quote the conversation: it stays here.
    const why = "the model's chat template cannot write this conversation: are its roles in turn?";
    throw new ChatTemplateError(why, { missing: false, cause });
  }
}

function named(given: v.InferOutput<typeof templates> | null | undefined): string | undefined {
  if (given === null || given === undefined || typeof given === "string") return given ?? undefined;
  return (given.find(({ name }) => name === "default") ?? given[0])?.template;
}
