/** What a served model is known by: its public name and the key of R live exactly as long as its weights. */
import { cp, mkdir, mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { asset, named } from "../../src/cli/named.ts";
import { identity, openModel, openSource, planJson, planOf, planPathOf } from "../../src/cli/source.ts";
import { catalogSpec } from "../../src/models/catalog.ts";
import { FileStore } from "../../src/stores/file-store.ts";

const FIXTURES = fileURLToPath(new URL("../models/fixtures", import.meta.url));

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "source-"));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

it.each(["model.safetensors", "model-00001-of-00001.safetensors"])(
  "a weight that changes in %s gives another name and another R, though the plan stays",
  async (file) => {
    const [folder, store] = [join(dir, "model"), join(dir, "store")];
    await cp(asset("demo"), folder, { recursive: true });
    await rename(join(folder, "model.safetensors"), join(folder, file));
    await writeFile(join(folder, "model.safetensors.index.json"), JSON.stringify({ weight_map: { any: file } }));
    const known = async () => identity(await openModel(folder, { overrides: {} }), new FileStore(store));
    const first = await known();
    const again = await known();
    expect([again.id, again.key.expose()]).toEqual([first.id, first.key.expose()]);
    const bytes = await readFile(join(folder, file));
    // A bit of the last number's fraction.
    bytes[bytes.length - 2] ^= 1;
    await writeFile(join(folder, file), bytes);
    const second = await known();
    expect(second.id).not.toBe(first.id);
    expect(second.key.expose()).not.toEqual(first.key.expose());
  },
);

describe("a name", () => {
  const origin = process.cwd();
  const overrides = {};
  beforeEach(() => process.chdir(dir));
  afterEach(() => process.chdir(origin));

  it.each(["gpt2-tiny", "bert-base", "demo", "storyteller"])(
    "of a model's folder is that folder, though this package has a %s of its own",
    async (name) => {
      await cp(join(FIXTURES, "bert-cased"), name, { recursive: true });
      const warnings: string[] = [];
      const source = await openSource(name, { overrides, unplanned: (warning) => warnings.push(warning) });
      expect(source.spec.vocabulary).toBe(JSON.parse(await readFile(join(name, "config.json"), "utf8")).vocab_size);
      expect(warnings).toHaveLength(1);
      await expect(openModel(name, { overrides })).rejects.toThrow(
        `${name} has no ranges: run "mpcformer calibrate ${name} --data FILE"`,
      );
    },
  );

  it("of another folder is not", async () => {
    for (const name of ["demo", "bert-tiny", "other"]) await mkdir(name);
    expect(await named("demo")).toMatchObject({ kind: "folder", ships: true });
    expect(await named("bert-tiny")).toEqual({ kind: "shape", shape: "bert-tiny" });
    await expect(openModel("other", { overrides })).rejects.toThrow(/no config\.json/);
  });

  it("of a shape is no model with weights: they are random", async () => {
    await expect(openModel("bert-base", { overrides })).rejects.toThrow(
      /^bert-base is a shape with random weights, for plan and bench alone: give a Hugging Face folder, or one of demo/,
    );
    await expect(openModel("bert-bose", { overrides })).rejects.toThrow(/no such model: .* one of demo, storyteller$/);
    await expect(openSource("bert-bose", { overrides })).rejects.toThrow(/no such model: .* one of demo, .*bert-base/);
  });
});

describe("ranges", () => {
  const overrides = { gelu: "exact", softmax: "exact" };

  it("of other stand-ins are not taken, and not guessed", async () => {
    const folder = join(dir, "model");
    await cp(asset("demo"), folder, { recursive: true });
    await expect(openModel(folder, { overrides })).rejects.toThrow(
      `${folder} has no ranges for exact and exact: run "mpcformer calibrate ${folder} --gelu exact --softmax exact --data FILE"`,
    );
    const calibration = join(dir, "texts.txt");
    await writeFile(calibration, "a dull film\n");
    expect((await openModel(folder, { overrides, calibration })).plan.ranges).toHaveProperty(["embeddings.out"]);
  });

  it("of a model that ships are made of texts of its own kind, or refused", async () => {
    expect((await openModel("demo", { overrides })).spec.gelu).toBe("exact");
    await expect(openModel("storyteller", { overrides: { gelu: "exact" } })).rejects.toThrow(
      /^storyteller ships without ranges for exact and .*: give texts like the users' to --calibrate$/,
    );
  });
});

describe("planOf", () => {
  const spec = { gelu: "quad", softmax: "2quad:5" } as Parameters<typeof planOf>[1];
  const range = (ends: string) =>
    `{"gelu":"quad","softmax":"2quad:5","plan":{"ranges":{"embeddings.out":${ends}},"exponents":{},"margin":2}}`;

  it.each(["[0,1]", "[1,1]", "[-4611686018427387904,0]"])("takes a range of %s", (ends) => {
    expect(planOf(range(ends), spec)?.ranges["embeddings.out"]).toEqual(JSON.parse(ends));
  });

  it("reads the plan of an earlier release, which counted operations instead of naming them", () => {
    const bert = catalogSpec("bert-tiny");
    const ranges = { "0.word": [0, 1], "1.out": [1, 2], "6.head.1": [2, 3], "7.out": [3, 4], "38.out": [4, 5] };
    const text = JSON.stringify({ gelu: bert.gelu, softmax: bert.softmax, plan: { ranges, exponents: {}, margin: 2 } });
    expect(planOf(text, bert)?.ranges).toEqual({
      "embeddings.word": [0, 1],
      "layer.0.query.out": [1, 2],
      "layer.0.scores.head.1": [2, 3],
      "layer.0.shifted.out": [3, 4],
      "classifier.out": [4, 5],
    });
  });

  it.each(["[1,0]", "[0,1e999]", "[-1e19,0]", "[0]", "[0,null]", "{}"])("refuses a range of %s", (ends) => {
    expect(() => planOf(range(ends), spec)).toThrow(/is not a plan: run "mpcformer calibrate" again/);
  });
});

it("a GGUF file is a model whose plan lies beside it", async () => {
  const file = join(dir, "pairs.gguf");
  await cp(join(FIXTURES, "gguf", "pairs.gguf"), file);
  await expect(openModel(file, { overrides: {} })).rejects.toThrow(`run "mpcformer calibrate ${file} --data FILE"`);
  const texts = join(dir, "texts.txt");
  await writeFile(texts, "It was a wonderful evening\n");
  const { spec, plan } = await openModel(file, { overrides: {}, calibration: texts });
  expect(planPathOf(file)).toBe(join(dir, "pairs.mpcformer.json"));
  await writeFile(planPathOf(file), planJson(spec, plan));
  const again = await openModel(file, { overrides: {} });
  expect(again.plan).toEqual(plan);
  expect((await again.readWeights()).get("norm.weight")).toEqual(again.weights.get("norm.weight"));
});
