/** Folders that differ in what decides a tokenizer beside its vocabulary, against transformers itself. */

import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { anyTokenizer } from "../../src/models/any-tokenizer.ts";
import { baseOf } from "../../src/models/families/all.ts";
import { loadedTokenizer } from "../../src/models/loaded-tokenizer.ts";
import { completed, type TokenizerFiles, type TokenizerSpec } from "../../src/models/tokenizer.ts";

interface Folder {
  readonly name: string;
  readonly architecture: TokenizerSpec["architecture"];
  readonly config: string;
  readonly files: TokenizerFiles;
  readonly cases: readonly {
    readonly text: string;
    readonly pair: string | null;
    readonly ids: readonly number[];
    readonly types: readonly number[];
    readonly decoded: string;
  }[];
}

const FOLDERS: readonly Folder[] = JSON.parse(
  readFileSync(new URL("./fixtures/tokenizer-folders.json", import.meta.url), "utf8"),
);

describe.each(FOLDERS)("$name", ({ architecture, config, files, cases }) => {
  const spec = { ...baseOf(architecture), vocabulary: 2_000_000, positions: 512, positionOffset: 0, types: 2 };
  const tokenizer = anyTokenizer(completed(files, config), spec);

  it("is the same to a client, which loads what it needs", async () => {
    const loaded = await loadedTokenizer(tokenizer.files, spec);
    for (const { text, pair, ids } of cases.filter((one) => one.ids.length > 0)) {
      expect(loaded.encode(text, pair ?? undefined)).toEqual(tokenizer.encode(text, pair ?? undefined));
      expect(loaded.decode(ids)).toBe(tokenizer.decode(ids));
    }
  });

  it("gives transformers' ids, types and text", () => {
    for (const { text, pair, ids, types, decoded } of cases) {
      if (ids.length === 0) expect(() => tokenizer.encode(text, pair ?? undefined)).toThrow(/the text is empty/);
      else expect([text, pair, tokenizer.encode(text, pair ?? undefined)]).toEqual([text, pair, { ids, types }]);
      expect([ids, tokenizer.decode(ids)]).toEqual([ids, decoded]);
    }
  });

  it("streams to the same text", () => {
    for (const { ids, decoded } of cases) {
      let shown = "";
      for (let n = 0; n <= ids.length; n++) {
        const now = tokenizer.decode(ids.slice(0, n), { unfinished: true });
        expect([now, now.startsWith(shown), decoded.startsWith(now)]).toEqual([now, true, true]);
        shown = now;
      }
    }
  });
});

it("finds added tokens that are single words, also to a client", async () => {
  const spec = { ...baseOf("bert"), vocabulary: 100, positions: 64, positionOffset: 0, types: 2 };
  const token = { content: "xy", single_word: true, lstrip: false, rstrip: false, normalized: false, special: false };
  const files = {
    "vocab.txt": "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n##x\n##y\n",
    "tokenizer_config.json": JSON.stringify({ tokenizer_class: "BertTokenizer", added_tokens_decoder: { 8: token } }),
  };
  const loaded = await loadedTokenizer(files, spec);
  for (const tokenizer of [loaded, anyTokenizer(files, spec)])
    expect(tokenizer.encode("xy axy").ids).toEqual([2, 8, 5, 6, 7, 3]);
});
