/** Plain texts as a decoder learns them: one behind the other, cut into windows. */

import type { TextTokenizer } from "../models/tokenizer.ts";
import type { TokenizedText } from "../program/spec.ts";
import { END_OF_TEXT } from "./byte-pairs.ts";
import { perplexityOf } from "./perplexity.ts";
import type { DevSet } from "./run.ts";

/**
 * The documents of a file: what stands between lines that are `<|endoftext|>`, if there are any; between empty lines, if
 * there are any; else its lines.
 */
export function documentsOf(content: string): string[] {
  const lines = content.split(/\r?\n/).map((line) => line.trimEnd());
  const isEnd = (line: string) => line.trim() === END_OF_TEXT;
  const ends = lines.some(isEnd) ? isEnd : lines.slice(0, -1).includes("") ? (line: string) => line === "" : () => true;
  const documents: string[][] = [[]];
  for (const line of lines) {
    if (!ends(line) || line !== "") documents[documents.length - 1].push(...(isEnd(line) ? [] : [line]));
    if (ends(line)) documents.push([]);
  }
  return documents.map((one) => one.join("\n").trim()).filter((text) => text !== "");
}

/**
 * Documents one behind the other, each behind the token that begins it or before the one that ends it, cut into windows of
 * `length` tokens. A window begins with the last token of the one before, so that each token is foretold once; the last one
 * may be shorter. `tokenizer` takes texts of any length.
 */
export function windowsOf(documents: readonly string[], tokenizer: TextTokenizer, length: number): TokenizedText[] {
  const { endId } = tokenizer;
  const stream = documents.flatMap((document) => {
    const { ids } = tokenizer.encode(document);
    return endId === undefined || ids[0] === endId || ids.at(-1) === endId ? ids : [...ids, endId];
  });
  const windows: TokenizedText[] = [];
  for (let at = 0; at + 1 < stream.length; at += length - 1) {
    const ids = stream.slice(at, at + length);
    windows.push({ ids, types: ids.map(() => 0) });
  }
  return windows;
}

/** Perplexity on windows, the less the better. */
export function perplexityDev(
  texts: readonly TokenizedText[],
  { patience, perEpoch }: Pick<DevSet, "patience" | "perEpoch">,
): DevSet {
  return {
    texts,
    lessIsBetter: true,
    patience,
    perEpoch,
    measure: (likelihoods) => {
      const { perplexity, loss } = perplexityOf(likelihoods);
      return { perplexity, loss };
    },
  };
}
