/** GGUF files written by hand: whole ones, and such as no converter writes. */

import { TENSOR_TYPES } from "../../src/models/gguf/blocks.ts";

export const TYPES = TENSOR_TYPES;
const STRING = 8;
const LIST = 9;
const ALIGNMENT = 32;

/** A value with the number of its type; of a list, with that of its items. */
export type WrittenValue =
  | readonly [type: number, value: number | string]
  | readonly [type: 9, items: number, values: readonly (number | string)[]];

export interface WrittenTensor {
  readonly name: string;
  readonly type: number;
  readonly shape: readonly number[];
  /** The value of all its entries. */
  readonly fill: number;
  /** Where it claims to be, instead of where it is. */
  readonly offset?: number;
}

export const list = (items: number, values: readonly (number | string)[]): WrittenValue => [LIST, items, values];

const utf8 = new TextEncoder();

/** The bytes of a file; `repeat` writes the first value twice. */
export function ggufBytes(content: {
  readonly values: Readonly<Record<string, WrittenValue>>;
  readonly tensors: readonly WrittenTensor[];
  readonly repeat?: boolean;
}): Uint8Array {
  const values = Object.entries(content.values);
  if (content.repeat) values.push(values[0]);
  const out: number[] = [];
  const number = (type: number, value: number) => {
    const view = new DataView(new ArrayBuffer(8));
    const size = { 0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8 }[type] ?? 4;
    if (type === 6) view.setFloat32(0, value, true);
    else if (type === 12) view.setFloat64(0, value, true);
    else view.setBigInt64(0, BigInt(value), true);
    out.push(...new Uint8Array(view.buffer).subarray(0, size));
  };
  const text = (own: string) => {
    const bytes = utf8.encode(own);
    number(10, bytes.length);
    out.push(...bytes);
  };
  const item = (type: number, own: number | string) => (typeof own === "string" ? text(own) : number(type, own));
  out.push(...utf8.encode("GGUF"));
  number(4, 3);
  number(10, content.tensors.length);
  number(10, values.length);
  for (const [name, value] of values) {
    text(name);
    number(4, value[0]);
    if (value.length === 2) item(value[0], value[1]);
    else {
      number(4, value[1]);
      number(10, value[2].length);
      for (const own of value[2]) item(value[1], own);
    }
  }
  let at = 0;
  for (const { name, type, shape, offset } of content.tensors) {
    text(name);
    number(4, shape.length);
    for (const size of [...shape].reverse()) number(10, size);
    number(4, type);
    number(10, offset ?? at);
    at += aligned(sizeOf(type, shape));
  }
  const body = content.tensors.flatMap((tensor) => bodyOf(tensor));
  return Uint8Array.from([...out, ...new Array(aligned(out.length) - out.length).fill(0), ...body]);
}

function aligned(length: number): number {
  return Math.ceil(length / ALIGNMENT) * ALIGNMENT;
}

function sizeOf(type: number, shape: readonly number[]): number {
  const { values, bytes } = TYPES.get(type) ?? { values: 1, bytes: 4 };
  return Math.ceil(shape.reduce((a, b) => a * b, 1) / values) * bytes;
}

/** F32 tensors have their value, others bytes of 1. */
function bodyOf({ type, shape, fill }: WrittenTensor): number[] {
  const size = sizeOf(type, shape);
  const own = type === 0 ? [...new Uint8Array(new Float32Array(size / 4).fill(fill).buffer)] : new Array(size).fill(1);
  return [...own, ...new Array(aligned(size) - size).fill(0)];
}

/** A Llama of a few numbers with six tokens. */
export function tinyLlama(): {
  readonly values: Readonly<Record<string, WrittenValue>>;
  readonly tensors: readonly WrittenTensor[];
} {
  const tokens = ["<end>", "a", "b", "c", "ab", "Ġ"];
  const sizes: readonly [string, ...number[]][] = [
    ["token_embd", tokens.length, 4],
    ["blk.0.attn_norm", 4],
    ...["attn_q", "attn_k", "attn_v", "attn_output"].map((name): [string, ...number[]] => [`blk.0.${name}`, 4, 4]),
    ["blk.0.ffn_norm", 4],
    ["blk.0.ffn_gate", 6, 4],
    ["blk.0.ffn_up", 6, 4],
    ["blk.0.ffn_down", 4, 6],
    ["output_norm", 4],
  ];
  return {
    values: {
      "general.architecture": [STRING, "llama"],
      "llama.block_count": [4, 1],
      "llama.context_length": [4, 16],
      "llama.embedding_length": [4, 4],
      "llama.feed_forward_length": [4, 6],
      "llama.attention.head_count": [4, 1],
      "llama.attention.layer_norm_rms_epsilon": [6, 1e-5],
      "tokenizer.ggml.model": [STRING, "gpt2"],
      "tokenizer.ggml.pre": [STRING, "smollm"],
      "tokenizer.ggml.tokens": list(STRING, tokens),
      "tokenizer.ggml.token_type": list(5, [3, 1, 1, 1, 1, 1]),
      "tokenizer.ggml.merges": list(STRING, ["a b"]),
      "tokenizer.ggml.eos_token_id": [4, 0],
    },
    tensors: sizes.map(([name, ...shape]) => ({ name: `${name}.weight`, type: 0, shape, fill: 0.25 })),
  };
}
