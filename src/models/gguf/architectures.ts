/**
 * Architectures that GGUF files name, each as data: the config.json that its values stand for, and Hugging Face's names of
 * its tensors. What a file says beyond this is refused by name, as a config.json's unread fields are.
 */

import * as v from "valibot";
import { check } from "../json.ts";
import { type GgufHeader, printable } from "./header.ts";

export interface GgufArchitecture {
  /** GGUF's names and Hugging Face's, without `.weight` or `.bias`; `#` is a layer's number. */
  readonly names: Readonly<Record<string, string>>;
  /** Layers whose heads' rows lie in pairs side by side, and which of config.json's fields counts their heads. */
  readonly paired: Readonly<Record<string, "num_attention_heads" | "num_key_value_heads">>;
  /** The fields of a config.json. @throws an Error of one line */
  config(header: GgufHeader, label: string): Config;
}

export type Config = Readonly<Record<string, unknown>> & {
  readonly num_attention_heads: number;
  readonly num_key_value_heads: number;
};

const size = v.pipe(
  v.number("must be a number"),
  v.integer("must be a whole number"),
  v.minValue(1, "must be 1 or more"),
);
const one = v.optional(v.literal(1, "must be 1: scaled rotary positions are not supported"));
const none = v.optional(v.literal(0, "must be 0: mixtures of experts are not supported"));

const llamaValues = v.object({
  block_count: size,
  context_length: size,
  embedding_length: size,
  feed_forward_length: size,
  vocab_size: v.optional(size),
  "attention.head_count": size,
  "attention.head_count_kv": v.optional(size),
  "attention.key_length": v.optional(size),
  "attention.value_length": v.optional(size),
  "attention.layer_norm_rms_epsilon": v.number(),
  "rope.dimension_count": v.optional(size),
  "rope.freq_base": v.optional(v.number(), 10_000),
  "rope.scaling.type": v.optional(v.literal("none", "must be none: scaled rotary positions are not supported")),
  "rope.scaling.factor": one,
  "rope.scale_linear": one,
  expert_count: none,
  expert_used_count: none,
  tensor_data_layout: v.optional(v.string()),
});

const llama: GgufArchitecture = {
  names: {
    token_embd: "model.embed_tokens",
    "blk.#.attn_norm": "model.layers.#.input_layernorm",
    "blk.#.attn_q": "model.layers.#.self_attn.q_proj",
    "blk.#.attn_k": "model.layers.#.self_attn.k_proj",
    "blk.#.attn_v": "model.layers.#.self_attn.v_proj",
    "blk.#.attn_output": "model.layers.#.self_attn.o_proj",
    "blk.#.ffn_norm": "model.layers.#.post_attention_layernorm",
    "blk.#.ffn_gate": "model.layers.#.mlp.gate_proj",
    "blk.#.ffn_up": "model.layers.#.mlp.up_proj",
    "blk.#.ffn_down": "model.layers.#.mlp.down_proj",
    output_norm: "model.norm",
    output: "lm_head",
  },
  paired: { "blk.#.attn_q": "num_attention_heads", "blk.#.attn_k": "num_key_value_heads" },

  config(header, label) {
    const own = valuesOf(header, "llama", llamaValues, label);
    const heads = own["attention.head_count"];
    const width = own["attention.key_length"] ?? own.embedding_length / heads;
    if ((own["attention.value_length"] ?? width) !== width || (own["rope.dimension_count"] ?? width) !== width)
      throw new Error(`${label}: llama: heads are rotated in part, or are not all as wide: use another model`);
    return {
      architectures: ["LlamaForCausalLM"],
      model_type: "llama",
      num_hidden_layers: own.block_count,
      hidden_size: own.embedding_length,
      num_attention_heads: heads,
      num_key_value_heads: own["attention.head_count_kv"] ?? heads,
      head_dim: width,
      intermediate_size: own.feed_forward_length,
      vocab_size: rowsOf(header, "token_embd.weight", label),
      max_position_embeddings: own.context_length,
      rms_norm_eps: shortest(own["attention.layer_norm_rms_epsilon"]),
      rope_theta: shortest(own["rope.freq_base"]),
      tie_word_embeddings: !header.tensors.has("output.weight"),
    };
  },
};

const ARCHITECTURES: Readonly<Record<string, GgufArchitecture>> = { llama };

/** The architecture that a file names. @throws an Error of one line */
export function architectureOf({ values }: Pick<GgufHeader, "values">, label: string): GgufArchitecture {
  const name = values.get("general.architecture");
  if (typeof name === "string" && Object.hasOwn(ARCHITECTURES, name)) return ARCHITECTURES[name];
  const shown = typeof name === "string" && /^[a-z0-9._-]{1,40}$/i.test(name) ? `"${name}"` : "its architecture";
  const known = Object.keys(ARCHITECTURES).join(", ");
  throw new Error(`${label}: ${shown} is not supported as GGUF: use one of ${known}, or the Hugging Face folder`);
}

/**
 * The values under an architecture's name.
 * @throws an Error that names a field which is not read, as it may change what the model computes, or which is wrong.
 */
function valuesOf<S extends v.ObjectSchema<v.ObjectEntries, undefined>>(
  { values }: GgufHeader,
  name: string,
  schema: S,
  label: string,
): v.InferOutput<S> {
  const own = [...values].flatMap(([key, value]): [string, unknown][] =>
    key.startsWith(`${name}.`) ? [[key.slice(name.length + 1), value]] : [],
  );
  const other = own.find(([key]) => !Object.hasOwn(schema.entries, key));
  if (other !== undefined)
    throw new Error(`${label}: ${name}.${printable(other[0])} is not supported: use the model's Hugging Face folder`);
  return check(schema, Object.fromEntries(own), `${label}: ${name}`);
}

function rowsOf({ tensors }: GgufHeader, name: string, label: string): number {
  const found = tensors.get(name);
  if (found === undefined) throw new Error(`${label}: tensor ${printable(name)} is missing: give a complete model`);
  return found.shape[0];
}

/** The shortest number that is this 32-bit float: 1e-5 rather than 0.000009999999747378752. */
function shortest(value: number): number {
  const short = Number(value.toPrecision(7));
  return Math.fround(short) === Math.fround(value) ? short : value;
}
