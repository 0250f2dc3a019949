/** How a continuation's text comes: certain pieces alone, ends at stops, and what a listener's own rules do. */
import { describe, expect, it } from "vitest";
import { anyTokenizer } from "../../src/models/any-tokenizer.ts";
import { baseOf } from "../../src/models/families/all.ts";
import type { TextTokenizer, TokenizerFiles } from "../../src/models/tokenizer.ts";
import type { Client } from "../../src/parties/client.ts";
import { ContinuedText } from "../../src/parties/continued-text.ts";
import type { Generated, GeneratedPiece, GenerateOptions } from "../../src/parties/generation.ts";
import { TokenStream } from "../../src/parties/token-stream.ts";
import { oneTurn } from "../../src/program/steps.ts";
import { harness, TINY_GPT2 } from "./harness.ts";
import { tapped } from "./tapped.ts";
import { DECODER_WORDS } from "./words.ts";

const SPEC = {
  ...baseOf("gpt2"),
  vocabulary: 300,
  positions: 1024,
  positionOffset: 0,
  types: 1,
} as const;

/** Bytes as tokens, as GPT-2's alphabet writes them, and some longer ones. */
function bytes(...merged: readonly string[]): TextTokenizer {
  const vocab = new Map<string, number>();
  const printable = [...range(33, 126), ...range(161, 172), ...range(174, 255)];
  for (let byte = 0, free = 256; byte < 256; byte++)
    vocab.set(String.fromCodePoint(printable.includes(byte) ? byte : free++), byte);
  const merges: [string, string][] = [];
  for (const word of merged) {
    for (let n = 2; n <= word.length; n++) {
      if (vocab.has(word.slice(0, n))) continue;
      merges.push([word.slice(0, n - 1), word[n - 1]]);
      vocab.set(word.slice(0, n), vocab.size);
    }
  }
  const files: TokenizerFiles = {
    "tokenizer.json": JSON.stringify({
      added_tokens: [],
      normalizer: null,
      pre_tokenizer: { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: false },
      post_processor: null,
      decoder: { type: "ByteLevel" },
      model: { type: "BPE", vocab: Object.fromEntries(vocab), merges },
    }),
    "tokenizer_config.json": JSON.stringify({ tokenizer_class: "PreTrainedTokenizerFast" }),
  };
  return anyTokenizer(files, SPEC);
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, i) => from + i);
}

/** What a listener hears when the model says these tokens. */
async function heard(
  tokenizer: TextTokenizer,
  said: readonly number[],
  options: Omit<GenerateOptions, "maxTokens"> & { readonly maxTokens?: number } = {},
): Promise<{ texts: string[]; result: Pick<Generated, "text" | "ended" | "tokens"> }> {
  const prompt = tokenizer.encode("Once ").ids;
  const stream = new TokenStream(tokenizer, prompt, ([token]) => token, { maxTokens: said.length, ...options });
  for (const token of said) if (!stream.ended) stream.choose([token]);
  stream.finish();
  const texts: string[] = [];
  for await (const { text } of stream.all()) texts.push(text);
  return { texts, result: stream.result };
}

describe("a continuation's pieces", () => {
  it("hold letters back until all of their bytes are there", async () => {
    const tokenizer = bytes();
    const { texts, result } = await heard(tokenizer, [...new TextEncoder().encode("a\u{1f600}é!")]);
    expect(texts.join("")).toBe("a\u{1f600}é!");
    expect(texts).toEqual(["a", "", "", "", "\u{1f600}", "", "é", "!"]);
    expect(result).toMatchObject({ text: "a\u{1f600}é!", ended: "length" });
    // A letter that stays half is shown as such, at the end alone.
    expect((await heard(tokenizer, [0x61, 0xf0, 0x9f])).texts).toEqual(["a", "", expect.stringMatching(/^\ufffd+$/)]);
  });

  it("hold back what may become a stop, also across tokens, and end before it", async () => {
    const tokenizer = bytes("there");
    const said = [...tokenizer.encode(", there was a").ids];
    const { texts, result } = await heard(tokenizer, said, { stop: "there was" });
    expect(texts.join("")).toBe(", ");
    expect(result).toMatchObject({ text: ", ", ended: "stop" });
    expect(result.tokens).toBeLessThan(said.length);
    // What only began like one comes when that is certain, and at the end.
    expect(
      (await heard(tokenizer, tokenizer.encode(", there is").ids, { stop: ["there was", "zz"] })).result.text,
    ).toBe(", there is");
    expect((await heard(tokenizer, tokenizer.encode(", there").ids, { stop: "there was" })).texts.at(-1)).toBe("there");
  });

  it.each([
    ["aab", "aaab", ["a"]],
    ["abab", "ababab", [""]],
    ["aa", "baab", ["b"]],
    ["x", "abc", ["abc"]],
  ])("end before the first %s of %s", async (stop, said, [text]) => {
    const { texts, result } = await heard(bytes(), [...new TextEncoder().encode(said)], { stop });
    expect([texts.join(""), result.text]).toEqual([text, text]);
  });

  it("never take back what was shown, wherever stops and letters are cut", () => {
    const tokenizer = bytes("ab", "ba", "aba");
    const [ids, stops] = [
      [0x61, 0x62, 0xc3, 0xa9, 256, 257, 258],
      ["abab", "éa", "bb"],
    ];
    let state = 12345;
    const next = (n: number) => {
      state = (state * 1103515245 + 12345) % 2 ** 31;
      return state % n;
    };
    for (let i = 0; i < 300; i++) {
      const going = new ContinuedText(tokenizer, [], stops);
      let shown = "";
      for (let n = 0; n < 12 && !going.stopped; n++) {
        going.take(ids[next(ids.length)]);
        expect(going.text.startsWith(shown)).toBe(true);
        shown = going.text;
      }
      going.finish();
      expect(going.text.startsWith(shown)).toBe(true);
      for (const stop of stops) expect(going.text).not.toContain(stop);
    }
  });

  it("end at the model's own end tokens unless others are given", async () => {
    const files = {
      ...bytes().files,
      "tokenizer_config.json": JSON.stringify({ tokenizer_class: "PreTrainedTokenizerFast", eos_token: "!" }),
    };
    const tokenizer = anyTokenizer(files, SPEC);
    expect(tokenizer.endIds).toEqual([0x21]);
    expect((await heard(tokenizer, [0x61, 0x21, 0x62])).result).toMatchObject({ tokens: 2, ended: "stop" });
    expect((await heard(tokenizer, [0x61, 0x21, 0x62], { stopAt: [] })).result).toMatchObject({
      tokens: 3,
      ended: "length",
    });
  });
});

