/** tokenizer.json's decoders: what becomes of tokens when they are text again. */

import * as v from "valibot";
import { whole } from "../bounds.ts";
import { BYTE_LETTERS, lettersOf, replaced, textOf } from "./letters.ts";
import { bareStep, flag, MOST_STEPS, oneLetter, oneOf, shortText, step } from "./steps.ts";
import { wanted } from "./wanted.ts";
import { BYTE_TOKEN, type Decoder, wordDecoder } from "./word-decoder.ts";

const BYTES: ReadonlyMap<number, number> = new Map(BYTE_LETTERS.map((letter, byte) => [letter, byte]));
const byteLevel = v.pipe(
  step({
    add_prefix_space: v.optional(flag),
    trim_offsets: v.optional(flag),
    use_regex: v.optional(flag),
  }),
  v.transform(
    (): Decoder => (tokens, unfinished) => {
      const bytes = Uint8Array.from(tokens.flatMap(bytesOf));
      return [new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes, { stream: unfinished })];
    },
  ),
);

/** The bytes that a token's letters stand for; of a token with another letter, its UTF-8. */
function bytesOf(token: string): readonly number[] {
  const bytes = lettersOf(token).codes.map((code) => BYTES.get(code));
  return bytes.some((byte) => byte === undefined) ? [...new TextEncoder().encode(token)] : (bytes as number[]);
}

/** Bytes side by side are one text; if it is no UTF-8, each becomes U+FFFD. */
const byteFallback: Decoder = (tokens) => {
  const texts: string[] = [];
  let bytes: number[] = [];
  const flush = () => {
    if (bytes.length > 0) texts.push(wholeText(bytes));
    bytes = [];
  };
  for (const token of tokens) {
    const byte = BYTE_TOKEN.exec(token)?.[1];
    if (byte !== undefined) bytes.push(Number.parseInt(byte, 16));
    else {
      flush();
      texts.push(token);
    }
  }
  flush();
  return texts;
};

function wholeText(bytes: readonly number[]): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(Uint8Array.from(bytes));
  } catch {
    return "\ufffd".repeat(bytes.length);
  }
}

const metaspace = v.pipe(
  step({
    replacement: oneLetter,
    prepend_scheme: v.optional(v.picklist(["always", "first", "never"]), "always"),
    split: v.optional(flag),
    add_prefix_space: v.optional(flag),
    str_rep: v.optional(v.string()),
  }),
  v.transform(
    ({ replacement, prepend_scheme }): Decoder =>
      (tokens) =>
        tokens.map((token, i) => token.replaceAll(replacement, i === 0 && prepend_scheme !== "never" ? "" : " ")),
  ),
);

const bpe = v.pipe(
  step({ suffix: v.optional(shortText, "</w>") }),
  v.transform(
    ({ suffix }): Decoder =>
      (tokens) =>
        tokens.map((token, i) => token.replaceAll(suffix, i === tokens.length - 1 ? "" : " ")),
  ),
);

const replacing = v.pipe(
  step({ pattern: wanted, content: shortText }),
  v.transform(({ pattern, content }): Decoder => {
    const { codes } = lettersOf(content);
    return (tokens) =>
      tokens.map((token) => {
        const letters = lettersOf(token);
        return textOf(replaced(letters, pattern.finder(letters.codes), codes).codes);
      });
  }),
);

const stripping = v.pipe(
  step({
    content: oneLetter,
    start: whole(0, 16),
    stop: v.literal(0, "text could not be shown as it comes: set it to 0"),
  }),
  v.transform(
    ({ content, start }): Decoder =>
      (tokens) =>
        tokens.map((token) => {
          const letters = [...token];
          let cut = 0;
          while (cut < start && letters[cut] === content) cut++;
          return letters.slice(cut).join("");
        }),
  ),
);

const sequence = v.pipe(
  step({
    decoders: v.pipe(v.array(v.lazy(() => decoder)), v.maxLength(MOST_STEPS, `must have ${MOST_STEPS} steps or fewer`)),
  }),
  v.transform(
    ({ decoders }): Decoder =>
      (tokens, unfinished) =>
        decoders.reduce<readonly string[]>((texts, one) => one(texts, unfinished), tokens),
  ),
);

/** A decoder of a tokenizer.json, as the function it describes. */
export const decoder: v.GenericSchema<unknown, Decoder> = oneOf<Decoder>({
  ByteLevel: byteLevel,
  ByteFallback: bareStep(byteFallback),
  Fuse: bareStep((tokens) => [tokens.join("")]),
  WordPiece: wordDecoder,
  Metaspace: metaspace,
  BPEDecoder: bpe,
  Replace: replacing,
  Strip: stripping,
  Sequence: sequence,
});
