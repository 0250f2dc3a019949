import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { anyTokenizer } from "../../src/models/any-tokenizer.ts";
import { loadModel, loadSpec, loadTokenizer, saveModel } from "../../src/models/checkpoint.ts";
import { type GgufValue, readGgufHeader } from "../../src/models/gguf/header.ts";
import { ggufTokenizer } from "../../src/models/gguf/tokenizer.ts";
import { logitsOf } from "../../src/models/model.ts";
import { type ByteSource, bytesSource } from "../../src/models/safetensors.ts";
import { FloatOps } from "../../src/reference/float.ts";
import { fixture } from "./fixtures.ts";
import { ggufBytes, list, TYPES, tinyLlama, type WrittenTensor } from "./gguf-bytes.ts";

interface GgufGolden {
  readonly blocks: Readonly<Record<string, { readonly shape: readonly number[]; readonly data: string }>>;
  readonly cuts: Readonly<Record<string, readonly (readonly number[])[]>>;
  readonly template: string;
  readonly models: Readonly<
    Record<
      string,
      {
        readonly texts: readonly { readonly text: string; readonly ids: readonly number[]; readonly decoded: string }[];
        readonly ids: readonly number[];
        readonly logits: readonly (readonly number[])[];
      }
    >
  >;
}

const FOLDER = fixture("gguf");
const golden: GgufGolden = JSON.parse(readFileSync(join(FOLDER, "golden.json"), "utf8"));
/** Of files of other architectures than Llama's. */
const families: Readonly<Record<string, Pick<GgufGolden["models"][string], "ids" | "logits">>> = JSON.parse(
  readFileSync(join(FOLDER, "families.json"), "utf8"),
);
/** 32-bit floats on both sides; logits are of the order of 1, written with five places. */
const TOLERANCE = 1e-4;

const bytesOf = (name: string) => new Uint8Array(readFileSync(join(FOLDER, `${name}.gguf`)));
const file = (name: string) => join(FOLDER, `${name}.gguf`);

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), "mpcformer-test-"));
  onTestFinished(() => rmSync(made, { recursive: true }));
  return made;
}

describe("blocks", async () => {
  const bytes = bytesOf("blocks");
  const { tensors } = await readGgufHeader(bytesSource(bytes), "blocks.gguf");

  it("has one tensor of every type that is read", () => {
    const read = [...TYPES.values()].filter(({ decode }) => decode !== undefined).map(({ name }) => name);
    expect(Object.keys(golden.blocks).sort()).toEqual(read.sort());
  });

  it.each(Object.keys(golden.blocks))("%s has the values that llama.cpp's own package reads", (name) => {
    const { type, shape, begin, end } = tensors.get(name)!;
    const expected = Buffer.from(golden.blocks[name].data, "base64");
    const floats = new Float32Array(new Uint8Array(expected).buffer);
    const own = new Float32Array(floats.length);
    type.decode!(bytes.subarray(begin, end), own);
    expect(shape).toEqual(golden.blocks[name].shape);
    expect(own.findIndex((value, i) => value !== floats[i])).toBe(-1);
  });
});

describe.each(Object.keys(golden.models))("%s.gguf", (name) => {
  const { texts, ids, logits } = golden.models[name];

  it("has transformers' tokens, both ways", async () => {
    const { tokenizer } = await loadModel(file(name));
    for (const one of texts) {
      expect(tokenizer.encode(one.text).ids).toEqual(one.ids);
      expect(tokenizer.decode(one.ids)).toBe(one.decoded);
    }
  });

  it("gives transformers' logits of all positions", async () => {
    const { spec, weights } = await loadModel(file(name));
    const ops = new FloatOps(weights, { ids, types: ids.map(() => 0) }, ids.length, { scoring: true });
    const own = logitsOf(ops, spec);
    const worst = logits.flat().reduce((most, x, i) => Math.max(most, Math.abs(x - own.data[i])), 0);
    expect([own.rows, own.columns]).toEqual([ids.length, spec.vocabulary]);
    expect(worst).toBeLessThan(TOLERANCE);
  });

  it("becomes a Hugging Face folder that is the same model", async () => {
    const [model, saved] = [await loadModel(file(name)), folder()];
    await saveModel(saved, model);
    const again = await loadModel(saved);
    expect(again.spec).toEqual(model.spec);
    expect(again.tokenizer.encode(texts[1].text)).toEqual(model.tokenizer.encode(texts[1].text));
    for (const weight of ["layer.1.query.weight", "layer.0.key.weight", "head.weight"])
      expect(again.weights.get(weight)).toEqual(model.weights.get(weight));
  });
});

