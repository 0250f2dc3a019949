/** A tokenizer's files as one tokenizer.json: that file itself, or vocab.txt, or vocab.json with merges.txt. */

import * as v from "valibot";
import { whole } from "../bounds.ts";
import { check, parseJson } from "../json.ts";
import type { Kinds } from "./kinds.ts";
import type { ModelOptions } from "./options.ts";
import { addedToken } from "./token-schema.ts";
import { MOST_TOKENS, vocabularySchema } from "./vocabulary.ts";

/** The files of a tokenizer that are read, by name. generation_config.json has the tokens that end texts. Clients render chat templates. */
export const TOKENIZER_FILES = [
  "tokenizer.json",
  "tokenizer_config.json",
  "special_tokens_map.json",
  "added_tokens.json",
  "generation_config.json",
  "chat_template.jinja",
  "vocab.txt",
  "vocab.json",
  "merges.txt",
] as const;

export type TokenizerFiles = Readonly<Partial<Record<(typeof TOKENIZER_FILES)[number], string>>>;

const JSON_FILE = "tokenizer.json";
const CONFIG = "tokenizer_config.json";
const GENERATION = "generation_config.json";
const ownTokens = v.optional(v.array(v.looseObject({ id: whole(0, MOST_TOKENS - 1) })), []);

/** A parsed tokenizer.json, not yet checked; undefined where the folder has none. */
export function parsedTokenizer(files: TokenizerFiles): Readonly<Record<string, unknown>> | undefined {
  const text = files[JSON_FILE];
  return text === undefined ? undefined : check(v.looseObject({}), parseJson(text, JSON_FILE), JSON_FILE);
}

/** The added tokens of a parsed tokenizer.json, with the numbers that it gives them. */
export function addedTokensOf(json: Readonly<Record<string, unknown>> | undefined) {
  const tokens = check(v.looseObject({ added_tokens: ownTokens }), json ?? {}, JSON_FILE).added_tokens;
  return tokens.map((token) => ({ id: token.id, token: check(addedToken, token, `${JSON_FILE}: added_tokens`) }));
}

/** The model alone of whatever files there are. @throws an Error of one line that names the file. */
export function modelIn(
  files: TokenizerFiles,
  json: Readonly<Record<string, unknown>> | undefined,
  kind: ModelOptions["type"],
  schema: Kinds["model"],
): ModelOptions {
  const model =
    json === undefined
      ? plainModel(files, kind, schema)
      : check(v.looseObject({ model: schema }), json, JSON_FILE).model;
  if (model.type !== kind)
    throw new Error(`${JSON_FILE}: model: its tokenizer_class takes a ${kind}: name the right class`);
  return model;
}

function plainModel(files: TokenizerFiles, kind: ModelOptions["type"], schema: Kinds["model"]): ModelOptions {
  const { "vocab.txt": words, "vocab.json": vocabulary, "merges.txt": merges } = files;
  if (kind === "WordPiece" && words !== undefined)
    return check(schema, { type: kind, vocab: lineNumbers(words) }, "vocab.txt");
  if (kind === "BPE" && vocabulary !== undefined && merges !== undefined) {
    const vocab = check(vocabularySchema, parseJson(vocabulary, "vocab.json"), "vocab.json");
    return check(schema, { type: kind, vocab, merges: mergesIn(merges) }, "merges.txt");
  }
  const other = { WordPiece: " or vocab.txt", BPE: " or vocab.json with merges.txt", WordLevel: "", Unigram: "" }[kind];
  throw new Error(`the model has no tokenizer: put ${JSON_FILE}${other} beside config.json`);
}

/** Tokens by the number of their line; of equal ones the last line counts. */
function lineNumbers(text: string): Record<string, number> {
  return Object.fromEntries(linesOf(text, "vocab.txt").map((token, id) => [token, id]));
}

function mergesIn(text: string): readonly string[] {
  const rules = linesOf(text, "merges.txt").filter((line) => line.trim() !== "" && !line.startsWith("#version"));
  if (!rules.every((rule) => rule.split(" ").length === 2))
    throw new Error("merges.txt must have two tokens on a line: copy the file again");
  return rules;
}

/** @throws an Error when there are more lines than a vocabulary has tokens; no more are ever held. */
function linesOf(text: string, label: string): string[] {
  const lines = text.split("\n", MOST_TOKENS + 2).map((line) => (line.endsWith("\r") ? line.slice(0, -1) : line));
  if (lines[lines.length - 1] === "") lines.pop();
  if (lines.length > MOST_TOKENS) throw new Error(`${label} has more than ${MOST_TOKENS} lines: copy the file again`);
  return lines;
}

const generationSchema = v.looseObject({
  eos_token_id: v.nullish(v.union([v.number(), v.array(v.number())], "must be a number or a list of numbers")),
});
const modelConfigSchema = v.looseObject({ ...generationSchema.entries, tokenizer_class: v.nullish(v.string()) });

/** The numbers of the tokens that end texts, of generation_config.json. */
export function endsIn(files: TokenizerFiles): readonly number[] {
  return listOf(check(generationSchema, parseJson(files[GENERATION] ?? "{}", GENERATION), GENERATION).eos_token_id);
}

/**
 * The files with what a model's config.json says of its tokenizer, the class and the tokens that end texts: they are complete
 * without it then. Of generation_config.json nothing else is kept.
 */
export function completed(files: TokenizerFiles, configText: string): TokenizerFiles {
  const model = check(modelConfigSchema, parseJson(configText, "config.json"), "config.json");
  const ends = [...new Set([...endsIn(files), ...listOf(model.eos_token_id)])];
  const config = check(v.looseObject({}), parseJson(files[CONFIG] ?? "{}", CONFIG), CONFIG);
  const names = (config.tokenizer_class ?? null) === null && (model.tokenizer_class ?? null) !== null;
  const { [GENERATION]: _, ...rest } = files;
  return {
    ...rest,
    ...(names ? { [CONFIG]: written({ ...config, tokenizer_class: model.tokenizer_class }) } : {}),
    ...(ends.length > 0 ? { [GENERATION]: written({ eos_token_id: ends }) } : {}),
  };
}

function written(value: object): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

function listOf(ids: number | readonly number[] | null | undefined): readonly number[] {
  return typeof ids === "number" ? [ids] : (ids ?? []);
}
