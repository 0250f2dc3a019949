/** config.json of decoders that are not Llama's relatives: the common sizes, under each family's own field names. */

import * as v from "valibot";
import type { RotarySpec } from "../program/rotary.ts";
import type { Blocks, ModelSpec } from "../program/spec.ts";
import { sizes } from "./bounds.ts";
import {
  activationName,
  activationOf,
  type ConfigFormat,
  checkHeads,
  choicesOf,
  decoderFields,
  epsilon,
  generation,
  ownBlock,
  writtenChoices,
} from "./config-fields.ts";
import { rotaryFields, rotaryIn, writtenRotary } from "./config-rotary.ts";
import { check } from "./json.ts";

/** The names of the fields of a decoder's sizes. */
export interface SizeNames {
  readonly layers: string;
  readonly hidden: string;
  readonly heads: string;
  readonly intermediate: string;
  readonly vocabulary: string;
  readonly positions: string;
  readonly epsilon: string;
  /** Null: the model has one function, and no field for it. */
  readonly activation: string | null;
}

/** GPT-2's names, as GPT-J and others have them. */
export const GPT2_NAMES: SizeNames = {
  layers: "n_layer",
  hidden: "n_embd",
  heads: "n_head",
  intermediate: "n_inner",
  vocabulary: "vocab_size",
  positions: "n_positions",
  epsilon: "layer_norm_epsilon",
  activation: "activation_function",
};

/** The names that most newer families share. */
export const USUAL_NAMES: SizeNames = {
  layers: "num_hidden_layers",
  hidden: "hidden_size",
  heads: "num_attention_heads",
  intermediate: "intermediate_size",
  vocabulary: "vocab_size",
  positions: "max_position_embeddings",
  epsilon: "layer_norm_eps",
  activation: "hidden_act",
};

type Checked<Own extends v.ObjectEntries> = v.InferOutput<v.LooseObjectSchema<Own, undefined>>;

/** What a family's config.json has beside its sizes. */
export interface DecoderFormat<Own extends v.ObjectEntries> {
  readonly name: string;
  readonly className: string;
  readonly headName: string;
  readonly names: SizeNames;
  /** Other names that transformers takes for a field. */
  readonly aliases?: Readonly<Record<string, string>>;
  /** What counts where the file does not say. A feed-forward layer is four times as wide as the model then. */
  readonly usual: { readonly activation: string; readonly tied: boolean; readonly positions?: number };
  /** Its own fields. */
  readonly fields: Own;
  /** The part of a head that is turned; 0 or null: the model has no rotary positions. */
  readonly turned: ((config: Checked<Own>, headWidth: number) => number) | null;
  /** Its blocks; `rotary` are the file's. */
  blocks(
    config: Checked<Own>,
    rotary: RotarySpec | null,
    sizes: Pick<ModelSpec, "layers" | "heads" | "hidden">,
  ): Blocks;
  /** Heads of keys and values; as many as of queries unless told. */
  keyHeads?(config: Checked<Own>, heads: number): number;
  /** The width of its feed-forward layers, where no field of the sizes says it. */
  intermediate?(config: Checked<Own>, hidden: number): number;
  /** The fields of its own that give the spec back. */
  write(spec: ModelSpec): Readonly<Record<string, unknown>>;
}

const common = {
  ...rotaryFields,
  tie_word_embeddings: v.nullish(v.boolean()),
  ...decoderFields,
  mpcformer: ownBlock,
} as const;

