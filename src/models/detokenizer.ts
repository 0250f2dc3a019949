/** Token ids back to text, for vocabularies of byte pairs: GPT-2's letters for bytes, or Llama's pieces with bytes between. */

/** What is needed of a tokenizer. */
export interface DetokenizerOptions {
  /** Tokens by their number. */
  readonly tokens: ReadonlyMap<number, string>;
  /** Tokens that stand for no text. */
  readonly specials: ReadonlySet<number>;
  /** Tokens that are their own text, whatever the notation of the others. */
  readonly plain: ReadonlySet<number>;
  /** Whether tokens are written in GPT-2's letters for bytes; else `▁` is a space and `<0x0A>` a byte. */
  readonly byteLevel: boolean;
  /** The first token of a text before which a space was put, which is taken away again. */
  readonly spacedAfter: number | undefined;
}

/** Decodes for streaming: the text of the first few ids is the beginning of the text of all. */
export class Detokenizer {
  readonly #options: DetokenizerOptions;

  constructor(options: DetokenizerOptions) {
    this.#options = options;
  }

  /** As the vocabulary writes it; U+FFFD where it has none. */
  pieceOf(id: number): string {
    return this.#options.tokens.get(id) ?? "\ufffd";
  }

  /**
   * The text of these tokens. Bytes at the end that are no whole letter yet are left out; bytes that never become one give
   * U+FFFD. A space at the front goes if the ids begin a text; those that continue one keep it.
   */
  decode(ids: readonly number[]): string {
    const bytes = ids.flatMap((id) => this.#bytes(id));
    const spaced = ids.length > 0 && ids[0] === this.#options.spacedAfter && bytes[0] === SPACE;
    const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
    return decoder.decode(Uint8Array.from(spaced ? bytes.slice(1) : bytes), { stream: true });
  }

  #bytes(id: number): number[] {
    const { tokens, specials, plain, byteLevel } = this.#options;
    const token = tokens.get(id);
    if (token === undefined || specials.has(id)) return [];
    if (plain.has(id)) return utf8(token);
    if (byteLevel) return [...token].flatMap((letter) => BYTES.get(letter) ?? utf8(letter));
    const byte = /^<0x([0-9A-F]{2})>$/.exec(token)?.[1];
    return byte === undefined ? utf8(token.replaceAll("▁", " ")) : [Number.parseInt(byte, 16)];
  }
}

const SPACE = 0x20;

function utf8(text: string): number[] {
  return [...new TextEncoder().encode(text)];
}

/** GPT-2's letters: printable Latin-1 bytes are themselves, the others follow from U+0100 on. */
const BYTES: ReadonlyMap<string, number> = byteLetters();

function byteLetters(): Map<string, number> {
  const letters = new Map<string, number>();
  let next = 0x100;
  for (let byte = 0; byte < 256; byte++) {
    const itself = (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad);
    letters.set(String.fromCharCode(itself ? byte : next++), byte);
  }
  return letters;
}
