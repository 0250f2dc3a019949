/** tokenizer.json's post-processors: which tokens stand before, between and behind texts, and of which type each token is. */

import * as v from "valibot";
import { whole } from "../bounds.ts";
import { oneOf, step } from "./steps.ts";
import { MOST_TOKENS } from "./vocabulary.ts";

export interface Assembled {
  readonly ids: readonly number[];
  readonly types: readonly number[];
}

/** One or two texts' tokens, with the special ones in place. */
export type Processor = (first: readonly number[], second?: readonly number[]) => Assembled;

const ignored = v.optional(v.boolean());
const id = whole(0, MOST_TOKENS - 1);
const typeId = v.optional(whole(0, 63), 0);
const item = v.union(
  [
    v.strictObject({ SpecialToken: v.strictObject({ id: v.string(), type_id: typeId }) }),
    v.strictObject({ Sequence: v.strictObject({ id: v.picklist(["A", "B"]), type_id: typeId }) }),
  ],
  "must be SpecialToken or Sequence, each with an id and a type_id from 0 to 63",
);
type Item = v.InferOutput<typeof item>;
const template = v.pipe(v.array(item), v.maxLength(64, "must have 64 items or fewer"));

const templates = v.pipe(
  step({
    single: v.pipe(template, v.check(hasOnce("A"), "must have the text A once")),
    pair: v.pipe(template, v.check(hasOnce("AB"), "must have the texts A and B once each")),
    special_tokens: v.record(
      v.string(),
      v.strictObject({
        id: v.string(),
        ids: v.pipe(v.array(id), v.maxLength(16, "must be 16 or fewer")),
        tokens: v.array(v.string()),
      }),
    ),
  }),
  v.check(
    ({ single, pair, special_tokens }) =>
      [...single, ...pair].every((one) => "Sequence" in one || Object.hasOwn(special_tokens, one.SpecialToken.id)),
    "special_tokens lacks a token of the template",
  ),
  v.transform(({ single, pair, special_tokens }): Processor => {
    const idsOf = (token: string) => special_tokens[token].ids;
    return (first, second) => filled(second === undefined ? single : pair, idsOf, { A: first, B: second ?? [] });
  }),
);

function filled(
  items: readonly Item[],
  idsOf: (token: string) => readonly number[],
  texts: { readonly A: readonly number[]; readonly B: readonly number[] },
): Assembled {
  const ids: number[] = [];
  const types: number[] = [];
  for (const one of items) {
    const own = "Sequence" in one ? texts[one.Sequence.id] : idsOf(one.SpecialToken.id);
    const { type_id } = "Sequence" in one ? one.Sequence : one.SpecialToken;
    for (const token of own) {
      ids.push(token);
      types.push(type_id);
    }
  }
  return { ids, types };
}

const mark = v.tuple([v.string(), id]);
const bert = v.pipe(
  step({ cls: mark, sep: mark }),
  v.transform(
    ({ cls: [, cls], sep: [, sep] }): Processor =>
      (first, second) => {
        const begun = [cls, ...first, sep];
        const rest = second === undefined ? [] : [...second, sep];
        return { ids: [...begun, ...rest], types: [...begun.map(() => 0), ...rest.map(() => 1)] };
      },
  ),
);
const roberta = v.pipe(
  step({
    cls: mark,
    sep: mark,
    trim_offsets: ignored,
    add_prefix_space: ignored,
  }),
  v.transform(
    ({ cls: [, cls], sep: [, sep] }): Processor =>
      (first, second) => {
        const ids = [cls, ...first, sep, ...(second === undefined ? [] : [sep, ...second, sep])];
        return { ids, types: ids.map(() => 0) };
      },
  ),
);
/** Moves offsets alone. */
const byteLevel = v.pipe(
  step({
    add_prefix_space: ignored,
    trim_offsets: ignored,
    use_regex: ignored,
  }),
  v.transform(() => bare),
);
const SINGLE = {
  TemplateProcessing: templates,
  BertProcessing: bert,
  RobertaProcessing: roberta,
  ByteLevel: byteLevel,
} as const;
const sequence = v.pipe(
  step({
    processors: v.pipe(v.array(oneOf<Processor>(SINGLE)), v.maxLength(8, "must have 8 steps or fewer")),
  }),
  v.check(
    ({ processors }) => processors.filter((processor) => processor !== bare).length <= 1,
    "must place special tokens once",
  ),
  v.transform(({ processors }): Processor => processors.find((processor) => processor !== bare) ?? bare),
);

/** A post-processor of a tokenizer.json, as the function it describes. */
export const processor: v.GenericSchema<unknown, Processor> = oneOf<Processor>({ ...SINGLE, Sequence: sequence });

/** No special tokens at all. */
export function bare(first: readonly number[], second?: readonly number[]): Assembled {
  const rest = second ?? [];
  return { ids: [...first, ...rest], types: [...first.map(() => 0), ...rest.map(() => 1)] };
}

/** Whether a template has each of these texts once and no other. */
function hasOnce(texts: string): (items: Item[]) => boolean {
  return (items) => {
    const ids = items.flatMap((one) => ("Sequence" in one ? one.Sequence.id : []));
    return ids.sort().join("") === texts;
  };
}
