/** Models that read images, against PyTorch: floats, the parties' fixed point, the folder saved again; what is refused. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { calibrate } from "../../src/compiler/calibrate.ts";
import { loadModel } from "../../src/models/checkpoint.ts";
import { specOf, withOverrides } from "../../src/models/config.ts";
import { logitsOf } from "../../src/models/model.ts";
import { simulateText } from "../../src/parties/rehearse.ts";
import { imageInput } from "../../src/program/images.ts";
import type { ModelSpec } from "../../src/program/spec.ts";
import { FloatOps } from "../../src/reference/float.ts";
import { Ring } from "../../src/ring/ring.ts";
import { expectSavedAsItWas } from "./saved.ts";

const OWN = new URL("./fixtures/images/vit", import.meta.url).pathname;
/** A folder of others' making, where it is at hand: its pixels go from -1 to 1 in equal steps. */
const SHARED = ["../../../shared/cases-hf/vit", "../../../../shared/cases-hf/vit"]
  .map((path) => new URL(path, import.meta.url).pathname)
  .filter((path) => existsSync(path));

const ring = Ring.create();

function goldenOf(folder: string, { blocks: { patches } }: ModelSpec) {
  const golden = JSON.parse(readFileSync(join(folder, "golden.json"), "utf8"));
  const logits: readonly number[] = golden.logits.flat();
  const { image, channels } = patches!;
  const count = channels * image * image;
  const pixels = Array.isArray(golden.pixels)
    ? golden.pixels
    : Array.from({ length: count }, (_, i) => (2 * i) / (count - 1) - 1);
  return { pixels: Float32Array.from(pixels), logits };
}

const worst = (got: ArrayLike<number>, expected: readonly number[]) =>
  Math.max(...expected.map((x, i) => Math.abs(x - got[i])));

describe.each([OWN, ...SHARED].map((path, i) => [i === 0 ? "vit" : "another vit", path]))("%s", (_, folder) => {
  it("gives PyTorch's logits in floats and under multi-party computation, with stand-ins and public tables what floats give", async () => {
    const { spec, weights } = await loadModel(folder);
    const { pixels, logits } = goldenOf(folder, spec);
    const image = imageInput(spec.blocks.patches!, pixels);
    const floats = (own: ModelSpec) => logitsOf(new FloatOps(weights, image, image.ids.length), own).data;
    expect(worst(floats(spec), logits)).toBeLessThan(1e-4);
    const cheap = withOverrides(spec, { gelu: "quad", softmax: "2quad:5", embedding: "public" });
    for (const [own, expected] of [
      [spec, logits],
      [cheap, [...floats(cheap)]],
    ] as const) {
      const run = await simulateText(await ring, { spec: own, weights, plan: calibrate(own, weights, [image]) }, image);
      expect(run.violations).toEqual([]);
      expect(run.program.shape.length).toBe(spec.positions);
      expect(worst(run.logits, expected)).toBeLessThan(0.05);
    }
  });

  it("is saved as it was", () => expectSavedAsItWas(folder));
});

it("texts are refused, and images of another size or without numbers", async () => {
  const { spec, weights, tokenizer } = await loadModel(OWN);
  const { patches } = spec.blocks;
  expect(() => tokenizer.encode("a film")).toThrow("this model reads images: give one in place of a text");
  const text = { ids: [0, 0], types: [0, 0] };
  expect(() => logitsOf(new FloatOps(weights, text, 2), spec)).toThrow(/reads images: give one of its size/);
  expect(() => imageInput(patches!, new Float32Array(5))).toThrow(/images of 3 times 18 by 18 values/);
  expect(() => imageInput(patches!, new Float32Array(972).fill(Number.NaN))).toThrow(/values that are no numbers/);
});

it.each<[string, Record<string, unknown>, RegExp]>([
  ["patches that do not divide it", { patch_size: 5 }, /patch_size must divide image_size/],
  ["an image that is no square", { image_size: [16, 8] }, /image_size/],
  ["another function", { hidden_act: "silu" }, /hidden_act "silu" is not supported/],
  ["another head", { architectures: ["ViTForMaskedImageModeling"] }, /give a ViTForImageClassification/],
  ["no head", { architectures: ["ViTModel"] }, /give a ViTForImageClassification/],
])("a configuration with %s is refused", async (_, fields, message) => {
  const config = JSON.parse(readFileSync(join(OWN, "config.json"), "utf8"));
  expect(() => specOf(JSON.stringify({ ...config, ...fields }))).toThrow(message);
});
