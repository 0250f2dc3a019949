/** A text as the client's secret input, and the answer as only the client can read it. */
import { embeddingsOf } from "../models/model.ts";
import { positionRows } from "../program/ops.ts";
import { isDecoder, longestText, type ModelSpec, type TokenizedText } from "../program/spec.ts";
import type { InputSource, Program, Value } from "../program/steps.ts";
import { elements } from "../protocols/rule.ts";
import type { ClientInput, InputStep, Party } from "../protocols/sides.ts";
import type { Words } from "../ring/memory.ts";
import type { Ring } from "../ring/ring.ts";
import { clampInto, Findings } from "./findings.ts";
import { PartyError } from "./messages.ts";

/** One turn's logits. One beyond the plan is clamped and noted: a value inside left its range, and the answer is void. */
export function answerOf(party: Party, findings: Findings, turn = party.program.answers.length - 1): number[] {
  const value = party.value(party.program.answers[turn]);
  return decodedAnswer(party.ring, value, party.get("public", value.id), findings);
}

/** As `answerOf`, of words that somebody else computed. */
export function decodedAnswer(ring: Ring, value: Value, words: Words, findings: Findings): number[] {
  const logits = [...ring.decode(words, value.ring, value.scale)];
  if (clampInto(logits, value.bound / value.scale)) findings.answerVoid();
  return logits;
}

/** The rows of a text's tokens, the first at a position behind so many others, by tables that are public. */
export type Embedder = (text: TokenizedText, before: number) => Float32Array;

/** The client's secret integers for each input step. An encoder's text is padded behind, a decoder's before. */
export class TextInput implements ClientInput {
  private readonly ring: Ring;
  private readonly program: Program;
  private readonly spec: ModelSpec;
  private readonly text: TokenizedText;
  private readonly embedder: Embedder | null;
  /** What is wrong with the text, and with what comes of it. */
  readonly findings: Findings;
  /** Tokens of later turns. */
  private readonly taken: number[] = [];

  /** `embedder`: the public embedding, where it is public. */
  constructor(
    ring: Ring,
    program: Program,
    spec: ModelSpec,
    text: TokenizedText,
    embedder: Embedder | null,
    findings = new Findings(),
  ) {
    this.findings = findings;
    this.ring = ring;
    this.program = program;
    this.spec = spec;
    this.text = this.known(text);
    this.embedder = embedder;
  }

  isOwn(position: number): boolean {
    return isDecoder(this.spec) ? position >= this.first : position < this.text.ids.length;
  }

  take(token: number): void {
    this.taken.push(this.known({ ids: [token], types: [0] }).ids[0]);
  }

  fill(out: Words, step: InputStep): void {
    const value = this.program.values[step.out];
    const values = this.values(step, value);
    if (clampInto(values, value.bound / value.scale)) this.findings.textOutside();
    this.ring.encode(out, values, value.scale);
  }

  /** The text with tokens that the model has: a tokenizer of the server's must not stop a run. */
  private known(text: TokenizedText): TokenizedText {
    const within = (ids: readonly number[], most: number) =>
      ids.map((id) => {
        const known = Number.isInteger(id) && id >= 0 && id < most;
        if (!known) this.findings.tokenUnknown();
        return known ? id : 0;
      });
    const { vocabulary, types } = this.spec;
    return { ...text, ids: within(text.ids, vocabulary), types: within(text.types, Math.max(types, 1)) };
  }

  /** The row of the text's first token. */
  private get first(): number {
    return isDecoder(this.spec) ? this.program.shape.length - this.text.ids.length : 0;
  }

  /** The tokens of a step's turn, the row where they begin, and the position of the first one. */
  private tokensOf(step: InputStep): { text: TokenizedText; row: number; position: number } {
    if (step.after === null) return { text: this.text, row: this.first, position: 0 };
    const position = this.text.ids.length + this.taken.length - 1;
    return { text: { ids: this.taken.slice(-1), types: [0] }, row: 0, position };
  }

  /**
   * All rows are worked out, those of padding as well, and then kept or not: how long this takes tells the padded length alone. (Which rows
   * of a table are read depends on the tokens. That is seen by who shares the machine, not by the peers.)
   */
  private values(step: InputStep, value: Value): Float32Array {
    const { text, row, position } = this.tokensOf(step);
    const { rows, columns } = value;
    const own = text.ids.length;
    const out = new Float32Array(elements(value));
    if (step.source === "mask") return out.map((_, i) => Number(i >= row * columns && i < (row + own) * columns));
    if (step.source === "part") return out.fill(1 / own);
    if (step.source === "patches") return this.patches(out);
    if (step.source === "place") return this.placed(out);
    // As many rows as there are positions: a padded length may be beyond.
    const known = Math.min(rows, longestText(this.spec) - position);
    const padded = { ids: padTo(text.ids, known), types: padTo(text.types, known), patches: text.patches };
    if (step.source === "embedding") {
      if (this.embedder === null) throw new PartyError("the embedding tables have not been fetched");
      const data = this.embedder(padded, position);
      for (let i = 0; i < data.length; i++) {
        out[(row * columns + i) % out.length] = i < own * columns ? data[i] : 0;
      }
      return out;
    }
    // An encoder's padding has positions as well.
    const kept = step.source === "positions" && !isDecoder(this.spec) ? rows : own;
    this.columns(step.source, padded, position).forEach((column, i) => {
      out[((row + i) % rows) * columns + Math.min(column, columns - 1)] = Number(i < kept);
    });
    return out;
  }

  /** A row with a 1 at the token that is asked for. @throws PartyError where the text names none. */
  private placed(out: Float32Array): Float32Array {
    const { place, ids } = this.text;
    if (place === undefined || !(place >= 0 && place < ids.length))
      throw new PartyError("this model fills a masked word: name its place");
    return out.map((_, i) => Number(i === place));
  }

  /** An image's patches. @throws PartyError for a text. */
  private patches(out: Float32Array): Float32Array {
    const { patches } = this.text;
    if (patches?.length !== out.length) throw new PartyError("this model reads images: give one of its size");
    out.set(patches);
    return out;
  }

  /** Of each row, the column that is one. */
  private columns(source: InputSource, { ids, types }: TokenizedText, before: number): readonly number[] {
    if (source === "words") return ids;
    if (source === "types") return types;
    return positionRows(embeddingsOf(this.spec), ids, before);
  }
}

function padTo(ids: readonly number[], length: number): number[] {
  return Array.from({ length }, (_, i) => ids[i] ?? 0);
}
