/** What configurations of encoders say of their blocks, and what of them is refused. */
import { describe, expect, it } from "vitest";
import { specOf } from "../../src/models/config.ts";

const bert = {
  num_hidden_layers: 4,
  hidden_size: 32,
  num_attention_heads: 4,
  intermediate_size: 48,
  vocab_size: 60,
  max_position_embeddings: 40,
};
const of = (fields: Record<string, unknown>) => specOf(JSON.stringify({ ...bert, ...fields }));

describe("encoders", () => {
  it("have tables of their own width", () => {
    expect(of({ model_type: "electra" }).blocks.embeddingWidth).toBe(128);
    expect(of({ model_type: "electra", embedding_size: 32 }).blocks.embeddingWidth).toBe(null);
    expect(of({ model_type: "albert", embedding_size: 16 }).blocks.embeddingWidth).toBe(16);
  });

  it("have the function that their class has where the file names none", () => {
    expect([of({ model_type: "electra" }).gelu, of({ model_type: "albert" }).gelu]).toEqual(["exact", "tanh"]);
  });

  it.each<[string, Record<string, unknown>, RegExp]>([
    ["groups that share nothing", { model_type: "albert", num_hidden_groups: 3 }, /num_hidden_groups must divide/],
    ["groups of several layers", { model_type: "albert", inner_group_num: 2 }, /inner_group_num: must be 1/],
    ["another function", { model_type: "albert", hidden_act: "silu" }, /hidden_act "silu" is not supported/],
    ["positions of another kind", { model_type: "electra", position_embedding_type: "relative_key" }, /absolute/],
  ])("with %s are refused", (_, fields, message) => expect(() => of(fields)).toThrow(message));
});