describe("a client's continuation", () => {
  const decoder = { ...TINY_GPT2, embedding: "public" } as const;

  async function connected(): Promise<Client> {
    const h = await harness(decoder, { ...oneTurn(16), turns: 4 });
    return (await tapped(h, { tokenizer: DECODER_WORDS })).connect();
  }

  async function all(stream: AsyncGenerator<GeneratedPiece, Generated, void>) {
    const pieces: GeneratedPiece[] = [];
    for (;;) {
      const step = await stream.next();
      if (step.done === true) return { pieces, result: step.value };
      pieces.push(step.value);
    }
  }

  it("is asked for with a text and gives text", async () => {
    const client = await connected();
    const { pieces, result } = await all(client.generate("w7 w8 w9", { maxTokens: 4 }));
    expect(pieces.map(({ token }) => token)).toEqual(result.ids);
    expect(pieces.map(({ text }) => text).join("")).toBe(result.text);
    expect(result).toMatchObject({ tokens: 4, ended: "length", length: 8 });
    expect(result.text).toBe(result.ids.map((id) => ` ${client.tokenizer!.pieceOf(id)}`).join(""));
    const word = client.tokenizer!.pieceOf(result.ids[2]);
    const stopped = await all(client.generate("w7 w8 w9", { maxTokens: 4, stop: word }));
    const first = result.text.indexOf(word);
    expect(stopped.result).toMatchObject({ text: result.text.slice(0, first), ended: "stop" });
    await client.close();
  });

  it("ends as any other when its stop rule throws: the error is told, the connection stays", async () => {
    const client = await connected();
    const broken = new Error("a listener's own mistake");
    for (const at of [1, 4]) {
      const stop = (tokens: readonly number[]) => {
        if (tokens.length === at) throw broken;
        return false;
      };
      const pieces: GeneratedPiece[] = [];
      const listening = async () => {
        for await (const piece of client.generate("w7 w8 w9", { maxTokens: 4, stop })) pieces.push(piece);
      };
      await expect(listening()).rejects.toBe(broken);
      expect(pieces).toHaveLength(at);
      expect(client.closed).toBe(false);
    }
    expect((await all(client.generate("w7 w8 w9", { maxTokens: 2 }))).pieces).toHaveLength(2);
    await client.close();
  });

  it("goes on serving when its listener leaves", async () => {
    const client = await connected();
    for await (const _ of client.generate("w7 w8 w9", { maxTokens: 4 })) break;
    expect((await all(client.generate("w7 w8 w9", { maxTokens: 2 }))).pieces).toHaveLength(2);
    await client.close();
  });

  it("refuses stop texts where there is no tokenizer, and empty ones", async () => {
    const client = await connected();
    await expect(client.generate("w7", { maxTokens: 2, stop: "" }).next()).rejects.toThrow("at least one letter");
    await client.close();
    const h = await harness(decoder, { ...oneTurn(16), turns: 4 });
    const bare = await (await tapped(h)).connect();
    const text = { ids: [7, 8], types: [0, 0] };
    await expect(bare.generate(text, { maxTokens: 2, stop: ["a"] }).next()).rejects.toThrow("no tokenizer");
    expect(bare.closed).toBe(false);
    expect((await all(bare.generate(text, { maxTokens: 2 }))).result).toMatchObject({ text: "", tokens: 2 });
    await bare.close();
  });
});
