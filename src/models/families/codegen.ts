/** CodeGen (Nijkamp et al., arXiv:2203.13474): GPT-J with queries, values and keys stored as one, for four accelerators. */

import type { ModelSpec } from "../../program/spec.ts";
import type { Family } from "./family.ts";
import { gptjBlocks, gptjConfig } from "./gptj.ts";
import { headColumns } from "./rows.ts";

/** Parts that the stored layer was cut into; each has its heads' queries, then values, then keys. */
const PARTS = 4;

/** The stored row of each row of the queries, then the keys, then the values. */
function fusedRows(spec: ModelSpec): readonly number[] {
  const { heads, headWidth } = spec;
  const [columns, local] = [headColumns(spec, "neighbours"), heads / PARTS];
  const plain = columns.map((_, column) => column);
  const places = [
    [columns, 0],
    [columns, 2],
    [plain, 1],
  ] as const;
  return places.flatMap(([of, place]) =>
    Array.from({ length: heads }, (_, head) => {
      const first = (3 * Math.floor(head / local) + place) * local + (head % local);
      return of.map((column) => first * headWidth + column);
    }).flat(),
  );
}

/** The definition of CodeGen's models. */
export const codegen: Family = {
  name: "codegen",
  className: "CodeGen",
  headName: "ForCausalLM",
  isDecoder: true,
  blocks: gptjBlocks,
  config: gptjConfig("codegen", "CodeGen"),
  names: {
    prefixes: ["transformer.", ""],
    layers: [
      ["~h.#.ln_1", "layer.#.attention.norm"],
      ["~h.#.attn.qkv_proj", "layer.#.query", "layer.#.key", "layer.#.value"],
      ["~h.#.attn.out_proj", "layer.#.attention.output"],
      ["~h.#.mlp.fc_in", "layer.#.intermediate"],
      ["~h.#.mlp.fc_out", "layer.#.output"],
      ["~ln_f", "norm"],
      ["lm_head", "head"],
    ],
    tables: [["~wte.weight", "embeddings.word"]],
    ordered: { "~h.#.attn.qkv_proj": fusedRows },
  },
};
