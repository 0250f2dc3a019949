/**
 * Architectures that GGUF files name, each as data: the config.json that its values stand for, and Hugging Face's names of
 * its tensors. What a file says beyond this is refused by name, as a config.json's unread fields are.
 */

import * as v from "valibot";
import { check, printable } from "../json.ts";
import type { GgufHeader } from "./header.ts";

export interface GgufArchitecture {
  /** GGUF's names and Hugging Face's, without `.weight` or `.bias`; `#` is a layer's number. */
  readonly names: Readonly<Record<string, string>>;
  /** Layers whose heads' rows lie in pairs side by side, and which of config.json's fields counts their heads. */
  readonly paired?: Readonly<Record<string, "num_attention_heads" | "num_key_value_heads">>;
  /** Layers that Hugging Face stores as [inputs, outputs]. */
  readonly transposed?: readonly string[];
  /** Norms whose gains Hugging Face stores less one. */
  readonly lessOne?: readonly string[];
  /** The fields of a config.json. @throws an Error of one line */
  config(header: GgufHeader, label: string): Config;
}

export type Config = Readonly<Record<string, unknown>>;

const size = v.pipe(
  v.number("must be a number"),
  v.integer("must be a whole number"),
  v.minValue(1, "must be 1 or more"),
);
const one = v.optional(v.literal(1, "must be 1: scaled rotary positions are not supported"));
const none = v.optional(v.literal(0, "must be 0: mixtures of experts are not supported"));

/** What files of all architectures say. */
const common = {
  block_count: size,
  context_length: size,
  embedding_length: size,
  feed_forward_length: size,
  vocab_size: v.optional(size),
  "attention.head_count": size,
  "rope.freq_base": v.optional(v.number(), 10_000),
  "rope.scaling.type": v.optional(v.literal("none", "must be none: scaled rotary positions are not supported")),
  "rope.scaling.factor": one,
  "rope.scale_linear": one,
  expert_count: none,
  expert_used_count: none,
  tensor_data_layout: v.optional(v.string()),
};

/** What Llama's relatives say beside. */
const relativeValues = v.object({
  ...common,
  "attention.head_count_kv": v.optional(size),
  "attention.key_length": v.optional(size),
  "attention.value_length": v.optional(size),
  "attention.layer_norm_rms_epsilon": v.number(),
  "attention.sliding_window": v.optional(v.pipe(v.number(), v.integer(), v.minValue(0))),
  "rope.dimension_count": v.optional(size),
  "rope.scaling.original_context_length": v.optional(size),
});

const llamaNames = {
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
};

/** The config.json of a relative of Llama's; `more`: what it says beside the common fields, or instead. */
function relativeConfig(
  name: string,
  className: string,
  more: (own: v.InferOutput<typeof relativeValues>) => Config = () => ({}),
) {
  return (header: GgufHeader, label: string): Config => {
    const own = valuesOf(header, name, relativeValues, label);
    const heads = own["attention.head_count"];
    const width = own["attention.key_length"] ?? own.embedding_length / heads;
    const turned = own["rope.dimension_count"] ?? width;
    if ((own["attention.value_length"] ?? width) !== width || (turned !== width && name !== "phi3"))
      throw new Error(`${label}: ${name}: heads are rotated in part, or are not all as wide: use another model`);
    return {
      architectures: [`${className}ForCausalLM`],
      model_type: name,
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
      ...more(own),
    };
  };
}

const llama: GgufArchitecture = {
  names: llamaNames,
  paired: { "blk.#.attn_q": "num_attention_heads", "blk.#.attn_k": "num_key_value_heads" },
  config: relativeConfig("llama", "Llama"),
};

const qwen2: GgufArchitecture = { names: llamaNames, config: relativeConfig("qwen2", "Qwen2") };

