/** A tokenizer of Hugging Face's: from a text to numbers of tokens and back, as transformers computes them from the same files. */

import { check } from "../json.ts";
import { type AddedToken, AddedTokens, isToken, plainToken, type Section, settled } from "./added-tokens.ts";
import { contextOf, edgesTemplate, namedTokens, type TokenizerClass } from "./class.ts";
import { addedTokensOf, modelIn, parsedTokenizer, type TokenizerFiles } from "./files.ts";
import type { Kinds, TokenizerContent } from "./kinds.ts";
import { lettersOf } from "./letters.ts";
import { lettersOfPieces, type PreTokenizer, piecesOf } from "./pieces.ts";
import { bare, type Processor, processor as processorSchema } from "./processors.ts";
import { contentOf, type NamedToken, readSettings, type Settings } from "./settings.ts";
import { rangeOf, type SpannedToken, spannedTokens } from "./spans.ts";
import type { TokenModel } from "./vocabulary.ts";
import { type Decoder, isByteToken, withoutSpaces } from "./word-decoder.ts";

const JSON_FILE = "tokenizer.json";
/** As many letters at a text's end may still change when punctuation loses its spaces. */
const UNSETTLED = 12;

export interface DecodeOptions {
  /** More tokens will come: what they may still change is left out. */
  readonly unfinished?: boolean;
}

export class Tokenizer {
  /** Whether the model is told which of two texts a token belongs to. */
  readonly typed: boolean;
  /** Places the special tokens. */
  readonly assemble: Processor;
  readonly #model: TokenModel;
  readonly #added: AddedTokens;
  readonly #cut: PreTokenizer | null;
  readonly #decoder: Decoder | null;
  readonly #named: ReadonlyMap<string, NamedToken>;
  readonly #plainSpecials: boolean;
  readonly #tidies: boolean;

  /**
   * `architecture` says which class a folder has that names none.
   * @throws an Error of one line that names the file and what is missing or not supported in it.
   */
  constructor(files: TokenizerFiles, architecture: string, kinds: Kinds) {
    const json = parsedTokenizer(files);
    const settings = readSettings(files, addedTokensOf(json));
    const { config } = settings;
    const own = kinds.classOf(config.tokenizer_class, architecture, files[JSON_FILE]);
    this.#named = namedTokens(own, settings);
    const content = contentOfFiles(
      files,
      json,
      own,
      contextOf(config, json, this.#named, () => undefined),
      kinds,
    );
    this.#model = content.model.made;
    this.#cut = content.pre_tokenizer;
    this.#decoder = content.decoder;
    this.#added = new AddedTokens(this.#model, content.normalizer, kinds.word);
    this.#added.add(content.added_tokens);
    this.#added.add(missing(this.#added, own, settings, this.#named));
    this.assemble = this.#processor(own, settings, content.post_processor, json !== undefined);
    this.typed = config.model_input_names?.includes("token_type_ids") ?? own?.types ?? false;
    this.#plainSpecials = config.split_special_tokens ?? false;
    const spoils = config.clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output ?? false;
    this.#tidies = (config.clean_up_tokenization_spaces ?? false) && (content.model.type !== "BPE" || spoils);
  }

  /** A text's tokens, without special ones around it. @throws an Error when it has a part without a token. */
  tokenize(text: string): readonly number[] {
    return this.#sections(text).flatMap((section) =>
      isToken(section) ? [section.id] : piecesOf(section, this.#cut).flatMap((piece) => this.#model.tokenize(piece)),
    );
  }

  /** The same tokens, each with the part of the text that it stands for. */
  tokenizeWithSpans(text: string): readonly SpannedToken[] {
    return this.#sections(text).flatMap((section): readonly SpannedToken[] => {
      if (isToken(section)) return [{ id: section.id, ...rangeOf(text, section.letters) }];
      return lettersOfPieces(section, this.#cut).flatMap((piece) => spannedTokens(text, piece, this.#model));
    });
  }

