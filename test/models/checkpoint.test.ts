import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { anyTokenizer } from "../../src/models/any-tokenizer.ts";
import { loadModel, type Model, saveModel } from "../../src/models/checkpoint.ts";
import { logitsOf } from "../../src/models/model.ts";
import {
  bytesSource,
  readHeader,
  readTensor,
  type TensorToWrite,
  writeSafetensors,
} from "../../src/models/safetensors.ts";
import { requiredWeights } from "../../src/models/weights.ts";
import { FloatOps } from "../../src/reference/float.ts";
import { decoderNames, fixture, fixtureNames, golden } from "./fixtures.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "mpcformer-test-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const weightsFile = () => join(folder, "model.safetensors");
const logits = ({ spec, weights, tokenizer }: Model, text: string) => {
  const tokens = tokenizer.encode(text);
  return [...logitsOf(new FloatOps(weights, tokens, tokens.ids.length), spec).data];
};

/** All tensors of a file in memory, under their names there. */
async function tensorsOf(path: string): Promise<Map<string, TensorToWrite>> {
  const source = bytesSource(readFileSync(path));
  const found = new Map<string, TensorToWrite>();
  for (const [name, entry] of await readHeader(source, "file")) {
    const { shape, data } = await readTensor(source, entry);
    found.set(name, { name, shape, data: () => data });
  }
  return found;
}

async function write(path: string, tensors: Iterable<TensorToWrite>): Promise<void> {
  const parts: Uint8Array[] = [];
  await writeSafetensors([...tensors], "F32", async (bytes) => void parts.push(bytes));
  writeFileSync(path, Buffer.concat(parts));
}

/** A copy of bert-topics with its tensors changed. */
async function changed(change: (tensors: Map<string, TensorToWrite>) => void): Promise<void> {
  cpSync(fixture("bert-topics"), folder, { recursive: true });
  const tensors = await tensorsOf(weightsFile());
  change(tensors);
  await write(weightsFile(), tensors.values());
}

function rename(tensors: Map<string, TensorToWrite>, to: (name: string) => string): void {
  for (const [name, tensor] of [...tensors]) {
    tensors.delete(name);
    tensors.set(to(name), { ...tensor, name: to(name) });
  }
}

describe("saveModel", () => {
  it.each(fixtureNames)("%s: a saved folder gives the same model", async (name) => {
    const model = await loadModel(fixture(name), { gelu: "quad", softmax: "2quad:4" });
    await saveModel(folder, model);
    const again = await loadModel(folder);
    expect(again.spec).toEqual(model.spec);
    for (const tensor of requiredWeights(model.spec).keys()) {
      expect(again.weights.get(tensor)).toEqual(model.weights.get(tensor));
    }
    expect(logits(again, "The sea is full.")).toEqual(logits(model, "The sea is full."));
    expect(readdirSync(folder)).not.toContain("model.safetensors.partial");
    const names = await readHeader(bytesSource(readFileSync(weightsFile())), "file");
    const original = await readHeader(bytesSource(readFileSync(join(fixture(name), "model.safetensors"))), "file");
    expect([...names.keys()].sort()).toEqual([...original.keys()].sort());
  });

  it("halves in F16 and stays close", async () => {
    const model = await loadModel(fixture("bert-topics"));
    await saveModel(folder, model, { dtype: "F16" });
    const [a, b] = [logits(model, "the film"), logits(await loadModel(folder), "the film")];
    for (const [i, value] of a.entries()) expect(Math.abs(value - b[i])).toBeLessThan(0.02);
  });
});