const qwen3: GgufArchitecture = {
  names: {
    ...llamaNames,
    "blk.#.attn_q_norm": "model.layers.#.self_attn.q_norm",
    "blk.#.attn_k_norm": "model.layers.#.self_attn.k_norm",
  },
  config: relativeConfig("qwen3", "Qwen3"),
};

const gemma: GgufArchitecture = {
  names: llamaNames,
  lessOne: ["blk.#.attn_norm", "blk.#.ffn_norm", "output_norm"],
  config: relativeConfig("gemma", "Gemma"),
};

const phi3: GgufArchitecture = {
  names: {
    ...llamaNames,
    "blk.#.attn_qkv": "model.layers.#.self_attn.qkv_proj",
    "blk.#.ffn_up": "model.layers.#.mlp.gate_up_proj",
  },
  config: relativeConfig("phi3", "Phi3", (own) => {
    const width = own.embedding_length / own["attention.head_count"];
    return {
      head_dim: undefined,
      partial_rotary_factor: (own["rope.dimension_count"] ?? width) / width,
      sliding_window: own["attention.sliding_window"] || null,
    };
  }),
};

/** What files of models with layer norms say. */
const normedValues = v.object({
  ...common,
  "attention.head_count_kv": v.optional(size),
  "attention.layer_norm_epsilon": v.number(),
});

const gpt2: GgufArchitecture = {
  names: {
    token_embd: "transformer.wte",
    position_embd: "transformer.wpe",
    "blk.#.attn_norm": "transformer.h.#.ln_1",
    "blk.#.attn_qkv": "transformer.h.#.attn.c_attn",
    "blk.#.attn_output": "transformer.h.#.attn.c_proj",
    "blk.#.ffn_norm": "transformer.h.#.ln_2",
    "blk.#.ffn_up": "transformer.h.#.mlp.c_fc",
    "blk.#.ffn_down": "transformer.h.#.mlp.c_proj",
    output_norm: "transformer.ln_f",
    output: "lm_head",
  },
  transposed: ["blk.#.attn_qkv", "blk.#.attn_output", "blk.#.ffn_up", "blk.#.ffn_down"],

  config(header, label) {
    const own = valuesOf(header, "gpt2", normedValues, label);
    return {
      architectures: ["GPT2LMHeadModel"],
      model_type: "gpt2",
      n_layer: own.block_count,
      n_embd: own.embedding_length,
      n_head: own["attention.head_count"],
      n_inner: own.feed_forward_length,
      n_positions: own.context_length,
      vocab_size: rowsOf(header, "token_embd.weight", label),
      layer_norm_epsilon: shortest(own["attention.layer_norm_epsilon"]),
      tie_word_embeddings: true,
    };
  },
};

const starcoder2: GgufArchitecture = {
  names: {
    ...llamaNames,
    "blk.#.ffn_up": "model.layers.#.mlp.c_fc",
    "blk.#.ffn_down": "model.layers.#.mlp.c_proj",
  },

  config(header, label) {
    const own = valuesOf(header, "starcoder2", normedValues, label);
    return {
      architectures: ["Starcoder2ForCausalLM"],
      model_type: "starcoder2",
      num_hidden_layers: own.block_count,
      hidden_size: own.embedding_length,
      num_attention_heads: own["attention.head_count"],
      num_key_value_heads: own["attention.head_count_kv"] ?? own["attention.head_count"],
      intermediate_size: own.feed_forward_length,
      vocab_size: rowsOf(header, "token_embd.weight", label),
      max_position_embeddings: own.context_length,
      norm_epsilon: shortest(own["attention.layer_norm_epsilon"]),
      rope_theta: shortest(own["rope.freq_base"]),
      use_bias: header.tensors.has("blk.0.attn_q.bias"),
      tie_word_embeddings: !header.tensors.has("output.weight"),
    };
  },
};

const ARCHITECTURES: Readonly<Record<string, GgufArchitecture>> = {
  llama,
  qwen2,
  qwen3,
  gemma,
  phi3,
  gpt2,
  starcoder2,
};

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
