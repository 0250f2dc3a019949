/** Where tokens stand in a text, against transformers' offsets of the folders that scripts/make-task-goldens.py makes. */

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { anyTokenizer } from "../../src/models/any-tokenizer.ts";
import { catalogSpec } from "../../src/models/catalog.ts";
import {
  type TextTokenizer,
  TOKENIZER_FILES,
  type TokenizerFiles,
  type TokenizerSpec,
} from "../../src/models/tokenizer.ts";
import { fixture } from "./fixtures.ts";

interface SpanCase {
  readonly text: string;
  readonly pair: string | null;
  readonly ids: readonly number[];
  readonly spans: readonly (readonly [text: 0 | 1, from: number, to: number] | null)[];
}

const spec: TokenizerSpec = { ...catalogSpec("bert-base"), vocabulary: 1000 };

function folderOf(name: string): TextTokenizer {
  const folder = fixture(`tasks/${name}`);
  const own = readdirSync(folder).filter((file) => (TOKENIZER_FILES as readonly string[]).includes(file));
  const files: TokenizerFiles = Object.fromEntries(own.map((file) => [file, readFileSync(join(folder, file), "utf8")]));
  return anyTokenizer(files, name.endsWith("roberta") ? { ...spec, architecture: "roberta" } : spec);
}

describe.each(["entities", "entities-roberta", "question"])("tokens of %s", (name) => {
  const { cases }: { cases: readonly SpanCase[] } = JSON.parse(
    readFileSync(fixture(`tasks/${name}/golden.json`), "utf8"),
  );
  const tokenizer = folderOf(name);

  it.each(cases)("$text", ({ text, pair, ids, spans }) => {
    const own = tokenizer.encodeWithSpans(text, pair ?? undefined);
    const { types } = tokenizer.encode(text, pair ?? undefined);
    expect([own.ids, own.types]).toEqual([ids, types]);
    const found = own.spans.map((span) => (span === null ? null : [span.text, span.from, span.to]));
    expect(found).toEqual(spans);
  });
});

describe("a token stands for", () => {
  const bytes = Object.fromEntries(["c3", "a9"].map((byte, i) => [`<0x${byte.toUpperCase()}>`, i + 10]));
  const vocab = { "<unk>": 0, "▁": 1, a: 2, b: 3, ab: 4, ...bytes };
  const model = { type: "BPE", unk_token: "<unk>", fuse_unk: true, byte_fallback: true, vocab, merges: ["a b"] };
  const added_tokens = [{ id: 9, content: "<mark>", special: true, normalized: false }];
  const json = JSON.stringify({
    model,
    added_tokens,
    pre_tokenizer: { type: "Metaspace", replacement: "▁", prepend_scheme: "first", split: false },
  });
  const tokenizer = anyTokenizer(
    { "tokenizer.json": json, "tokenizer_config.json": '{"tokenizer_class":"PreTrainedTokenizerFast"}' },
    spec,
  );
  const parts = (text: string) =>
    tokenizer.encodeWithSpans(text).spans.map((span) => span && text.slice(span.from, span.to));

  it("the letters that it is made of, however many", () => expect(parts("ab a")).toEqual(["a", "ab", "", "a"]));
  it("all of a letter whose bytes it is one of", () => expect(parts("aéb")).toEqual(["a", "a", "é", "é", "b"]));
  it("unknown letters side by side", () => expect(parts("a😀字b")).toEqual(["a", "a", "😀字", "b"]));
  it("a token that is none of the vocabulary's", () => expect(parts("a<mark>b")).toEqual(["a", "a", "<mark>", "b"]));
  it("nothing, where it is cut away", () => {
    const { ids, spans } = tokenizer.encodeWithSpans("ab".repeat(600), undefined, { truncate: true });
    expect([ids.length, spans.length]).toEqual([512, 512]);
  });
});
