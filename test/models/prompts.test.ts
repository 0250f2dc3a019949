import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { anyTokenizer } from "../../src/models/any-tokenizer.ts";
import { loadModel } from "../../src/models/checkpoint.ts";
import type { TokenizerFiles } from "../../src/models/tokenizer.ts";
import { decoderGolden, decoderNames, fixture } from "./fixtures.ts";

const GPT2 = new URL("../../../shared/data/models/gpt2-tokenizer", import.meta.url).pathname;

const load = async (name: string) => {
  const { spec, tokenizer } = await loadModel(fixture(name));
  const altered = (settings: Record<string, unknown>, files: TokenizerFiles = tokenizer.files, more = {}) =>
    anyTokenizer({ ...files, "tokenizer_config.json": JSON.stringify(settings) }, { ...spec, ...more });
  return { spec, tokenizer, altered };
};

describe("a decoder's tokenizer", () => {
  it.each([
    ["gpt2", 0, "<|endoftext|>", 64],
    ["opt", 2, "</s>", 64],
    ["opt-postnorm", 2, "</s>", 64],
    ["llama", 2, "</s>", 64],
    ["llama-tied", 2, "</s>", 64],
  ])("of %s knows the end and the limit", async (name, id, token, limit) => {
    const { tokenizer } = await load(name);
    expect([tokenizer.endId, tokenizer.idOf(token), tokenizer.limit]).toEqual([id, id, limit]);
  });

  it("takes an empty text where a token begins it", async () => {
    expect((await load("opt")).tokenizer.encode("")).toEqual({ ids: [2], types: [0] });
    expect((await load("llama")).tokenizer.encode("")).toEqual({ ids: [1], types: [0] });
    expect(() => gpt2.encode("")).toThrow(/the text is empty/);
  });

  it("takes one text, cut at its end if asked for", async () => {
    const { tokenizer, altered } = await load("llama");
    expect(() => tokenizer.encode("a", "b")).toThrow("this model continues one text: give no second one");
    const short = altered({}, tokenizer.files, { positions: 5 });
    const { ids } = tokenizer.encode("It was a wonderful evening");
    expect(() => short.encode("It was a wonderful evening")).toThrow("the text has 16 tokens, the model takes 5");
    expect(short.encode("It was a wonderful evening", undefined, { truncate: true }).ids).toEqual(ids.slice(0, 5));
  });

  it("takes the first and last token from its settings", async () => {
    const { tokenizer, altered } = await load("opt");
    const ids = tokenizer.encode("The").ids.slice(1);
    expect(altered({ add_bos_token: false }).encode("The").ids).toEqual(ids);
    expect(altered({}).encode("The").ids).toEqual(ids);
    expect(
      altered({ add_bos_token: true, add_eos_token: true, bos_token: "</s>", eos_token: "</s>" }).encode("The").ids,
    ).toEqual([2, ...ids, 2]);
    const other = altered({ add_bos_token: true, bos_token: { content: "<s>" }, eos_token: "<pad>" });
    expect([other.encode("The").ids[0], other.endId]).toEqual([0, 1]);
    expect((await load("gpt2")).altered({ add_bos_token: true }).encode("").ids).toEqual([0]);
  });

  it("says which file it needs", async () => {
    for (const [name, needed] of [
      ["llama", "tokenizer.json"],
      ["gpt2", "tokenizer.json or vocab.json with merges.txt"],
    ] as const) {
      expect((await load(name)).altered.bind(null, {}, {})).toThrow(`put ${needed} beside config.json`);
    }
  });

  it("reads the same from a tokenizer.json as from GPT-2's two files", async () => {
    const { spec, tokenizer } = await load("gpt2");
    const { "vocab.json": vocab, "merges.txt": merges } = tokenizer.files;
    const json = {
      added_tokens: [{ id: 0, content: "<|endoftext|>", special: true, normalized: false }],
      normalizer: null,
      pre_tokenizer: { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true },
      post_processor: { type: "ByteLevel", trim_offsets: false },
      decoder: { type: "ByteLevel" },
      model: { type: "BPE", vocab: JSON.parse(vocab!), merges: merges!.trim().split("\n").slice(1) },
    };
    const other = anyTokenizer({ "tokenizer.json": JSON.stringify(json) }, spec);
    for (const { text, ids } of decoderGolden("gpt2").texts) {
      expect(other.encode(text).ids).toEqual(ids);
      expect(other.decode(ids)).toBe(text);
    }
  });
});

