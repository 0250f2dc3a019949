/** Folders that differ in what decides a tokenizer beside its vocabulary, against transformers itself. */

import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { anyTokenizer } from "../../src/models/any-tokenizer.ts";
import { baseOf } from "../../src/models/families/all.ts";
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
