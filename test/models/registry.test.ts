import { expect, it } from "vitest";
import { gelu, list, register, silu, softmax } from "../../src/approximations/registry.ts";
import { FloatOps } from "../../src/reference/float.ts";
import type { FloatTensor } from "../../src/reference/tensor.ts";

/** Scores of one head: two rows, three of the text's keys and one padded. */
const scores: FloatTensor = {
  rows: 2,
  columns: 4,
  data: Float32Array.of(1, -2, 0.5, 0, -1, -1, 3, 0),
  heads: 1,
  ownRows: 2,
  ownColumns: 3,
};

function floats(): FloatOps {
  return new FloatOps({ get: (name) => expect.fail(name) }, { ids: [1, 2, 3], types: [0, 0, 0] }, 4);
}

it.each<[string, number[]]>([
  ["2quad", [36, 9, 30.25, 0, 16, 16, 64, 0]],
  ["2quad:1", [4, 1, 2.25, 0, 0, 0, 16, 0]],
  ["2relu", [1.01, 0.01, 0.51, 0, 0.01, 0.01, 3.01, 0]],
  ["2linear", [1, -2, 0.5, 0, -1, -1, 3, 0]],
  ["exact", [1, Math.exp(-3), Math.exp(-0.5), 0, Math.exp(-4), Math.exp(-4), 1, 0]],
])("softmax %s gives its weights, and 0 to padded keys", (name, expected) => {
  const out = softmax(name).apply(floats(), scores).data;
  for (const [i, value] of expected.entries()) expect(out[i]).toBeCloseTo(value, 6);
});

it.each<[string, number[]]>([
  ["exact", [0.841345, -0.0455, 0.345731, 0]],
  ["tanh", [0.841192, -0.045402, 0.345714, 0]],
  ["quad", [0.875, 0.5, 0.65625, 0.5]],
  ["relu", [1, 0, 0.5, 0]],
])("gelu %s", (name, expected) => {
  const out = gelu(name).apply(floats(), scores).data;
  for (const [i, value] of expected.entries()) expect(out[i]).toBeCloseTo(value, 6);
});

it.each<[string, number[]]>([
  ["exact", [0.731059, -0.238406, 0.31123, 0]],
  ["quad", [0.6875, -0.25, 0.296875, 0]],
])("silu %s", (name, expected) => {
  const out = silu(name).apply(floats(), scores).data;
  for (const [i, value] of expected.entries()) expect(out[i]).toBeCloseTo(value, 6);
});

it("writes names with their parameter", () => {
  expect([softmax("2quad").name, softmax("2quad:4.50").name, gelu("quad").name]).toEqual([
    "2quad:5",
    "2quad:4.5",
    "quad",
  ]);
  expect(softmax(softmax("2quad:-1e-3").name).name).toBe("2quad:-0.001");
});

it.each([
  ["cubic", /^unknown gelu "cubic": use one of exact, tanh, quad, relu/],
  ["\u001b[2J", /^unknown gelu: use one of/],
  ["constructor", /^unknown gelu "constructor"/],
  ["quad:3", /takes no parameter: write it without a colon/],
])("refuses gelu %j", (name, message) => expect(() => gelu(name)).toThrow(message));

it.each(["2quad:", "2quad:x", "2quad:1:2", "2quad:Infinity", "2quad:0x1"])("refuses softmax %j", (name) => {
  expect(() => softmax(name)).toThrow(/"2quad" takes a number: write it as 2quad:5/);
});

it("takes new entries, each name once", () => {
  const entry = {
    name: "test-identity",
    kind: "gelu" as const,
    description: "x",
    formula: "x",
    source: "this test",
    apply: <T>(_ops: unknown, x: T): T => x,
  };
  register(entry);
  expect(gelu("test-identity").apply(floats(), scores)).toBe(scores);
  expect(list("gelu").map((one) => one.name)).toContain("test-identity");
  expect(() => register(entry)).toThrow(/already registered/);
  expect(() => register({ ...entry, name: "Two Words" })).toThrow(/choose another/);
});

it("describes every entry in one line", () => {
  for (const { description, formula, source } of list())
    expect(`${description}${formula}${source}`).toMatch(/^[^\n]+$/);
});