describe("decode", () => {
  it.each(decoderNames)("%s: a letter of several bytes comes when it is whole, in order", async (name) => {
    const { tokenizer } = await load(name);
    const { ids } = tokenizer.encode("é東👍x");
    const parts = ids.map((_, n) => tokenizer.decode(ids.slice(0, n + 1), { unfinished: true }));
    // Llama's bytes are text once another token follows: with a wrong one among them all would be U+FFFD.
    const shown = name.startsWith("llama") ? [] : ["é", "é東", "é東👍"];
    expect(new Set(parts)).toEqual(new Set([...shown, "é東👍x", ...parts.filter((part) => part === "")]));
    expect([parts.at(-1), tokenizer.decode(ids)]).toEqual(["é東👍x", "é東👍x"]);
  });

  it("leaves out special tokens and numbers without a token", async () => {
    const { tokenizer } = await load("llama");
    const { ids } = tokenizer.encode("The film");
    expect(tokenizer.decode([...ids, 2, 100_000])).toBe("The film");
    expect(tokenizer.decode([])).toBe("");
  });

  it("takes a text's first space away, as transformers does of any ids", async () => {
    const { tokenizer } = await load("llama");
    const { ids } = tokenizer.encode("The film");
    expect(tokenizer.decode(ids.slice(1))).toBe("The film");
    expect((await load("gpt2")).tokenizer.decode(gpt2Ids(" The"))).toBe(" The");
  });

  it("shows each of bytes side by side that are no letters as U+FFFD", async () => {
    const { tokenizer } = await load("llama");
    const byte = (value: number) => value + 3;
    expect(tokenizer.decode([byte(0xe6)], { unfinished: true })).toBe("");
    expect(tokenizer.decode([byte(0xe6)])).toBe("\ufffd");
    expect(tokenizer.decode([byte(0xe6), byte(0x41)])).toBe("\ufffd\ufffd");
    expect(tokenizer.decode([byte(0xc3), byte(0xa9), byte(0x41)])).toBe("éA");
  });
});

const { spec, tokenizer: gpt2 } = await load("gpt2");
const gpt2Ids = (text: string) => gpt2.encode(text).ids;

describe.skipIf(!existsSync(GPT2))("GPT-2's own vocabulary (needs ../shared/data)", () => {
  const files = () => ({
    "vocab.json": readFileSync(join(GPT2, "gpt2_vocab.json"), "utf8"),
    "merges.txt": readFileSync(join(GPT2, "gpt2_merges.txt"), "utf8"),
  });
  const own = () => anyTokenizer(files(), { ...spec, vocabulary: 50_257, positions: 1024 });

  /** Ids by the tokenizers library 0.23 for Python, from the same files. */
  const cases: readonly (readonly [string, readonly number[]])[] = [
    [
      "Hello, world! The prototype's constructor isn't finished.",
      [15496, 11, 995, 0, 383, 14879, 338, 23772, 2125, 470, 5201, 13],
    ],
    [
      "  def f(x):\n\treturn x**2  # naïve\n\n",
      [220, 825, 277, 7, 87, 2599, 198, 197, 7783, 2124, 1174, 17, 220, 1303, 41492, 628],
    ],
    [
      "東京 costs ¥1998.50 👍🏽 — “ok”?",
      [
        30266, 109, 12859, 105, 3484, 38221, 21113, 13, 1120, 50169, 235, 8582, 237, 121, 851, 564, 250, 482, 447, 251,
        30,
      ],
    ],
    ["aaaaaaaaaaaaaaaa  ...\u00a0\r\n", [24794, 24794, 24794, 24794, 220, 2644, 1849, 201, 198]],
    ["prototype", [38124]],
  ];

  it("encodes and decodes as the tokenizers library does", () => {
    const tokenizer = own();
    for (const [text, ids] of cases) {
      expect(tokenizer.encode(text).ids).toEqual(ids);
      expect(tokenizer.decode(ids)).toBe(text);
    }
    expect([tokenizer.endId, tokenizer.size]).toEqual([50_256, 50_257]);
  });
});
