/**
 * Text to token ids, as the checkpoint's own tokenizer does it. Built from files already read (a folder, a download, the
 * other party): tokenizer.json, or BERT's vocab.txt, or vocab.json with merges.txt; and tokenizer_config.json. A decoder's
 * ids become text again.
 */

import { Tokenizer } from "@huggingface/tokenizers";
import { isDecoder, longestText, type TokenizedText } from "../program/spec.ts";
import { Detokenizer } from "./detokenizer.ts";
import { readTokenizer, type TokenizerFiles, type TokenizerSpec } from "./tokenizer-files.ts";
import { stepsOf, type TokenizerJson } from "./tokenizer-schema.ts";

export { TOKENIZER_FILES, type TokenizerFiles, type TokenizerSpec } from "./tokenizer-files.ts";

export interface EncodeOptions {
  /** Shortens a text beyond the model's positions instead of refusing it; of a pair, the longer one first. */
  readonly truncate?: boolean;
}

/** Encodes texts for one model, and decodes a decoder's. */
export class TextTokenizer {
  /** The files it was built from, to save or to send. */
  readonly files: TokenizerFiles;
  /** The vocabulary's size: one more than the largest number of a token. */
  readonly size: number;
  /** The most tokens a text may have, the special ones included. */
  readonly limit: number;
  /** The token that ends a decoder's text. */
  readonly endId: number | undefined;
  /** The token in front of a decoder's text, if it has one. */
  readonly #begin: string | undefined;
  readonly #detokenizer: Detokenizer;
  readonly #spec: TokenizerSpec;
  readonly #tokenizer: Tokenizer;
  readonly #prepare: (text: string) => string;

  /** @throws an Error of one line that names the file and what is missing or not supported in it. */
  constructor(files: TokenizerFiles, spec: TokenizerSpec) {
    const { json, begin, end } = readTokenizer(files, spec);
    this.files = files;
    this.limit = longestText(spec);
    const ids = [...Object.values(json.model.vocab), ...json.added_tokens.map(({ id }) => id)];
    this.size = 1 + ids.reduce((most, id) => Math.max(most, id), 0);
    this.#spec = spec;
    this.#prepare = preparation(json);
    try {
      this.#tokenizer = new Tokenizer({ ...json, decoder: null }, {}); // ids become text by detokenizer.ts
    } catch {
      throw new Error("tokenizer.json could not be used: save it again with the fast tokenizer of transformers");
    }
    this.#begin = begin;
    this.endId = end === undefined ? undefined : this.idOf(end);
    const beginId = begin === undefined ? undefined : this.idOf(begin);
    if (begin !== undefined && beginId === undefined) {
      throw new Error("the vocabulary lacks a text's first token: name it as bos_token in tokenizer_config.json");
    }
    this.#detokenizer = detokenizer(json, beginId, this.endId);
  }

