/** Conversations as a model reads them: its folder's own chat template writes them. */
import { Template } from "@huggingface/jinja";
import { chatSource } from "./chat-source.ts";
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

/**
 * A conversation's text, ready for the assistant's next words; its special tokens are in it.
 * @throws ChatTemplateError
 */
export function conversationText(tokenizer: TextTokenizer, messages: readonly ChatMessage[]): string {
  const { source, specials } = chatSource(tokenizer);
  if (source === undefined) throw new ChatTemplateError("this model has no chat template", { missing: true });
  try {
    return new Template(source).render({ ...specials, messages, add_generation_prompt: true });
  } catch (cause) {
    // What a template throws may quote the conversation: it stays here.
    const why = "the model's chat template cannot write this conversation: are its roles in turn?";
    throw new ChatTemplateError(why, { missing: false, cause });
  }
}