/** How a family writes its config.json. */
export function decoderConfig<Own extends v.ObjectEntries>(format: DecoderFormat<Own>): ConfigFormat {
  const { names, usual } = format;
  const own = v.looseObject(format.fields);
  const fields = v.looseObject({
    ...{ layers: sizes.layers, hidden: sizes.hidden, heads: sizes.heads, vocabulary: sizes.vocabulary },
    intermediate: v.nullish(sizes.intermediate),
    positions: usual.positions === undefined ? sizes.positions : v.nullish(sizes.positions, usual.positions),
    epsilon: epsilon(1e-5),
    activation: v.optional(v.string(), usual.activation),
  });
  const sizeNames = Object.entries(names).filter((one): one is [keyof SizeNames, string] => one[1] !== null);
  const schema = v.looseObject({
    ...Object.fromEntries(sizeNames.map(([key, name]) => [name, fields.entries[key]])),
    ...common,
  });
  return {
    fields: [
      ...sizeNames.map(([, name]) => name),
      ...Object.keys(format.aliases ?? {}),
      ...Object.keys(common),
      ...Object.keys(format.fields),
    ],

    read(file) {
      const json = withAliases(file, format.aliases ?? {});
      const config = check(schema, json, "config.json") as v.InferOutput<typeof schema> & Record<string, unknown>;
      const said = Object.fromEntries(sizeNames.map(([key, name]) => [key, config[name]]));
      const size = check(fields, said, "config.json");
      const more = check(own, json, "config.json");
      checkHeads(size.hidden, size.heads, [names.hidden, names.heads]);
      const headWidth = size.hidden / size.heads;
      const part = format.turned?.(more, headWidth) ?? 0;
      const rotary = part === 0 ? null : rotaryIn(config, headWidth, part);
      const keyHeads = format.keyHeads?.(more, size.heads) ?? size.heads;
      if (size.heads % keyHeads !== 0) throw new Error(`config.json: groups of keys must divide ${names.heads}`);
      return {
        architecture: format.name,
        isDecoder: true,
        blocks: format.blocks(more, rotary, size),
        layers: size.layers,
        hidden: size.hidden,
        heads: size.heads,
        keyHeads,
        headWidth,
        intermediate: format.intermediate?.(more, size.hidden) ?? size.intermediate ?? 4 * size.hidden,
        vocabulary: size.vocabulary,
        positions: size.positions,
        epsilon: size.epsilon,
        positionOffset: 0,
        tied: config.tie_word_embeddings ?? usual.tied,
        ...generation(size.vocabulary),
        ...choicesOf(config.mpcformer, () => activationOf(size.activation, names.activation ?? "activation")),
      };
    },

    write: (spec, base) => written(format, spec, base),
  };
}

/** A spec as config.json says it; `base`: without a head. */
function written<Own extends v.ObjectEntries>(format: DecoderFormat<Own>, spec: ModelSpec, base: boolean) {
  const { names, usual } = format;
  return {
    architectures: [`${format.className}${base ? "Model" : format.headName}`],
    model_type: format.name,
    [names.layers]: spec.layers,
    [names.hidden]: spec.hidden,
    [names.heads]: spec.heads,
    [names.intermediate]: spec.intermediate,
    [names.vocabulary]: spec.vocabulary,
    [names.positions]: spec.positions,
    [names.epsilon]: spec.epsilon,
    ...(names.activation === null ? {} : { [names.activation]: activationName(spec.gelu, usual.activation) }),
    ...(spec.blocks.rotary === null ? {} : writtenRotary(spec.blocks.rotary, spec.headWidth)),
    tie_word_embeddings: spec.tied,
    ...format.write(spec),
    mpcformer: writtenChoices(spec),
  };
}

/** A file with the usual name of what it says under another. @throws an Error when one thing is told twice, and not the same */
function withAliases(json: unknown, aliases: Readonly<Record<string, string>>): unknown {
  if (typeof json !== "object" || json === null) return json;
  const config: Record<string, unknown> = { ...json };
  for (const [alias, name] of Object.entries(aliases)) {
    const [other, own] = [config[alias] ?? null, config[name] ?? null];
    if (other === null) continue;
    if (own !== null && own !== other) throw new Error(`config.json: ${alias} and ${name} must agree: remove one`);
    config[name] = other;
  }
  return config;
}