describe("loadModel", () => {
  it("reads shards", async () => {
    cpSync(fixture("bert-topics"), folder, { recursive: true });
    const tensors = [...(await tensorsOf(weightsFile())).values()];
    rmSync(weightsFile());
    await write(join(folder, "model-00001-of-00002.safetensors"), tensors.slice(0, 9));
    await write(join(folder, "model-00002-of-00002.safetensors"), tensors.slice(9));
    const shardOf = (i: number) => `model-0000${i < 9 ? 1 : 2}-of-00002.safetensors`;
    const weight_map = Object.fromEntries(tensors.map(({ name }, i) => [name, shardOf(i)]));
    writeFileSync(join(folder, "model.safetensors.index.json"), JSON.stringify({ metadata: {}, weight_map }));
    expect(logits(await loadModel(folder), "a")).toEqual(logits(await loadModel(fixture("bert-topics")), "a"));
    rmSync(join(folder, shardOf(20)));
    await expect(loadModel(folder)).rejects.toThrow(/model-00002-of-00002.safetensors cannot be opened/);
    writeFileSync(join(folder, "model.safetensors.index.json"), `{"weight_map": {"a": "../a.safetensors"}}`);
    await expect(loadModel(folder)).rejects.toThrow(/weight_map.a: must be a file beside the index/);
  });

  it("reads old names, names without a prefix, and passes over what it does not use", async () => {
    await changed((tensors) => {
      rename(tensors, (name) =>
        name
          .replace("LayerNorm.weight", "LayerNorm.gamma")
          .replace("LayerNorm.bias", "LayerNorm.beta")
          .replace(/^bert\./, ""),
      );
      tensors.set("cls.extra", { name: "cls.extra", shape: [1], data: () => Float32Array.of(1) });
    });
    expect(logits(await loadModel(folder), "a")).toEqual(logits(await loadModel(fixture("bert-topics")), "a"));
  });

  it.each([
    ["bert.encoder.layer.0.attention.self.query.lora_A.weight", true],
    ["bert.encoder.layer.1.output.adapter.bias", true],
    ["bert.embeddings.second.weight", true],
    ["embeddings.word_embeddings_projection.weight", true],
    ["encoder.layer.0.output.extra.weight", true],
    ["bert.embeddings.position_ids", false],
    ["bert.pooler.second.weight", false],
    ["bert.encoder.layer.7.output.dense.weight", false],
    ["cls.predictions.bias", false],
    ["bert.encoder.layer.0.rotary_emb.inv_freq", false],
  ])("of a weight %s that nothing reads, says so: %s", async (name, refused) => {
    await changed((tensors) => tensors.set(name, { name, shape: [1], data: () => Float32Array.of(1) }));
    const loaded = loadModel(folder);
    if (refused) await expect(loaded).rejects.toThrow(/^the weights have \S+, which nothing here reads/);
    else expect(logits(await loaded, "a")).toEqual(logits(await loadModel(fixture("bert-topics")), "a"));
  });

  it.each(["module.", "_orig_mod.", "_orig_mod.module."])("reads names behind %s", async (wrapper) => {
    await changed((tensors) => rename(tensors, (name) => wrapper + name));
    expect(logits(await loadModel(folder), "a")).toEqual(logits(await loadModel(fixture("bert-topics")), "a"));
  });

  it("takes a tensor twice if it is the same, and refuses to choose between two", async () => {
    const name = "bert.embeddings.word_embeddings.weight";
    const twice = (data: (given: Float32Array) => Float32Array) =>
      changed((tensors) => {
        const { shape, data: given } = tensors.get(name)!;
        const other = name.replace("bert.", "");
        tensors.set(other, { name: other, shape, data: () => data(given()) });
      });
    await twice((given) => given);
    expect(logits(await loadModel(folder), "a")).toEqual(logits(await loadModel(fixture("bert-topics")), "a"));
    await twice((given) => given.map((x) => x + 1));
    await expect(loadModel(folder)).rejects.toThrow(/word_embeddings.weight is stored twice, and not the same/);
  });

  it("says when the classifier is missing", async () => {
    await changed((tensors) => {
      for (const name of ["classifier.weight", "classifier.bias"]) tensors.delete(name);
    });
    await expect(loadModel(folder)).rejects.toThrow(/no classifier \(classifier.weight is missing\): fine-tune it/);
  });

  it("names a missing tensor, a wrong shape and a value that is not finite", async () => {
    const name = "bert.encoder.layer.1.output.dense.weight";
    await changed((tensors) => void tensors.delete(name));
    await expect(loadModel(folder)).rejects.toThrow(`the weights lack ${name}`);
    await changed((tensors) => void tensors.set(name, { name, shape: [64, 32], data: tensors.get(name)!.data }));
    await expect(loadModel(folder)).rejects.toThrow(`tensor ${name} has shape [64,32], config.json asks for [32,64]`);
    cpSync(fixture("bert-topics"), folder, { recursive: true });
    const bytes = readFileSync(weightsFile());
    const { begin } = (await readHeader(bytesSource(bytes), "file")).get(name)!;
    bytes.writeUInt32LE(0x7fc00000, begin + 40);
    writeFileSync(weightsFile(), bytes);
    await expect(loadModel(folder)).rejects.toThrow(`tensor ${name} has a value that is not finite`);
    writeFileSync(weightsFile(), bytes.subarray(0, bytes.length - 1));
    await expect(loadModel(folder)).rejects.toThrow(/lies beyond the end of the file/);
  });

  it("says what is missing from a folder", async () => {
    await expect(loadModel(folder)).rejects.toThrow(/no config.json: give the folder of a model/);
    cpSync(fixture("bert-topics"), folder, { recursive: true });
    rmSync(weightsFile());
    await expect(loadModel(folder)).rejects.toThrow(/no model.safetensors/);
    writeFileSync(join(folder, "pytorch_model.bin"), "");
    await expect(loadModel(folder)).rejects.toThrow(
      /only pytorch_model.bin.*AutoModelForSequenceClassification.from_pret/,
    );
    writeFileSync(join(folder, "adapter_config.json"), "{}");
    await expect(loadModel(folder)).rejects.toThrow(/adapter_config.json.*merge it into its model/);
    rmSync(join(folder, "adapter_config.json"));
    rmSync(join(folder, "tokenizer.json"));
    await expect(loadModel(folder)).rejects.toThrow(/no tokenizer: put tokenizer.json or vocab.txt beside config.json/);
  });
});