  /**
   * `[CLS] text [SEP]` or `[CLS] text [SEP] pair [SEP]`; `<s> text </s>` or `<s> text </s></s> pair </s>` for RoBERTa. For a
   * decoder the text alone (GPT-2), or behind the token that begins texts: then it may be empty.
   * @throws an Error when a text is empty, or longer than the model's positions and `truncate` is not set.
   */
  encode(text: string, pair?: string, options: EncodeOptions = {}): TokenizedText {
    if (isDecoder(this.#spec) && pair !== undefined)
      throw new Error("this model continues one text: give no second one");
    let first = this.#tokens(text);
    let second = pair === undefined ? undefined : this.#tokens(pair);
    const specials = this.#assemble([], second && []).tokens.length;
    const total = first.length + (second?.length ?? 0) + specials;
    if (total > this.limit) {
      if (options.truncate !== true) {
        throw new Error(`the text has ${total} tokens, the model takes ${this.limit}: shorten it, or set truncate`);
      }
      const [n, m] = kept(first.length, second?.length ?? 0, this.limit - specials);
      first = first.slice(0, n);
      second = second?.slice(0, m);
    }
    const { tokens, types } = this.#assemble(first, second);
    return { ids: tokens.map((token) => this.#id(token)), types };
  }

  /**
   * The text of a decoder's tokens, special ones left out. For streaming: the text of the first ids is the beginning of the
   * text of all, less a letter whose bytes are not yet complete. Ids that continue a text keep the space before them.
   */
  decode(ids: readonly number[]): string {
    return this.#detokenizer.decode(ids);
  }

  /** A token as the vocabulary writes it. */
  pieceOf(id: number): string {
    return this.#detokenizer.pieceOf(id);
  }

  /** A token's number, if the vocabulary has it. */
  idOf(token: string): number | undefined {
    return this.#tokenizer.token_to_id(token);
  }

  #tokens(text: string): string[] {
    const tokens = text === "" ? [] : this.#tokenizer.tokenize(this.#prepare(text));
    if (tokens.length === 0 && this.#begin === undefined)
      throw new Error("the text is empty: give one with at least one letter");
    return tokens;
  }

  #assemble(first: string[], second?: string[]): { tokens: string[]; types: number[] } {
    if (isDecoder(this.#spec)) {
      const tokens = this.#begin === undefined ? first : [this.#begin, ...first];
      return { tokens, types: tokens.map(() => 0) };
    }
    const result = this.#tokenizer.post_processor?.(first, second ?? null, true);
    if (result === undefined) throw new Error("tokenizer.json has no post_processor: save it again with transformers");
    const types: number[] | undefined = result.token_type_ids;
    if (second !== undefined && types === undefined) {
      throw new Error("tokenizer.json does not say how two texts are joined: save it again with transformers");
    }
    const typed = this.#spec.architecture === "bert" && this.#spec.types > 1 && types !== undefined;
    if (typed && types.some((type) => type >= this.#spec.types)) {
      throw new Error(
        `tokenizer.json has a text of a type beyond the model's ${this.#spec.types}: use the model's own`,
      );
    }
    return { tokens: result.tokens, types: typed ? types : result.tokens.map(() => 0) };
  }

  #id(token: string): number {
    const model = this.#tokenizer.model;
    const id = this.#tokenizer.token_to_id(token) ?? model?.unk_token_id;
    if (id === undefined)
      throw new Error("the vocabulary lacks a token and has none for the unknown: check the tokenizer");
    if (id >= this.#spec.vocabulary) {
      throw new Error(`a token's id is beyond the model's ${this.#spec.vocabulary}: use the model's own tokenizer`);
    }
    return id;
  }
}

/** How many tokens of each of two texts stay: the longer one is shortened first, as transformers does. */
function kept(first: number, second: number, room: number): [number, number] {
  if (room < 1) throw new Error("the model has too few positions for a text: use another model");
  if (second === 0) return [Math.min(first, room), 0];
  const short = Math.min(first, second);
  const [a, b] =
    short + Math.max(short, room - short) > room
      ? [Math.floor(room / 2), Math.ceil(room / 2)]
      : [short, Math.max(short, room - short)];
  return first > second ? [b, a] : [a, b];
}

/**
 * Where the library's BertNormalizer differs from the original: ideographs beyond 16 bits are words of their own, and a
 * capital sigma becomes σ at a word's end too.
 */
function preparation(json: TokenizerJson): (text: string) => string {
  const { type, lowercase, handle_chinese_chars } = (json.normalizer ?? {}) as Record<string, unknown>;
  if (type !== "BertNormalizer") return (text) => text;
  return (text) => {
    const spaced =
      handle_chinese_chars === false ? text : text.replace(/[\u{20000}-\u{2CEAF}\u{2F800}-\u{2FA1F}]/gu, " $& ");
    return lowercase === false ? spaced : spaced.replaceAll("Σ", "σ");
  };
}

function detokenizer(json: TokenizerJson, begin: number | undefined, end: number | undefined): Detokenizer {
  const steps = [...stepsOf(json.normalizer), ...stepsOf(json.pre_tokenizer)];
  const spaced = steps.some(
    ({ type, prepend_scheme }) => type === "Prepend" || (type === "Metaspace" && prepend_scheme !== "never"),
  );
  const tokens = new Map(Object.entries(json.model.vocab).map(([token, id]) => [id, token]));
  for (const { id, content } of json.added_tokens) tokens.set(id, content);
  const special = json.added_tokens.filter((token) => token.special === true);
  return new Detokenizer({
    tokens,
    specials: new Set([...special.map(({ id }) => id), begin ?? -1, end ?? -1]),
    plain: new Set(json.added_tokens.map(({ id }) => id)),
    byteLevel: steps.some(({ type }) => type === "ByteLevel"),
    spacedAfter: spaced ? begin : undefined,
  });
}
