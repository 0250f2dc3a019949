import { describe, expect, it } from "vitest";
import { catalogNames, catalogSpec } from "../../src/models/catalog.ts";
import { configJson, specOf } from "../../src/models/config.ts";

const base = {
  model_type: "bert",
  num_hidden_layers: 2,
  hidden_size: 128,
  num_attention_heads: 2,
  intermediate_size: 512,
  vocab_size: 30_522,
  max_position_embeddings: 512,
};
const spec = (fields: Record<string, unknown>, overrides = {}) =>
  specOf(JSON.stringify({ ...base, ...fields }), overrides);

describe("specOf", () => {
  it("fills in Hugging Face's defaults", () => {
    expect(spec({})).toEqual(catalogSpec("bert-tiny", { embedding: "private", gelu: "exact", softmax: "exact" }));
    expect(spec({ model_type: "roberta", type_vocab_size: 1 })).toMatchObject({ positionOffset: 2, types: 1 });
    expect(spec({ model_type: "roberta", pad_token_id: 4 }).positionOffset).toBe(5);
  });

  it("knows labels and problems", () => {
    expect(spec({ id2label: { 0: "no", 1: "yes", 2: "so" } }).labelNames).toEqual(["no", "yes", "so"]);
    expect(spec({ num_labels: 3 })).toMatchObject({ labels: 3, problem: "classification" });
    expect(spec({ num_labels: 1 }).problem).toBe("regression");
    expect(spec({ id2label: { 0: "LABEL_0" } })).toMatchObject({ labels: 1, problem: "regression" });
    expect(spec({ num_labels: 2, problem_type: "regression" }).problem).toBe("regression");
  });

  it("knows stand-ins: its own field, MPCFormer's, and the caller's choice over both", () => {
    expect(spec({ mpcformer: { gelu: "quad", softmax: "2quad", embedding: "private" } })).toMatchObject({
      gelu: "quad",
      softmax: "2quad:5",
      embedding: "private",
    });
    expect(spec({ hidden_act: "quad", softmax_act: "2quad" })).toMatchObject({ gelu: "quad", softmax: "2quad:5" });
    expect(spec({ hidden_act: "relu" }).gelu).toBe("relu");
    expect(spec({ hidden_act: "gelu_new" }).gelu).toBe("exact");
    expect(spec({ mpcformer: { gelu: "quad" } }, { gelu: "exact", softmax: "2relu" })).toMatchObject({
      gelu: "exact",
      softmax: "2relu:0.01",
    });
  });

  it.each<[string, Record<string, unknown>, RegExp]>([
    [
      "another model type",
      { model_type: "SECRET" },
      /model_type: this model type is not supported: use bert or roberta/,
    ],
    ["no model type", { model_type: undefined }, /model_type: the field is missing/],
    ["no layers", { num_hidden_layers: 0 }, /num_hidden_layers: must be a whole number from 1 to 128/],
    ["a fractional width", { hidden_size: 12.5 }, /hidden_size: must be a whole number/],
    ["a width as text", { hidden_size: "SECRET" }, /hidden_size: must be a whole number/],
    ["a gigantic vocabulary", { vocab_size: 1e12 }, /vocab_size: must be a whole number from 1 to 2000000/],
    ["heads that do not divide", { num_attention_heads: 3 }, /num_attention_heads must divide hidden_size/],
    ["epsilon 0", { layer_norm_eps: 0 }, /layer_norm_eps: must be 1e-15 or more/],
    ["relative positions", { position_embedding_type: "relative_key" }, /only absolute positions/],
    ["a decoder", { is_decoder: true }, /decoders are not supported/],
    ["another activation", { hidden_act: "SECRET" }, /this hidden_act is not supported: use gelu, relu/],
    ["an unknown stand-in", { mpcformer: { softmax: "3quad" } }, /unknown softmax "3quad": use one of exact, 2quad/],
    ["an unknown field of ours", { mpcformer: { SECRET: 1 } }, /mpcformer: remove the unknown field/],
    ["an unknown embedding", { mpcformer: { embedding: "SECRET" } }, /embedding: must be public or private/],
    ["several labels at once", { problem_type: "multi_label_classification" }, /problem_type: must be regression or/],
    ["labels that disagree", { num_labels: 3, id2label: { 0: "a", 1: "b" } }, /num_labels and id2label must agree/],
    ["labels with a hole", { id2label: { 0: "a", 2: "b" } }, /id2label must name the labels 0 to 1/],
    [
      "a label that moves the cursor",
      { id2label: { 0: "\u001b[2J", 1: "b" } },
      /labels are 1 to 100 printable letters/,
    ],
    ["too few positions", { model_type: "roberta", max_position_embeddings: 2 }, /must be larger than pad_token_id/],
  ])("refuses %s", (_, fields, message) => {
    expect(() => spec(fields)).toThrow(message);
    try {
      spec(fields);
    } catch (error) {
      expect((error as Error).message).not.toMatch(/SECRET|\n/);
    }
  });

  it("refuses what is not JSON without repeating it", () => {
    expect(() => specOf("SECRET")).toThrow(/^config\.json is not valid JSON: copy the file again$/);
  });
});

it.each(catalogNames)("configJson gives %s back", (name) => {
  const original = catalogSpec(name, { gelu: "quad", softmax: "2quad:4.5", embedding: "private" });
  expect(specOf(configJson(original))).toEqual(original);
  expect(JSON.parse(configJson(original))).toMatchObject({ hidden_act: "gelu" });
});