describe("tied weights", () => {
  const name = decoderNames.find((one) => /gpt2/.test(one))!;
  const head = "lm_head.weight";
  const words = "transformer.wte.weight";
  async function stored(change: (tensors: Map<string, TensorToWrite>) => void): Promise<Float64Array | Float32Array> {
    cpSync(fixture(name), folder, { recursive: true });
    const tensors = await tensorsOf(weightsFile());
    change(tensors);
    await write(weightsFile(), tensors.values());
    const { weights } = await loadModel(folder);
    expect(weights.get("head.weight").data).toEqual(weights.get("embeddings.word").data);
    return weights.get("embeddings.word").data;
  }

  it("are found under either name, and under both", async () => {
    const expected = await stored(() => undefined);
    const asHead = (tensors: Map<string, TensorToWrite>) => {
      const kept = tensors.get(words)!;
      tensors.set(head, { ...kept, name: head });
    };
    expect(await stored(asHead)).toEqual(expected);
    const alone = (tensors: Map<string, TensorToWrite>) => {
      asHead(tensors);
      tensors.delete(words);
    };
    expect(await stored(alone)).toEqual(expected);
    const other = (tensors: Map<string, TensorToWrite>) => {
      asHead(tensors);
      const { data } = tensors.get(head)!;
      tensors.set(head, { ...tensors.get(head)!, data: () => data().map((x) => x + 1) });
    };
    await expect(stored(other)).rejects.toThrow(/the words and the head differ, config.json ties them/);
  });
});

