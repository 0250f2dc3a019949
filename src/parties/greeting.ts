/** The first words with a server: who asks learns all that is public of the model. */
import type { Channel } from "../channels/channel.ts";
import { loadedTokenizer } from "../models/loaded-tokenizer.ts";
import type { TextTokenizer } from "../models/tokenizer.ts";
import { answersTokens, isDecoder, type TokenizedText } from "../program/spec.ts";
import * as messages from "./messages.ts";
import { PartyError, type PublicModel, parse } from "./messages.ts";
import { modelId } from "./model-identity.ts";

export interface Greeted {
  readonly model: PublicModel;
  /** Null where the server takes token ids only. */
  readonly tokenizer: TextTokenizer | null;
  /** Whether the server checks what clients open. */
  readonly verified: boolean;
}

/**
 * Greets a server, and computes the id of its model from what it sends.
 * @throws PartyError when versions differ, the id is another than the server says, or than the one that is pinned.
 */
export async function greet(channel: Channel, pinned?: string): Promise<Greeted> {
  await channel.sendJson(0, { version: messages.PROTOCOL_VERSION });
  const { model, tokenizer, verify } = parse(messages.welcome, await channel.receiveJson(0, 2 ** 25), "server");
  if ((await modelId({ ...model, tokenizer })) !== model.id)
    throw new PartyError("the server's model is not the one that its id names: do not send it a text");
  if (pinned !== undefined && pinned !== model.id)
    throw new PartyError(
      `the server serves the model ${model.id}, not ${pinned}: ask its operator, and pin the new one if that is right`,
    );
  const known = Object.keys(tokenizer).length > 0;
  return { model, tokenizer: known ? await loadedTokenizer(tokenizer, model.spec) : null, verified: verify > 0 };
}

/** A text's tokens, made here. @throws Error for an empty text, one longer than the model takes, or where there is no tokenizer. */
export function encoded(
  { tokenizer, spec }: Pick<Greeted, "tokenizer"> & Pick<PublicModel, "spec">,
  text: string,
  pair?: string,
): TokenizedText {
  for (const given of pair === undefined ? [text] : [text, pair])
    if (typeof given !== "string")
      throw new TypeError(`a text is a string, not ${given === null ? "null" : typeof given}`);
  // The model would answer about nothing; whoever asks has forgotten the text.
  if (!isDecoder(spec) && text.trim() === "")
    throw new PartyError("the text is empty: give one with at least one letter");
  if (tokenizer === null) throw new PartyError("this server has no tokenizer: it serves token ids only");
  if (spec.problem === "spans" && pair === undefined)
    throw new PartyError("this model finds answers in a text: give the question, and the text as its pair");
  if (spec.problem === "mask") return withPlace(tokenizer, tokenizer.encode(text, pair));
  return answersTokens(spec) ? tokenizer.encodeWithSpans(text, pair) : tokenizer.encode(text, pair);
}

/** A text with one masked word, and where that is. @throws PartyError for none, or several. */
function withPlace(tokenizer: TextTokenizer, text: TokenizedText): TokenizedText {
  const { maskId } = tokenizer;
  if (maskId === undefined) throw new PartyError("this server's tokenizer has no masked word: ask another server");
  const place = text.ids.indexOf(maskId);
  if (place < 0 || text.ids.includes(maskId, place + 1))
    throw new PartyError(
      "this model fills a masked word: write its mask ([MASK] or <mask>) once where the word is missing",
    );
  return { ...text, place };
}