describe.each(Object.keys(families))("a %s file", (name) => {
  const { ids, logits } = families[name];

  it("gives PyTorch's logits of all positions, and becomes a folder that is the same model", async () => {
    const model = await loadModel(file(`family-${name}`));
    const logitsIn = ({ spec, weights }: typeof model) =>
      logitsOf(new FloatOps(weights, { ids, types: ids.map(() => 0) }, ids.length, { scoring: true }), spec).data;
    expect(model.spec.architecture).toBe(name);
    const own = logitsIn(model);
    const expected = logits.flat();
    expect(own.length).toBe(expected.length);
    expect(expected.reduce((most, x, i) => Math.max(most, Math.abs(x - own[i])), 0)).toBeLessThan(TOLERANCE);
    const saved = folder();
    await saveModel(saved, model);
    const again = await loadModel(saved);
    expect(again.spec).toEqual(model.spec);
    expect(logitsIn(again).every((x, i) => Math.abs(x - own[i]) < 1e-5)).toBe(true);
  });
});

describe("the tokenizer of a file", async () => {
  const header = await readGgufHeader(bytesSource(bytesOf("pairs")), "pairs.gguf");
  const spec = await loadSpec(file("pairs"));
  const changed = (changes: Readonly<Record<string, GgufValue | undefined>>) => {
    const values = new Map(header.values);
    for (const [key, value] of Object.entries(changes)) {
      if (value === undefined) values.delete(`tokenizer.ggml.${key}`);
      else values.set(`tokenizer.ggml.${key}`, value);
    }
    return ggufTokenizer({ values }, "pairs.gguf");
  };

  it.each(Object.keys(golden.cuts))("cuts a text as %s says", (pre) => {
    const tokenizer = anyTokenizer(changed({ pre, add_bos_token: false }), spec);
    const ids = golden.models.pairs.texts.slice(0, 3).map(({ text }) => tokenizer.encode(text).ids);
    expect(ids).toEqual(golden.cuts[pre]);
  });

  it("begins a text with the first token where its kind does, and ends it where the file says", () => {
    const begins = (changes: Parameters<typeof changed>[0]) =>
      anyTokenizer(changed({ add_bos_token: undefined, ...changes }), spec)
        .encode("a")
        .ids.includes(1);
    expect(begins({})).toBe(true);
    expect(begins({ pre: "gpt-2" })).toBe(false);
    expect(begins({ pre: "gpt-2", add_bos_token: true })).toBe(true);
    expect(
      anyTokenizer(changed({ add_eos_token: true }), spec)
        .encode("a")
        .ids.at(-1),
    ).toBe(0);
  });

  it("keeps the chat template, the names of special tokens and every token that ends a text", async () => {
    const { files, endIds } = await loadTokenizer(file("pairs"), spec);
    const settings = JSON.parse(files["tokenizer_config.json"]!);
    expect(settings).toMatchObject({ chat_template: golden.template, bos_token: "<|start|>", eos_token: "<|end|>" });
    expect(endIds).toEqual([0]);
    expect(anyTokenizer(changed({ eot_token_id: 1 }), spec).endIds).toEqual([0, 1]);
  });

  it.each<[string, Parameters<typeof changed>[0], string]>([
    ["a kind of tokenizer", { model: "bert" }, "tokenizer.ggml: model: only the kinds gpt2 and llama"],
    ["no kind of cut", { pre: undefined }, "tokenizer.ggml.pre is missing: convert the model again"],
    ["an unknown kind of cut", { pre: "bloom" }, 'tokenizer.ggml.pre: "bloom" is not supported'],
    ["no rules", { merges: undefined }, "tokenizer.ggml.merges is missing"],
    ["no scores", { model: "llama" }, "tokenizer.ggml.scores is missing"],
    ["kinds of other tokens", { token_type: [1, 1] }, "token_type is not as long as the vocabulary"],
    ["a special token that is none", { eos_token_id: 1_000_000 }, "a special token's number is none"],
  ])("refuses %s", (_, changes, message) => {
    expect(() => changed(changes)).toThrow(message);
  });
});

