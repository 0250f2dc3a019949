/** What a tokenizer class of transformers brings: steps, special tokens, and where they stand. */

import type { ModelOptions } from "./options.ts";
import { contentOf, type NamedToken, type Settings, TOKEN_NAMES, type TokenName } from "./settings.ts";

export type Json = Readonly<Record<string, unknown>>;

/** The parts of a tokenizer.json that a class brings. */
export interface Parts {
  readonly model: Json;
  readonly normalizer?: Json | null;
  readonly pre_tokenizer: Json;
  readonly decoder: Json;
}

/** What a class's parts depend on: the files' settings, and its special tokens. */
export interface Context {
  readonly config: Settings["config"];
  /** The normalizers of tokenizer.json, not yet checked. */
  readonly normalizers: readonly Json[];
  readonly token: (name: TokenName) => string;
  /** A token and its number. */
  readonly mark: (name: TokenName) => Mark;
}

export interface TokenizerClass {
  readonly model: ModelOptions["type"];
  /** The special tokens unless the files name others; null for none. */
  readonly tokens: Readonly<Partial<Record<TokenName, NamedToken>>>;
  /** Special tokens without a name, unless the files have some. */
  readonly extra?: readonly string[] | ((config: Settings["config"]) => readonly string[]);
  readonly parts: (model: ModelOptions, context: Context) => Parts;
  /** Of classes that place the special tokens themselves. */
  readonly processor?: (context: Context) => Json;
  /** Whether tokenizer.json's post-processor is left out. */
  readonly ignoresProcessor?: boolean;
  /** Whether the model is told which of two texts a token belongs to. */
  readonly types: boolean;
}

/** A token and its number. */
export type Mark = readonly [string, number];

/** BERT's: the second text is of type 1. */
export function bertTemplate(cls: Mark, sep: Mark): Json {
  const [begin, end, a, b] = [special(cls), special(sep), text("A"), text("B")];
  return template([begin(0), a(0), end(0)], [begin(0), a(0), end(0), b(1), end(1)], [cls, sep]);
}

/** RoBERTa's places, with both ends between two texts. */
export function doubledTemplate(cls: Mark, sep: Mark): Json {
  const [begin, end, a, b] = [special(cls), special(sep), text("A"), text("B")];
  return template([begin(0), a(0), end(0)], [begin(0), a(0), end(0), end(0), b(0), end(0)], [cls, sep]);
}

/** What transformers makes of add_bos_token and add_eos_token. */
export function edgesTemplate(bos: Mark | null, eos: Mark | null): Json {
  const [a, b] = [text("A"), text("B")];
  const around = (inner: Json, type: number) => [
    ...(bos === null ? [] : [special(bos)(type)]),
    inner,
    ...(eos === null ? [] : [special(eos)(type)]),
  ];
  const marks = [bos, eos].filter((mark): mark is Mark => mark !== null);
  return template(around(a(0), 0), [...around(a(0), 0), ...around(b(1), 1)], marks);
}

export function template(single: readonly Json[], pair: readonly Json[], marks: readonly Mark[]): Json {
  const entries = marks.map(([id, number]) => [id, { id, ids: [number], tokens: [id] }]);
  return { type: "TemplateProcessing", single, pair, special_tokens: Object.fromEntries(entries) };
}

export function special([id]: Mark): (type_id: number) => Json {
  return (type_id) => ({ SpecialToken: { id, type_id } });
}

export function text(id: "A" | "B"): (type_id: number) => Json {
  return (type_id) => ({ Sequence: { id, type_id } });
}

/** The special tokens of a class or of a plain tokenizer.json, the files' before its own. */
export function namedTokens(own: TokenizerClass | null, { named }: Settings): ReadonlyMap<string, NamedToken> {
  const all = new Map<string, NamedToken | null>(Object.entries(own?.tokens ?? {}));
  for (const [name, value] of named) all.set(name, value);
  const order = new Set<string>([...TOKEN_NAMES, ...all.keys()]);
  return new Map(
    [...order].flatMap((name) => {
      const value = all.get(name) ?? null;
      return value === null ? [] : [[name, value] as const];
    }),
  );
}

/** What of a class depends on special tokens, by their names and numbers. */
export function contextOf(
  config: Settings["config"],
  json: Json | undefined,
  named: ReadonlyMap<string, NamedToken>,
  idOf: (content: string) => number | undefined,
): Context {
  const own = (name: TokenName) => {
    const found = named.get(name);
    if (found === undefined) throw new Error(`tokenizer_config.json: ${name}: must name a token`);
    return contentOf(found);
  };
  const mark = (name: TokenName): Mark => {
    const id = idOf(own(name));
    if (id === undefined) throw new Error(`tokenizer_config.json: ${name}: is no token of the vocabulary`);
    return [own(name), id];
  };
  return { config, normalizers: normalizersOf(json), token: own, mark };
}

function normalizersOf(json: Json | undefined): readonly Json[] {
  const normalizer = json?.normalizer;
  if (typeof normalizer !== "object" || normalizer === null) return [];
  const steps = "normalizers" in normalizer ? normalizer.normalizers : [normalizer];
  const isStep = (step: unknown): step is Json => typeof step === "object" && step !== null;
  return Array.isArray(steps) ? steps.filter(isStep) : [];
}