describe("TextTokenizer", () => {
  it("tokenizes alike from RoBERTa's own two files", async () => {
    const { spec, tokenizer } = await loadModel(fixture("roberta-mood"));
    const { "tokenizer.json": _, ...files } = tokenizer.files;
    const own = anyTokenizer(files, spec);
    for (const { text, pair, ids } of golden("roberta-mood").cases)
      expect(own.encode(text, pair ?? undefined).ids).toEqual(ids);
  });

  it.each(["", " ", "\n\t", "\u200b", "\u200d"])(
    "gives the special tokens alone for the empty text %j",
    async (text) => {
      const { tokenizer } = await loadModel(fixture("bert-topics"));
      const [cls, sep] = ["[CLS]", "[SEP]"].map((token) => tokenizer.idOf(token));
      const { ids } = tokenizer.encode("a");
      expect(tokenizer.encode(text).ids).toEqual([cls, sep]);
      expect(tokenizer.encode("a", text)).toEqual({ ids: [...ids, sep], types: [...ids.map(() => 0), 1] });
    },
  );

  it.each([
    // PyTorch's logits in 64-bit floats.
    ["The <pad> film <pad><pad> is slow", undefined, [1.275825, -1.164378]],
    ["<pad>", "was <pad> bad", [1.136812, -1.384249]],
  ])("lets RoBERTa count no position for padding tokens in %j, %j", async (text, pair, expected) => {
    const { spec, weights, tokenizer } = await loadModel(fixture("roberta-mood"));
    const encoded = tokenizer.encode(text, pair);
    const { data } = logitsOf(new FloatOps(weights, encoded, encoded.ids.length), spec);
    for (const [i, x] of expected.entries()) expect(Math.abs(data[i] - x)).toBeLessThan(1e-4);
  });

  it("says the limit and the number of tokens, and truncates only when told", async () => {
    const { spec, tokenizer } = await loadModel(fixture("roberta-mood"));
    expect(tokenizer.limit).toBe(128);
    const long = "the ".repeat(200);
    expect(() => tokenizer.encode(long)).toThrow(
      /^the text has \d{3} tokens, the model takes 128: shorten it, or set truncate$/,
    );
    const { ids } = tokenizer.encode(long, undefined, { truncate: true });
    expect([ids.length, ids[0], ids[127]]).toEqual([128, 0, 2]);
    expect(() => anyTokenizer(tokenizer.files, { ...spec, vocabulary: 10 }).encode("the")).toThrow(
      /beyond the model's 10/,
    );
  });

  it.each<[string, Record<string, unknown>, RegExp]>([
    [
      "a pattern that is not supported",
      { pre_tokenizer: { type: "Split", pattern: { Regex: "(a+)\\1" }, behavior: "Isolated" } },
      /^tokenizer.json: pre_tokenizer.pattern: has \\1, which is not supported$/,
    ],
    [
      "a step in a sequence that is not supported",
      { normalizer: { type: "Sequence", normalizers: [{ type: "SECRET" }] } },
      /^tokenizer.json: normalizer.normalizers.0.type: is not supported: use one of BertNormalizer, /,
    ],
    ["an unknown field", { normalizer: { type: "NFC", SECRET: 1 } }, /^tokenizer.json: normalizer: remove the unknown/],
    [
      "a replacement that makes texts longer",
      { normalizer: { type: "Replace", pattern: { String: "a" }, content: "aa" } },
      /normalizer: Replace must not make texts longer/,
    ],
    [
      "a replacement of nothing",
      { normalizer: { type: "Replace", content: "" } },
      /normalizer.pattern: the field is miss/,
    ],
    [
      "a vocabulary with fractions",
      { model: { type: "BPE", vocab: { a: 0.5 } } },
      /model.vocab: must give each token a whole/,
    ],
    [
      "another model",
      { model: { type: "Pair", vocab: {} } },
      /model.type: is not supported: use one of BPE, WordPiece, /,
    ],
    [
      "tokens by chance",
      { model: { type: "BPE", vocab: {}, merges: [], dropout: 0.1 } },
      /model.dropout: texts would become/,
    ],
    [
      "a rule without tokens",
      { model: { type: "BPE", vocab: { a: 0 }, merges: ["a b"] } },
      /merges: rule 1 has a token/,
    ],
    ["no model", { model: undefined }, /model/],
    ["an unknown post-processor", { post_processor: { type: "SECRET" } }, /post_processor.type: is not supported/],
  ])("refuses a tokenizer.json with %s", async (_, fields, message) => {
    const { spec, tokenizer } = await loadModel(fixture("bert-topics"));
    const json = { ...JSON.parse(tokenizer.files["tokenizer.json"]!), ...fields };
    const settings = JSON.stringify({ tokenizer_class: "PreTrainedTokenizerFast" });
    const files = { "tokenizer.json": JSON.stringify(json), "tokenizer_config.json": settings };
    expect(() => anyTokenizer(files, spec)).toThrow(message);
  });
});