describe("a file", () => {
  const refused = async (bytes: Uint8Array, message: RegExp) => {
    const path = join(folder(), "model.gguf");
    writeFileSync(path, bytes);
    await expect(loadModel(path)).rejects.toThrow(message);
  };
  const { values, tensors } = tinyLlama();
  const withValues = (changes: Readonly<Record<string, (typeof values)[string] | undefined>>) => ({
    values: Object.fromEntries(
      Object.entries({ ...values, ...changes }).filter((one): one is [string, (typeof values)[string]] => !!one[1]),
    ),
    tensors,
  });
  const withTensor = (index: number, change: Partial<WrittenTensor>) => ({
    values,
    tensors: tensors.map((tensor, i) => (i === index ? { ...tensor, ...change } : tensor)),
  });

  it("is taken when it is whole", async () => {
    const path = join(folder(), "model.gguf");
    writeFileSync(path, ggufBytes({ values, tensors }));
    expect((await loadModel(path)).spec).toMatchObject({ architecture: "llama", hidden: 4, heads: 1, tied: true });
  });

  it.each<[string, Parameters<typeof ggufBytes>[0], RegExp]>([
    [
      "of another architecture",
      withValues({ "general.architecture": [8, "mamba"] }),
      /"mamba" is not supported as GGUF/,
    ],
    ["in parts", withValues({ "split.count": [2, 3] }), /one of 3 parts of a model: join them/],
    ["with experts", withValues({ "llama.expert_count": [4, 8] }), /expert_count: must be 0/],
    ["with scaled positions", withValues({ "llama.rope.scaling.type": [8, "yarn"] }), /scaling.type: must be none/],
    ["with what is not known", withValues({ "llama.logit_scale": [6, 2] }), /llama.logit_scale is not supported/],
    ["rotated in part", withValues({ "llama.rope.dimension_count": [4, 2] }), /heads are rotated in part/],
    ["without a size", withValues({ "llama.block_count": undefined }), /block_count: the field is missing/],
    ["of a wrong kind", withValues({ "llama.block_count": [8, "1"] }), /block_count: must be a number/],
    ["without a tensor", { values, tensors: tensors.slice(0, -1) }, /weights lack model.norm.weight/],
    ["with another tensor", withTensor(1, { name: "rope_freqs.weight" }), /rope_freqs.weight is no part/],
    ["with a tensor twice", withTensor(1, { name: "token_embd.weight" }), /has tensor token_embd.weight twice/],
    ["with another shape", withTensor(1, { shape: [5] }), /blk.0.attn_norm.weight has shape \[5\]/],
    ["with a type that is not read", withTensor(1, { type: 28 }), /holds F64, which is not read: convert it/],
    ["with an unknown type", withTensor(1, { type: 99 }), /is of an unknown type: convert/],
    ["with broken rows", withTensor(1, { type: 2 }), /rows that are no whole blocks of Q4_0/],
    ["with a gap", withTensor(1, { offset: 4096 }), /blk.0.attn_norm.weight leaves a gap or overlaps/],
    ["with what is no number", withTensor(1, { fill: Number.NaN }), /attn_norm.weight has a value that is not finite/],
    ["aligned to nothing", withValues({ "general.alignment": [4, 3] }), /alignment is no power of 2/],
    ["with a value twice", { values, tensors, repeat: true }, /names something twice/],
    ["with a list of lists", withValues({ x: list(9, []) }), /x is a list of lists/],
  ])("%s is refused", (_, content, message) => refused(ggufBytes(content), message));

  it("that is another, older, longer or cut is refused", async () => {
    const bytes = ggufBytes({ values, tensors });
    const edited = (at: number, ...own: number[]) => {
      const copy = bytes.slice();
      copy.set(own, at);
      return copy;
    };
    await refused(edited(0, 0x67), /does not begin with GGUF/);
    await refused(edited(4, 1), /version of GGUF that is not supported/);
    await refused(edited(4, 0, 0, 0, 3), /version of GGUF that is not supported/);
    await refused(edited(8, 255, 255, 255, 255), /more than 100000 tensors/);
    await refused(edited(16, 255, 255, 255, 255), /more than 10000 values/);
    for (const length of [0, 3, 30, 300, bytes.length - 40])
      await refused(bytes.slice(0, length), /ends too early|lies beyond the end of the file/);
  });

  it("is never given what it claims: nothing longer than the file is asked for", async () => {
    const bytes = ggufBytes({ values: { x: list(8, ["a"]) }, tensors: [] });
    const asked: number[] = [];
    const source: ByteSource = {
      size: bytes.length,
      read: (offset, into) => {
        asked.push(into.length);
        return bytesSource(bytes).read(offset, into);
      },
    };
    const view = new DataView(bytes.buffer);
    const lengths = [24, 24 + 8 + 1 + 4 + 4, 24 + 8 + 1 + 4 + 4 + 8]; // of the name, the list, its text
    for (const at of lengths) {
      const before = view.getBigUint64(at, true);
      view.setBigUint64(at, 2n ** 40n, true);
      await expect(readGgufHeader(source, "it")).rejects.toThrow(/ends too early|does not fit into the file/);
      view.setBigUint64(at, before, true);
    }
    expect(Math.max(...asked)).toBeLessThanOrEqual(bytes.length);
    expect((await readGgufHeader(source, "it")).values.get("x")).toEqual(["a"]);
  });
});
