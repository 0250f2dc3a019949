/** What configurations of encoders say of their blocks, and what of them is refused; which bucket a distance falls into. */
import { describe, expect, it } from "vitest";
import { specOf } from "../../src/models/config.ts";
import { baseOf } from "../../src/models/families/all.ts";
import { bucketOf, type RelativeSpec } from "../../src/program/relative.ts";
import { type Cost, costOf } from "../../src/protocols/cost.ts";
import { harness } from "../parties/harness.ts";

const bert = {
  num_hidden_layers: 4,
  hidden_size: 32,
  num_attention_heads: 4,
  intermediate_size: 48,
  vocab_size: 60,
  max_position_embeddings: 40,
};
const deberta = { model_type: "deberta-v2", relative_attention: true, pos_att_type: "p2c|c2p" };
const of = (fields: Record<string, unknown>) => specOf(JSON.stringify({ ...bert, ...fields }));

describe("encoders", () => {
  it("have tables of their own width", () => {
    expect(of({ model_type: "electra" }).blocks.embeddingWidth).toBe(128);
    expect(of({ model_type: "electra", embedding_size: 32 }).blocks.embeddingWidth).toBe(null);
    expect(of({ model_type: "albert", embedding_size: 16 }).blocks.embeddingWidth).toBe(16);
    // ALBERT's pass a dense layer whatever their width.
    expect(of({ model_type: "albert", embedding_size: 32 }).blocks.embeddingWidth).toBe(32);
  });

  it("have the function that their class has where the file names none", () => {
    expect([of({ model_type: "electra" }).gelu, of({ model_type: "albert" }).gelu]).toEqual(["exact", "tanh"]);
  });

  it("have distances as the file says", () => {
    const plain = { ofQueries: true, ofKeys: true, shared: false, normed: false };
    expect(of(deberta).blocks.relative).toEqual({ kind: "disentangled", span: 40, most: 0, ...plain });
    expect(
      of({ ...deberta, position_buckets: 8, pos_att_type: ["c2p"], norm_rel_ebd: "layer_norm" }).blocks.relative,
    ).toEqual({ kind: "disentangled", span: 8, most: 40, ...plain, ofKeys: false, normed: true });
    expect(of(deberta)).toMatchObject({ types: 1, epsilon: 1e-7, blocks: { positionTable: true, typeTable: false } });
  });

  it.each<[string, Record<string, unknown>, RegExp]>([
    ["groups that share nothing", { model_type: "albert", num_hidden_groups: 3 }, /num_hidden_groups must divide/],
    ["groups of several layers", { model_type: "albert", inner_group_num: 2 }, /inner_group_num: must be 1/],
    ["another function", { model_type: "albert", hidden_act: "silu" }, /hidden_act "silu" is not supported/],
    ["another number of buckets", { model_type: "mpnet", relative_attention_num_buckets: 16 }, /must be 32/],
    ["another padding", { model_type: "mpnet", pad_token_id: 0 }, /pad_token_id: must be 1/],
    ["no distances", { ...deberta, relative_attention: false }, /relative_attention: must be true/],
    ["distances that nothing meets", { ...deberta, pos_att_type: [] }, /pos_att_type must list c2p, p2c or both/],
    ["distances that meet distances", { ...deberta, pos_att_type: "p2p|c2p" }, /pos_att_type must list/],
    ["a convolution", { ...deberta, conv_kernel_size: 3 }, /conv_kernel_size: must be 0/],
    ["tables of another width", { ...deberta, embedding_size: 16 }, /embedding_size must equal hidden_size/],
    ["heads of another width", { ...deberta, attention_head_size: 16 }, /attention_head_size must be/],
    ["positions of another kind", { model_type: "electra", position_embedding_type: "relative_key" }, /absolute/],
  ])("with %s are refused", (_, fields, message) => expect(() => of(fields)).toThrow(message));
});

describe("a distance's bucket is transformers'", () => {
  /** The first distance from 7 on of each bucket, as PyTorch's 32-bit logarithms part them. */
  const starts = (spec: RelativeSpec) => {
    const buckets = Array.from({ length: 600 }, (_, distance) => bucketOf(spec, distance));
    return buckets.flatMap((bucket, at) => (at > 6 && bucket !== buckets[at - 1] ? [`${at}:${bucket}`] : [])).join(" ");
  };
  const disentangled = { kind: "disentangled", ofQueries: true, ofKeys: true, shared: true, normed: true } as const;

  it.each<[string, RelativeSpec, string]>([
    ["MPNet", { kind: "bias", buckets: 32, most: 128 }, "7:23 8:24 12:25 16:26 23:27 32:28 46:29 64:30 91:31"],
    ["DeBERTa of few buckets", { ...disentangled, span: 8, most: 40 }, "9:2 19:1 40:0"],
    ["DeBERTa without logarithms", { ...disentangled, span: 10, most: 0 }, "7:3 8:2 9:1 10:0"],
  ])("%s", (_, spec, expected) => {
    expect(starts(spec)).toBe(expected);
    // Behind and before: mirrored.
    const ahead = [-3, -11].map((distance) => bucketOf(spec, distance));
    expect(ahead).toEqual(
      spec.kind === "bias"
        ? [3, 8]
        : [3, 11].map((d) => Math.min(2 * spec.span - 1, 2 * spec.span - bucketOf(spec, d))),
    );
  });
});

it("distances cost no flight, nor bytes where they are numbers", async () => {
  const shape = (name: string) => ({ ...baseOf(name), positionOffset: name === "bert" ? 0 : 2, softmax: "exact" });
  const [plain, numbers, products] = await Promise.all(
    ["bert", "mpnet", "deberta-v2"].map(async (name) => costOf((await harness(shape(name), 16)).program)),
  );
  expect(new Set([plain, numbers, products].map((cost) => cost.online.flights)).size).toBe(1);
  const offline = (cost: Cost) => cost.steps.filter(({ kind }) => kind === "relative").map((step) => step.offline);
  expect(offline(plain)).toEqual([]);
  expect(offline(numbers).map((bytes) => bytes.dealer_to_server)).toEqual([0, 0]);
  // An element a score, of 4 heads: of 16 queries, and of the one that is read of the last layer.
  const bits = offline(products).map((bytes) => (bytes.dealer_to_server * 8) / (4 * 16));
  expect(bits[0] / 16).toBeLessThan(64);
  expect(bits[1]).toBeLessThan(64);
  expect(Math.min(...bits)).toBeGreaterThan(0);
});
