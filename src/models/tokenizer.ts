/**
 * Text to token ids, as the checkpoint's own tokenizer does it, and back. Built from files already read (a folder, a download,
 * the other party).
 */

import { isDecoder, longestText, type ModelSpec, type TokenizedText } from "../program/spec.ts";
import { endsIn, type TokenizerFiles } from "./tokenizers/files.ts";
import type { Kinds } from "./tokenizers/kinds.ts";
import { bare } from "./tokenizers/processors.ts";
import type { TextSpan } from "./tokenizers/spans.ts";
import { type DecodeOptions, Tokenizer } from "./tokenizers/tokenizer.ts";

export { completed, TOKENIZER_FILES, type TokenizerFiles } from "./tokenizers/files.ts";
export type { DecodeOptions } from "./tokenizers/tokenizer.ts";

/** What the tokenizer needs to know of the model. */
export type TokenizerSpec = Pick<
  ModelSpec,
  "architecture" | "blocks" | "isDecoder" | "vocabulary" | "positions" | "positionOffset" | "pooling" | "types"
>;

/** A text (or two) as the model reads it, and the part of the text that each token stands for. */
export interface SpannedText extends TokenizedText {
  /** Null for special tokens around the texts. */
  readonly spans: readonly (TokenSpan | null)[];
}

/** Part of the first text or the second, in UTF-16 units: `text.slice(from, to)`. */
interface TokenSpan extends TextSpan {
  readonly text: 0 | 1;
}

export interface EncodeOptions {
  /** Shortens a text beyond the model's positions instead of refusing it; of a pair, the longer one first. */
  readonly truncate?: boolean;
  /** Places no special tokens around the text: it has its own, as what a chat template writes. */
  readonly bare?: boolean;
}

/** Encodes texts for one model, and decodes its tokens. */
export class TextTokenizer {
  /** The files it was built from, to save or to send. */
  readonly files: TokenizerFiles;
  /** The vocabulary's size: one more than the largest number of a token. */
  readonly size: number;
  /** The most tokens a text may have, the special ones included. */
  readonly limit: number;
  /** The token that ends a text, of tokenizer_config.json before the others; an encoder has none. */
  readonly endId: number | undefined;
  /** All tokens that end a text: that one, and those of generation_config.json, where config.json's are as well. */
  readonly endIds: readonly number[];
  /** The token that stands for a masked word; undefined where the tokenizer names none. */
  readonly maskId: number | undefined;
  readonly #spec: TokenizerSpec;
  readonly #tokenizer: Tokenizer;

  /** `kinds`: what the files may ask for. @throws an Error of one line that names the file and what is missing or not supported in it. */
  constructor(files: TokenizerFiles, spec: TokenizerSpec, kinds: Kinds) {
    this.files = files;
    this.limit = longestText(spec);
    this.#spec = spec;
    this.#tokenizer = new Tokenizer(files, spec.architecture, kinds);
    this.size = this.#tokenizer.size;
    this.maskId = this.#tokenizer.named("mask_token");
    const own = this.#tokenizer.named("eos_token");
    this.endIds = isDecoder(spec) ? [...new Set([...(own === undefined ? [] : [own]), ...endsIn(files)])] : [];
    this.endId = this.endIds.at(0);
  }

  /**
   * The text as the model reads it, with the special tokens that its tokenizer puts around one text or two. A text without a
   * letter that counts is those tokens alone.
   * @throws an Error when nothing at all is left, or when it is longer than the model's positions and `truncate` is not set.
   */
  encode(text: string, pair?: string, options: EncodeOptions = {}): TokenizedText {
    return this.#encoded(
      this.#tokenizer.tokenize(text),
      pair === undefined ? undefined : this.#tokenizer.tokenize(pair),
      options,
      (id) => id,
    );
  }

  /** `encode`, with the part of the text that each token stands for. @throws as `encode` does. */
  encodeWithSpans(text: string, pair?: string, options: EncodeOptions = {}): SpannedText {
    const tokens = [text, ...(pair === undefined ? [] : [pair])].map((one) => this.#tokenizer.tokenizeWithSpans(one));
    const all = tokens.flatMap((own, i) => own.map((token) => ({ ...token, text: i as 0 | 1 })));
    // Places in `all`, as numbers that no token has, pass through what is put around and between the texts.
    const places = all.map((_, place) => -1 - place);
    const [first, second] = [places.slice(0, tokens[0].length), places.slice(tokens[0].length)];
    const found: (TokenSpan | null)[] = [];
    const encoded = this.#encoded(first, pair === undefined ? undefined : second, options, (id) => {
      if (id >= 0) {
        found.push(null);
        return id;
      }
      const { from, to, text: which, id: token } = all[-1 - id];
      found.push({ text: which, from, to });
      return token;
    });
    return { ...encoded, spans: found };
  }

  /** The tokens of one text or two as the model reads them; `idOf` gives what stands for each of them. */
  #encoded(
    first: readonly number[],
    second: readonly number[] | undefined,
    options: EncodeOptions,
    idOf: (token: number) => number,
  ): TokenizedText {
    if (this.#spec.blocks.patches !== null) throw new Error("this model reads images: give one in place of a text");
    if (isDecoder(this.#spec) && second !== undefined)
      throw new Error("this model continues one text: give no second one");
    const assemble = options.bare === true ? bare : this.#tokenizer.assemble;
    const specials = assemble([], second && []).ids.length;
    const total = first.length + (second?.length ?? 0) + specials;
    if (total === 0) throw new Error("the text is empty: give one with at least one letter");
    let [n, m] = [first.length, second?.length ?? 0];
    if (total > this.limit) {
      if (options.truncate !== true) {
        throw new Error(`the text has ${total} tokens, the model takes ${this.limit}: shorten it, or set truncate`);
      }
      [n, m] = kept(n, m, this.limit - specials);
    }
    const { ids, types } = assemble(first.slice(0, n), second?.slice(0, m));
    return this.#checked({ ids: ids.map(idOf), types });
  }

  /** The text of tokens, special ones left out; `unfinished` where more will come, so that it is the beginning of what they make. */
  decode(ids: readonly number[], options: DecodeOptions = {}): string {
    return this.#tokenizer.decode(ids, options);
  }

  /** A token as the vocabulary writes it; U+FFFD where it has none. */
  pieceOf(id: number): string {
    return this.#tokenizer.tokenOf(id) ?? "\ufffd";
  }

  /** A token's number, if the vocabulary has it. */
  idOf(token: string): number | undefined {
    return this.#tokenizer.idOf(token);
  }

  #checked({ ids, types }: TokenizedText): TokenizedText {
    const { vocabulary, types: known } = this.#spec;
    if (ids.some((id) => id >= vocabulary))
      throw new Error(`a token's id is beyond the model's ${vocabulary}: use the model's own tokenizer`);
    if (!this.#tokenizer.typed || known <= 1) return { ids, types: ids.map(() => 0) };
    if (types.some((type) => type >= known))
      throw new Error(`tokenizer.json has a text of a type beyond the model's ${known}: use the model's own`);
    return { ids, types };
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
