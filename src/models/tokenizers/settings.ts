/** tokenizer_config.json, special_tokens_map.json and added_tokens.json: what they say beside the vocabulary, in transformers' order of precedence. */

import * as v from "valibot";
import { whole } from "../bounds.ts";
import { check, parseJson } from "../json.ts";
import { type DeclaredToken, plainToken } from "./added-tokens.ts";
import { addedToken, content } from "./token-schema.ts";
import { vocabularySchema } from "./vocabulary.ts";

/** A special token by its name: a plain text, or one with all its properties. */
export type NamedToken = string | DeclaredToken;

const CONFIG = "tokenizer_config.json";
const MAP = "special_tokens_map.json";
const ADDED = "added_tokens.json";

/** The special tokens that every tokenizer of transformers has, in the order in which it adds them. */
export const TOKEN_NAMES = [
  "bos_token",
  "eos_token",
  "unk_token",
  "sep_token",
  "pad_token",
  "cls_token",
  "mask_token",
] as const;
export type TokenName = (typeof TOKEN_NAMES)[number];

const named = v.union([content, addedToken], "must be a text or a token");
const maybeNamed = v.nullish(named);
const tokens = v.record(v.string(), v.nullish(named));
const flag = v.nullish(v.boolean());
const names = v.object(
  Object.fromEntries(TOKEN_NAMES.map((name) => [name, maybeNamed])) as Record<TokenName, typeof maybeNamed>,
);
const extra = v.nullish(v.union([v.array(named), tokens], "must be a list of tokens"));

const configSchema = v.looseObject({
  ...names.entries,
  tokenizer_class: v.nullish(v.pipe(v.string(), v.regex(/^\w{1,64}$/, "must be the name of a class"))),
  do_lower_case: flag,
  strip_accents: flag,
  tokenize_chinese_chars: flag,
  keep_accents: flag,
  split_by_punct: flag,
  add_prefix_space: flag,
  extra_ids: v.nullish(whole(0, 10_000)),
  add_bos_token: flag,
  add_eos_token: flag,
  legacy: flag,
  clean_up_tokenization_spaces: flag,
  clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output: flag,
  split_special_tokens: flag,
  model_input_names: v.nullish(v.array(v.string())),
  extra_special_tokens: extra,
  additional_special_tokens: extra,
  added_tokens_decoder: v.nullish(v.record(v.pipe(v.string(), v.regex(/^\d{1,7}$/)), addedToken)),
});
const mapSchema = v.looseObject({ ...names.entries, extra_special_tokens: extra, additional_special_tokens: extra });

type Config = v.InferOutput<typeof configSchema>;

/** What the files say. */
export interface Settings {
  readonly config: Config;
  /** Special tokens by their names; null for one that the files say is none. */
  readonly named: ReadonlyMap<string, NamedToken | null>;
  /** Special tokens without a name; null where the files say nothing of any. */
  readonly extra: readonly NamedToken[] | null;
  /** Added tokens by the numbers that the files give them. */
  readonly added: ReadonlyMap<number, DeclaredToken>;
}

/** `own`: the added tokens of tokenizer.json. @throws an Error of one line that names the file and what is wrong in it. */
export function readSettings(
  files: Readonly<Partial<Record<string, string>>>,
  own: readonly { readonly id: number; readonly token: DeclaredToken }[],
): Settings {
  const config = check(configSchema, parseJson(files[CONFIG] ?? "{}", CONFIG), CONFIG);
  const map = check(mapSchema, parseJson(files[MAP] ?? "{}", MAP), MAP);
  const known = config.added_tokens_decoder;
  const named = new Map<string, NamedToken | null>(namedIn(config));
  const additional = config.extra_special_tokens ?? config.additional_special_tokens;
  let extras = additional === null || additional === undefined ? null : listOf(additional);
  for (const [name, token] of namedOf(additional)) named.set(name, token);
  if (known !== undefined && known !== null) {
    const added = new Map(Object.entries(known).map(([id, token]) => [Number(id), token]));
    return { config, ...matched(named, extras, added) };
  }
  for (const [name, token] of namedIn(map)) named.set(name, token === null ? null : special(token));
  const more = map.extra_special_tokens;
  if (more !== null && more !== undefined) extras = [...(extras ?? []), ...listOf(more)];
  for (const [name, token] of namedOf(more)) named.set(name, token);
  const added = new Map<number, DeclaredToken>();
  const specials = new Set(
    [...named.values(), ...(extras ?? [])].map((token) => (token === null ? "" : contentOf(token))),
  );
  for (const [text, id] of Object.entries(check(vocabularySchema, parseJson(files[ADDED] ?? "{}", ADDED), ADDED)))
    added.set(id, plainToken(text, specials.has(text)));
  for (const { id, token } of own) added.set(id, token);
  // The older name counts where the newer one is nowhere; its tokens make none of added_tokens.json special.
  if (extras === null && map.additional_special_tokens) extras = listOf(map.additional_special_tokens);
  return { config, ...matched(named, extras, added) };
}

/** A named token that the added ones have too is as they have it. */
function matched(
  named: ReadonlyMap<string, NamedToken | null>,
  extra: readonly NamedToken[] | null,
  added: ReadonlyMap<number, DeclaredToken>,
): Omit<Settings, "config"> {
  const known = new Map([...added.values()].map((token) => [token.content, token]));
  const best = (token: NamedToken | null) => (token === null ? null : (known.get(contentOf(token)) ?? token));
  const isUsual = (name: string) => (TOKEN_NAMES as readonly string[]).includes(name);
  return {
    named: new Map([...named].map(([name, token]) => [name, isUsual(name) ? best(token) : token])),
    extra,
    added,
  };
}

/** Fields of a file that name a token: the usual ones, and others that are called so. */
function namedIn(fields: Readonly<Record<string, unknown>>): [string, NamedToken | null][] {
  return Object.entries(fields).flatMap(([name, value]): [string, NamedToken | null][] => {
    if ((TOKEN_NAMES as readonly string[]).includes(name)) return [[name, (value ?? null) as NamedToken | null]];
    return name.endsWith("_token") && typeof value === "string" && value !== "" ? [[name, value]] : [];
  });
}

function listOf(extra: v.InferOutput<typeof configSchema>["extra_special_tokens"]): readonly NamedToken[] {
  return Array.isArray(extra) ? extra : [];
}

function namedOf(extra: v.InferOutput<typeof configSchema>["extra_special_tokens"]): [string, NamedToken | null][] {
  if (extra === null || extra === undefined || Array.isArray(extra)) return [];
  return Object.entries(extra).map(([name, token]) => [name, token ?? null]);
}

function special(token: NamedToken): NamedToken {
  return typeof token === "string" ? token : { ...token, special: true };
}

export function contentOf(token: NamedToken): string {
  return typeof token === "string" ? token : token.content;
}