  #sections(text: string): readonly Section[] {
    return this.#added.sections(lettersOf(text), this.#plainSpecials);
  }

  /** The text of tokens, special ones left out. */
  decode(ids: readonly number[], { unfinished = false }: DecodeOptions = {}): string {
    const tokens = ids
      .map((id) => this.tokenOf(id))
      .filter((token): token is string => token !== undefined && !this.#added.isSpecial(token));
    if (unfinished) while (tokens.length > 0 && isByteToken(tokens[tokens.length - 1])) tokens.pop();
    const text = this.#decoder === null ? tokens.join(" ") : this.#decoder(tokens, unfinished).join("");
    if (!this.#tidies) return text;
    const space = unfinished ? text.indexOf(" ", Math.max(0, text.length - UNSETTLED)) : -1;
    return withoutSpaces(space < 0 ? text : text.slice(0, space));
  }

  tokenOf(id: number): string | undefined {
    return this.#added.textOf(id) ?? this.#model.tokenOf(id);
  }

  idOf(token: string): number | undefined {
    return this.#added.idOf(token);
  }

  /** The number of a special token by its name ("eos_token"). */
  named(name: string): number | undefined {
    const token = this.#named.get(name);
    return token === undefined ? undefined : this.idOf(contentOf(token));
  }

  /** One more than the largest number of a token. */
  get size(): number {
    return 1 + [...this.#added.all.keys()].reduce((most, id) => Math.max(most, id), this.#model.largest);
  }

  #processor(own: TokenizerClass | null, settings: Settings, saved: Processor | null, hasJson: boolean): Processor {
    const { config } = settings;
    const context = contextOf(config, undefined, this.#named, (content) => this.idOf(content));
    if (own?.processor !== undefined) return check(processorSchema, own.processor(context), "tokenizer_config.json");
    // transformers takes these two settings only where no tokenizer.json has a word in it.
    const [first, last] = hasJson ? [] : [config.add_bos_token, config.add_eos_token];
    const says = !hasJson && (typeof config.add_bos_token === "boolean" || typeof config.add_eos_token === "boolean");
    if (saved !== null && !says && own?.ignoresProcessor !== true) return saved;
    const mark = (name: "bos_token" | "eos_token", wanted: boolean | null | undefined) =>
      wanted === true && this.#named.has(name) ? context.mark(name) : null;
    const [bos, eos] = [mark("bos_token", first), mark("eos_token", last)];
    return bos === null && eos === null ? bare : check(processorSchema, edgesTemplate(bos, eos), JSON_FILE);
  }
}

/** tokenizer.json as it is, or with what the class brings instead. */
function contentOfFiles(
  files: TokenizerFiles,
  json: Readonly<Record<string, unknown>> | undefined,
  own: TokenizerClass | null,
  context: ReturnType<typeof contextOf>,
  kinds: Kinds,
): TokenizerContent {
  if (own === null) {
    if (json === undefined) throw new Error(`the model has no tokenizer: put ${JSON_FILE} beside config.json`);
    return check(kinds.content, json, JSON_FILE);
  }
  const parts = own.parts(modelIn(files, json, own.model, kinds.model), context);
  return check(kinds.content, { ...parts, post_processor: json?.post_processor }, JSON_FILE);
}

/** The tokens that the settings have and the tokenizer lacks, in transformers' order. */
function missing(
  known: AddedTokens,
  own: TokenizerClass | null,
  { added, config, extra }: Settings,
  named: ReadonlyMap<string, NamedToken>,
): readonly AddedToken[] {
  const tokens: NamedToken[] = [...added]
    .sort(([a], [b]) => a - b)
    .map(([, token]) => token)
    .filter((token) => !known.has(settled(token)));
  const contents = new Set([...[...known.all.values()].map(({ content }) => content), ...tokens.map(contentOf)]);
  const usual = typeof own?.extra === "function" ? own.extra(config) : (own?.extra ?? []);
  const others = new Map([...named.values(), ...(extra ?? usual)].map((token) => [JSON.stringify(token), token]));
  tokens.push(...[...others.values()].filter((token) => !contents.has(contentOf(token))));
  const names = new Set([...named.values()].map(contentOf));
  return tokens.map((token) => {
    const full = typeof token === "string" ? plainToken(token, true) : token;
    return settled({ ...full, special: full.special || names.has(full.content) });
  });
}
