/** 10,000 texts with each of many kinds of tokenizers, against the tokenizers library itself. */

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { everyKind } from "../../src/models/tokenizers/every-kind.ts";
import { Tokenizer } from "../../src/models/tokenizers/tokenizer.ts";
import { hashed, hashesOf, kinds, samples, textOf, tokenizerJson } from "./texts.ts";

describe.each(kinds)("%s", (kind) => {
  const tokenizer = new Tokenizer({ "tokenizer.json": tokenizerJson(kind) }, "llama", everyKind);
  const idsOf = (text: string) => tokenizer.assemble(tokenizer.tokenize(text)).ids;

  it("gives the same ids and texts, for texts that are stored in full", () => {
    samples[kind].forEach(({ text, ids, decoded }, i) => {
      expect(textOf(i, kind)).toBe(text);
      expect([text, idsOf(text)]).toEqual([text, ids]);
      expect([ids, tokenizer.decode(ids)]).toEqual([ids, decoded]);
    });
  });

  it("streams to the same text", () => {
    for (const { ids, decoded } of samples[kind]) {
      let shown = "";
      for (let n = 0; n <= ids.length; n++) {
        const now = tokenizer.decode(ids.slice(0, n), { unfinished: true });
        expect([now, now.startsWith(shown), decoded.startsWith(now)]).toEqual([now, true, true]);
        shown = now;
      }
    }
  });

  it("gives the same ids and texts, by their hashes", () => {
    const encoder = new TextEncoder();
    const wrong: string[] = [];
    hashesOf(kind).forEach(([ids, decoded], i) => {
      const text = textOf(i, kind);
      const own = idsOf(text);
      if (hashed(own) !== ids) wrong.push(`${i}: ids of ${JSON.stringify(text)}: ${own}`);
      else if ((hashed(encoder.encode(tokenizer.decode(own))) & 255) !== decoded)
        wrong.push(`${i}: text of ${own}: ${JSON.stringify(tokenizer.decode(own))}`);
    });
    expect([wrong.length, wrong[0]]).toEqual([0, undefined]);
  });
});

describe.each(["gpt2", "llama3", "gpt4", "gpt4o", "deepseek", "starcoder", "falcon", "bloom"])("%s", (kind) => {
  const tokenizer = new Tokenizer({ "tokenizer.json": tokenizerJson(kind) }, "llama", everyKind);

  it("decodes what it encoded, whatever it is", () => {
    const unit = fc.oneof(fc.string({ unit: "binary", maxLength: 1 }), fc.constantFrom("\ud83d", "\udc00", " ", "\n"));
    fc.assert(
      fc.property(fc.string({ unit }), (own) => {
        const wellFormed = new TextDecoder("utf-8", { ignoreBOM: true }).decode(new TextEncoder().encode(own));
        expect(tokenizer.decode(tokenizer.tokenize(own))).toBe(wellFormed);
      }),
    );
  });
});
